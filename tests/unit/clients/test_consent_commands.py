"""`fedsecure agent review|approve|refuse|status`, as a person types them."""

import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from typer.testing import CliRunner

from fedsecure.errors import OperatorError
from fedsecure.protocol.statements import Weighting
from fedsecure.study.config import load_study
from fedsecure.study.handover import StudyFile
from fedsecure.study.metrics import Metrics
from fedsecure.study.task import Task
from fedsecure.study.terms import Terms, scalar_fields
from fedsecure_clients.cli.agent import app

VECTORS = Path(__file__).parents[2] / "vectors"
HEART = load_study(Path(__file__).parents[3] / "studies" / "heart")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data owner's folder, with two study files; commands run in it."""
    content = json.loads((VECTORS / "federation.json").read_text("utf-8"))[0]["content"]
    (tmp_path / "federation.toml").write_text(tomli_w.dumps(content), "utf-8")
    agent = {
        "name": "basel",
        "federation": "federation.toml",
        "key": "signing.pem",
        "flower_key": "flower.key",
        "superlink": "train.test:8000",
        "data": "patients.csv",
        "state": "state",
        "aggregators": {},
        "policy": {"min_cohort": 3},
    }
    (tmp_path / "agent.toml").write_text(tomli_w.dumps(agent), "utf-8")
    for name, min_cohort in (("heart", 3), ("pair", 2)):
        text = study_file(name, min_cohort).text
        (tmp_path / f"{name}.study.json").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)


def study_file(name: str, min_cohort: int) -> StudyFile:
    task = Task(
        study=name,
        model="{}",
        compilation="{}",
        features=HEART.features,
        local_epochs=2,
        batch_size=16,
        seed=5,
        holdout=0.25,
        metrics=Metrics(),
    )
    terms = Terms(
        scalars=scalar_fields(task.scalars),
        clip=2.0,
        weight_cap=1,
        weighting=Weighting.EQUAL,
        min_cohort=min_cohort,
        suite="sum32",
    )
    return StudyFile(study=task.text, terms=terms, parameters=369)


def typed(*words: str) -> str:
    """Type a command and return what it printed."""
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def listed() -> dict[str, Any]:
    content = json.loads(typed("review", "--json"))
    return {one["name"]: one for one in content["studies"]}


@pytest.mark.usefixtures("desk")
def test_a_study_of_a_file_is_reviewed_approved_and_refused_again() -> None:
    digest = study_file("heart", 3).request.digest
    assert "No study has asked yet" in typed("review")
    assert "waits for you" in typed("review", "heart.study.json")
    assert listed()["heart"]["asked"] is False
    output = typed("approve", digest[:8], "--note", "ethics board")
    assert output == f"approved {digest} (heart)\n"
    assert (listed()["heart"]["state"], listed()["heart"]["note"]) == (
        "approved",
        "ethics board",
    )
    assert typed("refuse", digest) == f"refused {digest} (heart)\n"
    assert listed()["heart"]["refused_by"] == ["FS-419"]
    assert listed()["heart"]["note"] is None


@pytest.mark.usefixtures("desk")
def test_an_approval_says_which_rule_refuses_the_study_nevertheless() -> None:
    output = typed("approve", "pair.study.json")
    assert "but FS-410 refuses it: sums over at least 2" in output
    assert listed()["pair"]["refused_by"] == ["FS-410"]


@pytest.mark.usefixtures("desk")
def test_status_says_how_many_studies_wait() -> None:
    assert "review" not in typed("status")
    typed("review", "heart.study.json")
    assert "1 study waits" in typed("status")
    typed("review", "pair.study.json")
    assert "2 studies wait" in typed("status")
    typed("approve", "heart.study.json")
    assert len(json.loads(typed("status", "--json"))["waiting"]) == 1


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("command", ["review", "approve", "refuse"])
def test_a_study_that_is_not_known_is_not_decided_about(command: str) -> None:
    for wrong, code in (
        ("f" * 64, "FS-428"),
        ("heart", "FS-428"),
        ("other.study.json", "FS-429"),
        ("agent.toml", "FS-429"),
    ):
        with pytest.raises(OperatorError, match=code):
            typed(command, wrong)
    assert listed() == {}
