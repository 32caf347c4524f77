"""A model owner who asks for rounds that nobody should take part in."""

import pytest

from fedsecure.contributor.contribution import Offer, ReceivedTask
from fedsecure.core.sealing import sealing_key
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.protocol import signing
from fedsecure.protocol.encodings import base64url
from fedsecure.protocol.signing_keys import public_key_text
from fedsecure.protocol.statements import RoundGrant
from tests.protocol.attacks.forging import (
    Receipts,
    ask,
    code_of,
    granted,
    open_everywhere,
    opened,
    opening_of,
    propose,
    put_spec,
    refusals,
    regranted,
    report_all,
    respecified,
    rounds,
)
from tests.protocol.federation import (
    HOSPITALS,
    NOW,
    OWNER,
    SERVERS,
    MemoryFederation,
    measurement_of,
    refused,
)


def test_an_owners_own_sealing_key_in_a_grant_is_refused(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    mine = sealing_key.SealingKey.from_seed(bytes(32))
    honest = proposal.grants["south"]
    statement = honest.statement.model_copy(
        update={"sealing_key": base64url(mine.public_bytes)}
    )
    payload = signing.canonical(statement)
    spoiled = honest.token.split(".")
    spoiled[1] = base64url(payload)
    forged = {
        "FS-703": memory.author(OWNER).sign(statement).token,
        "FS-706": memory.author("north").sign(statement).token,
        "FS-704": ".".join(spoiled),
    }
    own_key = memory.author(OWNER)
    in_souths_name = type(own_key)("south", own_key.key, own_key.federation)
    basel = memory.hospitals["basel"].contributor
    found = ReceivedTask(
        *(proposal.spec.statement.purpose, proposal.spec.statement.task),
        *(proposal.spec.statement.model, proposal.spec.statement.dimension),
    )
    for code, token in [
        *forged.items(),
        ("FS-704", in_souths_name.sign(statement).token),
    ]:
        with refused(code):
            basel.accept(
                Offer(proposal.spec.token, [proposal.grants["north"].token, token]),
                found,
            )
    assert memory.hospitals["basel"].state.reports(proposal.spec.digest) == []


def test_different_specs_for_both_aggregators_are_refused_by_every_data_owner(
    memory: MemoryFederation,
) -> None:
    first = propose(memory)
    other = respecified(memory, first, round=2, deadline=int(NOW) + 50)
    twin = respecified(memory, first, round=2, deadline=int(NOW) + 60)
    answers = [
        put_spec(memory, "north", other.token),
        put_spec(memory, "south", twin.token),
    ]
    north, south = (
        signing.verify(one.text, RoundGrant, memory.federation) for one in answers
    )
    split = Proposal(other, first.params, {"north": north, "south": south}, first.key)
    for name in HOSPITALS:
        with refused("FS-345"):
            memory.hospitals[name].accept(split)
    # And neither can be brought to the other's.
    assert code_of(put_spec(memory, "south", other.token)) == "FS-302"
    assert code_of(put_spec(memory, "north", twin.token)) == "FS-302"
    assert refusals(memory, "south") == [(OWNER, "round-spec", "FS-302")]


def test_different_specs_for_two_data_owners_get_no_second_grant(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    for change in ({"clip": 1.0}, {"weight_cap": 999}, {"deadline": int(NOW) + 59}):
        twin = respecified(memory, proposal, **change)
        codes = {code_of(put_spec(memory, name, twin.token)) for name in SERVERS}
        assert codes <= {"FS-302", "FS-203"}
    memory.hospitals["basel"].answer(proposal, measurement_of("basel"))
    second = respecified(memory, proposal, attempt=2)
    codes = {code_of(put_spec(memory, name, second.token)) for name in SERVERS}
    assert codes == {"FS-303"}


def test_a_round_that_was_answered_is_not_answered_again_for_another_spec(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    memory.hospitals["basel"].answer(proposal, measurement_of("basel"))
    twin = respecified(memory, proposal, deadline=int(NOW) + 59)
    both_lie = Proposal(
        twin, proposal.params, regranted(memory, proposal, twin), proposal.key
    )
    with refused("FS-348"):
        memory.hospitals["basel"].accept(both_lie)


def test_a_spec_at_another_rounds_address_is_refused(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    other = respecified(memory, proposal, round=2)
    answer = ask(memory, "north", "PUT", proposal.spec.digest, other.token.encode())
    assert code_of(answer) == "FS-301"


def test_an_opening_of_another_round_is_refused(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts
) -> None:
    other = propose(memory, round=2)
    opening = opening_of(memory, proposal, receipts)
    answer = ask(
        *(memory, "north", "POST", f"{other.spec.digest}/open"),
        opening.token.encode(),
    )
    assert code_of(answer) == "FS-301"


def test_a_void_round_cannot_be_opened_and_an_opened_one_not_be_void(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts
) -> None:
    memory.owner.void(proposal.spec, "changed my mind")
    opening = opening_of(memory, proposal, receipts)
    assert open_everywhere(memory, opening) == dict.fromkeys(SERVERS, "FS-305")
    second = propose(memory, attempt=2)
    theirs = report_all(memory, second)
    open_everywhere(memory, opening_of(memory, second, theirs))
    voided = memory.owner.void(second.spec, "changed my mind again")
    assert (voided.confirmations, voided.opened) == ({}, list(SERVERS))
    assert [row[3] for row in rounds(memory, "north")] == ["void", "opened"]


def test_more_rounds_than_a_policy_allows_are_refused_by_everybody(
    memory: MemoryFederation,
) -> None:
    first = propose(memory)
    many = respecified(memory, first, round=10_000)
    both_lie = Proposal(many, first.params, regranted(memory, first, many), first.key)
    with refused("FS-411"):
        memory.hospitals["basel"].accept(both_lie)
    north = memory.servers["north"]
    north.stop()
    north.policy = north.policy.model_copy(update={"max_rounds_per_hour": 3})
    north.start()
    answers = []
    for number in range(2, 6):
        spec = respecified(memory, first, round=number)
        answers.append(put_spec(memory, "north", spec.token))
        memory.clock.now += 1
    assert [code_of(one) for one in answers] == ["", "", "FS-406", "FS-406"]
    assert answers[-1].headers["Retry-After"] == "60"


def test_an_owner_who_asks_without_end_is_told_to_wait(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    north = memory.servers["north"]
    north.stop()
    north.policy = north.policy.model_copy(update={"requests_per_minute": 10})
    north.start()
    specs = [respecified(memory, proposal, round=2 + n).token for n in range(12)]
    answers = [put_spec(memory, "north", token) for token in specs]
    told_to_wait = [code_of(one) == "FS-326" for one in answers]
    assert told_to_wait == [False] * 10 + [True] * 2
    assert answers[-1].status_code == 429
    assert answers[-1].headers["Retry-After"]
    # Data owners are not held up by what the owner did.
    assert report_all(memory, proposal, HOSPITALS[:1])


def test_a_key_that_nobody_can_seal_to_gets_no_grant(memory: MemoryFederation) -> None:
    first = propose(memory)
    for bad in ("____" + "A" * 1618, "A" * 1622):
        spec = respecified(memory, first, round=2, sealing_key=bad)
        codes = {code_of(put_spec(memory, name, spec.token)) for name in SERVERS}
        assert len(codes) == 1
        assert codes & {"FS-722", ""} == codes


def test_a_public_key_of_the_owners_choice_is_no_aggregators(
    memory: MemoryFederation,
) -> None:
    content = memory.federation.model_dump(mode="json")
    content["aggregators"][1]["key"] = public_key_text(memory.keys[OWNER])
    with pytest.raises(ValueError, match="two parties have the same key"):
        type(memory.federation).model_validate(content)


def test_honest_rounds_go_on_after_all_that(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts
) -> None:
    few = {name: receipts[name] for name in HOSPITALS[:2]}
    open_everywhere(memory, opening_of(memory, proposal, few))
    assert opened(memory, proposal, receipts).count == len(HOSPITALS)
    spec = respecified(memory, proposal, round=2, model="1" * 64)
    assert granted(memory, spec).spec.digest == spec.digest
