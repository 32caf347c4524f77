"""What is taken out of an app's reply, in rounds with noise and without."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pytest
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

from fedsecure.core import noisy_scalars
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.core.scheme import Measurement
from fedsecure.errors import OperatorError, PeerError
from fedsecure.frameworks.flower.mod import ask_app, for_app
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.protocol.statements import (
    PrivacyField,
    Purpose,
    ScalarField,
    Weighting,
)
from fedsecure.study.round_task import RoundTask
from fedsecure.study.task import Layer
from fedsecure.study.terms import Terms

WEIGHTS: Final = np.array([1, 2, 3], np.float32)
ANSWER: Final = np.array([4, 6, 8], np.float32)
METRICS: Final = {"loss": 0.5, "bins": [0.25, 0.75]}
ROWS: Final = PrivacyField(
    unit=Unit.ROW,
    unit_clip=0.5,
    noise=10.0,
    scalar_noise=10.0,
    evaluation_noise=10.0,
    every_round=False,
    epsilon=50.0,
    delta=1e-5,
)
OWNERS: Final = ROWS.model_copy(update={"unit": Unit.DATA_OWNER, "unit_clip": 2.0})
EVERY_ROUND: Final = ROWS.model_copy(update={"every_round": True})


@pytest.fixture(autouse=True)
def identity() -> Iterator[None]:
    with task_identity(run_id=1):
        yield


def terms(privacy: PrivacyField | None) -> Terms:
    return Terms(
        scalars=(
            ScalarField(name="loss", low=0.0, high=1.0),
            ScalarField(name="bins", low=0.0, high=1.0, size=2),
        ),
        clip=2.0,
        privacy=privacy,
        weight_cap=1,
        weighting=Weighting.EQUAL,
        min_cohort=3,
        suite="sum32",
    )


def ask(
    privacy: PrivacyField | None, purpose: Purpose = Purpose.TRAIN, **metrics: Any
) -> Measurement:
    """Ask an app that answers with these metrics, beside or instead of the usual."""
    task = RoundTask(purpose, (Layer("0", (3,)),), {}, WEIGHTS)
    kind = purpose.value if purpose is not Purpose.STATISTICS else "query"
    message = Message(for_app(task), dst_node_id=1, message_type=kind)

    def app() -> Message:
        usual = {"num-examples": 90, "num-measured": 30, **METRICS}
        said = {name: v for name, v in {**usual, **metrics}.items() if v is not None}
        content = RecordDict({"metrics": MetricRecord(said)})
        if purpose is Purpose.TRAIN:
            content["arrays"] = ArrayRecord([ANSWER])
        return Message(content, reply_to=message)

    return ask_app(terms(privacy), task, app)


def test_without_noise_an_update_is_what_training_moved() -> None:
    found = ask(None)
    np.testing.assert_array_equal(found.update, ANSWER - WEIGHTS)
    assert (found.weight, found.metrics) == (1, METRICS)


def test_where_rows_are_hidden_the_answer_is_the_update_and_rows_are_counted() -> None:
    found = ask(ROWS)
    np.testing.assert_array_equal(found.update, ANSWER)
    assert (found.weight, found.measured) == (90, 30)
    assert found.metrics == {}  # rounds of training carry none
    assert ask(EVERY_ROUND).metrics == METRICS
    scored = ask(ROWS, Purpose.EVALUATE)
    assert (scored.update, scored.weight, scored.measured) == (None, 90, 30)
    assert scored.metrics == METRICS


def test_where_data_owners_are_hidden_their_numbers_of_examples_are_nothing() -> None:
    found = ask(OWNERS, **{"num-examples": None, "num-measured": None})
    np.testing.assert_array_equal(found.update, ANSWER - WEIGHTS)
    assert (found.weight, found.measured, found.metrics) == (1, 1, {})


def test_means_of_no_rows_do_not_take_the_update_with_them() -> None:
    # A single row held out would else decide whether there is an update at all.
    nan = {"loss": np.nan, "bins": [np.nan, np.nan], "num-measured": 0}
    found = ask(EVERY_ROUND, **nan)
    assert found.update is not None
    sent = noisy_scalars.measured(found.update, found)
    np.testing.assert_array_equal(sent.update, ANSWER)
    assert (sent.weight, sent.measured) == (90, 0)
    assert sent.metrics == {"loss": [0.0], "bins": [0.0, 0.0]}


@pytest.mark.parametrize("count", ["num-examples", "num-measured"])
@pytest.mark.parametrize("value", [None, 3.5])
def test_an_app_that_hides_rows_counts_them(count: str, value: object) -> None:
    with pytest.raises(PeerError, match=f"FS-366.*{count}"):
        ask(ROWS, **{count: value})


@pytest.mark.parametrize("code", ["FS-230", "FS-231"])
@pytest.mark.parametrize("privacy", [ROWS, OWNERS, EVERY_ROUND])
@pytest.mark.parametrize("purpose", [Purpose.TRAIN, Purpose.EVALUATE])
def test_who_has_no_numbers_is_not_silent_where_noise_is(
    code: str, privacy: PrivacyField, purpose: Purpose
) -> None:
    task = RoundTask(purpose, (Layer("0", (3,)),), {}, WEIGHTS)

    def app() -> Message:
        raise PeerError(code, "in round 3")

    found = ask_app(terms(privacy), task, app)
    sent = purpose is Purpose.EVALUATE or privacy.every_round
    assert (found.weight, found.measured) == (0, 0)
    assert found.metrics.keys() == (METRICS.keys() if sent else set())
    numbers = [*found.metrics.values(), *([] if found.update is None else found.update)]
    assert numbers
    assert all(np.isnan(value).all() for value in numbers)  # the core makes zeros
    with pytest.raises(PeerError, match=code):
        ask_app(terms(None), task, app)


def test_any_other_trouble_of_an_app_is_told_to_the_data_owner() -> None:
    task = RoundTask(Purpose.TRAIN, (Layer("0", (3,)),), {}, WEIGHTS)

    def app() -> Message:
        raise OperatorError("FS-100", "no such file")

    with pytest.raises(OperatorError, match="FS-100"):
        ask_app(terms(ROWS), task, app)
