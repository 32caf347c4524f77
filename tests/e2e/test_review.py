"""Real processes train; people look, judge, roll back, and audit what was left."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fedsecure.demo.provision import AGGREGATORS, OWNER
from tests.e2e.federation import Federation, federation, wait_until

pytestmark = pytest.mark.e2e


def ask(*words: str | Path, code: int = 0) -> Any:
    """Run a command with --json, and return what it printed."""
    whole = [sys.executable, "-m", "fedsecure", *map(str, words), "--json"]
    done = subprocess.run(whole, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


def train(running: Federation, *words: str) -> int:
    config = running.folder.config(OWNER)
    rounds = [] if "--resume" in words else ["--rounds", "1"]
    arguments = ["train", "--config", str(config), *rounds, *words]
    return running.processes.start(OWNER, arguments, running.owner_log).wait(120)


@pytest.fixture(scope="module")
def rolled_back(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """A run of two rounds, and another from the model of its first."""
    folder, app = tmp_path_factory.mktemp("review"), "tests.e2e.slow_app:app"
    with federation(folder, app=app) as running:
        running.train(2)
        owner = running.folder.config(OWNER)
        (first,) = ask("rounds", "list", "--db", running.owner_db, "--runs")["runs"]
        which = f"{first['run']}:1"
        assert train(running, "--from-round", which) == 1
        assert "FS-646" in running.output()
        ask("rounds", "accept", "1", "--note", "good", "--config", owner)
        assert train(running, "--from-round", which) == 0, running.output()
        yield running


def test_the_new_run_starts_from_the_accepted_model_and_says_so(
    rolled_back: Federation,
) -> None:
    store = rolled_back.owner_db
    old, new = ask("rounds", "list", "--db", store, "--runs")["runs"]
    assert (new["from_run"], new["from_round"]) == (old["run"], 1)
    made = ask("rounds", "show", "1", "--db", store, "--run", old["run"])["round"]
    begun = ask("rounds", "show", "1", "--db", store, "--run", new["run"])["round"]
    assert begun["started_from"] == made["made"]
    assert made["verdict"] == "accepted"


def stores(running: Federation) -> list[str | Path]:
    words: list[str | Path] = ["--federation", running.folder.federation]
    words += ["--owner", running.owner_db]
    for name in AGGREGATORS:
        words += ["--aggregator", running.aggregator_db(name)]
    return words


def test_the_records_of_all_three_agree_while_they_are_in_use(
    rolled_back: Federation,
) -> None:
    answer = ask("audit", "verify", *stores(rolled_back))
    assert answer["holds"]
    assert answer["findings"] == answer["pairs"] == []
    assert {one["check"] for one in answer["checks"]} == {*range(1, 17), 21}
    assert answer["checks"][15]["looked_at"] >= 6  # models and means


def test_a_changed_byte_ends_the_audit_with_an_error(
    rolled_back: Federation, tmp_path: Path
) -> None:
    export = tmp_path / "owner.jsonl"
    whole = [sys.executable, "-m", "fedsecure", "audit", "export"]
    words = ["--db", str(rolled_back.owner_db), "--output", str(export)]
    subprocess.run([*whole, *words], check=True)
    content = export.read_text("utf-8")
    half = content.index('"payload":"', len(content) // 2) + 200
    letter = "A" if content[half] != "A" else "B"
    export.write_text(content[:half] + letter + content[half + 1 :], "utf-8")
    words_to_verify = stores(rolled_back)
    words_to_verify[3] = export
    answer = ask("audit", "verify", *words_to_verify, code=1)
    assert not answer["holds"]
    assert answer["findings"][0]["party"] == "consortium"
    assert "are sound" in answer["findings"][0]["what"]


def test_every_site_finds_its_reports_counted(rolled_back: Federation) -> None:
    aggregators = stores(rolled_back)[4:]
    for site in rolled_back.folder.sites:
        config = rolled_back.folder.config(site)
        whole = ("agent", "receipts", "verify", "--config", config)
        answer = ask(*whole, *aggregators)
        assert answer["holds"]
        assert answer["checks"][-1]["check"] == 20


def test_a_training_that_diverges_or_stands_still_is_no_success(
    rolled_back: Federation,
) -> None:
    models = rolled_back.folder.config(OWNER).parent / "models"
    before = set(models.glob("*/model.keras"))
    assert len(before) == 2  # the run that was told of above, and the one after it

    def ended(code: str, state: str, *words: str) -> str:
        """Train in vain; return the name of the run that was begun last."""
        printed = len(rolled_back.output())
        assert train(rolled_back, *words) == 1
        assert code in rolled_back.output()[printed:]
        assert set(models.glob("*/model.keras")) == before
        last = rolled_back.rows(rolled_back.owner_db, "SELECT run, state FROM runs")[-1]
        assert last["state"] == state
        return str(last["run"])

    with touched(rolled_back.notes / "diverged"):
        run = ended("FS-232", "diverged")
    ended("FS-233", "diverged", "--resume", run)
    with touched(rolled_back.notes / "frozen"):
        ended("FS-235", "failed")
    assert ask("audit", "verify", *stores(rolled_back))["holds"]


@contextmanager
def touched(file: Path) -> Iterator[None]:
    file.touch()
    try:
        yield
    finally:
        file.unlink()


def test_a_second_agent_or_training_on_one_folder_says_so_and_stops(
    rolled_back: Federation, tmp_path: Path
) -> None:
    site = rolled_back.folder.sites[0]
    agent = rolled_back.folder.config(site)
    assert "FS-653" in refused(rolled_back, tmp_path, "agent", "--config", agent)
    assert rolled_back.agents[site].poll() is None
    with touched(rolled_back.notes / "hold"):
        first = rolled_back.start_training(1)
        held = rolled_back.notes / f"{site}.1.held"
        wait_until(held.exists, "a round under way")
        owner = rolled_back.folder.config(OWNER)
        assert "FS-609" in refused(rolled_back, tmp_path, "train", "--config", owner)
        assert first.poll() is None
    assert first.wait(120) == 0, rolled_back.output()


def refused(running: Federation, folder: Path, *words: str | Path) -> str:
    """Start a process that is to end with an error; return what it printed."""
    log = folder / f"{words[0]}.txt"
    process = running.processes.start("second", [*map(str, words)], log)
    assert process.wait(120) == 1
    return log.read_text("utf-8")
