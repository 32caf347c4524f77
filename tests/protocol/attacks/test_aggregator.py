"""An aggregator that does not keep to the protocol: south; north is honest.

It may work together with the model owner. A sum that it spoils by little cannot be told
(docs/sharp-edges.md); what it can never do is read anybody's update.
"""

from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from fedsecure.contributor.contribution import Offer, ReceivedTask
from fedsecure.core import scheme
from fedsecure.core.sealing import seal, seal_info, sealing_key
from fedsecure.errors import OperatorError, PeerError
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.protocol.encodings import base64url, from_base64url
from fedsecure.protocol.fingerprints import fingerprint
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Author, Signed, set_digest, verify
from fedsecure.protocol.signing_keys import public_key_text
from fedsecure.protocol.statements import (
    AggregateShareHeader,
    Opening,
    Receipt,
    ReportHeader,
    RoundGrant,
)
from fedsecure_clients.agent.config import AgentSettings, require_pinned
from tests.protocol.attacks.forging import (
    Receipts,
    code_of,
    open_everywhere,
    opened,
    opening_of,
    post_opening,
    propose,
    put_spec,
    report_all,
    respecified,
    rounds,
    sealed_by,
)
from tests.protocol.federation import (
    HOSPITALS,
    NOW,
    OWNER,
    Handler,
    MemoryFederation,
    measurement_of,
    refused,
    update_of,
)

LIAR = "south"
Answer = Callable[[httpx.Request, Handler], httpx.Response]


def parted(answer: bytes) -> tuple[str, bytes]:
    """Cut the answer to an opening into header and payload."""
    end = 4 + int.from_bytes(answer[:4])
    return answer[4:end].decode(), answer[end:]


def joined(token: str, payload: bytes) -> httpx.Response:
    text = token.encode()
    return httpx.Response(200, content=len(text).to_bytes(4) + text + payload)


def resaid(
    memory: MemoryFederation, change: Callable[[AggregateShareHeader], Any]
) -> Answer:
    """Answer an opening with another header over the same payload."""

    def answer(request: httpx.Request, deliver: Handler) -> httpx.Response:
        token, payload = parted(deliver(request).content)
        statement = verify(token, AggregateShareHeader, memory.federation).statement
        lie = statement.model_copy(update=change(statement))
        return joined(memory.author(LIAR).sign(lie).token, payload)

    return answer


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda _: {"set": "0" * 64}, "FS-354"),
        (lambda statement: {"count": statement.count - 1}, "FS-354"),
        (lambda statement: {"count": statement.count + 1}, "FS-354"),
        (lambda _: {"opening": "0" * 64}, "FS-354"),
        (lambda _: {"digest": "0" * 64}, "FS-354"),
        (lambda statement: {"length": statement.length - 1}, "FS-354"),
        (lambda _: {"spec": "0" * 64}, "FS-553"),
        (lambda _: {"aggregator": "north"}, "FS-706"),
    ],
    ids=["set", "fewer", "more", "opening", "digest", "length", "spec", "name"],
)
def test_a_share_that_says_something_else_is_refused(
    memory: MemoryFederation,
    proposal: Proposal,
    receipts: Receipts,
    change: Callable[[AggregateShareHeader], Any],
    code: str,
) -> None:
    memory.wires[LIAR].fault = resaid(memory, change)
    with refused(code):
        opened(memory, proposal, receipts)
    # The share is stored: once south tells the truth, the same opening is answered.
    memory.wires[LIAR].fault = None
    assert opened(memory, proposal, receipts).count == len(HOSPITALS)


@pytest.mark.parametrize("place", [0, 700, -1])
def test_a_share_whose_bytes_were_changed_is_refused(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts, place: int
) -> None:
    def flip(request: httpx.Request, deliver: Handler) -> httpx.Response:
        token, payload = parted(deliver(request).content)
        spoiled = bytearray(payload)
        spoiled[place] ^= 1
        return joined(token, bytes(spoiled))

    memory.wires[LIAR].fault = flip
    with refused("FS-354"):
        opened(memory, proposal, receipts)


@pytest.mark.parametrize("resigned", [False, True])
def test_the_share_of_an_earlier_round_is_refused(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts, resigned: bool
) -> None:
    old = post_opening(memory, LIAR, opening_of(memory, proposal, receipts)).content
    second = propose(memory, round=2)
    theirs = report_all(memory, second)

    def replay(request: httpx.Request, deliver: Handler) -> httpx.Response:
        header, _ = parted(deliver(request).content)
        token, payload = parted(old)
        if not resigned:
            return joined(token, payload)
        statement = verify(header, AggregateShareHeader, memory.federation).statement
        was = verify(token, AggregateShareHeader, memory.federation).statement
        fitting = {"digest": was.digest, "length": was.length}
        lie = statement.model_copy(update=fitting)
        return joined(memory.author(LIAR).sign(lie).token, payload)

    memory.wires[LIAR].fault = replay
    # As it is, it is signed for another round; signed anew, it does not open.
    with refused("FS-720" if resigned else "FS-553"):
        opened(memory, second, theirs)


def made_up(
    memory: MemoryFederation, proposal: Proposal, tensor: Any, members: int
) -> Answer:
    """Answer an opening with a share of the server's own choice, well signed."""

    def answer(request: httpx.Request, _deliver: Handler) -> httpx.Response:
        token = request.read().decode()
        opening = verify(token, Opening, memory.federation)
        params = proposal.params
        share = scheme.AggregateShare.empty(params)
        share.tensor[:] = tensor
        share.count = members
        payload = bytearray()
        info = seal_info.share_info(
            bytes.fromhex(memory.federation.digest),
            bytes.fromhex(proposal.spec.digest),
            LIAR,
            OWNER,
            bytes.fromhex(opening.digest),
        )
        sealed = seal.seal(
            from_base64url(proposal.spec.statement.sealing_key),
            info,
            bytes(range(32)),
            share.to_records(),
            payload.extend,
        )
        grant = proposal.grants[LIAR].statement
        statement = AggregateShareHeader(
            federation=memory.federation.digest,
            spec=proposal.spec.digest,
            aggregator=LIAR,
            opening=opening.digest,
            set=set_digest(opening.statement.set),
            count=members,
            length=sealed.length,
            digest=sealed.digest.hex(),
            head=grant.head,
        )
        return joined(memory.author(LIAR).sign(statement).token, bytes(payload))

    return answer


def test_a_receipt_without_a_report_burns_the_round_and_tells_nobody_anything(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    def pretend(request: httpx.Request, _deliver: Handler) -> httpx.Response:
        body = request.read()
        token = body[4 : 4 + int.from_bytes(body[:4])].decode()
        statement = verify(token, ReportHeader, memory.federation).statement
        receipt = Receipt(
            federation=memory.federation.digest,
            spec=statement.spec,
            aggregator=LIAR,
            reporter=statement.reporter,
            report_id=statement.report_id,
            digest=statement.digest,
            head=proposal.grants[LIAR].statement.head,
        )
        return httpx.Response(200, text=memory.author(LIAR).sign(receipt).token)

    receipts = report_all(memory, proposal, HOSPITALS[:3])
    memory.wires[LIAR].fault = pretend
    receipts["genf"] = memory.hospitals["genf"].answer(proposal, measurement_of("genf"))
    # North cannot know, and opens. South has to make something up.
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 2**32, proposal.params.dimension, np.uint32)
    memory.wires[LIAR].fault = made_up(memory, proposal, noise, len(HOSPITALS))
    with refused("FS-725"):
        opened(memory, proposal, receipts)
    assert [row[3:] for row in rounds(memory, "north")] == [("opened", 4, 4)]
    assert [row[3:] for row in rounds(memory, LIAR)] == [("collecting", 3, None)]
    # The place in the run is used up, and the run goes on behind it.
    again = respecified(memory, proposal, attempt=2)
    assert code_of(put_spec(memory, "north", again.token)) == "FS-304"
    memory.wires[LIAR].fault = None
    second = propose(memory, round=2)
    assert opened(memory, second, report_all(memory, second)).count == 4


def test_an_honest_server_opens_no_report_that_it_does_not_hold(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    receipts = report_all(memory, proposal, HOSPITALS[:3])
    # South vouches for a report of genf that north never got.
    fake = receipts["basel"]["north"].statement.model_copy(
        update={"reporter": "genf", "report_id": "f" * 32}
    )
    by_south = fake.model_copy(update={"aggregator": LIAR})
    receipts["genf"] = {
        "north": memory.author("north").sign(fake),  # as if north had said it
        LIAR: memory.author(LIAR).sign(by_south),
    }
    opening = opening_of(memory, proposal, receipts)
    assert open_everywhere(memory, opening)["north"] == "FS-322"


# Keys.


def offer_with(proposal: Proposal, token: str) -> tuple[Offer, ReceivedTask]:
    statement = proposal.spec.statement
    return (
        Offer(proposal.spec.token, [proposal.grants["north"].token, token]),
        ReceivedTask(
            statement.purpose, statement.task, statement.model, statement.dimension
        ),
    )


def test_a_grant_in_the_other_aggregators_name_is_refused(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    statement = proposal.grants["north"].statement
    forger = Author("north", memory.keys[LIAR], memory.federation)
    for forged, code in (
        (forger.sign(statement), "FS-704"),
        (memory.author(LIAR).sign(statement), "FS-706"),
    ):
        with refused(code):
            memory.hospitals["basel"].contributor.accept(
                *offer_with(proposal, forged.token)
            )


@pytest.mark.parametrize("whose", ["north", "owner"])
def test_a_grant_of_somebody_elses_key_is_refused(
    memory: MemoryFederation, proposal: Proposal, whose: str
) -> None:
    keys = {
        "north": proposal.grants["north"].statement.sealing_key,
        "owner": proposal.spec.statement.sealing_key,
    }
    with refused("FS-345"):
        _accept_grant(memory, proposal, sealing_key=keys[whose])


def test_an_expired_grant_is_refused(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    with refused("FS-345"):
        _accept_grant(memory, proposal, expires=int(NOW))


def test_a_grant_for_another_spec_is_refused(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    with refused("FS-345"):
        _accept_grant(memory, proposal, spec="0" * 64)


def _accept_grant(memory: MemoryFederation, proposal: Proposal, **lies: Any) -> None:
    statement = proposal.grants[LIAR].statement.model_copy(update=lies)
    grant = memory.author(LIAR).sign(statement)
    memory.hospitals["basel"].contributor.accept(*offer_with(proposal, grant.token))


def test_a_key_that_nobody_can_seal_to_makes_a_data_owner_send_nothing(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    statement = proposal.grants[LIAR].statement
    bad = "____" + "A" * (len(statement.sealing_key) - 4)
    grant = memory.author(LIAR).sign(statement.model_copy(update={"sealing_key": bad}))
    basel = memory.hospitals["basel"].contributor
    accepted = basel.accept(*offer_with(proposal, grant.token))
    with refused("FS-722"):
        basel.contribute(accepted, measurement_of("basel"))
    assert memory.hospitals["basel"].state.reports(proposal.spec.digest) == []


def test_both_aggregators_with_one_key_are_refused_by_whoever_reads_the_file(
    memory: MemoryFederation,
) -> None:
    content = memory.federation.model_dump(mode="json")
    content["aggregators"][0]["key"] = content["aggregators"][1]["key"]
    with pytest.raises(ValueError, match="two parties have the same key"):
        Federation.model_validate(content)


def test_an_agent_that_was_told_other_fingerprints_does_not_start(
    memory: MemoryFederation,
) -> None:
    told = {party.name: party.fingerprint for party in memory.federation.aggregators}
    settings = AgentSettings.model_construct(aggregators=told)
    require_pinned(settings, memory.federation, {})
    # South's key as north's, and the other way round.
    content = memory.federation.model_dump(mode="json")
    first, second = content["aggregators"]
    first["key"], second["key"] = second["key"], first["key"]
    swapped = Federation.model_validate(content)
    with pytest.raises(OperatorError, match="FS-821"):
        require_pinned(settings, swapped, {})
    # A key of the owner's making in north's place.
    mine = memory.keys["genf"]  # whoever's, but not north's
    content["aggregators"][0]["key"] = public_key_text(mine)
    content["data_owners"] = content["data_owners"][:3]
    owned = Federation.model_validate(content)
    assert owned.pair[0].fingerprint == fingerprint(
        mine.public_key().public_bytes_raw()
    )
    with pytest.raises(OperatorError, match="FS-821"):
        require_pinned(settings, owned, {})


# Answers.


def lies_about(memory: MemoryFederation, **lies: Any) -> Answer:
    def answer(request: httpx.Request, deliver: Handler) -> httpx.Response:
        token = deliver(request).text
        statement = verify(token, Receipt, memory.federation).statement
        lie = memory.author(LIAR).sign(statement.model_copy(update=lies))
        return httpx.Response(200, text=lie.token)

    return answer


@pytest.mark.parametrize(
    ("lies", "code"),
    [
        ({"digest": "0" * 64}, "FS-349"),
        ({"report_id": "0" * 32}, "FS-349"),
        ({"reporter": "bern"}, "FS-349"),
        ({"spec": "0" * 64}, "FS-553"),
        ({"aggregator": "north"}, "FS-706"),
    ],
    ids=str,
)
def test_a_receipt_for_something_else_is_refused_and_the_same_report_sent_again(
    memory: MemoryFederation, proposal: Proposal, lies: dict[str, Any], code: str
) -> None:
    basel = memory.hospitals["basel"]
    memory.wires[LIAR].fault = lies_about(memory, **lies)
    with refused(code):
        basel.answer(proposal, measurement_of("basel"))
    memory.wires[LIAR].fault = None
    receipts = {"basel": basel.answer(proposal, measurement_of("basel"))}
    receipts |= report_all(memory, proposal, ("bern", "chur"))
    assert opened(memory, proposal, receipts).count == 3


GARBAGE = {
    "a page": (200, b"<html>welcome</html>", "FS-701"),
    "nothing": (200, b"", "FS-701"),
    "too much": (200, b"A" * (17 * 2**20), "FS-551"),
    "elsewhere": (302, b"", "FS-553"),
    "no reason": (400, b"no", "FS-553"),
    "an unknown code": (400, b'{"code":"FS-999","detail":"x"}', "FS-552"),
    "not JSON inside": (500, b'{"code":', "FS-553"),
    "JSON without a bottom": (400, b"[" * 10**5 + b"]" * 10**5, "FS-553"),
    "a statement without a bottom": (200, b"[" * 10**5 + b"]" * 10**5, "FS-701"),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_for_an_answer_is_refused_by_owner_and_data_owner(
    memory: MemoryFederation, proposal: Proposal, what: str
) -> None:
    status, content, code = GARBAGE[what]
    memory.wires[LIAR].fault = lambda *_: httpx.Response(status, content=content)
    with refused(code):
        memory.hospitals["basel"].answer(proposal, measurement_of("basel"))
    with refused(code):
        propose(memory, round=2)


# What it learns, also together with the owner.


def test_with_the_round_key_of_one_server_a_report_is_still_noise(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    key = sealing_key.SealingKey.from_seed(bytes(32))
    statement = proposal.grants[LIAR].statement.model_copy(
        update={"sealing_key": base64url(key.public_bytes)}
    )
    grants: dict[str, Signed[RoundGrant]] = {
        **proposal.grants,
        LIAR: memory.author(LIAR).sign(statement),
    }
    leaky = Proposal(proposal.spec, proposal.params, grants, proposal.key)
    for name in HOSPITALS:
        one = sealed_by(memory, name, leaky)[LIAR]
        header = one.header.statement
        info = seal_info.report_info(
            bytes.fromhex(memory.federation.digest),
            bytes.fromhex(proposal.spec.digest),
            name,
            LIAR,
            bytes.fromhex(header.report_id),
            header.kind,
        )
        size = scheme.input_share_bytes(proposal.params, header.kind)
        plaintext = bytearray(size)
        seal.open_sealed(key, info, one.payload, header.length, memoryview(plaintext))
        assert update_of(name).tobytes()[:64] not in bytes(plaintext)
        bits = np.unpackbits(np.frombuffer(plaintext, np.uint8))
        assert abs(bits.mean() - 0.5) < 5 * 0.5 / np.sqrt(bits.size)


def test_what_north_refuses_stays_closed_whatever_south_and_the_owner_agree_on(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts
) -> None:
    few = {"genf": receipts["genf"]}
    opening = opening_of(memory, proposal, few)
    assert code_of(post_opening(memory, "north", opening)) == "FS-320"
    # South would answer; without north's share its own is as good as none.
    assert opened(memory, proposal, receipts).count == len(HOSPITALS)
    with pytest.raises(PeerError, match="FS-304"):
        opened(memory, proposal, few | {n: receipts[n] for n in HOSPITALS[:2]})
