"""A new run from the model of an earlier round, and which rounds may be one."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fedsecure.owner.jobs.rollback import Beginning, read_start
from fedsecure.owner.store.records import Origin, RoundJudged, Verdict
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.study.round_task import GlobalModel, joined
from tests.protocol.federation import refused
from tests.unit.owner_store import round_story
from tests.unit.owner_store.round_story import RUN, spec

WEIGHTS = 8  # of the story's models


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RoundStore]:
    with round_story.open_store(str(tmp_path / "rounds.db")) as store:
        round_story.tell(store, tmp_path)
        yield store


def built(*shape: int) -> GlobalModel:
    return joined([("0", np.zeros(shape, np.float32))])


def judge(store: RoundStore, number: int, verdict: Verdict) -> None:
    store.judge_round(RoundJudged(spec(number).digest, verdict, "as seen", "ada"))


@pytest.mark.parametrize("written", ["2", f"{RUN}:2"])
def test_an_accepted_round_gives_its_model_and_its_name(
    store: RoundStore, tmp_path: Path, written: str
) -> None:
    judge(store, 2, Verdict.ACCEPTED)
    start = read_start(store, tmp_path, Beginning(written), built(2, 4))
    assert start.origin == Origin(spec(2).digest, forced=False)
    recorded = np.load(tmp_path / RUN / "model-2.npy")
    assert start.model.weights.tobytes() == recorded.tobytes()
    assert [array.shape for array in start.model.arrays()] == [(2, 4)]


@pytest.mark.parametrize("verdict", [None, Verdict.REJECTED])
def test_another_round_is_taken_only_by_force_and_that_is_said(
    store: RoundStore, tmp_path: Path, verdict: Verdict | None
) -> None:
    if verdict is not None:
        judge(store, 2, verdict)
    with refused("FS-646"):
        read_start(store, tmp_path, Beginning("2"), built(WEIGHTS))
    start = read_start(store, tmp_path, Beginning("2", forced=True), built(WEIGHTS))
    assert start.origin == Origin(spec(2).digest, forced=True)


@pytest.mark.parametrize(
    ("written", "code"),
    [("9", "FS-862"), ("4", "FS-862"), ("three", "FS-862"), ("lungs:1", "FS-861")],
)
def test_what_is_no_opened_train_round_has_a_code(
    store: RoundStore, tmp_path: Path, written: str, code: str
) -> None:
    with refused(code):
        read_start(store, tmp_path, Beginning(written, forced=True), built(WEIGHTS))


def test_a_study_with_other_layers_is_refused(
    store: RoundStore, tmp_path: Path
) -> None:
    with refused("FS-356"):
        read_start(store, tmp_path, Beginning("2", forced=True), built(WEIGHTS + 1))


def test_a_model_that_was_exchanged_is_refused(
    store: RoundStore, tmp_path: Path
) -> None:
    (tmp_path / RUN / "model-2.npy").write_bytes(b"something else")
    with refused("FS-605"):
        read_start(store, tmp_path, Beginning("2", forced=True), built(WEIGHTS))
