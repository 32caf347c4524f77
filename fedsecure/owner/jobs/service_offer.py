"""A model owner's end of services, opened, and what is offered where nothing is said.

What a command or a caller leaves open, owner.toml says in its section `[serve]`, or the
study does.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fedsecure.compute.participant import open_participant
from fedsecure.owner.jobs.serve import Offer, Serving
from fedsecure.owner.settings import OwnerSettings, load_owner_settings
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.protocol.jobs.parts import Method
from fedsecure.study.config import AnyStudy

DAY: Final = 86400.0  # seconds


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for; None is left open.

    Args:
        clients: Who may ask.
        method: How rows are kept secret.
        rows: The most that one client is answered in all.
        days: Until the service closes.
        name: Of the service.
    """

    clients: Sequence[str] | None = None
    method: Method = Method.SHARES
    rows: int | None = None
    days: int | None = None
    name: str | None = None


@contextmanager
def open_serving(
    config: Path, stage: Callable[[str], None]
) -> Iterator[tuple[Serving, OwnerSettings]]:
    """Open keys and round store; a training may go on meanwhile.

    Args:
        config: The model owner's owner.toml.
        stage: Hears what is going on, and why an aggregator is asked again.

    Raises:
        OperatorError: FS-8xx settings, FS-7xx keys, FS-6xx the store.
    """
    settings = load_owner_settings(config)
    with (
        open_participant(config, stage) as participant,
        RoundStore(settings.database_url, participant.author, time.time) as store,
    ):
        yield Serving(participant, store, stage), settings


def offer_of(
    wish: Wish, serving: Serving, settings: OwnerSettings, study: AnyStudy
) -> Offer:
    """Return what is offered: what was asked for, and else what owner.toml says."""
    limits = settings.serve
    clients = wish.clients
    if clients is None:
        clients = [party.name for party in serving.p.federation.clients]
        if limits.clients is not None:
            clients = list(limits.clients)
    return Offer(
        name=wish.name or study.name,
        title=study.title,
        clients=sorted(set(clients)),
        method=wish.method,
        rows=wish.rows or limits.max_rows,
        seconds=(wish.days or limits.days) * DAY,
    )
