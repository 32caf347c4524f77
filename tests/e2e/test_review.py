"""Real processes train; people look, judge, roll back, serve, and audit the rest."""

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from fedsecure import private
from fedsecure.demo.provision import AGGREGATORS, CLIENT, OWNER
from fedsecure.study.config import load_study
from fedsecure_clients.data.cells import inspect_unlabelled
from tests.e2e.federation import HEART, Federation, federation, wait_until

pytestmark = pytest.mark.e2e

LOGISTIC = HEART.with_name("heart-logistic")  # a model that can be served
PATIENTS = LOGISTIC / "patients.csv"


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
    with federation(folder, app=app, source=LOGISTIC) as running:
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
    assert {one["check"] for one in answer["checks"]} == {*range(1, 17), *range(21, 26)}
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


@dataclass(frozen=True)
class Services:
    """A model owner who serves the newest model, and parties who ask it."""

    running: Federation
    folder: Path

    def serve(self, *words: str) -> Any:
        owner = self.running.folder.config(OWNER)
        return ask("serve", "--config", owner, *words)

    def predict(
        self, service: Path, party: str, patients: Path = PATIENTS, code: int = 0
    ) -> Any:
        config = self.running.folder.config(party)
        output = self.folder / f"{party}.csv"
        arguments = ["--config", config, service, patients, "--output", output]
        return ask("predict", *arguments, "--id", "patient", code=code)

    def expected(self, run: str) -> tuple[list[float], list[str]]:
        """Probabilities and labels of a run's last model, in plain float64."""
        schema = load_study(LOGISTIC).features
        features = inspect_unlabelled(PATIENTS, schema).features
        query = "SELECT model_file FROM v_round WHERE run = ? AND made IS NOT NULL"
        rows = self.running.rows(self.running.owner_db, query + " ORDER BY entry", run)
        file = self.running.owner_db.parent / rows[-1]["model_file"]
        weights = np.load(file).astype(np.float64)
        logits = features.astype(np.float64) @ weights[:-1] + weights[-1]
        probabilities = (1 / (1 + np.exp(-logits))).tolist()
        return probabilities, [schema.class_names[p >= 0.5] for p in probabilities]

    def require_answers(self, party: str, run: str, count: int = 23) -> None:
        """Check that a party's file says what the model says, of its first patients."""
        with (self.folder / f"{party}.csv").open(encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        probabilities, labels = (one[:count] for one in self.expected(run))
        patients = [f"p{n:02}" for n in range(1, count + 1)]
        assert [line["patient"] for line in lines] == patients
        found = [float(line["probability"]) for line in lines]
        assert found == pytest.approx(probabilities, abs=1e-4)
        assert [line["label"] for line in lines] == labels


@pytest.fixture
def services(rolled_back: Federation, tmp_path: Path) -> Services:
    return Services(rolled_back, tmp_path)


def test_a_clinic_predicts_as_the_model_does_and_nobody_else_may(
    services: Services,
) -> None:
    service = services.folder / "heart.service.json"
    served = services.serve(
        "--clients", CLIENT, "--output", str(service), "--rows", "60"
    )
    assert (served["clients"], served["tried"]) == ([CLIENT], 20)
    assert served["difference"] < 1e-4
    answered = services.predict(service, CLIENT)
    assert (answered["rows"], answered["rows_left"]) == (23, 60 - 23)
    services.require_answers(CLIENT, served["run"])
    assert min(answered["labels"].values()) > 0  # patients of either class
    assert "FS-341" in services.predict(service, "cleveland", code=1)
    services.predict(service, CLIENT)  # numbers of queries go on
    assert "FS-398" in services.predict(service, CLIENT, code=1)
    services.serve("--close", "heart-logistic")
    assert "FS-392" in services.predict(service, CLIENT, code=1)


def test_two_clients_ask_by_paillier_and_one_of_them_has_the_model_anyway(
    services: Services,
) -> None:
    service = services.folder / "secret.service.json"
    served = services.serve(
        *("--method", "paillier", "--name", "secret", "--output", str(service)),
        *("--clients", f"{CLIENT},cleveland", "--rows", "30"),
    )
    assert served["clients"] == ["cleveland", CLIENT]
    few = services.folder / "few.csv"
    few.write_text("".join(PATIENTS.read_text("utf-8").splitlines(keepends=True)[:4]))
    for party in (CLIENT, "cleveland"):
        services.predict(service, party, few)
        services.require_answers(party, served["run"], 3)


def test_the_same_is_done_from_python_with_a_model_in_memory(
    services: Services,
) -> None:
    models = services.running.folder.config(OWNER).parent / "models"
    model = keras.saving.load_model(min(models.glob("*/model.keras")))
    folder, service = services.running.folder, services.folder / "python.service.json"
    handout = private.serve(
        model, folder.config(OWNER), clients=[CLIENT], rows=25, days=1, name="python"
    )
    handout.write(service)
    schema = load_study(LOGISTIC).features
    features = inspect_unlabelled(PATIENTS, schema).features
    with private.connect(folder.config(CLIENT), service) as connection:
        assert connection.features == schema.feature_names
        assert connection.labels == schema.class_names
        found = connection.predict(features)
        (one,) = connection.predict(features[0])
    expected = np.asarray(model(features))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert one == pytest.approx(expected[0, 0], abs=1e-4)


def test_what_is_served_stands_in_the_round_store(services: Services) -> None:
    running = services.running
    rows = running.rows(
        running.owner_db, "SELECT job, state, method, run, tried FROM v_job"
    )
    runs = running.rows(running.owner_db, "SELECT run FROM runs ORDER BY started_at")
    newest = runs[-1]["run"]
    assert [tuple(row.values()) for row in rows][:1] == [
        ("heart-logistic", "closed", "shares", newest, 20)
    ]


def test_the_records_of_what_was_served_agree(services: Services) -> None:
    """Of everybody's own stores: what the model owner tried, and what clients asked."""
    answer = ask("audit", "verify", *stores(services.running))
    assert answer["findings"] == []
    looked_at = {one["check"]: one["looked_at"] for one in answer["checks"]}
    assert all(looked_at[check] > 0 for check in (22, 23, 24, 25))
