"""100,000 rounds: what a page costs, and that an audit takes linear time.

Left to `make slow`; it prints its figures, and compares ratios, never seconds.
"""

import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedsecure.audit.findings import Report, Store
from fedsecure.audit.stores.owner import KIND
from fedsecure.audit.verify import Progress, alone
from fedsecure.protocol.federation_versions import Federations
from fedsecure.review import details, records, sql_shell
from fedsecure.review.choosing import Choice, Judged, Page, instant
from fedsecure.review.plots.curves import curves
from fedsecure.review.reading import open_round_store
from tests.unit.docs.test_data_model_page import queries
from tests.unit.owner_store.round_story import (
    FEDERATION,
    HOSPITALS,
    model,
    open_store,
    run_started,
    spec,
    train,
)
from tests.unit.review import large

ROUNDS = 100_000
QUIET = Progress(lambda _what, _total: None, lambda _number: None)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "rounds.db"
    large.build(path, ROUNDS)
    return path


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def milliseconds(work: Callable[[], Any]) -> float:
    """Return the better of two times."""
    times = []
    for _ in range(2):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return 1000 * min(times)


def test_pages_of_a_long_run(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day = Choice(None, instant("2026-03-03T00:00"), instant("2026-03-03T00:10"))
    with open_round_store(store) as session:
        run = records.find_run(session)
        pages: dict[str, Callable[[], Any]] = {
            "the run": lambda: records.find_run(session),
            "list, newest page": lambda: records.rounds(session, run.run, page=Page()),
            "list, oldest page": lambda: records.rounds(
                session, run.run, page=Page(1000)
            ),
            "list, accepted": lambda: records.rounds(
                session, run.run, Choice(Judged.ACCEPTED), Page()
            ),
            "list, ten minutes": lambda: records.rounds(session, run.run, day, Page()),
            "list, how many": lambda: records.count_rounds(session, run.run),
            "show 50000": lambda: _show(session, run.run),
            "plot, 1000 rounds": lambda: curves(
                run, records.rounds(session, run.run, page=Page(1, 1000))
            ),
        }
        for query, _ in queries("Questions to a round store"):
            first = query.splitlines()[0].removeprefix("SELECT ")[:48]
            part = query.strip().removesuffix(";") + " LIMIT 100"
            pages[f"SQL: {first}"] = lambda part=part: sql_shell.ask(session, part)
        told = {name: milliseconds(work) for name, work in pages.items()}
        assert len(records.rounds(session, run.run, page=Page(1000))) == 100
        assert records.count_rounds(session, run.run) == ROUNDS + ROUNDS // 100
    with capsys.disabled():
        say(f"\n{ROUNDS:,} rounds, {store.stat().st_size / 1e6:,.0f} MB")
        for name, number in told.items():
            say(f"  {number:8.1f} ms  {name}")


def _show(session: Any, run: str) -> None:
    row = records.find_round(session, run, "50000")
    records.attempts(session, row)
    records.participations(session, row.spec_digest)
    records.events(session, row)
    assert details.Metric


def test_the_command_itself_on_a_long_run(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = {
        "list": ["list"],
        "list --json, page 900": ["list", "--page", "900", "--json"],
        "plot": ["plot", "--output", str(tmp_path / "curves.png")],
        "--help (nothing is read)": ["list", "--help"],
    }
    told = {}
    for name, words in commands.items():
        place = [] if "--help" in words else ["--db", str(store)]
        whole = [sys.executable, "-m", "fedsecure", "rounds", *words, *place]

        def run(whole: list[str] = whole) -> None:
            subprocess.run(whole, check=True, capture_output=True)

        told[name] = milliseconds(run)
    with capsys.disabled():
        say("\nwhole commands, Python's start included")
        for name, number in told.items():
            say(f"  {number:8.0f} ms  rounds {name}")


def signed(folder: Path, rounds: int) -> Path:
    """Return a round store whose every entry is signed, with so many rounds."""
    path = folder / f"{rounds}.db"
    with open_store(str(path)) as store:
        store.start_run(run_started("heart-1", model(folder, "model-0")))
        for number in range(1, rounds + 1):
            train(store, folder, spec(number))
    return path


def audited(path: Path) -> tuple[Store, float]:
    """Audit a round store by itself, and return what was said of it, and seconds."""
    report = Report()
    started = time.process_time()
    with alone(str(path), KIND, Federations([FEDERATION]), report, QUIET):
        seconds = time.process_time() - started
    assert report.findings == []
    (one,) = report.stores
    return one, seconds


def test_an_audit_takes_linear_time_and_constant_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rates, peaks = [], []
    for rounds in (250, 1000):
        path = signed(tmp_path, rounds)
        one, seconds = audited(path)
        tracemalloc.start()
        audited(path)
        peaks.append(tracemalloc.get_traced_memory()[1] / 1e6)
        tracemalloc.stop()
        assert one.entries == 1 + 4 * rounds
        rates.append(one.entries / seconds)
        with capsys.disabled():
            say(
                f"\naudit of {one.entries:,} entries ({len(HOSPITALS)} data owners): "
                f"{rates[-1]:,.0f} entries/s of CPU time, at most {peaks[-1]:.1f} MB"
            )
    assert rates[1] > rates[0] / 2  # four times as much, not more for each
    assert peaks[1] < 2 * peaks[0]
