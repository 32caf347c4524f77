"""What dishonest aggregators, proposers and strangers try, and who notices."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from fedsecure.compute import inputs, outputs, proposal
from fedsecure.compute.handout import Handout
from fedsecure.compute.numbers import Numbers
from fedsecure.compute.participant import Participant
from fedsecure.compute.queries import Service
from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure.errors import PeerError
from fedsecure.protocol.framing import LENGTH
from fedsecure.protocol.jobs.statements import JobGrant, JobOutput
from tests.unit.compute.conftest import (
    BASEL,
    BERN,
    CLINIC,
    PRACTICE,
    A,
    B,
    Parties,
    program,
    refused,
)

ROWS = np.ones((1, 3))


@pytest.fixture
def job(parties: Parties) -> tuple[Participant, Handout, SealingKey]:
    """A job of which all inputs are there."""
    clinic, handout, key = parties.propose(CLINIC, program({"total": "a + 3 * b"}))
    inputs.contribute(parties.start(BASEL), handout, "a", A)
    inputs.contribute(parties.start(BERN), handout, "b", B)
    return clinic, handout, key


def another(one: Any, **changes: Any) -> Any:
    return one.model_copy(update=changes)


OUTPUTS: dict[str, Callable[[JobOutput], JobOutput]] = {
    "says that other inputs went in": lambda one: another(one, inputs="f" * 64),
    "answers a query that nobody asked": lambda one: another(
        one, client=CLINIC, query=1
    ),
    "signed other bytes": lambda one: another(one, digest="f" * 64),
    "signed another length": lambda one: another(one, length=one.length + 1),
}


@pytest.mark.parametrize("attack", OUTPUTS)
def test_an_aggregator_whose_output_is_not_of_this_job_is_noticed(
    parties: Parties, job: tuple[Participant, Handout, SealingKey], attack: str
) -> None:
    parties.south.lies.output = OUTPUTS[attack]
    with refused("FS-396") as caught:
        outputs.fetch(*job)
    assert "south" in caught.value.detail


def test_the_output_of_another_job_is_refused(
    parties: Parties, job: tuple[Participant, Handout, SealingKey]
) -> None:
    other = replace_job(parties)
    parties.south.lies.output = lambda one: another(one, spec=other.digest)
    with refused("FS-553"):
        outputs.fetch(*job)


def replace_job(parties: Parties) -> Handout:
    _, handout, _ = parties.propose(CLINIC, program({"other": "a + b"}))
    return handout


def test_an_output_that_an_aggregator_sealed_for_something_else_does_not_open(
    parties: Parties, job: tuple[Participant, Handout, SealingKey]
) -> None:
    """It says what it should, and sends bytes of an earlier answer."""
    clinic, handout, key = job
    stored: list[bytes] = []
    parties.south.lies.answer = lambda one: stored.append(one) or one
    outputs.fetch(clinic, handout, key)
    with refused("FS-720"):
        outputs.fetch(clinic, handout, proposal.new_key(clinic))
    assert stored


def test_words_that_no_inputs_give_are_noticed(
    parties: Parties, job: tuple[Participant, Handout, SealingKey]
) -> None:
    parties.south.lies.words = lambda words: words + np.uint64(2**60)
    with refused("FS-725"):
        outputs.fetch(*job)


def test_too_few_words_are_noticed(
    parties: Parties, job: tuple[Participant, Handout, SealingKey]
) -> None:
    parties.south.lies.words = lambda words: words[:-1]
    with refused("FS-396"):
        outputs.fetch(*job)


def test_an_endless_answer_is_cut_off(
    parties: Parties, job: tuple[Participant, Handout, SealingKey]
) -> None:
    parties.south.lies.answer = lambda one: (
        one + bytes(2**16) if one[: LENGTH.size - 2] == bytes(2) else one
    )
    with refused("FS-553"):
        outputs.fetch(*job)


STANDINGS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "lacks an input and says that it is done": lambda told: {
        **told,
        "inputs": {name: one for name, one in told["inputs"].items() if name != "a"},
    },
    "claims that a secret input was public": lambda told: {
        **told,
        "plain": {**told["plain"], "a": "f" * 64},
    },
    "took other public numbers": lambda told: {
        **told,
        "plain": dict.fromkeys(told["plain"], "f" * 64),
    },
}


@pytest.mark.parametrize("attack", STANDINGS)
def test_an_aggregator_that_computed_from_other_inputs_is_noticed(
    parties: Parties, job: tuple[Participant, Handout, SealingKey], attack: str
) -> None:
    parties.south.lies.standing = STANDINGS[attack]
    with refused("FS-396"):
        outputs.fetch(*job)


def test_the_receipt_of_another_input_shows_no_input(
    parties: Parties, job: tuple[Participant, Handout, SealingKey]
) -> None:
    """Bern's receipt in the place of Basel's: its owner is not who was asked."""
    parties.south.lies.standing = lambda told: {
        **told,
        "inputs": {**told["inputs"], "a": told["inputs"]["b"]},
    }
    with refused("FS-396"):
        outputs.fetch(*job)


def test_a_receipt_for_something_else_is_none(parties: Parties) -> None:
    _, handout, _ = parties.propose(CLINIC, program({"total": "a + b"}))
    parties.south.lies.receipt = lambda one: another(one, report_id="f" * 32)
    with refused("FS-349"):
        inputs.contribute(parties.start(BASEL), handout, "a", A)


def test_a_key_that_is_sealed_to_somebody_else_than_the_peer_is_refused(
    parties: Parties,
) -> None:
    parties.south.lies.channel = lambda one: another(one, peer=BASEL)
    with refused("FS-732"):
        parties.propose(CLINIC, program({"total": "a + b"}))


def test_a_key_of_another_job_is_refused(parties: Parties) -> None:
    _, other, _ = parties.propose(CLINIC, program({"total": "a + b"}))
    parties.south.lies.channel = lambda one: another(one, spec=other.digest)
    with refused("FS-553"):
        parties.propose(CLINIC, program({"total": "a - b"}))


def test_an_aggregator_does_not_change_its_key_within_a_job(parties: Parties) -> None:
    said: list[Any] = []

    def change(one: Any) -> Any:
        said.append(one)
        fresh = "A" if one.key[0] != "A" else "B"
        return one if len(said) == 1 else another(one, key=fresh + one.key[1:])

    parties.south.lies.channel = change
    with refused("FS-732"):
        parties.propose(CLINIC, program({"total": "a + b"}))


GRANTS: dict[str, tuple[str, Callable[[JobGrant], JobGrant]]] = {
    "of another spec": ("FS-553", lambda one: another(one, spec="f" * 64)),
    "in the peer's name": ("FS-706", lambda one: another(one, aggregator="north")),
}


@pytest.mark.parametrize("attack", GRANTS)
def test_a_grant_is_of_this_spec_and_of_who_signed_it(
    parties: Parties, attack: str
) -> None:
    code, parties.south.lies.grant = GRANTS[attack]
    with refused(code):
        parties.propose(CLINIC, program({"total": "a + b"}))


def test_two_aggregators_with_one_key_are_refused(parties: Parties) -> None:
    stolen: list[str] = []
    parties.north.lies.grant = lambda one: stolen.append(one.sealing_key) or one
    parties.propose(CLINIC, program({"total": "a - b"}))
    parties.south.lies.grant = lambda one: another(one, sealing_key=stolen[0])
    parties.north.lies.grant = lambda one: another(one, sealing_key=stolen[0])
    with refused("FS-345"):
        parties.propose(CLINIC, program({"total": "a + b"}))


Content = dict[str, Any]


def only_one_grant(_: Parties, content: Content, __: Handout) -> None:
    del content["grants"]["south"]


def the_same_grant_twice(_: Parties, content: Content, __: Handout) -> None:
    content["grants"]["south"] = content["grants"]["north"]


def grants_of_another_job(_: Parties, content: Content, other: Handout) -> None:
    content["grants"] = {name: one.token for name, one in other.grants.items()}


def another_description(_: Parties, content: Content, __: Handout) -> None:
    content["description"]["title"] = "Harmless"


def no_description(_: Parties, content: Content, __: Handout) -> None:
    content["description"] = None


def a_stranger_signs(parties: Parties, content: Content, other: Handout) -> None:
    statement = other.spec.statement
    content["spec"] = parties.author("north").sign(statement).token


def somebody_elses_name(parties: Parties, content: Content, other: Handout) -> None:
    statement = other.spec.statement
    content["spec"] = parties.author(PRACTICE).sign(statement).token


def another_key(_: Parties, content: Content, __: Handout) -> None:
    content["more"] = 1


HANDOUTS: dict[str, tuple[str, Callable[[Parties, Content, Handout], None]]] = {
    one.__name__: (code, one)
    for code, one in (
        ("FS-344", only_one_grant),
        ("FS-344", the_same_grant_twice),
        ("FS-345", grants_of_another_job),
        ("FS-701", another_description),
        ("FS-701", no_description),
        ("FS-703", a_stranger_signs),
        ("FS-706", somebody_elses_name),
        ("FS-701", another_key),
    )
}


@pytest.mark.parametrize("attack", HANDOUTS)
def test_a_handout_that_is_not_what_was_granted_is_refused(
    parties: Parties, tmp_path: Path, attack: str
) -> None:
    code, change = HANDOUTS[attack]
    _, handout, _ = parties.propose(CLINIC, program({"total": "a + b"}))
    content = json.loads(handout.text)
    change(parties, content, replace_job(parties))
    path = tmp_path / "sums.job.json"
    path.write_text(json.dumps(content))
    with refused(code):
        Handout.read(path, parties.federation)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    content=st.binary(max_size=200)
    | JSON.map(lambda one: json.dumps(one).encode())
    | st.fixed_dictionaries(
        {"spec": st.text(), "grants": st.dictionaries(st.text(), st.text())},
        optional={"description": JSON},
    ).map(lambda one: json.dumps(one).encode())
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_a_file_holds_it_is_refused_as_no_job(
    parties: Parties, content: bytes
) -> None:
    path = parties.folder / "any.job.json"
    path.write_bytes(content)
    with pytest.raises(PeerError):
        Handout.read(path, parties.federation)


def test_a_service_that_a_client_proposes_is_refused(parties: Parties) -> None:
    """Only the model owner serves; its aggregators grant it here all the same."""
    handout = parties.serve()
    statement = another(handout.spec.statement, proposer=CLINIC)
    spec = parties.author(CLINIC).sign(statement)
    grants = {
        name: parties.author(name).sign(another(one.statement, spec=spec.digest)).token
        for name, one in handout.grants.items()
    }
    with refused("FS-703"):
        Handout.checked(parties.federation, spec.token, grants, handout.description)


def test_numbers_that_could_overflow_are_refused_by_who_gets_the_handout(
    parties: Parties,
) -> None:
    _, handout, _ = parties.propose(CLINIC, program({"total": "a + b"}))
    field = handout.spec.statement.program
    wide = [another(one, bound=2.0**46) for one in field.inputs]
    spec = parties.author(CLINIC).sign(
        another(handout.spec.statement, program=another(field, inputs=wide))
    )
    with refused("FS-220"):
        Handout.checked(parties.federation, spec.token, {}, handout.description)


QUERIES: dict[str, Callable[[JobOutput], JobOutput]] = {
    "of an earlier query": lambda one: another(one, query=one.query - 1 or 7),
    "of another client's query": lambda one: another(one, client=PRACTICE),
    "made of other rows or another model": lambda one: another(one, inputs="f" * 64),
}


@pytest.mark.parametrize("attack", QUERIES)
def test_an_answer_that_is_not_of_this_query_is_refused(
    parties: Parties, attack: str
) -> None:
    clinic = parties.start(CLINIC)
    service = Service(clinic, parties.serve(), Numbers(clinic.folder))
    service.ask(ROWS)
    parties.south.lies.output = QUERIES[attack]
    with refused("FS-396"):
        service.ask(ROWS)


def test_an_earlier_answer_again_is_refused(parties: Parties) -> None:
    """All of it is what the aggregator once signed, to the same client."""
    clinic = parties.start(CLINIC)
    service = Service(clinic, parties.serve(), Numbers(clinic.folder))
    seen: list[bytes] = []
    parties.south.lies.answer = lambda one: seen.append(one) or one
    service.ask(ROWS)
    parties.south.lies.answer = lambda _: seen[-1]
    with refused("FS-396"):
        service.ask(ROWS)


def test_aggregators_that_hold_different_models_are_noticed(parties: Parties) -> None:
    clinic = parties.start(CLINIC)
    service = Service(clinic, parties.serve(), Numbers(clinic.folder))
    parties.south.lies.standing = lambda told: {**told, "plain": {"model": "f" * 64}}
    with refused("FS-396"):
        service.ask(ROWS)


def test_an_input_owner_shares_once_whatever_it_is_told(parties: Parties) -> None:
    """One aggregator denies that it got anything: the same bytes go again."""
    _, handout, _ = parties.propose(CLINIC, program({"total": "a + b"}))
    parties.south.lies.receipt = lambda one: another(one, digest="f" * 64)
    with refused("FS-349"):
        inputs.contribute(parties.start(BASEL), handout, "a", A)
    parties.south.lies.receipt = lambda one: one
    inputs.contribute(parties.start(BASEL), handout, "a", A + 1)
    sent = [body for path, body in parties.south.asked if path.endswith("/inputs/a")]
    assert len(set(sent)) == 1


def test_secrets_do_not_print(
    parties: Parties, job: tuple[Participant, Handout, SealingKey]
) -> None:
    clinic, handout, key = job
    shown = repr((clinic, handout, key, parties.serve()))
    assert key.to_bytes().hex() not in shown
    assert "PrivateKey" not in shown
