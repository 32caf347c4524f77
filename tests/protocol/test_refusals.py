"""Each numbered check of the contributor and of the owner, attacked."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from fedsecure import PROTOCOL_VERSION
from fedsecure.contributor.contribution import Offer, ReceivedTask
from fedsecure.errors import FedsecureError
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Purpose, RoundGrant, Weighting
from fedsecure.transport.retries import UnreachableError
from fedsecure_clients.consent.policy import Policy
from tests.protocol.federation import (
    HOSPITALS,
    NOW,
    OWNER,
    Handler,
    MemoryFederation,
    measurement_of,
    offer_of,
    refused,
)


def lie(
    memory: MemoryFederation, proposal: Proposal, signer: str = OWNER, **changes: Any
) -> Proposal:
    """Change what the spec says, and have both aggregators grant that as well."""
    statement = proposal.spec.statement.model_copy(update=changes)
    spec = memory.author(signer).sign(statement)
    grants = {
        name: regrant(memory, grant, spec=spec.digest)
        for name, grant in proposal.grants.items()
    }
    return replace(proposal, spec=spec, grants=grants)


def regrant(
    memory: MemoryFederation, grant: Signed[RoundGrant], **changes: Any
) -> Signed[RoundGrant]:
    statement = grant.statement.model_copy(update=changes)
    return memory.author(grant.signer).sign(statement)


CONTRIBUTOR: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    # what is refused: its code, what the spec says, what the agent found itself
    "a cohort without this data owner": ("FS-341", {"cohort": ["bern", "chur"]}, {}),
    "an aggregator in the cohort": (
        "FS-342",
        {"cohort": ["basel", "bern", "chur", "north"]},
        {},
    ),
    "a cohort smaller than min_cohort": ("FS-343", {"min_cohort": 5}, {}),
    "a model crafted for this data owner": ("FS-340", {}, {"digest": "f" * 64}),
    "weights of another model": ("FS-340", {}, {"model": "f" * 64}),
    "a model of another size": ("FS-340", {}, {"dimension": 7}),
    "training where evaluation was signed": (
        "FS-340",
        {},
        {"purpose": Purpose.EVALUATE},
    ),
    "a fixed point that wraps": ("FS-203", {"fraction_bits": 40}, {}),
    "a clip for which no fixed point is safe": ("FS-202", {"clip": 1e30}, {}),
    "an unknown suite": ("FS-206", {"suite": "sum8"}, {}),
    "a round that is over": ("FS-347", {"deadline": int(NOW) - 1}, {}),
    "sums of two": ("FS-410", {"min_cohort": 2}, {}),
    "too many rounds": ("FS-411", {"round": 1001}, {}),
    "a weighting that the policy forbids": (
        "FS-413",
        {"weighting": Weighting.EXACT},
        {},
    ),
}


@pytest.mark.parametrize("attack", CONTRIBUTOR)
def test_data_owner_refuses(memory: MemoryFederation, attack: str) -> None:
    code, spec, facts = CONTRIBUTOR[attack]
    basel = memory.hospitals["basel"]
    honest = memory.owner.propose(memory.request())
    statement = honest.spec.statement
    found = {"digest": statement.task, "model": statement.model, **facts}
    with refused(code):
        basel.accept(lie(memory, honest, **spec), **found)
    assert not basel.state.sent().keys() - {"model owner"}


def test_data_owner_refuses_a_spec_of_somebody_else(memory: MemoryFederation) -> None:
    honest = memory.owner.propose(memory.request())
    with refused("FS-703"):
        memory.hospitals["basel"].accept(lie(memory, honest, signer="north"))


def test_data_owner_refuses_a_second_spec_for_the_same_attempt(
    memory: MemoryFederation,
) -> None:
    first = memory.owner.propose(memory.request())
    basel = memory.hospitals["basel"]
    basel.answer(first, measurement_of("basel"))
    with refused("FS-348"):
        basel.accept(lie(memory, first, deadline=int(NOW) + 77))


Regrant = Callable[[MemoryFederation, Proposal], list[str]]


def only_one(_: MemoryFederation, proposal: Proposal) -> list[str]:
    return [proposal.grants["north"].token]


def the_same_twice(_: MemoryFederation, proposal: Proposal) -> list[str]:
    return [proposal.grants["north"].token] * 2


def for_another_spec(memory: MemoryFederation, proposal: Proposal) -> list[str]:
    other = regrant(memory, proposal.grants["south"], spec="0" * 64)
    return [proposal.grants["north"].token, other.token]


def with_one_key(memory: MemoryFederation, proposal: Proposal) -> list[str]:
    key = proposal.grants["north"].statement.sealing_key
    other = regrant(memory, proposal.grants["south"], sealing_key=key)
    return [proposal.grants["north"].token, other.token]


def with_the_owners_key(memory: MemoryFederation, proposal: Proposal) -> list[str]:
    key = proposal.spec.statement.sealing_key
    other = regrant(memory, proposal.grants["south"], sealing_key=key)
    return [proposal.grants["north"].token, other.token]


def expired(memory: MemoryFederation, proposal: Proposal) -> list[str]:
    other = regrant(memory, proposal.grants["south"], expires=int(NOW) - 1)
    return [proposal.grants["north"].token, other.token]


def by_the_owner(memory: MemoryFederation, proposal: Proposal) -> list[str]:
    forged = memory.author(OWNER).sign(proposal.grants["south"].statement)
    return [proposal.grants["north"].token, forged.token]


@pytest.mark.parametrize(
    ("grants", "code"),
    [
        (only_one, "FS-344"),
        (the_same_twice, "FS-344"),
        (for_another_spec, "FS-345"),
        (with_one_key, "FS-345"),
        (with_the_owners_key, "FS-345"),
        (expired, "FS-345"),
        (by_the_owner, "FS-703"),
    ],
)
def test_data_owner_refuses_grants(
    memory: MemoryFederation, grants: Regrant, code: str
) -> None:
    proposal = memory.owner.propose(memory.request())
    basel = memory.hospitals["basel"]
    spec = proposal.spec.statement
    facts = ReceivedTask(spec.purpose, spec.task, spec.model, spec.dimension)
    basel.contributor.accept(offer_of(proposal), facts)
    with refused(code):
        basel.contributor.accept(
            Offer(proposal.spec.token, grants(memory, proposal)), facts
        )


def test_data_owner_of_a_stricter_policy_refuses_the_clip(
    memory: MemoryFederation,
) -> None:
    proposal = memory.owner.propose(memory.request())
    with refused("FS-412"):
        memory.hospital("basel", Policy(max_clip=1.0)).accept(proposal)


def test_owner_refuses_receipts_that_are_not_of_this_round_or_reporter(
    memory: MemoryFederation,
) -> None:
    proposal = memory.owner.propose(memory.request())
    tokens = {
        name: [
            receipt.token
            for receipt in memory.hospitals[name]
            .answer(proposal, measurement_of(name))
            .values()
        ]
        for name in HOSPITALS[:2]
    }
    basel, bern = tokens["basel"], tokens["bern"]
    for wrong in ([], basel[:1], [basel[0]] * 2, [basel[0], bern[1]], bern):
        with refused("FS-352"):
            memory.owner.collect(proposal, "basel", wrong)
    assert sorted(memory.owner.collect(proposal, "basel", basel)) == ["north", "south"]


def test_owner_finds_out_before_it_begins_that_an_aggregator_is_away(
    memory: MemoryFederation,
) -> None:
    def away(request: httpx.Request, _deliver: Handler) -> httpx.Response:
        msg = "[Errno 111] Connection refused"
        raise httpx.ConnectError(msg, request=request)

    memory.wires["south"].fault = away
    with pytest.raises(
        UnreachableError,
        match=r"FS-551 .*south at https://south.test: .*Connection refused",
    ):
        memory.clients()["south"].require_same_federation()


def test_owner_finds_out_before_it_begins_that_files_differ(
    memory: MemoryFederation,
) -> None:
    client = memory.clients()["north"]
    client.require_same_federation()
    for field, value, code in (
        ("federation", "0" * 64, "FS-705"),
        ("name", "south", "FS-556"),
        ("fingerprint", "0000", "FS-556"),
        ("protocol", PROTOCOL_VERSION + 1, "FS-555"),
        ("version", None, "FS-553"),
    ):

        def differ(
            request: httpx.Request,
            deliver: Handler,
            change: dict[str, object] = {field: value},  # noqa: B006
        ) -> httpx.Response:
            return httpx.Response(200, json={**deliver(request).json(), **change})

        memory.wires["north"].fault = differ
        with refused(code):
            client.require_same_federation()


# Texts and limits, to the last unit.


def refusal_of(
    memory: MemoryFederation, offer: Offer, facts: ReceivedTask
) -> tuple[str, str]:
    """Return code and detail with which basel refuses."""
    with pytest.raises(FedsecureError) as caught:
        memory.hospitals["basel"].contributor.accept(offer, facts)
    return caught.value.code, caught.value.detail


def found(proposal: Proposal, **changes: Any) -> ReceivedTask:
    spec = proposal.spec.statement
    facts = ReceivedTask(spec.purpose, spec.task, spec.model, spec.dimension)
    return replace(facts, **changes)


@pytest.mark.parametrize(
    ("grants", "code", "detail"),
    [
        (lambda *_: [], "FS-344", "grants of nobody"),
        (only_one, "FS-344", "grants of north"),
        (
            lambda memory, proposal: [
                *(grant.token for grant in proposal.grants.values()),
                regrant(memory, proposal.grants["north"]).token,
            ],
            "FS-344",
            "grants of north, south",
        ),
        (for_another_spec, "FS-345", "a grant is for another spec"),
        (with_one_key, "FS-345", "two parties have the same sealing key"),
        (expired, "FS-345", "a grant has expired"),
    ],
)
def test_data_owner_says_what_is_wrong_with_grants(
    memory: MemoryFederation, grants: Regrant, code: str, detail: str
) -> None:
    proposal = memory.owner.propose(memory.request())
    offer = Offer(proposal.spec.token, grants(memory, proposal))
    assert refusal_of(memory, offer, found(proposal)) == (code, detail)


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("purpose", {"purpose": Purpose.EVALUATE}),
        ("digest", {"digest": "f" * 64}),
        ("model", {"model": "f" * 64}),
        ("number of parameters", {"dimension": 7}),
    ],
)
def test_data_owner_says_what_of_the_task_differs(
    memory: MemoryFederation, what: str, change: dict[str, Any]
) -> None:
    proposal = memory.owner.propose(memory.request())
    code, detail = refusal_of(memory, offer_of(proposal), found(proposal, **change))
    assert code == "FS-340"
    assert detail.startswith(f"the {what} is ")


def test_a_set_may_need_everybody_and_a_deadline_is_over_when_it_is_reached(
    memory: MemoryFederation,
) -> None:
    proposal = memory.owner.propose(memory.request(min_cohort=len(HOSPITALS)))
    memory.clock.now = proposal.spec.statement.deadline - 0.5
    memory.hospitals["basel"].accept(proposal)
    memory.clock.now = proposal.spec.statement.deadline
    with refused("FS-347"):
        memory.hospitals["basel"].accept(proposal)


def test_an_owner_without_the_rounds_key_says_where_it_should_lie(
    memory: MemoryFederation,
) -> None:
    proposal = memory.owner.propose(memory.request())
    receipts = {
        name: memory.hospitals[name].answer(proposal, measurement_of(name))
        for name in HOSPITALS
    }
    with pytest.raises(FedsecureError) as caught:
        memory.owner.open(replace(proposal, key=None), receipts)
    assert caught.value.code == "FS-355"
    assert proposal.spec.digest in caught.value.detail


@pytest.mark.parametrize(
    "odd", [{"dimension": 0}, {"purpose": Purpose.EVALUATE, "dimension": 7}]
)
def test_owner_proposes_no_training_without_and_no_evaluation_with_an_update(
    memory: MemoryFederation, odd: dict[str, Any]
) -> None:
    with refused("FS-200"):
        memory.owner.propose(memory.request(**odd))
