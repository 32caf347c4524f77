"""Every console and every page of it that is opened, clicked and photographed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fedsecure.console.start import Parts
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.protocol.federation_versions import Federations
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.console.start import parts_of
from fedsecure_aggregator.rounds import recovery
from fedsecure_aggregator.rules.policy import Policy
from tests.browser import stores
from tests.browser.serving import owner
from tests.protocol.audit import job_story
from tests.unit.aggregator.conftest import start
from tests.unit.aggregator.world import HOSPITALS, OWNER, Clock, World

RUN: Final = "/runs/heart-1"


@contextmanager
def nothing(folder: Path) -> Iterator[Parts]:
    yield owner(stores.nothing(folder))


@contextmanager
def told(folder: Path) -> Iterator[Parts]:
    yield owner(stores.told(folder))


@contextmanager
def services(folder: Path) -> Iterator[Parts]:
    yield owner(stores.serving(folder))


@contextmanager
def read_only(folder: Path) -> Iterator[Parts]:
    yield owner(stores.told(folder), reads_only=True)


@contextmanager
def one_round(folder: Path) -> Iterator[Parts]:
    yield owner(stores.one_round(folder))


@contextmanager
def forty(folder: Path) -> Iterator[Parts]:
    yield owner(stores.forty(folder))


@contextmanager
def thousand(folder: Path) -> Iterator[Parts]:
    yield owner(stores.thousand(folder))


@contextmanager
def aggregator(folder: Path) -> Iterator[Parts]:
    """An aggregator that opened a round, refused another, and collects a third."""
    world, clock = World(), Clock()
    servers = {}
    for name in ("north", "south"):
        (folder / name).mkdir(exist_ok=True)
        place = str(folder / name / "aggregator.db")
        servers[name] = start(world, name, folder / name, place, clock)
        recovery.recover(servers[name].context)
    asked = world.propose()
    tokens = {name: server.grant(asked) for name, server in servers.items()}
    receipts = {}
    for reporter in HOSPITALS[:3]:
        sealed = world.report(asked, tokens, reporter)
        receipts[reporter] = {
            name: servers[name].report(report) for name, report in sealed.items()
        }
    servers["north"].open(asked, world.opening(asked, receipts))
    north = servers["north"]
    again = world.propose(round=2)
    token = {name: server.grant(again) for name, server in servers.items()}
    north.report(world.report(again, token, "basel")["north"])
    settings = AggregatorSettings.model_construct(
        name="north", data=north.folder, database=None, policy=Policy()
    )
    yield parts_of(settings, Federations([world.federation]), clock)
    for server in servers.values():
        server.running.close()
        server.context.store.close()


@contextmanager
def computing(folder: Path) -> Iterator[Parts]:
    """An aggregator that computed a sum, and whose clients ask a service."""
    with job_story.pair(folder) as both:
        place = f"sqlite:///{folder / 'rounds.db'}"
        with RoundStore(place, both.world.author(OWNER), both.clock) as store:
            job_story.tell(both, store)
        north = both.north.server
        settings = AggregatorSettings.model_construct(
            name="north",
            data=north.folder,
            database=None,
            policy=Policy(),
            compute=both.north.jobs.policy,
        )
        yield parts_of(settings, Federations([both.world.federation]), both.clock)


@contextmanager
def idle(folder: Path) -> Iterator[Parts]:
    """An aggregator that nobody asked yet."""
    world, clock = World(), Clock()
    server = start(world, "north", folder, str(folder / "aggregator.db"), clock)
    settings = AggregatorSettings.model_construct(
        name="north", data=folder, database=None, policy=Policy()
    )
    yield parts_of(settings, Federations([world.federation]), clock)
    server.running.close()
    server.context.store.close()


ROUNDS: Final = tuple(f"{RUN}/rounds/{which}" for which in ("1", "2", "3.1", "final"))
WORLDS: Final = {
    "nothing": (nothing, ("/", "/jobs", "/audit")),
    "told": (told, ("/", RUN, f"{RUN}?verdict=rejected", *ROUNDS, "/audit")),
    "services": (services, ("/jobs", "first of the list", "/audit")),
    "read-only": (read_only, (ROUNDS[0],)),
    "one-round": (one_round, ("/", RUN, ROUNDS[0])),
    "forty": (forty, ("/", RUN, ROUNDS[1], f"{RUN}/rounds/13")),
    "thousand": (thousand, ("/", RUN, f"{RUN}?page=20")),
    "aggregator": (aggregator, ("/", "first of the list", "/audit")),
    "computing": (computing, ("/jobs", "first of the list")),
    "idle": (idle, ("/", "/jobs")),
}
