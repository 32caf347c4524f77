"""A study that a person has to approve, by the commands of everybody concerned."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fedsecure.demo.provision import OWNER
from tests.e2e.federation import Federation, federation, wait_until

pytestmark = pytest.mark.e2e

SITE = "hungary"


def fedsecure(*arguments: str | Path) -> str:
    """Run one of the users' commands and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "fedsecure", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def agent(running: Federation, *arguments: str | Path) -> str:
    return fedsecure("agent", *arguments, "--config", running.folder.config(SITE))


def studies(running: Federation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(agent(running, "review", "--json"))[
        "studies"
    ]
    return found


def test_a_study_waits_for_approval_and_then_goes_on(tmp_path: Path) -> None:
    with federation(
        tmp_path,
        app="tests.e2e.slow_app:app",
        study={"aggregation": {"min_cohort": 4}},
        owner={"attempts": 2, "pause_seconds": 1.0},
        policies={SITE: {"studies": "approved"}},
    ) as running:
        file = tmp_path / "heart.study.json"
        owner = running.folder.config(OWNER)
        told = fedsecure("study", "export", "--config", owner, "--output", file)
        digest = told.split()[1]
        assert studies(running) == []
        # Without the approval of one of four no round has enough reports.
        training = running.start_training(2)
        assert training.wait(240) == 1
        assert f"study {digest}" in running.output()
        assert "FS-369" in running.output()
        answered = f"{SITE} answered `not reported`: `fedsecure agent status` there"
        assert answered in running.output()
        assert "FS-418" not in running.output()  # the reason stays there
        (waiting,) = studies(running)
        assert (waiting["digest"], waiting["state"]) == (digest, "waits for you")
        assert waiting["refused_by"] == ["FS-418"]
        status = json.loads(agent(running, "status", "--json"))
        assert {one["code"] for one in status["not_reported"]} == {"FS-418"}
        assert not status["rounds"]
        page = agent(running, "review", digest[:8])
        for words in ("chol", "over at least 4", "loss (0 to 4)", "weighs the same"):
            assert words in page
        # The file that was handed over names the same study; the agent runs on.
        assert digest in agent(running, "approve", file, "--note", "ethics board")
        running.train(2)
        query = "SELECT in_set FROM v_round WHERE state = 'opened'"
        rows = running.rows(running.owner_db, query)
        assert [row["in_set"] for row in rows] == [4, 4, 4]
        (approved,) = studies(running)
        assert approved["answered"] == {"train": 2, "evaluate": 1}
        assert approved["note"] == "ethics board"
        wait_until(lambda: "included" in agent(running, "status"), "the inclusions")
