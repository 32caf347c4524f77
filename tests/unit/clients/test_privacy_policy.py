"""`[policy.privacy]`: what a data owner wants to have protected at least."""

import math
import tomllib
from typing import Any

import pytest
from pydantic import ValidationError

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import PeerError
from fedsecure.membership import starting_config
from fedsecure.protocol.statements import PrivacyField
from fedsecure_clients.consent.policy import Policy

FIELDS: dict[str, Any] = {
    "unit": "row",
    "unit_clip": 1.0,
    "noise": 4.0,
    "scalar_noise": 8.0,
    "evaluation_noise": 8.0,
    "every_round": False,
    "epsilon": 2.0,
    "delta": 1e-5,
}


def study(**changes: Any) -> PrivacyField:
    return PrivacyField.model_validate({**FIELDS, **changes})


def policy(**keys: Any) -> Policy:
    return Policy.model_validate({"privacy": keys})


def test_without_the_section_a_study_says_what_is_protected() -> None:
    for asked in (None, study(), study(epsilon=1e6, delta=0.5)):
        Policy().require_privacy(asked)


@pytest.mark.parametrize(
    ("keys", "asked"),
    [
        ({}, study()),
        ({"max_epsilon": 2}, study()),
        ({"unit": "row"}, study(unit="data-owner")),
        ({"unit": "data-owner"}, study(unit="data-owner")),
        ({"max_delta": 1e-3}, study(delta=1e-3)),
        ({"required": False}, None),
    ],
)
def test_what_protects_as_much_as_is_asked_for_is_allowed(
    keys: dict[str, Any], asked: PrivacyField | None
) -> None:
    policy(**keys).require_privacy(asked)


@pytest.mark.parametrize(
    ("keys", "asked", "sides"),
    [
        ({}, None, ("no noise", "required")),
        ({"max_epsilon": 8.0}, None, ("no noise", "required")),
        ({"unit": "data-owner"}, study(), ("row", "data-owner")),
        ({}, study(delta=math.nextafter(1e-5, 1)), ("delta 1e-05", "1e-05")),
        ({"max_epsilon": 1.5}, study(), ("epsilon 2", "1.5")),
        ({"required": False, "max_delta": 1e-6}, study(), ("1e-05", "1e-06")),
    ],
)
def test_what_protects_less_is_refused_with_both_sides(
    keys: dict[str, Any], asked: PrivacyField | None, sides: tuple[str, str]
) -> None:
    with pytest.raises(PeerError, match="FS-430") as caught:
        policy(**keys).require_privacy(asked)
    assert all(side in caught.value.detail for side in sides)


def test_a_limit_over_all_studies_asks_for_noise_in_all_of_them() -> None:
    assert policy(max_epsilon=8).privacy is not None
    with pytest.raises(ValidationError, match="cannot hold with required = false"):
        policy(max_epsilon=8, required=False)


@pytest.mark.parametrize(
    "keys",
    [
        {"unit": "patient"},
        {"max_epsilon": 0},
        {"max_epsilon": math.inf},
        {"max_epsilon": math.nan},
        {"max_delta": 0},
        {"max_delta": 1},
        {"epsilon": 1},
    ],
)
def test_what_is_no_limit_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        policy(**keys)


def test_the_unit_is_a_row_by_default() -> None:
    section = policy().privacy
    assert section
    assert (section.unit, section.required) == (Unit.ROW, True)


def test_what_a_new_agent_toml_offers_in_comments_is_a_policy() -> None:
    text = starting_config.agent("basel", "patients.csv")
    assert Policy.model_validate(tomllib.loads(text)["policy"]).privacy is None
    commented = text[text.index("# [policy.privacy]") :]
    section = "\n".join(line.removeprefix("# ") for line in commented.splitlines())
    offered = Policy.model_validate(tomllib.loads(section)["policy"])
    assert offered.privacy
    assert offered.privacy.max_epsilon == 8
