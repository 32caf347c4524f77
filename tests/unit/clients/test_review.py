"""What a person sees of a study before deciding about it."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.protocol.encodings import base64url
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.statements import Purpose, ScalarField, Weighting
from fedsecure.study.config import Study, load_study
from fedsecure.study.metrics import Metrics
from fedsecure.study.statistics_study import Budget, statistics_request
from fedsecure.study.task import Task
from fedsecure.study.terms import StudyRequest, Terms, scalar_fields
from fedsecure_clients.consent.policy import Policy
from fedsecure_clients.consent.review import Review, layers
from fedsecure_clients.consent.review_page import refusal_table, study_list, study_page
from fedsecure_clients.state.refusals import Refusal
from fedsecure_clients.state.roster import roster_of
from fedsecure_clients.state.studies import Decision, KnownStudy

NOW = 1_800_000_000.0  # a Friday, 08:00 UTC
VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.fixture(scope="module")
def federation() -> Federation:
    cases = json.loads((VECTORS / "federation.json").read_text("utf-8"))
    content = next(case for case in cases if case["name"] == "sorted")["content"]
    return Federation.model_validate(content)


@pytest.fixture(scope="module")
def heart() -> Study:
    return load_study(Path(__file__).parents[3] / "studies" / "heart")


def dense(**config: Any) -> dict[str, Any]:
    return {"class_name": "Dense", "module": "keras.layers", "config": config}


MODEL = {
    "class_name": "Sequential",
    "module": "keras",
    "config": {"layers": [dense(units=16, activation="tanh"), dense(units=1)]},
}


@dataclasses.dataclass
class Case:
    """One study at one data owner."""

    heart: Study
    federation: Federation
    model: str = dataclasses.field(default_factory=lambda: json.dumps(MODEL))
    training: dict[str, Any] = dataclasses.field(default_factory=dict)

    def review(
        self, policy: Policy, known: dict[str, Any] | None = None, **terms: Any
    ) -> Review:
        task = Task(
            study="heart",
            model=self.model,
            compilation="{}",
            features=self.heart.features,
            batch_size=16,
            seed=5,
            holdout=0.25,
            metrics=Metrics(),
            **{"local_epochs": 2, **self.training},
        )
        content: dict[str, Any] = {
            "scalars": scalar_fields(task.scalars),
            "clip": 2.0,
            "weight_cap": 1000,
            "weighting": Weighting.EQUAL,
            "min_cohort": 3,
            "suite": "sum32",
        }
        study = StudyRequest({"study": task.text}, Terms(**{**content, **terms}))
        row = KnownStudy(
            digest=study.digest,
            content=study.content,
            text=study.text,
            terms=study.terms.text,
            parameters=369,
            asked_by="study",
            first_seen=NOW,
            decision=None,
            decided_at=None,
            note=None,
            answered={"train": 2},
        )
        row = dataclasses.replace(row, **(known or {}))
        return Review(row, study, policy, self.federation, None, NOW)


@pytest.fixture
def case(heart: Study, federation: Federation) -> Case:
    return Case(heart, federation)


def printed(view: Any, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(view)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(len(line) <= width for line in text.splitlines())
    return str(text)


def test_by_default_only_a_persons_approval_is_missing(case: Case) -> None:
    review = case.review(Policy())
    assert [rule.code for rule in review.objections()] == ["FS-418"]
    assert review.state == "waits for you"
    approved = case.review(Policy(), {"decision": Decision.APPROVED})
    assert (approved.objections(), approved.state) == ([], "approved")
    anyway = case.review(Policy(studies="any"))
    assert (anyway.objections(), anyway.state) == ([], "needs no approval")
    refused = case.review(Policy(studies="any"), {"decision": Decision.REFUSED})
    assert [rule.code for rule in refused.objections()] == ["FS-419"]


@pytest.mark.parametrize(
    ("policy", "terms", "code"),
    [
        ({"min_cohort": 4}, {}, "FS-410"),
        ({"max_rounds": 2}, {}, "FS-411"),
        ({"max_clip": 1.0}, {}, "FS-412"),
        ({}, {"weighting": Weighting.EXACT}, "FS-413"),
        ({"purposes": ["train"]}, {}, "FS-414"),
        ({"hours": "20:00-06:00", "timezone": "UTC"}, {}, "FS-415"),
        ({"columns": ["age"]}, {}, "FS-416"),
        ({"max_dimension": 368}, {}, "FS-417"),
        ({"max_layers": 1}, {}, "FS-417"),
        ({}, {"scalars": (ScalarField(name="loss"),)}, "FS-427"),
    ],
)
def test_the_rule_that_refuses_is_named(
    case: Case, policy: dict[str, Any], terms: dict[str, Any], code: str
) -> None:
    chosen = Policy.model_validate({"studies": "any", **policy})
    review = case.review(chosen, **terms)
    assert [rule.code for rule in review.objections()] == [code]
    assert f"refused {code}" in printed(study_page(review), 80)


def test_terms_unlike_those_answered_before_need_a_decision(case: Case) -> None:
    other = dataclasses.replace(
        case.review(Policy(studies="any")), answered_as="f" * 64
    )
    assert [rule.code for rule in other.objections()] == ["FS-426"]
    assert other.state == "waits for you"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_page_says_who_asks_what_is_read_and_what_leaves(
    case: Case, heart: Study, width: int
) -> None:
    review = case.review(Policy())
    text = " ".join(printed(study_page(review), width).split())
    owner = case.federation.model_owner
    for words in (
        owner.name,
        owner.fingerprint,
        review.known.digest[:32],
        *heart.features.reads,
        "369",
        "Dense 16 tanh",
        "2 epochs over your rows",
        "over at least 3 data owners",
        "loss (0 to 4)",
        "scores-positive (64 bins, 0 to 1)",
        "clipped to a length of 2",
        "tell nothing about your number",
        f"fedsecure agent approve {review.known.digest[:12]}",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("unit_clip", "words"),
    [
        (None, "one step down the mean of your rows' gradients; 25% of them"),
        (0.5, "the sum of your rows' gradients, each cut to length 0.5; 25% of them"),
    ],
)
def test_a_step_down_the_gradient_is_said(
    case: Case, unit_clip: float | None, words: str
) -> None:
    rows = {"step": "gradient", "local_epochs": 1, "unit_clip": unit_clip}
    review = dataclasses.replace(case, training=rows).review(Policy())
    text = " ".join(printed(study_page(review), 80).split())
    assert words in text
    assert "epoch" not in text


@pytest.mark.parametrize("weighting", Weighting)
def test_what_a_weight_gives_away_is_said(case: Case, weighting: Weighting) -> None:
    text = " ".join(case.review(Policy(), weighting=weighting).leaves())
    assert ("nothing about your number" in text) == (weighting is Weighting.EQUAL)
    assert ("at most 1,000" in text) == (weighting is not Weighting.EQUAL)
    assert ("factor of about 1.5" in text) == (weighting is Weighting.ROUNDED)


def test_the_list_names_every_study_and_what_refuses_it(case: Case) -> None:
    reviews = [case.review(Policy(min_cohort=4)), case.review(Policy())]
    text = printed(study_list(reviews), 80)
    assert text.count(reviews[0].known.digest[:12]) == 3  # and in the hint
    assert text.count("FS-410") == 1
    assert "No study" in printed(study_list([]), 80)


def test_nothing_that_a_study_says_steers_the_terminal(case: Case) -> None:
    # The text of another app may hold anything.
    known = {"note": "\x1b[2J[red]", "text": "\x1b]0;x\x07"}
    review = case.review(Policy(), known)
    opaque = dataclasses.replace(
        review, study=StudyRequest({"mine": "\x1b[2J"}, review.study.terms)
    )
    for view in (study_page(opaque), study_list([opaque])):
        assert "\x1b" not in printed(view, 120)
    refusal = Refusal(NOW, None, None, "train", "FS-363", "\x1b[2J")
    assert "\x1b" not in printed(refusal_table([refusal], 1), 80)


def test_a_model_that_is_not_allowed_has_no_layers_to_show(case: Case) -> None:
    case.model = json.dumps({**MODEL, "module": "os"})
    review = case.review(Policy(studies="any"))
    assert review.study.task is not None
    assert layers(review.study.task) == []
    assert [rule.code for rule in review.objections()] == ["FS-420"]
    assert "not allowed here" in printed(study_page(review), 80)


def test_json_holds_what_the_page_shows(case: Case) -> None:
    review = case.review(Policy(min_cohort=4))
    content = json.loads(json.dumps(review.as_json(), allow_nan=False))
    assert content["refused_by"] == ["FS-410", "FS-418"]
    assert content["layers"] == ["Dense 16 tanh", "Dense 1"]
    assert content["terms"]["clip"] == 2.0
    assert content["answered"] == {"train": 2}
    assert content["changed_since"] == []
    assert len(content["leaves"]) == 6


@pytest.mark.parametrize(
    ("roster", "state", "refused"),
    [("any", "approved", []), ("approved", "waits for you", ["FS-762"])],
)
def test_who_came_in_since_an_approval_is_shown_and_asked_about_where_wanted(
    case: Case, roster: Any, state: str, refused: list[str]
) -> None:
    now = roster_of(case.federation)
    names = list(now)
    then = {**now, names[0]: "another key", "genf": "a key"}
    del then[names[-1]]
    known = {"decision": Decision.APPROVED, "decided_at": NOW, "roster": then}
    review = case.review(Policy(roster=roster), known)
    changes = {"genf left", f"{names[-1]} came in", f"{names[0]} has a new key"}
    assert set(review.since) == changes
    assert (review.state, review.as_json()["refused_by"]) == (state, refused)
    text = printed(study_page(review), 100)
    assert "since then" in text
    assert "genf left" in text


def test_a_clinic_that_comes_in_is_no_matter_for_an_approval(case: Case) -> None:
    """It gets no model and adds no update; nor does a dealer."""
    content = case.federation.model_dump()
    key = base64url(bytes(range(32)))
    later = Federation.model_validate(
        {**content, "clients": [{"name": "clinic", "key": key}]}
    )
    assert roster_of(later) == roster_of(case.federation)
    roster = roster_of(case.federation)
    known = {"decision": Decision.APPROVED, "decided_at": NOW, "roster": roster}
    after = dataclasses.replace(case, federation=later)
    review = after.review(Policy(roster="approved"), known)
    assert (review.state, review.since) == ("approved", [])


COUNTING = Policy(purposes=frozenset(Purpose))


def counted(case: Case, policy: Policy, budget: Budget | None) -> Review:
    """Return the review of a round of statistics."""
    known = case.review(policy)
    study = statistics_request(case.heart, budget)
    row = dataclasses.replace(
        known.known,
        digest=study.digest,
        content=study.content,
        text=study.text,
        terms=study.terms.text,
        parameters=0,
        answered={},
    )
    return dataclasses.replace(known, known=row, study=study)


def test_a_round_of_statistics_says_in_words_what_is_counted(case: Case) -> None:
    noisy = counted(case, COUNTING, Budget(Unit.ROW, 1.0, 1e-5))
    page = " ".join(printed(study_page(noisy), 120).split())
    assert "heart: statistics" in page
    assert "Counts of rows in 32 bins of age (18 to 110 years)." in page
    assert "Counts of rows of each of 4 values of cp." in page
    assert "in 32 bins of chol (50 to 700 mg/dl), and without a value." in page
    assert "exact" not in page
    assert "10 columns age, sex, cp" in page
    assert [rule.code for rule in noisy.objections()] == ["FS-418"]


def test_exact_counts_are_said_to_tell_a_lot(case: Case) -> None:
    page = " ".join(printed(study_page(counted(case, COUNTING, None)), 120).split())
    assert "Without noise the sums are exact" in page
    assert "mean and variance" in page


def test_by_default_an_agent_answers_no_round_of_statistics(case: Case) -> None:
    refused = counted(case, Policy(), Budget(Unit.ROW, 1.0, 1e-5)).objections()
    assert [rule.code for rule in refused] == ["FS-414", "FS-418"]
    trained = case.review(Policy()).objections()
    assert "FS-414" not in [rule.code for rule in trained]
