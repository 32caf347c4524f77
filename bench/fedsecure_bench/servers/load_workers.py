"""A worker process that plays data owners of a large federation, one after the other.

Each shards, seals and sends with its real end of a round, and forgets what it sent.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedsecure.contributor.contribution import Accepted
from fedsecure.core.scheme import Measurement
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.parameters import params_of
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import RoundGrant, RoundSpec
from fedsecure.transport.aggregator_client import AggregatorClient
from fedsecure_bench.servers.federation import Many, accepted, update_of
from fedsecure_bench.servers.outbox import Outbox

AT_ONCE: Final = 4  # data owners in one process

Receipts = dict[str, list[str]]  # by reporter, both aggregators' tokens


@dataclass(frozen=True, slots=True)
class Script:
    """What a worker needs to know, in a form that goes to another process."""

    folder: Path
    outboxes: Path  # on a file system in memory
    authority: Path
    federation: str  # JSON
    keys: Mapping[str, bytes] = field(repr=False)
    spec: str
    grants: Sequence[str]

    @classmethod
    def of(cls, everybody: Many, proposal: Proposal, outboxes: Path) -> "Script":
        """Write it for a round that was granted."""
        return cls(
            everybody.folder,
            outboxes,
            everybody.authority,
            everybody.federation.model_dump_json(),
            {name: key.private_bytes_raw() for name, key in everybody.keys.items()},
            proposal.spec.token,
            [grant.token for grant in proposal.grants.values()],
        )


@dataclass(frozen=True, slots=True)
class Crowd:
    """The data owners that one worker plays."""

    everybody: Many
    clients: Mapping[str, AggregatorClient]
    accepted: Accepted
    measurement: Measurement
    outboxes: Path

    @classmethod
    def of(cls, script: Script) -> "Crowd":
        """Read a script."""
        federation = Federation.model_validate_json(script.federation)
        keys = {
            name: Ed25519PrivateKey.from_private_bytes(private)
            for name, private in script.keys.items()
        }
        everybody = Many(script.folder, keys, federation, script.authority)
        spec = verify(script.spec, RoundSpec, federation)
        grants = [verify(token, RoundGrant, federation) for token in script.grants]
        params = params_of(spec.statement)
        by_name = {grant.signer: grant for grant in grants}
        return cls(
            everybody,
            everybody.clients(),
            accepted(Proposal(spec, params, by_name, key=None)),
            Measurement(update_of(params.dimension), 1, {}),
            Path(tempfile.mkdtemp(dir=script.outboxes)),
        )

    def play(self, names: Sequence[str]) -> Receipts:
        """Report as each of these."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip(names, pool.map(self._report, names), strict=True))

    def _report(self, name: str) -> list[str]:
        outbox = Outbox(self.outboxes / name)
        outbox.folder.mkdir()
        try:
            contributor = self.everybody.contributor(name, self.clients, outbox)
            contributor.contribute(self.accepted, self.measurement)
            receipts = contributor.deliver(self.accepted)
            return [receipt.token for receipt in receipts.values()]
        finally:
            shutil.rmtree(outbox.folder)


_playing: list[Crowd] = []  # one, once a worker has begun


def begin(script: Script) -> None:
    """Get ready; run once in each worker."""
    _playing.append(Crowd.of(script))


def play(names: Sequence[str]) -> Receipts:
    """Report as each of these; run in a worker."""
    return _playing[0].play(names)


def ready(_number: int) -> bool:
    """Tell that a worker has begun."""
    return bool(_playing)
