"""A data owner's consent: what a person did not agree to is not answered."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest

from fedsecure.core.scheme import Measurement
from fedsecure.errors import FedsecureError
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.owner.store.records import RoundVoided
from fedsecure.protocol.statements import Purpose, ScalarField, Weighting
from fedsecure.study.config import load_study
from fedsecure.study.metrics import Metrics
from fedsecure.study.task import Task
from fedsecure.study.terms import StudyRequest, scalar_fields, terms_of
from fedsecure_clients.consent.policy import Policy
from fedsecure_clients.state.agent_state import AgentState
from fedsecure_clients.state.refusals import KEPT
from fedsecure_clients.state.roster import roster_of
from fedsecure_clients.state.studies import PENDING, Decision
from tests.protocol.federation import (
    ANY_STUDY,
    MemoryFederation,
    run_started,
    update_of,
)

HEART: Final = load_study(Path(__file__).parents[2] / "studies" / "heart")
APPROVED: Final = Policy(studies="approved")


def model(*layers: str) -> str:
    """Return a model as data; an agent looks at it long before Keras does."""
    parts = [
        {"class_name": name, "module": "keras.layers", "config": {}} for name in layers
    ]
    config = {"layers": parts}
    return json.dumps({"class_name": "Sequential", "module": "keras", "config": config})


TASK: Final = Task(
    study="heart",
    model=model("InputLayer", "Dense", "Dense"),
    compilation="{}",
    features=HEART.features,
    local_epochs=1,
    batch_size=16,
    seed=5,
    holdout=0.25,
    metrics=Metrics(score_bins=8),
)


@dataclass
class Bench:
    """One data owner of the federation, asked for rounds of a Keras study."""

    memory: MemoryFederation
    policy: Policy = ANY_STUDY
    task: Task = TASK
    asked: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.basel = self.memory.hospital("basel", self.policy)

    def propose(self, **changes: Any) -> Proposal:
        """Propose the next round; everybody else would be asked the same."""
        self.asked += 1
        fields = list(scalar_fields(self.task.scalars))
        request = self.memory.request(round=self.asked, scalars=fields)
        return self.memory.owner.propose(replace(request, **changes))

    def answer(self, proposal: Proposal, **config: Any) -> None:
        values = {
            one.name: [0.5] * one.size if one.size > 1 else 0.5
            for one in proposal.spec.statement.scalars
        }
        spec = proposal.spec.statement
        update = update_of("basel") if spec.purpose is Purpose.TRAIN else None
        measurement = Measurement(update, 128, values)
        config = {"study": self.task.text, "server-round": spec.round, **config}
        self.basel.answer(proposal, measurement, config=config)

    def study(self, proposal: Proposal) -> StudyRequest:
        return StudyRequest(
            {"study": self.task.text}, terms_of(proposal.spec.statement)
        )

    def held(self, proposal: Proposal) -> set[str]:
        """Return whose reports of a round lie at an aggregator."""
        return {
            name for held in self.memory.owner.held(proposal).values() for name in held
        }


@pytest.fixture
def bench(memory: MemoryFederation) -> Bench:
    return Bench(memory)


def named(bench: Bench, proposal: Proposal) -> str:
    return bench.study(proposal).digest[:12]


def refused(code: str, detail: str | None = None) -> "pytest.RaisesExc[FedsecureError]":
    """Expect an error of this code, and perhaps of exactly this detail."""
    return pytest.RaisesExc(
        FedsecureError,
        check=lambda error: (
            error.code == code and error.detail == (detail or error.detail)
        ),
    )


def nothing_was_sent(bench: Bench, proposal: Proposal) -> bool:
    return bench.held(proposal) == set() and not bench.basel.state.reports(
        proposal.spec.digest
    )


# bisecting


LOSS, *OTHERS = scalar_fields(TASK.scalars)
BISECTED: Final[dict[str, list[dict[str, Any]]]] = {
    # what a model owner halves from round to round, to read one value
    "C": [{"clip": clip} for clip in (1.0, 0.5)],
    "W": [{"weight_cap": cap} for cap in (500, 250)],
    "the range of a metric": [
        {"scalars": [LOSS.model_copy(update={"high": high}), *OTHERS]}
        for high in (2.0, 1.0)
    ],
}


@pytest.mark.parametrize("what", BISECTED)
@pytest.mark.parametrize("studies", ["any", "approved"])
def test_bisecting_is_refused_at_the_second_value(
    memory: MemoryFederation, what: str, studies: Any
) -> None:
    bench = Bench(memory, Policy(studies=studies))
    first = bench.propose()
    if studies == "approved":
        decide(bench, first, Decision.APPROVED)
    bench.answer(first)
    code = "FS-427" if "range" in what else "FS-426"
    for change in BISECTED[what]:
        second = bench.propose(**change)
        with refused(code):
            bench.answer(second)
        assert nothing_was_sent(bench, second)
    bench.answer(bench.propose())  # the first terms still hold


def test_bisecting_a_range_is_refused_also_for_an_app_of_ones_own(
    bench: Bench,
) -> None:
    def answer(proposal: Proposal) -> None:
        config = {"mine": 1, "server-round": bench.asked}
        measurement = Measurement(update_of("basel"), 128, {"loss": 0.5})
        bench.basel.answer(proposal, measurement, config=config)

    answer(bench.propose(scalars=[LOSS]))
    for high in (2.0, 1.0):
        narrow = LOSS.model_copy(update={"high": high})
        second = bench.propose(scalars=[narrow])
        with refused("FS-426"):
            answer(second)
        assert nothing_was_sent(bench, second)


def test_another_task_for_every_range_is_another_study_each_time(
    memory: MemoryFederation,
) -> None:
    bench = Bench(memory, APPROVED)
    first = bench.propose()
    decide(bench, first, Decision.APPROVED)
    bench.answer(first)
    narrow = Metrics.model_validate_json('{"loss": [0, 2], "score_bins": 8}')
    bench.task = TASK.model_copy(update={"metrics": narrow})
    second = bench.propose()
    with refused("FS-418"):
        bench.answer(second)
    assert nothing_was_sent(bench, second)


def test_other_terms_need_a_persons_consent_and_the_first_ones_stay(
    bench: Bench,
) -> None:
    bench.answer(bench.propose())
    other = bench.propose(clip=1.0)
    (first,) = bench.basel.state.studies.all()
    with refused(
        "FS-426", f"study {named(bench, other)}, answered as {first.digest[:12]}"
    ):
        bench.answer(other)
    decide(bench, other, Decision.APPROVED)
    bench.answer(other)
    bench.answer(bench.propose())
    with refused("FS-426"):
        bench.answer(bench.propose(clip=0.5))


def test_terms_are_not_pinned_by_a_round_that_was_not_answered(bench: Bench) -> None:
    config = {"study": TASK.text}
    bench.basel.accept(bench.propose(clip=1.0), config=config)  # the training fails
    bench.answer(bench.propose())


# approval


def decide(bench: Bench, proposal: Proposal, decision: Decision) -> None:
    """Decide as a person does, after the study was seen."""
    studies, study = bench.basel.state.studies, bench.study(proposal)
    studies.remember(study, None, 0, bench.memory.clock())
    now = roster_of(bench.memory.federation)
    studies.decide(study.digest, decision, "", bench.memory.clock(), now)


def test_a_study_waits_until_a_person_approves_it(memory: MemoryFederation) -> None:
    bench = Bench(memory, APPROVED)
    proposal = bench.propose()
    with refused("FS-418", f"study {named(bench, proposal)}"):
        bench.answer(proposal)
    assert nothing_was_sent(bench, proposal)
    (known,) = bench.basel.state.studies.all()
    assert known.digest == bench.study(proposal).digest
    assert (known.text, known.asked_by) == (TASK.text, "consortium")
    assert known.decision is None
    bench.basel.state.studies.decide(known.digest, Decision.APPROVED, "yes", 1.0, {})
    bench.answer(proposal)
    assert bench.held(proposal) == {"basel"}


def test_a_refused_study_is_refused_whatever_the_policy(bench: Bench) -> None:
    bench.answer(bench.propose())
    proposal = bench.propose()
    decide(bench, proposal, Decision.REFUSED)
    with refused("FS-419", f"study {named(bench, proposal)}"):
        bench.answer(proposal)
    assert nothing_was_sent(bench, proposal)
    decide(bench, proposal, Decision.APPROVED)
    bench.answer(proposal)


def test_a_decision_of_another_process_holds_from_the_next_round_on(
    memory: MemoryFederation,
) -> None:
    bench = Bench(memory, APPROVED)
    proposal = bench.propose()
    with refused("FS-418"):
        bench.answer(proposal)
    with AgentState(memory.folder / "basel", memory.versions) as elsewhere:
        digest = bench.study(proposal).digest
        elsewhere.studies.decide(digest, Decision.APPROVED, "", 1.0, {})
    bench.answer(proposal)


def test_few_undecided_studies_are_kept_and_those_that_were_answered_stay(
    bench: Bench,
) -> None:
    bench.answer(bench.propose())
    studies = bench.basel.state.studies
    (answered,) = studies.all()
    spec = bench.propose().spec.statement
    specs = [spec.model_copy(update={"clip": 10.0 + n}) for n in range(PENDING + 5)]
    requests = [StudyRequest({"study": TASK.text}, terms_of(one)) for one in specs]
    for at, request in enumerate(requests):
        studies.remember(request, "consortium", 1, float(at))
    kept = [known.digest for known in studies.all()]
    assert kept == [
        answered.digest,
        *(request.digest for request in requests[: -PENDING - 1 : -1]),
    ]


def test_a_study_is_named_by_the_first_digits_of_its_digest(bench: Bench) -> None:
    bench.answer(bench.propose())
    studies = bench.basel.state.studies
    (known,) = studies.all()
    assert studies.named(known.digest[:8]) == studies.named(known.digest) == known
    assert known.answered == {"train": 1}
    for wrong in (known.digest[:7], "", "%", known.digest[:7] + "_", "g" * 8):
        with refused("FS-428"):
            studies.named(wrong)
    with refused("FS-428"):
        studies.named("0" * 16)


# what is read, how large, when


def test_a_study_that_reads_what_is_not_offered_is_refused(
    memory: MemoryFederation,
) -> None:
    offered = frozenset(TASK.features.reads) - {"chol"}
    bench = Bench(memory, Policy(studies="any", columns=offered))
    proposal = bench.propose()
    with refused("FS-416"):
        bench.answer(proposal)
    assert nothing_was_sent(bench, proposal)
    with refused("FS-416"):  # a task that does not say what it reads
        bench.answer(proposal, more=1)
    bench = Bench(memory, Policy(studies="any", columns=frozenset(TASK.features.reads)))
    bench.asked = 1
    bench.answer(bench.propose())


@pytest.mark.parametrize(
    ("limits", "layers", "code"),
    [
        ({"max_layers": 3}, ("InputLayer", "Dense", "Dense"), None),
        ({"max_layers": 2}, ("InputLayer", "Dense", "Dense"), "FS-417"),
        ({"max_dimension": 500}, (), None),
        ({"max_dimension": 499}, (), "FS-417"),
        ({}, ("Lambda",), "FS-420"),
    ],
)
def test_a_model_that_is_too_large_or_not_allowed_is_refused_before_training(
    memory: MemoryFederation,
    limits: dict[str, int],
    layers: tuple[str, ...],
    code: str | None,
) -> None:
    task = TASK.model_copy(update={"model": model(*layers)})
    bench = Bench(memory, Policy(studies="any", **limits), task)
    proposal = bench.propose()
    if code is None:
        bench.answer(proposal)
        return
    with refused(code):
        bench.answer(proposal)
    assert nothing_was_sent(bench, proposal)


@pytest.mark.parametrize(
    "text", ["[" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000, "[" + "1," * 10**6]
)
def test_a_model_nested_too_deep_or_too_long_is_refused_before_training(
    memory: MemoryFederation, text: str
) -> None:
    bench = Bench(memory, task=TASK.model_copy(update={"model": text}))
    proposal = bench.propose()
    with refused("FS-421"):
        bench.answer(proposal)
    assert nothing_was_sent(bench, proposal)


def test_a_round_outside_the_hours_is_refused(memory: MemoryFederation) -> None:
    # The clock of these tests starts on a Friday at 08:00 UTC.
    hours = {"studies": "any", "hours": "08:01-09:00", "timezone": "UTC"}
    bench = Bench(memory, Policy.model_validate(hours))
    proposal = bench.propose(seconds=3600.0)
    with refused("FS-415"):
        bench.answer(proposal)
    assert nothing_was_sent(bench, proposal)
    memory.clock.now += 60
    bench.answer(proposal)


# how often


def test_ten_thousand_rounds_are_refused(memory: MemoryFederation) -> None:
    bench = Bench(memory)
    proposal = bench.propose(round=10_000)
    with refused("FS-411"):
        bench.answer(proposal)
    assert nothing_was_sent(bench, proposal)


def test_rounds_are_counted_over_all_runs_each_purpose_for_itself(
    memory: MemoryFederation,
) -> None:
    memory.store.start_run(run_started("run-2"))
    bench = Bench(memory, Policy(studies="any", max_rounds=2))
    evaluate: dict[str, Any] = {"purpose": Purpose.EVALUATE, "dimension": 0}
    for run in ("run-1", "run-2"):
        train = bench.propose(run=run, round=1)
        bench.answer(train)
        bench.answer(bench.propose(run=run, round=1, **evaluate))
        bench.answer(train)  # asked again: the same bytes, counted once
    for changes in ({}, evaluate):
        third = bench.propose(run="run-2", round=2, **changes)
        with refused("FS-411"):
            bench.answer(third)
        assert nothing_was_sent(bench, third)
    bench.answer(train)  # an answered one may still be asked again
    bench.task = TASK.model_copy(update={"seed": 6})
    bench.answer(bench.propose(run="run-1", round=2))


def test_every_attempt_that_was_answered_counts(memory: MemoryFederation) -> None:
    bench = Bench(memory, Policy(studies="any", max_rounds=2))
    for attempt in (1, 2):
        proposal = bench.propose(round=1, attempt=attempt)
        bench.answer(proposal)
        memory.owner.void(proposal.spec, "too few")
        memory.store.void_round(RoundVoided(proposal.spec.digest, "too few"))
    third = bench.propose(round=1, attempt=3)
    with refused("FS-411"):
        bench.answer(third)


def test_model_and_proximal_mu_may_change_within_a_study(
    memory: MemoryFederation,
) -> None:
    bench = Bench(memory, APPROVED)
    first = bench.propose()
    decide(bench, first, Decision.APPROVED)
    bench.answer(first)
    bench.answer(bench.propose(model="f" * 64), **{"proximal-mu": 0.5})


# what it tells


def test_refusals_are_kept_newest_first_and_not_without_end(bench: Bench) -> None:
    refusals = bench.basel.state.refusals
    spec = bench.propose().spec.statement
    for number in range(KEPT + 5):
        refusals.add(spec, "train", "FS-411", f"number {number} " + "x" * 600, 1.0)
    refusals.add(None, "evaluate", "FS-704", "forged", 2.0)
    newest, before = refusals.newest(2)
    assert (newest.run, newest.round, newest.code) == (None, None, "FS-704")
    assert (before.run, before.round) == ("run-1", 1)
    assert before.detail.startswith(f"number {KEPT + 4} ")
    assert len(before.detail) == 500
    assert refusals.count() == KEPT


def test_a_metric_without_a_range_is_not_what_the_task_declares(bench: Bench) -> None:
    loss, *others = scalar_fields(TASK.scalars)
    count = ScalarField(name=loss.name)
    with refused("FS-427"):
        bench.answer(bench.propose(scalars=[count, *others]))


def test_another_weighting_or_smaller_sums_are_other_terms(bench: Bench) -> None:
    bench.answer(bench.propose())
    for change in ({"weighting": Weighting.EQUAL}, {"min_cohort": 4}):
        with refused("FS-426"):
            bench.answer(bench.propose(**change))
