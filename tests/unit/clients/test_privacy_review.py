"""What a person sees of a study's budget, before deciding and afterwards."""

import dataclasses
import json
import math
from typing import Any

import pytest

from fedsecure.core.dp.accountant import epsilons
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.statements import PrivacyField
from fedsecure.study.config import Study
from fedsecure_clients.consent.policy import Policy
from fedsecure_clients.consent.privacy_review import Spent, chance, factor, shown
from fedsecure_clients.consent.privacy_spent import Told, told_table
from fedsecure_clients.consent.review import Review
from fedsecure_clients.consent.review_page import study_list, study_page
from fedsecure_clients.state.privacy import Budget, Total
from tests.unit.clients.test_review import Case, federation, heart, printed

__all__ = ["federation", "heart"]  # fixtures

ROWS = PrivacyField(
    unit=Unit.ROW,
    unit_clip=1.0,
    noise=4.0,
    scalar_noise=8.0,
    evaluation_noise=8.0,
    every_round=False,
    epsilon=2.0,
    delta=1e-5,
)
OWNER = ROWS.model_copy(update={"unit": Unit.DATA_OWNER, "unit_clip": 2.0})
BUDGET = Budget(ROWS.epsilon, ROWS.delta)
HALF = Total(15, 1, BUDGET.rho // 2)


@pytest.fixture
def case(heart: Study, federation: Federation) -> Case:
    return Case(heart, federation)


def reviewed(
    case: Case,
    privacy: PrivacyField | None,
    spent: Spent | None = None,
    **keys: Any,
) -> Review:
    policy = {"studies": "any", **({"privacy": keys} if keys else {})}
    review = case.review(Policy.model_validate(policy), privacy=privacy)
    return dataclasses.replace(review, spent=spent or Spent())


def words(review: Review) -> str:
    return " ".join(printed(study_page(review), 100).split())


def test_a_person_sees_what_the_study_takes_of_the_own_limit(case: Case) -> None:
    text = words(reviewed(case, ROWS, max_epsilon=8))
    assert "epsilon 2 (one server corrupt), 1.37 (outsider)" in text
    assert "after this study epsilon 2 of your 8 (rows); outsider 1.37" in text
    assert "one row of your data: a line of a table" in text
    assert "change by a factor of 7.4 at most, but for a chance of 1 in 100,000" in text
    assert "nothing yet" in text
    assert "Evaluation rounds alone: metrics" in text
    assert "each add noise" in text


def test_a_whole_data_owner_is_said_in_other_words(case: Case) -> None:
    text = words(reviewed(case, OWNER, unit="data-owner", max_epsilon=8))
    assert "all rows of yours together, and so each of them" in text
    assert "can hardly tell whether your data were there" in text
    assert "epsilon 2 of your 8 (data owner)" in text


def test_what_was_spent_is_beside_what_is_left(case: Case) -> None:
    other = BUDGET.rho
    spent = Spent(HALF, {Unit.ROW: Total(45, 1, HALF.rho + other)})  # type: ignore[operator]
    review = reviewed(case, ROWS, spent, max_epsilon=8)
    text = words(review)
    assert "epsilon 1.37 (one server corrupt), 0.94 (outsider), in 15 rounds" in text
    assert "1 of them not decided yet: 50% of what the study may use" in text
    # The half that is spent counts once: two studies of 2 are less than 4.1 together.
    after = epsilons(2 * BUDGET.rho, 1e-5).one_server_corrupt
    assert f"epsilon {shown(after)} of your 8 (rows)" in text
    assert math.isclose(
        review.as_json()["privacy"]["all_studies"]["after"]["epsilon"], after
    )


def test_a_limit_that_comes_before_the_end_of_a_study_is_said(case: Case) -> None:
    spent = Spent(Total(), {Unit.ROW: Total(30, 0, BUDGET.rho)})
    review = reviewed(case, ROWS, spent, max_epsilon=2.5)
    assert review.objections() == []  # its first rounds are answered
    assert review.as_json()["privacy"]["ends_early"] is True
    assert "above your 2.5: the study's last rounds are refused (FS-431)" in words(
        review
    )


def test_a_limit_that_is_used_up_refuses_whatever_is_decided(case: Case) -> None:
    for rho in (2 * BUDGET.rho, None):
        spent = Spent(Total(), {Unit.ROW: Total(30, 0, rho)})
        review = reviewed(case, ROWS, spent, max_epsilon=2.5)
        assert [rule.code for rule in review.objections()] == ["FS-431"]
        assert "refused FS-431" in words(review)


@pytest.mark.parametrize(
    ("privacy", "keys"),
    [
        (None, {"required": True}),
        (ROWS, {"unit": "data-owner"}),
        (ROWS, {"max_epsilon": 1.5}),
        (ROWS, {"max_delta": 1e-6}),
    ],
)
def test_the_rule_that_protects_too_little_is_named(
    case: Case, privacy: PrivacyField | None, keys: dict[str, Any]
) -> None:
    review = reviewed(case, privacy, **keys)
    assert [rule.code for rule in review.objections()] == ["FS-430"]
    assert "refused FS-430" in printed(study_page(review), 80)


def test_a_study_without_noise_says_so_plainly(case: Case) -> None:
    review = reviewed(case, None)
    text = words(review)
    assert "protected nothing: no noise is added, so sums are exact" in text
    assert "no number bounds what all studies together told (rows)" in text
    assert "Every round: metrics" in text
    assert "no noise" in printed(study_list([review]), 80)
    assert "2 (rows)" in printed(study_list([reviewed(case, ROWS)]), 80)


def test_json_holds_both_numbers_and_null_where_there_is_no_bound(case: Case) -> None:
    content = json.loads(json.dumps(reviewed(case, ROWS).as_json(), allow_nan=False))
    assert content["privacy"]["unit"] == "row"
    assert content["privacy"]["study"] == {"epsilon": 0.0, "epsilon_outsider": 0.0}
    after = content["privacy"]["all_studies"]["after"]
    assert (shown(after["epsilon"]), shown(after["epsilon_outsider"])) == ("2", "1.37")
    plain = reviewed(case, None).as_json()["privacy"]
    assert (plain["unit"], plain["all_studies"]["after"]) == (None, None)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (1.999999999, "2"), (1.3661, "1.37"), (0.0001, "0.01"), (1234, "1,234")],
)
def test_an_epsilon_is_never_shown_as_less_than_it_is(number: float, text: str) -> None:
    assert shown(number) == text


def test_odds_and_chances_are_said_in_numbers_that_people_know() -> None:
    assert [factor(one) for one in (0.5, 2, 8)] == [
        "1.7",
        "7.4",
        "more than a thousand",
    ]
    assert [chance(one) for one in (1e-5, 0.3, 1e-6)] == [
        "1 in 100,000",
        "1 in 3",
        "1 in 1,000,000",
    ]


def test_a_line_for_each_study_and_one_for_all() -> None:
    study = Told("3f" * 32, "row", 15, 1, 1e-5, 1.366, 0.936, 2.0, 0.5)
    plain = Told("77" * 32, None, 12, 0, 1e-5, None, None, None, None)
    everything = Told(None, "row", 27, 1, 1e-5, None, None, 8.0, None)
    text = printed(told_table([study, plain, everything]), 100)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "3f3f3f3f3f3f rows 15 1.37 0.94 2, 50% used 1e-05" in lines
    assert "777777777777 nothing 12 without bound without bound no limit 1e-05" in lines
    assert "all rows 27 without bound without bound 8 1e-05" in lines
