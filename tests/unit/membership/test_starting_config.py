"""What a party begins with is read, and says the defaults that hold without it."""

import tomllib
from pathlib import Path

import pytest

from fedsecure.errors import OperatorError
from fedsecure.membership import starting_config
from fedsecure.membership.client_settings import (
    load_client_settings,
    load_dealer_settings,
)
from fedsecure.membership.jobs_policy import JobsPolicy, SharingPolicy
from fedsecure.owner.settings import ServeSettings, load_owner_settings
from fedsecure_aggregator.config import load as load_aggregator
from fedsecure_aggregator.rules.compute_policy import ComputePolicy
from fedsecure_clients.agent.config import load_agent_settings
from tests.unit.membership.parties import World


def section(text: str, head: str) -> str:
    """Return the lines below a head, up to an empty one, without their marks."""
    lines = text[text.index(head) :].split("\n\n", maxsplit=1)[0].splitlines()
    return "\n".join(line.removeprefix("# ") for line in lines)


def test_nobody_computes_or_shares_until_it_says_so(world: World) -> None:
    assert load_aggregator(world["north"].config).compute == ComputePolicy()
    assert not ComputePolicy().enabled
    assert load_agent_settings(world["basel"].config).policy.jobs is None
    owner, client = world["study"].config, world["clinic"].config
    assert load_owner_settings(owner).serve == ServeSettings()
    assert load_owner_settings(owner).policy == SharingPolicy()
    assert load_client_settings(client).policy == SharingPolicy()
    assert SharingPolicy().jobs.receivers == frozenset()


@pytest.mark.parametrize(
    ("party", "key"),
    [
        ("north", "[compute]"),
        ("study", "[serve]"),
        ("study", "[policy.jobs]"),
        ("clinic", "[policy.jobs]"),
    ],
)
def test_a_new_configuration_shows_every_key_of_a_section(party: str, key: str) -> None:
    texts = {
        "north": starting_config.aggregator("north", "0.0.0.0:443"),
        "study": starting_config.owner("study", "study", "0.0.0.0:9092"),
        "clinic": starting_config.client("clinic"),
    }
    models = {
        "[compute]": ComputePolicy,
        "[serve]": ServeSettings,
        "[policy.jobs]": JobsPolicy,
    }
    shown = tomllib.loads(section(texts[party], key))
    for name in key.strip("[]").split("."):
        shown = shown[name]
    assert shown.keys() == models[key].model_fields.keys()
    models[key].model_validate(shown)


def test_what_a_new_agent_toml_offers_in_comments_shares_with_named_receivers() -> None:
    text = starting_config.agent("basel", "patients.csv")
    offered = tomllib.loads(section(text, "# [policy.jobs]"))["policy"]["jobs"]
    policy = JobsPolicy.model_validate(offered)
    assert policy == JobsPolicy(receivers=frozenset({"clinic"}), min_owners=2)


def test_a_client_has_its_own_folder_of_queries(world: World) -> None:
    clinic = world["clinic"]
    assert load_client_settings(clinic.config).queries == clinic.home / "queries"
    assert load_dealer_settings(world["dealer"].config).name == "dealer"


@pytest.mark.parametrize("value", ["false", '"yes"'])
def test_a_dealers_file_says_that_it_is_one(tmp_path: Path, value: str) -> None:
    path = tmp_path / "dealer.toml"
    text = starting_config.dealer("dealer")
    path.write_text(text.replace("dealer = true", f"dealer = {value}"), "utf-8")
    with pytest.raises(OperatorError, match=r"FS-803.*dealer"):
        load_dealer_settings(path)
