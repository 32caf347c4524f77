"""Which run may go on, and who may train in a folder."""

import time
from pathlib import Path
from typing import Any, cast

import pytest
import typer.testing

from fedsecure.cli.train import command
from fedsecure.errors import OperatorError
from fedsecure.owner import process
from fedsecure.owner.jobs import run_start
from fedsecure.owner.process import Owner
from fedsecure.owner.store.records import (
    ModelKind,
    RunFinished,
    RunStarted,
    StoredModel,
)
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.owner.store.states import RunState
from fedsecure.protocol.statements import Weighting
from fedsecure.review.records import RunRow
from fedsecure.review.terminal.run_tables import run_heading
from fedsecure.study.config import Study, load_study
from tests.unit.aggregator.world import OWNER, World

ROOT = Path(__file__).parents[3]
RUN = "heart-1"


@pytest.fixture
def study() -> Study:
    return load_study(ROOT / "studies" / "heart")


@pytest.fixture
def owner(tmp_path: Path, study: Study) -> Any:
    """A model owner whose store has one run of the study."""
    author = World().author(OWNER)
    with RoundStore(str(tmp_path / "rounds.db"), author, time.time) as store:
        store.start_run(
            RunStarted(
                run=RUN,
                study=study.name,
                title=study.title,
                strategy="FedAvg",
                weighting=Weighting.EQUAL,
                planned_rounds=3,
                min_cohort=3,
                clip=2.0,
                settings=study.settings(),
                initial_model=StoredModel("m", "0" * 64, 1, ModelKind.MODEL),
            )
        )
        yield Owner(cast("Any", None), author, {}, store)


def test_a_run_that_was_killed_failed_or_stopped_may_go_on(
    owner: Owner, study: Study
) -> None:
    assert run_start.resumable(owner, study, RUN).run == RUN
    for outcome in (RunState.FAILED, RunState.STOPPED):
        owner.store.finish_run(RunFinished(RUN, outcome))
        assert run_start.resumable(owner, study, RUN).planned_rounds == 3
        owner.store.resume_run(RUN)


def test_a_completed_run_and_one_that_nobody_knows_may_not(
    owner: Owner, study: Study
) -> None:
    owner.store.finish_run(RunFinished(RUN, RunState.COMPLETED))
    with pytest.raises(OperatorError, match=r"FS-357.*completed"):
        run_start.resumable(owner, study, RUN)
    with pytest.raises(OperatorError, match="FS-861"):
        run_start.resumable(owner, study, "heart-2")


def test_a_study_whose_settings_were_changed_is_refused_with_their_names(
    owner: Owner, study: Study
) -> None:
    changed = study.training.model_copy(update={"batch_size": 99})
    other = cast("Study", _replaced(study, training=changed))
    with pytest.raises(OperatorError, match=r"FS-356.*\[training\] batch_size$"):
        run_start.resumable(owner, other, RUN)


def _replaced(study: Study, **changes: object) -> object:
    import dataclasses  # noqa: PLC0415

    return dataclasses.replace(study, **changes)


def test_two_trainings_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        process._alone(tmp_path / "owner"),
        pytest.raises(OperatorError, match="FS-609"),
        process._alone(tmp_path / "owner"),
    ):
        pass
    with process._alone(tmp_path / "owner"):
        pass


def test_a_run_that_goes_on_has_its_number_of_rounds() -> None:
    arguments = ["--resume", RUN, "--rounds", "5"]
    app = typer.Typer()
    app.command()(command)
    result = typer.testing.CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "--rounds" in result.output


@pytest.mark.parametrize(
    ("state", "hint"),
    [
        ("completed", None),
        ("stopped", "to go on: fedsecure train --resume heart-1"),
        ("failed", "to go on: fedsecure train --resume heart-1"),
        ("budget-spent", None),  # it can only be said again
        ("diverged", None),  # another run, from a round that was sound
        ("running", "if it was killed: fedsecure train --resume heart-1"),
    ],
)
def test_a_list_of_rounds_says_how_to_go_on(state: str, hint: str | None) -> None:
    row = RunRow(
        run=RUN,
        study="heart",
        title="Heart",
        state=state,
        started_at="2026-11-26T10:00:00Z",
        finished_at=None,
        planned_rounds=3,
        opened_rounds=1,
        void_rounds=0,
        strategy="FedAvg",
        weighting="equal",
        min_cohort=3,
        clip=2.0,
        statistics_clip=None,
        unit=None,
        epsilon=None,
        epsilon_outsider=None,
        study_epsilon=None,
        epsilon_budget=None,
        delta=None,
        model="m",
        reason=None,
        from_run=None,
        from_round=None,
        entry=1,
    )
    lines = [str(line) for line in run_heading(row)]
    assert [line for line in lines if "--resume" in line] == ([hint] if hint else [])
