"""A throw-away federation with many data owners: two real aggregator processes.

Everybody's keys lie in this process; the servers are started by the command that
their operators type, each in its own folder. Data owners are simulated by their real
end of a round (`fedsecure.contributor`), with an outbox that forgets.
"""

import secrets
import shutil
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import tomli_w
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from fedsecure.contributor.contribution import Accepted, Contributor, ReceivedTask
from fedsecure.core import scheme
from fedsecure.core.mask import REPORT_ID_BYTES, SEED_BYTES
from fedsecure.demo.processes import Processes
from fedsecure.demo.provision import AGGREGATORS, HOST, OWNER, free_ports
from fedsecure.errors import PeerError
from fedsecure.membership.accepted import (
    ACCEPTED,
    Accepted as Membership,
    save_accepted,
)
from fedsecure.membership.issuing import FEDERATION
from fedsecure.owner.rounds.proposal import Proposal, RoundRequest
from fedsecure.owner.rounds.round_owner import RoundOwner
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Author, Signed
from fedsecure.protocol.signing_keys import public_key_text, save_signing_key
from fedsecure.protocol.statements import Opening, Purpose, RoundSpec, Weighting
from fedsecure.transport.aggregator_client import AggregatorClient
from fedsecure.transport.certificates import Authority
from fedsecure.transport.retries import Patience
from fedsecure_bench.progress import Progress
from fedsecure_bench.servers.outbox import Outbox
from fedsecure_bench.usage import Usage

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a file system in memory, on Linux
ENOUGH: Final = 2**30  # bytes; containers often have 64 MB of it
READY_SECONDS: Final = 60.0
ROUND_SECONDS: Final = 3600.0
CLIP: Final = 1.0
LIFETIME: Final = timedelta(days=1)
COIN: Final = SEED_BYTES + REPORT_ID_BYTES  # its place in what `shard` is given
POLICY: Final = {
    "max_open_rounds": 1000,
    "requests_per_minute": 1_000_000,
    "max_rounds_per_hour": 1_000_000,
}


class NoLog:
    """A round store that keeps nothing."""

    def propose(self, spec: Signed[RoundSpec]) -> None:
        """Forget it."""

    def granted(self, spec_digest: str, grants: Mapping[str, str]) -> None:
        """Forget it."""

    def opening(self, opening: Signed[Opening]) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class Many:
    """Everybody of the federation, and where they are."""

    folder: Path
    keys: Mapping[str, Ed25519PrivateKey] = field(repr=False)
    federation: Federation
    authority: Path

    @property
    def reporters(self) -> list[str]:
        """The data owners' names, in ascending order."""
        return sorted(party.name for party in self.federation.data_owners)

    def author(self, name: str) -> Author:
        """Return who signs as this party."""
        return Author(name, self.keys[name], self.federation)

    def clients(self) -> dict[str, AggregatorClient]:
        """Return a client of each aggregator."""
        parties = self.federation.aggregators
        return {
            party.name: AggregatorClient(
                party, self.federation, self.authority, Patience(seconds=120.0)
            )
            for party in parties
        }

    def owner(self, clients: Mapping[str, AggregatorClient]) -> RoundOwner:
        """Return the model owner's end of a round."""
        return RoundOwner(
            self.author(OWNER),
            clients,
            NoLog(),
            self.folder,
            time.time,
            secrets.token_bytes,
        )

    def contributor(
        self,
        name: str,
        clients: Mapping[str, AggregatorClient],
        outbox: Outbox,
        seed_to_first: bool | None = None,
    ) -> Contributor:
        """Return a data owner's end; `seed_to_first` replaces the throw of the coin."""
        rand: Callable[[int], bytes] = secrets.token_bytes
        if seed_to_first is not None:
            rand = _loaded(seed_to_first)
        return Contributor(self.author(name), clients, outbox, _agrees, time.time, rand)


@contextmanager
def many(
    number: int, disk: Path | None = None, clients: Sequence[str] = ()
) -> Iterator[Many]:
    """Make a federation of so many data owners; deleted at the end.

    Args:
        number: Of data owners.
        disk: Where everything is put; in memory if nothing is said.
        clients: Names of clients; if there are any, aggregators compute for them.
    """
    with in_memory(disk) as folder:
        yield _make(folder, number, clients)


@contextmanager
def in_memory(disk: Path | None = None) -> Iterator[Path]:
    """Make a folder in memory, or on a disk instead; deleted at the end."""
    place = disk or (MEMORY if has_memory() else Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix="fedsecure-bench-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def has_memory() -> bool:
    """Tell whether there is a file system in memory that is large enough."""
    return MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ENOUGH


def warn_without_memory(progress: Progress) -> None:
    """Say that "memory" is a disk here."""
    if not has_memory():
        progress.skipped(f"{MEMORY} is missing or small: stored on the disk instead")


@contextmanager
def serving(everybody: Many) -> Iterator[dict[str, Usage]]:
    """Run both aggregators for as long as the block lasts."""
    urls = {party.name: party.url for party in everybody.federation.aggregators}
    with Processes() as processes:
        started = {}
        for name in urls:
            home = everybody.folder / name
            arguments = ["aggregator", "--config", str(home / "aggregator.toml")]
            started[name] = Usage(processes.start(name, arguments, home / "log").pid)
        processes.wait_ready(urls, everybody.authority, READY_SECONDS)
        yield started


def request(cohort: Sequence[str], size: int) -> RoundRequest:
    """Ask a cohort for updates of so many parameters, in a run of its own."""
    return RoundRequest(
        run=f"bench-{secrets.token_hex(4)}",
        round=1,
        purpose=Purpose.TRAIN,
        attempt=1,
        task=secrets.token_hex(32),
        model=secrets.token_hex(32),
        dimension=size,
        scalars=[],
        clip=CLIP,
        weight_cap=1,
        weighting=Weighting.EQUAL,
        cohort=cohort,
        min_cohort=min(3, len(cohort)),
        seconds=ROUND_SECONDS,
    )


def accepted(proposal: Proposal) -> Accepted:
    """Return a round as a data owner that checked it knows it."""
    return Accepted(proposal.spec, proposal.grants, proposal.params, study="")


def update_of(size: int) -> NDArray[np.float32]:
    """Return an update within the clip."""
    return np.full(size, 0.5 / np.sqrt(size), np.float32)


def require_mean(mean: NDArray[np.float64], proposal: Proposal) -> None:
    """Check that a round opened to the update that everybody sent.

    Raises:
        PeerError: FS-354.
    """
    exact = update_of(mean.size).astype(np.float64)
    off = float(np.abs(mean - exact).max())
    if not off <= 1 / proposal.params.scale:
        raise PeerError("FS-354", f"the mean is off by {off}")


def trust(everybody: Many) -> ssl.SSLContext:
    """Return what trusts both servers."""
    return ssl.create_default_context(cafile=everybody.authority)


def _make(folder: Path, number: int, clients: Sequence[str]) -> Many:
    names = [f"site{place:05d}" for place in range(number)]
    keys = {
        name: Ed25519PrivateKey.generate()
        for name in (OWNER, *AGGREGATORS, *names, *clients)
    }
    ports = dict(zip(AGGREGATORS, free_ports(len(AGGREGATORS)), strict=True))

    def party(name: str, **more: str) -> dict[str, str]:
        return {"name": name, "key": public_key_text(keys[name]), **more}

    content: dict[str, Any] = {
        "protocol": 1,
        "name": "bench",
        "model_owner": party(OWNER),
        "aggregators": [
            party(name, url=f"https://{HOST}:{port}") for name, port in ports.items()
        ],
        "data_owners": [
            party(name, flower_key=f"ecdsa-sha2-nistp384 {name}") for name in names
        ],
        "clients": [party(name) for name in clients],
    }
    federation = Federation.model_validate(content)
    authority = Authority.create("bench", datetime.now(UTC), LIFETIME)
    trusted = folder / "ca.pem"
    trusted.write_bytes(authority.pem)
    for name, port in ports.items():
        home = folder / name
        home.mkdir()
        (home / FEDERATION).write_text(tomli_w.dumps(content), encoding="utf-8")
        save_accepted(home / ACCEPTED, Membership.of(federation, name, None))
        save_signing_key(home / "signing.pem", keys[name])
        _configure(home, name, port, authority, computes=bool(clients))
    return Many(folder, keys, federation, trusted)


def _configure(
    home: Path, name: str, port: int, authority: Authority, *, computes: bool
) -> None:
    certified = authority.certify([HOST], datetime.now(UTC), LIFETIME)
    (home / "tls.pem").write_bytes(certified.certificate)
    (home / "tls.key").write_bytes(certified.key)
    settings = {
        "name": name,
        "federation": FEDERATION,
        "key": "signing.pem",
        "listen": f"{HOST}:{port}",
        "tls": {"certificate": "tls.pem", "key": "tls.key"},
        "policy": POLICY,
        "compute": {"enabled": computes},
    }
    (home / "aggregator.toml").write_text(tomli_w.dumps(settings), encoding="utf-8")


def _agrees(_spec: RoundSpec, _task: ReceivedTask) -> None:
    """Agree to everything."""


def _loaded(seed_to_first: bool) -> Callable[[int], bytes]:
    """Return randomness in which the coin falls as it is told."""

    def rand(size: int) -> bytes:
        drawn = bytearray(secrets.token_bytes(size))
        if size == scheme.RAND_BYTES:
            drawn[COIN] = seed_to_first
        return bytes(drawn)

    return rand
