"""A party that takes part in jobs: what it signs with, whom it asks, what it allows."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict

from fedsecure.compute.policy import NEVER, OwnRules
from fedsecure.errors import OperatorError
from fedsecure.membership.accepted import open_membership
from fedsecure.membership.jobs_policy import JobsPolicy
from fedsecure.membership.own_party import OwnParty, load_own
from fedsecure.protocol.identity import Federation, Role
from fedsecure.protocol.signing import Author, Signed
from fedsecure.protocol.statements import Read
from fedsecure.system import toml_file
from fedsecure.system.toml_file import RelativePath
from fedsecure.transport.job_server import JobServer
from fedsecure.transport.retries import Patience
from fedsecure.transport.server_connection import ServerConnection

T = TypeVar("T")

TICKET_SECONDS: Final = 300
JOBS: Final = "jobs"  # in the folder where a party keeps what it must not lose


@dataclass(frozen=True, slots=True)
class Participant:
    """One party in its jobs, whatever its role.

    Args:
        author: Signs.
        servers: Both aggregators, by name.
        folder: For jobs proposed here, inputs on their way, and numbers of queries.
        rules: What this party lets be made of its numbers.
        clock: Seconds since 1970.
        rand: `rand(n)` returns n random bytes.
        sleep: Waits so many seconds.
    """

    author: Author
    servers: Mapping[str, JobServer]
    folder: Path
    rules: OwnRules
    clock: Callable[[], float] = field(default=time.time, repr=False)
    rand: Callable[[int], bytes] = field(default=secrets.token_bytes, repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(2, "aggregator"), repr=False
    )

    @property
    def name(self) -> str:
        """This party's name."""
        return self.author.name

    @property
    def federation(self) -> Federation:
        """The federation that everybody agreed on."""
        return self.author.federation

    @property
    def servers_in_order(self) -> tuple[JobServer, JobServer]:
        """Both aggregators, the first by name before the other."""
        first, second = self.federation.pair
        return self.servers[first.name], self.servers[second.name]

    def digests(self, spec: str) -> tuple[bytes, bytes]:
        """Return what every payload of a job is bound to: federation and spec."""
        return bytes.fromhex(self.federation.digest), bytes.fromhex(spec)

    def both(self, call: Callable[[JobServer], T]) -> dict[str, T]:
        """Ask both aggregators at the same time; fails if either fails."""
        servers = self.servers_in_order
        asked = [self._pool.submit(call, server) for server in servers]
        errors = [one.exception() for one in asked]  # wait for both
        for error in errors:
            if error is not None:
                raise error
        return {
            server.party.name: one.result()
            for server, one in zip(servers, asked, strict=True)
        }

    def ticket(self, server: JobServer, path: str) -> Signed[Read]:
        """Sign a ticket to read something at one aggregator."""
        return self.author.sign(
            Read(
                federation=self.federation.digest,
                aggregator=server.party.name,
                reader=self.name,
                method="GET",
                path=path,
                expires=int(self.clock()) + TICKET_SECONDS,
            )
        )

    def close(self) -> None:
        """End its threads and connections."""
        self._pool.shutdown()
        for server in self.servers.values():
            server.close()


class _Policy(BaseModel):
    """What of `[policy]` is about jobs, whatever else a role says there."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    jobs: JobsPolicy | None = None
    privacy: dict[str, Any] | None = None


class _Own(OwnParty):
    """What of a configuration is about jobs, whatever the role."""

    authorities: RelativePath | None = None
    queries: RelativePath | None = None  # a client's
    state: RelativePath | None = None  # a data owner's
    folder: RelativePath | None = None  # a model owner's
    policy: _Policy = _Policy()


@contextmanager
def open_participant(
    config: Path, on_retry: Callable[[str], None] | None = None
) -> Iterator[Participant]:
    """Read owner.toml, agent.toml or client.toml; connects to nobody yet.

    Args:
        config: Of a party in a role that takes part in jobs.
        on_retry: Hears why an aggregator is asked again.

    Raises:
        OperatorError: FS-813 for another role's; FS-7xx keys and versions, FS-801 to
            FS-803, FS-554.
    """
    role, _ = load_own(config)
    if role not in _FOLDERS:
        raise OperatorError("FS-813", f"{config} is of a {role}; jobs are of others")
    own = toml_file.load(config, _Own)
    membership = open_membership(own)
    authorities = own.authorities or membership.authorities
    patience = Patience(on_retry=on_retry)
    with ExitStack() as stack:
        servers = {
            party.name: JobServer(
                ServerConnection(party, membership.federation, authorities, patience)
            )
            for party in membership.federation.aggregators
        }
        participant = Participant(
            membership.author, servers, _folder(role, own), _rules(role, own)
        )
        stack.callback(participant.close)
        yield participant


_FOLDERS: Final[Mapping[Role, Callable[[_Own], Path | None]]] = {
    Role.MODEL_OWNER: lambda own: own.folder,
    Role.DATA_OWNER: lambda own: own.state,
    Role.CLIENT: lambda own: own.queries,
}
"""Where each role keeps what it must not lose."""


def _folder(role: Role, own: _Own) -> Path:
    return (_FOLDERS[role](own) or Path()) / JOBS


def _rules(role: Role, own: _Own) -> OwnRules:
    """Return what a party allows: a data owner nothing, unless it says so."""
    jobs = own.policy.jobs
    if own.policy.privacy is not None:
        return OwnRules(None, "sums without noise are refused: [policy.privacy]")
    if role is Role.DATA_OWNER:
        return OwnRules(jobs, NEVER)
    return OwnRules(jobs or JobsPolicy(), NEVER)
