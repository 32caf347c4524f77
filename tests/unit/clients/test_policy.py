import json
import math
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import example, given, strategies as st
from pydantic import ValidationError

from fedsecure.contributor.contribution import weight_of
from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.statements import Purpose, RoundSpec, Weighting
from fedsecure_clients.agent.config import (
    AgentSettings,
    load_agent_settings,
    require_pinned,
)
from fedsecure_clients.consent.policy import Policy

STATEMENTS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "statements.json").read_text()
)
EXAMPLES = st.integers(1, 10**12)
CAPS = st.integers(1, 2**53 - 1)


def spec(**changes: Any) -> RoundSpec:
    """A round that the policy below just allows, with changes."""
    content = {
        **STATEMENTS[0]["statement"],
        "min_cohort": 3,
        "round": 1000,
        "clip": 100.0,
        **changes,
    }
    return RoundSpec.model_validate_json(json.dumps(content))


# policy


@pytest.mark.parametrize("weighting", ["equal", "rounded"])
@pytest.mark.parametrize("purpose", ["train", "evaluate"])
def test_the_default_policy_allows_what_it_names(weighting: str, purpose: str) -> None:
    size = {} if purpose == "train" else {"dimension": 0}
    Policy().require(spec(weighting=weighting, purpose=purpose, **size))


@pytest.mark.parametrize(
    ("changes", "code", "sides"),
    [
        ({"min_cohort": 2}, "FS-410", ("2", "3")),
        ({"round": 1001}, "FS-411", ("1001", "1000")),
        ({"clip": math.nextafter(100, 200)}, "FS-412", ("100.00000000000001", "100.0")),
        ({"weighting": "exact"}, "FS-413", ("exact",)),
        ({"dimension": 100_000_001}, "FS-417", ("100,000,001", "100,000,000")),
    ],
)
def test_the_default_policy_refuses_what_gives_more_away(
    changes: dict[str, Any], code: str, sides: tuple[str, ...]
) -> None:
    with pytest.raises(PeerError) as caught:
        Policy().require(spec(**changes))
    assert caught.value.code == code
    assert all(side in caught.value.detail for side in sides)


def test_a_data_owner_may_allow_more_or_less() -> None:
    training = Policy(weightings={Weighting.EXACT}, purposes={Purpose.TRAIN})  # type: ignore[arg-type]
    training.require(spec(weighting="exact"))
    with pytest.raises(PeerError, match="FS-413"):
        training.require(spec(weighting="equal"))
    with pytest.raises(PeerError, match="FS-414"):
        training.require(spec(weighting="exact", purpose="evaluate", dimension=0))
    with pytest.raises(PeerError, match="FS-410"):
        Policy(min_cohort=4).require(spec())


def test_what_is_no_number_is_not_below_a_limit() -> None:
    # A spec cannot hold NaN; the policy does not rely on it.
    unchecked = spec().model_copy(update={"clip": math.nan})
    with pytest.raises(PeerError, match="FS-412"):
        Policy().require(unchecked)


@pytest.mark.parametrize("read", [(), ("age",), ("age", "sex")])
def test_a_study_may_read_what_is_offered(read: tuple[str, ...]) -> None:
    Policy(columns=frozenset({"age", "sex", "weight"})).require_offered(read)
    Policy().require_offered(read)
    Policy().require_offered(None)


def test_what_is_not_offered_is_named_but_not_without_end() -> None:
    policy = Policy.model_validate({"columns": ["age"]})
    read = ["age", *(f"column {number}" for number in range(1000))]
    with pytest.raises(PeerError, match=r"FS-416.*column 0, .*column 4 and 995 more$"):
        policy.require_offered(read)
    with pytest.raises(PeerError, match=r"it reads Age, a, b, c, d$"):
        policy.require_offered(["Age", "a", "b", "c", "d"])
    with pytest.raises(PeerError, match=r" the task does not say what it reads$"):
        policy.require_offered(None)
    with pytest.raises(PeerError, match="FS-416"):
        Policy(columns=frozenset()).require_offered(["age"])


def test_the_last_round_that_is_allowed_is_answered() -> None:
    policy = Policy(max_rounds=3)
    policy.require_rounds_left(2, Purpose.TRAIN)
    with pytest.raises(PeerError, match=r"FS-411.*3 train rounds.*allows 3"):
        policy.require_rounds_left(3, Purpose.TRAIN)


def test_layers_are_counted_up_to_the_limit() -> None:
    Policy().require_layers(1000)
    with pytest.raises(PeerError, match=r"FS-417.*1,001 layers.*1,000"):
        Policy().require_layers(1001)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("studies", "all"),
        ("studies", True),
        ("max_dimension", 0),
        ("max_layers", 0),
        ("columns", "age"),
        ("columns", [1]),
        ("hours", []),
        ("hours", 20),
        ("hours", ["20:00-06:00", "never"]),
        ("min_cohort", 1),
        ("min_cohort", True),
        ("max_clip", math.nan),
        ("max_clip", 0.0),
        ("max_rounds", 0),
        ("weightings", ["equally"]),
        ("weightings", "equal"),
        ("min_sites", 3),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        Policy.model_validate({key: value})


# agent.toml


@pytest.fixture
def content(federation: Federation) -> dict[str, Any]:
    """The least that `agent.toml` holds."""
    return {
        "name": "basel",
        "federation": "federation.toml",
        "key": "signing.pem",
        "flower_key": "flower.key",
        "superlink": "train.test:8000",
        "data": "patients.csv",
        "state": "state",
        "aggregators": {p.name: p.fingerprint for p in federation.aggregators},
    }


def load(folder: Path, content: dict[str, Any]) -> AgentSettings:
    (folder / "agent.toml").write_text(tomli_w.dumps(content), "utf-8")
    return load_agent_settings(folder / "agent.toml")


def test_paths_and_defaults_of_an_agent(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    loaded = load(tmp_path, content)
    assert loaded.key == tmp_path / "signing.pem"
    assert loaded.policy == Policy()
    assert (
        load(tmp_path, {**content, "policy": {"min_cohort": 5}}).policy.min_cohort == 5
    )


@pytest.mark.parametrize(
    "address", ["train.test:8000", "10.0.0.1:1", "[::1]:8000", "localhost:65535"]
)
def test_an_agent_joins_a_host_and_port(
    tmp_path: Path, content: dict[str, Any], address: str
) -> None:
    assert load(tmp_path, {**content, "superlink": address}).superlink == address


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("superlink", "https://train.test:8000"),
        ("superlink", "train.test"),
        ("superlink", "train.test:8000\n"),
        ("superlink", "[::1"),
        ("name", "Basel"),
        ("app", "app"),
        ("app", "fedsecure_clients.keras_app.app:app; import os"),
        ("poll_seconds", 0.0),
        ("poll_seconds", math.nan),
        ("policy", {"min_cohort": 1}),
        ("min_cohort", 3),
    ],
)
def test_a_wrong_setting_of_an_agent_is_named(
    tmp_path: Path, content: dict[str, Any], key: str, value: object
) -> None:
    with pytest.raises(OperatorError, match=f"FS-803.*{key}"):
        load(tmp_path, {**content, key: value})


def test_an_agent_starts_with_the_aggregators_that_it_was_told_of(
    tmp_path: Path, content: dict[str, Any], federation: Federation
) -> None:
    require_pinned(load(tmp_path, content), federation, {})


@pytest.mark.parametrize("change", ["missing", "other", "none", "swapped", "stranger"])
def test_an_agent_does_not_start_with_other_keys(
    tmp_path: Path, content: dict[str, Any], federation: Federation, change: str
) -> None:
    north, south = (party.fingerprint for party in federation.pair)
    content["aggregators"] = {
        "missing": {"north": north},
        "other": {
            "north": north,
            "south": south[:-1] + ("0" if south[-1] != "0" else "1"),
        },
        "none": {},
        "swapped": {"north": south, "south": north},
        "stranger": {"north": north, "south": south, "east": north},
    }[change]
    with pytest.raises(OperatorError, match="FS-821") as caught:
        require_pinned(load(tmp_path, content), federation, {})
    named = {"stranger": "east", "none": "north", "swapped": "north"}
    assert named.get(change, "south") in caught.value.detail


# weights


@given(EXAMPLES, CAPS)
def test_equal_weights_tell_nothing(examples: int, cap: int) -> None:
    assert weight_of(examples, Weighting.EQUAL, cap) == cap


@given(EXAMPLES, CAPS)
def test_exact_weights_are_the_number_up_to_the_cap(examples: int, cap: int) -> None:
    assert weight_of(examples, Weighting.EXACT, cap) == min(examples, cap)


@given(EXAMPLES, CAPS)
@example(3, 100)
@example(6, 8)
@example(1, 1)
def test_rounded_weights_are_the_nearest_power_of_two_up_to_the_cap(
    examples: int, cap: int
) -> None:
    powers = [2**exponent for exponent in range(64)]
    # Of two that are as near, the larger.
    nearest = min(powers, key=lambda power: (abs(power - examples), -power))
    assert weight_of(examples, Weighting.ROUNDED, cap) == min(nearest, cap)


@given(EXAMPLES, CAPS, st.sampled_from(Weighting))
def test_a_weight_is_one_to_the_cap(
    examples: int, cap: int, weighting: Weighting
) -> None:
    assert 1 <= weight_of(examples, weighting, cap) <= cap


@pytest.mark.parametrize("weighting", Weighting)
@pytest.mark.parametrize("examples", [0, -1])
def test_nobody_has_a_weight_without_examples(
    examples: int, weighting: Weighting
) -> None:
    with pytest.raises(PeerError, match="FS-346"):
        weight_of(examples, weighting, 100)
