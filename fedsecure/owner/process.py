"""The model owner's process, with everything opened that its jobs need."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fedsecure.errors import OperatorError
from fedsecure.membership.accepted import open_membership
from fedsecure.owner.rounds.round_owner import RoundOwner
from fedsecure.owner.settings import OwnerSettings
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Author
from fedsecure.storage import locks
from fedsecure.transport.aggregator_client import AggregatorClient
from fedsecure.transport.retries import Patience


@dataclass(frozen=True, slots=True)
class Owner:
    """The model owner with everything opened that a job needs."""

    settings: OwnerSettings
    author: Author
    aggregators: Mapping[str, AggregatorClient]
    store: RoundStore = field(repr=False)

    @property
    def federation(self) -> Federation:
        """The federation that everybody agreed on."""
        return self.author.federation

    def rounds(self) -> RoundOwner:
        """Return the model owner's end of the rounds of its folder."""
        folder = self.settings.folder / "rounds"
        folder.mkdir(mode=0o700, exist_ok=True)
        return RoundOwner(
            author=self.author,
            aggregators=self.aggregators,
            log=self.store,
            folder=folder,
            clock=time.time,
            rand=secrets.token_bytes,
        )


@contextmanager
def open_owner(
    settings: OwnerSettings, on_retry: Callable[[str], None]
) -> Iterator[Owner]:
    """Load keys and open the round store; connects to nobody yet.

    Args:
        settings: From owner.toml.
        on_retry: Hears why an aggregator is asked again.

    Raises:
        OperatorError: FS-8xx settings, FS-7xx keys, FS-6xx the store.
    """
    membership = open_membership(settings)
    author, federation = membership.author, membership.federation
    authorities = settings.authorities or membership.authorities
    with ExitStack() as stack:
        stack.enter_context(_alone(settings.folder))
        store = RoundStore(settings.database_url, author, time.time, alone=True)
        stack.callback(store.close)
        patience = Patience(on_retry=on_retry)
        clients = {
            party.name: AggregatorClient(party, federation, authorities, patience)
            for party in federation.aggregators
        }
        for client in clients.values():
            stack.callback(client.close)
        yield Owner(settings, author, clients, store)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Take the owner's folder for this process.

    Raises:
        OperatorError: FS-609 when another has it, FS-606 when it cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = locks.alone(folder / "lock", "FS-609", folder)
    except OSError as error:
        raise OperatorError("FS-606", f"{folder}: {error.strerror}") from error
    with lock:
        yield
