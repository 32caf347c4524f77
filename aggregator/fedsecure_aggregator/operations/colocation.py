"""Notices that both aggregators were started on one machine, from one compose file.

docker-compose.yml shows every aggregator's container the same file, read-only. Each
server holds its lock as long as it runs; nothing can be written that way. The one that
starts second finds it taken.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from fedsecure.storage import locks

SHARED: Final = Path("/run/fedsecure/machine")  # as the compose file has it
COLOCATED: Final = (
    "another aggregator runs on this machine: if it is the federation's other one, "
    "nothing is secret, for whoever has the machine has both shares of every update"
)

log = structlog.get_logger()


@contextmanager
def detecting_colocation(shared: Path = SHARED) -> Iterator[None]:
    """Hold the machine's lock; if another server has it, say what that means."""
    try:
        file = shared.open("rb")
    except OSError:  # not by the compose file
        yield
        return
    with file:
        if not locks.lock(file):
            log.warning(COLOCATED)
        yield
