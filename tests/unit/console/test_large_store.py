"""100,000 rounds: every page of both consoles, and what it costs.

Left to `make slow`; it prints its figures, which docs/console.md has. They are of one
request at a time, through a real server.
"""

import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing

import httpx
import pytest

from fedsecure.console.start import Parts
from fedsecure.protocol.federation_versions import Federations
from fedsecure.storage import database, revisions
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.console.start import parts_of
from fedsecure_aggregator.rules.policy import Policy
from fedsecure_aggregator.storage.store import MIGRATIONS
from tests.browser.serving import owner, serving
from tests.browser.stores import story
from tests.unit.aggregator.world import World
from tests.unit.review import large

ROUNDS = 100_000
RUN = f"/runs/{large.RUN}"
MIDDLE = 50_001  # the round whose statements are real ones

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def owner_parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    path = tmp_path_factory.mktemp("large") / "rounds.db"
    large.build(path, ROUNDS)
    signed = story.spec(1)
    opened = story.opening(signed, story.HOSPITALS)
    dumps = large.json.dumps
    with closing(sqlite3.connect(path)) as store:
        store.execute(
            "UPDATE rounds SET spec = ?, grants = ?, opening = ?, shares = ? "
            "WHERE round = ?",
            (
                signed.token,
                dumps(story.grants(signed)),
                opened.token,
                dumps(story.shares(signed, opened)),
                MIDDLE,
            ),
        )
        store.commit()
    return owner(path)


@pytest.fixture(scope="module")
def aggregator_parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    folder = tmp_path_factory.mktemp("aggregator")
    path = folder / "aggregator.db"
    world = World()
    engine = database.open_for_writing(database.locate(path))
    revisions.upgrade(engine, MIGRATIONS)
    engine.dispose()
    token = world.propose().spec.token
    with closing(sqlite3.connect(path)) as store:
        store.execute("PRAGMA synchronous = OFF")
        for table, rows in aggregator_rows(token):
            marks = ", ".join("?" for _ in rows[0])
            store.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608
        store.commit()
    settings = AggregatorSettings.model_construct(
        name="north", data=folder, database=None, policy=Policy()
    )
    return parts_of(settings, Federations([world.federation]), time.time)


def aggregator_rows(token: str) -> Iterator[tuple[str, Sequence[tuple[object, ...]]]]:
    digest, names = large.digest, large.HOSPITALS
    numbers = range(1, ROUNDS + 1)
    yield (
        "rounds",
        [
            (
                *(digest("spec", n), "consortium", large.RUN, n, "train", 1),
                *(digest("task"), digest("model", n), 1000, 4, 3),
                *(large.START + n + 60, large.START + n + 900, "opened", "key"),
                *(3 * n, large.START + n, None, None, token),
            )
            for n in numbers
        ],
    )
    yield (
        "reports",
        [
            (
                *(digest("spec", n), name, digest(n, name)[:32], "seed", 1200),
                *(digest(name, n), "header", 3 * n, large.START + n + 1),
            )
            for n in numbers
            for name in names
        ],
    )
    yield (
        "openings",
        [
            (
                *(digest("spec", n), "consortium", large.RUN, n, "train"),
                *(digest("model", n), digest("opening", n), digest("set", n)),
                large.json.dumps([[name, digest(n, name)[:32], ""] for name in names]),
                *(4, large.START + n + 2, digest("share", n), 4200, 3 * n + 2),
            )
            for n in numbers
        ],
    )
    yield (
        "events",
        [
            (n, digest("entry", n), "round-granted", large.START + n, "token")
            for n in range(1, 3 * ROUNDS + 1)
        ],
    )


def measure(
    parts: Parts, paths: Sequence[str], capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """Ask for every page twice: the first time nothing of it is kept anywhere."""
    with serving(parts) as served, served.client() as client:
        client.get("/audit")  # the templates' own first time
        told = {path: [milliseconds(client, path) for _ in "12"] for path in paths}
    with capsys.disabled():
        sys.stdout.write(f"\n{what} with {ROUNDS:,} rounds: first, and again (ms)\n")
        for path, (first, again) in told.items():
            sys.stdout.write(f"  {first:8.1f} {again:8.1f}  {path[:60]}\n")


def milliseconds(client: httpx.Client, path: str) -> float:
    started = time.perf_counter()
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return 1000 * (time.perf_counter() - started)


def test_every_page_of_a_model_owner(
    owner_parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = ["/", RUN, f"{RUN}?page=4040", f"{RUN}?verdict=accepted"]
    pages += [f"{RUN}?verdict=none&page=3900", f"{RUN}/rounds/{MIDDLE}", "/audit"]
    pages += [f"{RUN}/curves.svg"]
    measure(owner_parts, pages, capsys, "A model owner's console")


def test_every_page_of_an_aggregator(
    aggregator_parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = large.digest("spec", 50_000)
    pages = ["/", "/?page=2000", "/?page=4000", f"/rounds/{spec}", "/audit"]
    measure(aggregator_parts, pages, capsys, "An aggregator's console")
