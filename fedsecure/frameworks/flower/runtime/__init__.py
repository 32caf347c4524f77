"""The only place that touches Flower's internals; everything else uses this.

Flower's public parts (`flwr.app`, `flwr.clientapp`, `flwr.serverapp`) may be
imported anywhere. What lies below them changes with every minor version, so it is
used here alone, for one version, and a test compares it with what is installed.

    agent      `fleet`: join a SuperLink, receive, reply
    owner      `superlink`: run one; `owned_run`: drive a run on it, over `grid`
    server     `child`: the SuperLink's process, with `guard`, `bodies` and
               `scoped_middlewares` before Flower's own routes
    both       `environment`: a Flower that neither phones home nor prints;
               `calls` and `polling`: how a SuperLink is asked; `node_keys`
"""

from fedsecure.frameworks.flower.runtime.environment import (
    SUPPORTED,
    flower_environment,
    quiet,
    require_supported_flower,
    task_identity,
)
from fedsecure.frameworks.flower.runtime.fleet import LEASE, Fleet, fleet
from fedsecure.frameworks.flower.runtime.grid import PollingGrid
from fedsecure.frameworks.flower.runtime.node_keys import node_public_bytes
from fedsecure.frameworks.flower.runtime.owned_run import OwnedRun, owned_run
from fedsecure.frameworks.flower.runtime.polling import Backoff
from fedsecure.frameworks.flower.runtime.superlink import (
    NodeState,
    Superlink,
    TlsFiles,
    require_free,
    superlink,
)

__all__ = [
    "LEASE",
    "SUPPORTED",
    "Backoff",
    "Fleet",
    "NodeState",
    "OwnedRun",
    "PollingGrid",
    "Superlink",
    "TlsFiles",
    "fleet",
    "flower_environment",
    "node_public_bytes",
    "owned_run",
    "quiet",
    "require_free",
    "require_supported_flower",
    "superlink",
    "task_identity",
]
