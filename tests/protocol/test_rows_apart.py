"""An agent takes part in what is to hide rows only if its rows are cut for it."""

from dataclasses import replace
from typing import Any, Final

import pytest

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.protocol.statements import PrivacyField, Weighting
from fedsecure.study.terms import StudyRequest, Terms, scalar_fields
from fedsecure_clients.consent.checks import Consent
from tests.protocol.federation import ANY_STUDY, MemoryFederation
from tests.protocol.test_consent import TASK, Bench, model, refused

PRIVACY: Final = PrivacyField(
    unit=Unit.ROW,
    unit_clip=0.5,
    noise=10.0,
    scalar_noise=10.0,
    evaluation_noise=10.0,
    every_round=False,
    epsilon=50.0,
    delta=1e-5,
)
ROWS: Final = TASK.model_copy(update={"step": "gradient", "unit_clip": 0.5})


@pytest.fixture
def bench(memory: MemoryFederation) -> Bench:
    return Bench(memory, task=ROWS)


def proposed(
    bench: Bench, privacy: PrivacyField | None = PRIVACY, **changes: Any
) -> Proposal:
    clip = changes.get("clip", 2.0)
    terms = Terms(
        scalars=scalar_fields(bench.task.scalars),
        clip=clip,
        privacy=privacy,
        weight_cap=1,
        weighting=Weighting.EQUAL,
        min_cohort=3,
        suite="sum32",
    )
    study = StudyRequest({"study": bench.task.text}, terms)
    said = {
        "privacy": privacy,
        "study": study.digest if privacy else None,
        "weighting": Weighting.EQUAL,
        "weight_cap": 1,
        "clip": clip,
    }
    return bench.propose(**said)


def accept(bench: Bench, proposal: Proposal) -> None:
    number = proposal.spec.statement.round
    bench.basel.accept(
        proposal, config={"study": bench.task.text, "server-round": number}
    )


def test_a_study_that_keeps_rows_apart_is_taken(bench: Bench) -> None:
    accept(bench, proposed(bench))


@pytest.mark.parametrize(
    "changes",
    [
        {"unit_clip": 0.6},
        {"unit_clip": 0.4},
        {"unit_clip": None},
        {"step": "epochs", "unit_clip": None},
        {"model": model("InputLayer", "BatchNormalization", "Dense")},
        {"model": model("InputLayer", "Dropout", "Dense")},
    ],
)
def test_a_task_that_does_not_is_refused(bench: Bench, changes: dict[str, Any]) -> None:
    bench.task = ROWS.model_copy(update=changes)
    with refused("FS-432"):
        accept(bench, proposed(bench))


def test_an_answer_for_noise_is_given_to_noise_alone(bench: Bench) -> None:
    # Else the sum of gradients would be taken for weights.
    with refused("FS-432"):
        accept(bench, proposed(bench, None))
    owners = PRIVACY.model_copy(update={"unit": Unit.DATA_OWNER, "unit_clip": 2.0})
    with refused("FS-432"):
        accept(bench, proposed(bench, owners))


def test_a_clip_beyond_what_float32_is_left_is_refused(
    memory: MemoryFederation,
) -> None:
    policy = ANY_STUDY.model_copy(update={"max_clip": 1e4})
    bench = Bench(memory, policy, ROWS)
    accept(bench, proposed(bench, clip=0.5 * 2**13))
    with refused("FS-200", "clip is 4097; use at most 8,192 times unit_clip, 4096"):
        accept(bench, proposed(bench, clip=4097.0))


def test_an_app_that_nobody_knows_to_keep_rows_apart_is_refused(bench: Bench) -> None:
    memory, ours = bench.memory, bench.basel
    consent = Consent(
        ANY_STUDY,
        ours.state,
        memory.federation,
        memory.clock,
        foreign_app="own.app:app",
    )
    contributor = replace(ours.contributor, require_policy=consent.require)
    bench.basel = replace(ours, contributor=contributor)
    with refused("FS-432"):
        accept(bench, proposed(bench))
    owners = PRIVACY.model_copy(update={"unit": Unit.DATA_OWNER, "unit_clip": 2.0})
    bench.task = TASK
    accept(bench, proposed(bench, owners))  # any app will do
