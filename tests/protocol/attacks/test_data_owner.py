"""A data owner who does not keep to the protocol. `genf` is the one."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from fedsecure.core.scheme import Mean, Measurement
from fedsecure.core.sealing.payload_digest import RECORD_BYTES
from fedsecure.core.sealing.sealing_key import SEALED_KEY_BYTES
from fedsecure.errors import PeerError
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Author
from fedsecure.protocol.statements import Kind, Read
from tests.protocol.attacks.forging import (
    Sealed,
    ask,
    code_of,
    open_everywhere,
    opened,
    opening_of,
    propose,
    put_report,
    refusals,
    report_all,
    resigned,
    rounds,
    sealed_by,
)
from tests.protocol.federation import (
    HOSPITALS,
    NOW,
    SERVERS,
    MemoryFederation,
    federate,
    measurement_of,
    refused,
    update_of,
)

ATTACKER = "genf"
HONEST = tuple(name for name in HOSPITALS if name != ATTACKER)
LARGE = 600_000  # parameters: a vector of three records
Spoil = Callable[[bytes], bytes]


@pytest.fixture
def dishonest() -> frozenset[str]:
    return frozenset({ATTACKER})


@pytest.fixture
def sealed(memory: MemoryFederation, proposal: Proposal) -> Mapping[str, Sealed]:
    """What the attacker would send if it were honest."""
    return sealed_by(memory, ATTACKER, proposal)


def measured(name: str, proposal: Proposal) -> Measurement:
    """What an honest data owner has to say: an update below the clip."""
    update = update_of(name, proposal.params.dimension)
    norm = max(1.0, float(np.linalg.norm(update)))
    return replace(measurement_of(name), update=(update / norm).astype(np.float32))


def require_mean(proposal: Proposal, mean: Mean, names: Iterable[str]) -> None:
    """Assert that it is the exact mean, within the guarantee of the fixed point."""
    updates = [np.asarray(measured(name, proposal).update) for name in names]
    exact = np.mean(np.array(updates, np.float64), axis=0)
    weight_cap = proposal.spec.statement.weight_cap
    bound = mean.count * 0.5 / proposal.params.scale / (mean.total_weight / weight_cap)
    np.testing.assert_allclose(mean.update, exact, rtol=0, atol=1.1 * bound)
    assert mean.count == len(updates)


def require_round_goes_on(
    memory: MemoryFederation, proposal: Proposal, *also: str
) -> None:
    """The honest data owners report, and their mean is right."""
    names = (*HONEST, *also)
    receipts = {
        name: memory.hospitals[name].answer(proposal, measured(name, proposal))
        for name in names
    }
    require_mean(proposal, opened(memory, proposal, receipts), names)


def test_two_reports_of_one_data_owner_are_refused_and_the_first_stays(
    memory: MemoryFederation, proposal: Proposal, sealed: Mapping[str, Sealed]
) -> None:
    assert {put_report(memory, name, sealed[name]) for name in SERVERS} == {""}
    second = resigned(
        memory, sealed["north"], sealed["north"].payload, report_id="f" * 32
    )
    assert put_report(memory, "north", second) == "FS-312"
    assert refusals(memory, "north") == [(ATTACKER, "report", "FS-312")]
    assert put_report(memory, "north", sealed["north"]) == ""
    require_round_goes_on(memory, proposal, ATTACKER)


def test_other_bytes_under_the_same_header_are_refused(
    memory: MemoryFederation, proposal: Proposal, sealed: Mapping[str, Sealed]
) -> None:
    one = sealed["north"]
    assert put_report(memory, "north", one) == ""
    changed = Sealed(one.header, one.payload[:-1] + bytes([one.payload[-1] ^ 1]))
    assert put_report(memory, "north", changed) == "FS-313"
    require_round_goes_on(memory, proposal)


def test_a_report_in_anothers_name_is_refused(
    memory: MemoryFederation, proposal: Proposal, sealed: Mapping[str, Sealed]
) -> None:
    one = sealed["north"]
    # At another's address; then with another's name inside, signed by the attacker.
    assert put_report(memory, "north", one, reporter="basel") == "FS-310"
    statement = one.header.statement.model_copy(update={"reporter": "basel"})
    theirs = Sealed(memory.author(ATTACKER).sign(statement), one.payload)
    assert put_report(memory, "north", theirs) == "FS-706"
    forger = Author("basel", memory.keys[ATTACKER], memory.federation)
    assert put_report(memory, "north", Sealed(forger.sign(statement), one.payload)) == (
        "FS-704"
    )
    require_round_goes_on(memory, proposal)


@pytest.mark.parametrize("role", ["north", "consortium"])
def test_only_data_owners_report(
    memory: MemoryFederation,
    proposal: Proposal,
    sealed: Mapping[str, Sealed],
    role: str,
) -> None:
    statement = sealed["north"].header.statement.model_copy(update={"reporter": role})
    forged = Sealed(memory.author(role).sign(statement), sealed["north"].payload)
    assert put_report(memory, "north", forged) == "FS-703"
    require_round_goes_on(memory, proposal)


def test_a_report_for_another_round_is_refused(
    memory: MemoryFederation, sealed: Mapping[str, Sealed]
) -> None:
    other = propose(memory, round=2)
    one, digest = sealed["north"], other.spec.digest
    # As it is, at another round's address; then with that round inside: the payload
    # is bound to the first one.
    assert put_report(memory, "north", one, spec=digest) == "FS-301"
    moved = resigned(memory, one, one.payload, spec=digest)
    assert put_report(memory, "north", moved) == "FS-314"
    require_round_goes_on(memory, other)


def test_a_report_sealed_to_the_other_aggregator_is_refused(
    memory: MemoryFederation, proposal: Proposal, sealed: Mapping[str, Sealed]
) -> None:
    assert put_report(memory, "north", sealed["south"]) == "FS-310"
    one = sealed["south"]
    readdressed = resigned(memory, one, one.payload, aggregator="north")
    assert put_report(memory, "north", readdressed) == "FS-314"
    assert (ATTACKER, "report", "FS-314") in refusals(memory, "north")
    require_round_goes_on(memory, proposal, ATTACKER)


@pytest.mark.parametrize("name", SERVERS)
def test_a_seed_that_is_called_a_vector_is_refused_and_the_other_way_round(
    memory: MemoryFederation,
    proposal: Proposal,
    sealed: Mapping[str, Sealed],
    name: str,
) -> None:
    one = sealed[name]
    other = next(kind for kind in Kind if kind is not one.header.statement.kind)
    statement = one.header.statement.model_copy(update={"kind": other})
    forged = Sealed(memory.author(ATTACKER).sign(statement), one.payload)
    assert put_report(memory, name, forged) == "FS-310"  # of the wrong length
    require_round_goes_on(memory, proposal)


def longer(payload: bytes) -> bytes:
    return payload + bytes(16)


def shorter(payload: bytes) -> bytes:
    return payload[:-1]


def empty(payload: bytes) -> bytes:
    return payload[:SEALED_KEY_BYTES]


@pytest.mark.parametrize("spoil", [longer, shorter, empty])
def test_a_report_of_another_length_is_refused_before_it_is_read(
    memory: MemoryFederation,
    proposal: Proposal,
    sealed: Mapping[str, Sealed],
    spoil: Spoil,
) -> None:
    one = sealed["north"]
    payload = spoil(one.payload)
    statement = one.header.statement.model_copy(update={"length": len(payload)})
    header = memory.author(ATTACKER).sign(statement)
    assert put_report(memory, "north", Sealed(header, payload)) == "FS-310"
    # The right length inside, and other bytes than that behind.
    code = put_report(memory, "north", Sealed(one.header, payload))
    assert code == "FS-310"
    require_round_goes_on(memory, proposal, ATTACKER)


def test_a_report_with_another_digest_is_refused(
    memory: MemoryFederation, proposal: Proposal, sealed: Mapping[str, Sealed]
) -> None:
    one = sealed["north"]
    statement = one.header.statement.model_copy(update={"digest": "0" * 64})
    forged = Sealed(memory.author(ATTACKER).sign(statement), one.payload)
    assert put_report(memory, "north", forged) == "FS-313"
    require_round_goes_on(memory, proposal, ATTACKER)


# Garbage: signed and fitting, so that only opening it tells.


def records_of(payload: bytes) -> list[bytes]:
    body = payload[SEALED_KEY_BYTES:]
    return [body[i : i + RECORD_BYTES] for i in range(0, len(body), RECORD_BYTES)]


def noise(payload: bytes) -> bytes:
    return bytes(range(256)) * (len(payload) // 256) + bytes(len(payload) % 256)


def another_sealed_key(payload: bytes) -> bytes:
    return bytes([payload[0] ^ 1]) + payload[1:]


def one_bit_in_the_last_tag(payload: bytes) -> bytes:
    return payload[:-1] + bytes([payload[-1] ^ 1])


def one_bit_in_a_body(payload: bytes) -> bytes:
    place = SEALED_KEY_BYTES + 5
    return payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]


def reordered(payload: bytes) -> bytes:
    first, second, *rest = records_of(payload)
    return payload[:SEALED_KEY_BYTES] + b"".join([second, first, *rest])


def doubled(payload: bytes) -> bytes:
    first, _, *rest = records_of(payload)
    return payload[:SEALED_KEY_BYTES] + b"".join([first, first, *rest])


SMALL: list[Spoil] = [
    noise,
    another_sealed_key,
    one_bit_in_the_last_tag,
    one_bit_in_a_body,
]


@pytest.mark.parametrize("spoil", SMALL)
@pytest.mark.parametrize("name", SERVERS)
def test_garbage_that_does_not_open_is_refused_and_burns_nothing(
    memory: MemoryFederation,
    proposal: Proposal,
    sealed: Mapping[str, Sealed],
    spoil: Spoil,
    name: str,
) -> None:
    one = sealed[name]
    garbage = resigned(memory, one, spoil(one.payload))
    assert put_report(memory, name, garbage) == "FS-314"
    assert refusals(memory, name) == [(ATTACKER, "report", "FS-314")]
    assert [row[3:] for row in rounds(memory, name)] == [("granted", 0, None)]
    require_round_goes_on(memory, proposal, ATTACKER)


@pytest.mark.parametrize("spoil", [reordered, doubled, one_bit_in_a_body])
def test_records_that_were_reordered_or_spliced_are_refused(
    memory: MemoryFederation, spoil: Spoil
) -> None:
    proposal = propose(memory, dimension=LARGE)
    sealed = sealed_by(memory, ATTACKER, proposal, measured(ATTACKER, proposal))
    name = next(n for n in SERVERS if len(records_of(sealed[n].payload)) > 1)
    one = sealed[name]
    # With the honest header, and with one that fits.
    as_it_was = put_report(memory, name, Sealed(one.header, spoil(one.payload)))
    assert as_it_was in {"FS-313", "FS-314"}
    assert put_report(memory, name, resigned(memory, one, spoil(one.payload))) == (
        "FS-314"
    )
    require_round_goes_on(memory, proposal)


def test_a_record_of_another_report_is_refused(memory: MemoryFederation) -> None:
    first = propose(memory, dimension=LARGE)
    second = propose(memory, dimension=LARGE, round=2)
    one, two = (
        sealed_by(memory, ATTACKER, proposal, measured(ATTACKER, proposal))
        for proposal in (first, second)
    )
    vector = next(n for n in SERVERS if len(records_of(one[n].payload)) > 1)
    other = next(n for n in SERVERS if len(records_of(two[n].payload)) > 1)
    spliced = (
        one[vector].payload[: SEALED_KEY_BYTES + RECORD_BYTES]
        + two[other].payload[SEALED_KEY_BYTES + RECORD_BYTES :]
    )
    assert put_report(memory, vector, resigned(memory, one[vector], spliced)) == (
        "FS-314"
    )
    require_round_goes_on(memory, first)


def test_a_truncated_upload_is_refused_and_can_be_sent_again(
    memory: MemoryFederation, proposal: Proposal, sealed: Mapping[str, Sealed]
) -> None:
    one = sealed["north"]
    path = f"{proposal.spec.digest}/reports/{ATTACKER}"
    for cut in (3, 4, 100, len(one.body) - 1):
        code = code_of(ask(memory, "north", "PUT", path, one.body[:cut]))
        assert code in {"FS-310", "FS-313"}
    assert put_report(memory, "north", one) == ""
    require_round_goes_on(memory, proposal, ATTACKER)


# At the wrong time.


def test_a_report_after_the_opening_is_refused(
    memory: MemoryFederation, proposal: Proposal, sealed: Mapping[str, Sealed]
) -> None:
    require_round_goes_on(memory, proposal)
    assert {put_report(memory, name, sealed[name]) for name in SERVERS} == {"FS-304"}
    assert refusals(memory, "north") == []  # late, and nothing else
    assert [row[3:] for row in rounds(memory, "north")] == [("opened", 3, 3)]


def test_a_report_after_the_deadline_is_refused(
    memory: MemoryFederation, proposal: Proposal, sealed: Mapping[str, Sealed]
) -> None:
    receipts = report_all(memory, proposal, HONEST)
    memory.clock.now = NOW + 60
    assert {put_report(memory, name, sealed[name]) for name in SERVERS} == {"FS-306"}
    assert opened(memory, proposal, receipts).count == 3


def test_a_report_of_a_void_round_is_refused(
    memory: MemoryFederation, proposal: Proposal, sealed: Mapping[str, Sealed]
) -> None:
    memory.owner.void(proposal.spec, "a test")
    assert {put_report(memory, name, sealed[name]) for name in SERVERS} == {"FS-305"}


def test_a_report_of_somebody_who_was_not_asked_is_refused(
    memory: MemoryFederation,
) -> None:
    proposal = propose(memory, cohort=HONEST)
    with refused("FS-341"):
        memory.hospitals[ATTACKER].accept(proposal)
    asked = propose(memory, round=2)
    one = sealed_by(memory, ATTACKER, asked)["north"]
    uninvited = resigned(memory, one, one.payload, spec=proposal.spec.digest)
    assert put_report(memory, "north", uninvited) == "FS-311"
    require_round_goes_on(memory, proposal)


def without(federation: Federation, name: str) -> Federation:
    """The next version of a federation, which retired somebody."""
    content = federation.model_dump(mode="json")
    left = [one for one in content["data_owners"] if one["name"] != name]
    history = {"number": federation.number + 1, "previous": federation.digest}
    return Federation.model_validate({**content, **history, "data_owners": left})


def test_a_report_of_a_retired_key_is_refused_by_servers_of_the_new_roster(
    tmp_path: Path,
) -> None:
    # Without the usual fixture: a ledger of two versions verifies with neither file.
    with federate(tmp_path) as memory:
        proposal = propose(memory)
        sealed = sealed_by(memory, ATTACKER, proposal)
        newer = without(memory.federation, ATTACKER)
        for name, server in memory.servers.items():
            server.stop()
            server.author = Author(name, memory.keys[name], newer)
            server.versions = Federations([memory.federation, newer])
            server.start()
        codes = {put_report(memory, name, sealed[name]) for name in SERVERS}
        assert codes == {"FS-741"}
        # Also if it claims to be of the new version.
        statement = sealed["north"].header.statement
        claimed = Author(ATTACKER, memory.keys[ATTACKER], newer).sign(
            statement.model_copy(update={"federation": newer.digest})
        )
        forged = Sealed(claimed, sealed["north"].payload)
        assert put_report(memory, "north", forged) == "FS-741"
        # The round of the old version is void, also for those who stay.
        assert [row[3] for row in rounds(memory, "north")] == ["void"]
        basel = sealed_by(memory, "basel", proposal)["north"]
        assert put_report(memory, "north", basel) == "FS-705"


# Reading what is not its own.


def test_a_ticket_for_anothers_inclusion_is_refused(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    require_round_goes_on(memory, proposal)
    path = f"/v1/rounds/{proposal.spec.digest}/inclusion/basel"
    ticket = Read(
        federation=memory.federation.digest,
        aggregator="north",
        reader=ATTACKER,
        method="GET",
        path=path,
        expires=int(NOW) + 60,
    )
    own = memory.author(ATTACKER).sign(ticket).token
    in_basels_name = (
        memory.author(ATTACKER)
        .sign(ticket.model_copy(update={"reader": "basel"}))
        .token
    )
    for token, code in ((own, "FS-333"), (in_basels_name, "FS-706")):
        assert _read(memory, path, token) == code
    standing = f"/v1/rounds/{proposal.spec.digest}"
    nosy = ticket.model_copy(update={"path": standing})
    assert _read(memory, standing, memory.author(ATTACKER).sign(nosy).token) == (
        "FS-333"
    )


def _read(memory: MemoryFederation, path: str, token: str) -> str:
    request = httpx.Request(
        *("GET", f"https://north.test{path}"),
        headers={"Authorization": f"Bearer {token}"},
    )
    return code_of(memory.wires["north"].deliver(request))


# It is honest, and its machine is not.


def test_a_crash_after_the_first_receipt_leads_to_no_second_sharding(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    basel = memory.hospitals["basel"]
    accepted = basel.accept(proposal)
    basel.contributor.contribute(accepted, measurement_of("basel"))

    def cut(request: httpx.Request, _deliver: object) -> httpx.Response:
        msg = "cut by the test"
        raise httpx.ConnectError(msg, request=request)

    memory.wires["south"].fault = cut
    with refused("FS-551"):
        basel.contributor.deliver(accepted)
    memory.wires["south"].fault = None
    # It comes back with another update, as after training once more.
    again = memory.hospital("basel")
    other = replace(measurement_of("basel"), update=update_of("bern"))
    with pytest.raises(PeerError, match="FS-348"):
        again.contributor.contribute(again.accept(proposal), other)
    receipts = {"basel": again.answer(proposal, other)}
    receipts |= report_all(memory, proposal, ("bern", "chur"))
    require_mean(proposal, opened(memory, proposal, receipts), receipts)


def test_an_update_beyond_the_clip_is_cut_by_its_own_agent(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    huge = replace(measurement_of("basel"), update=update_of("basel") * np.float32(1e9))
    receipts = {"basel": memory.hospitals["basel"].answer(proposal, huge)}
    receipts |= report_all(memory, proposal, ("bern", "chur"))
    mean = opened(memory, proposal, receipts)
    assert float(np.linalg.norm(mean.update)) <= proposal.spec.statement.clip
    assert mean.clipped == 1


def test_everybody_who_is_not_the_attacker_is_opened_in_large_sets_only(
    memory: MemoryFederation, proposal: Proposal, sealed: Mapping[str, Sealed]
) -> None:
    garbage = resigned(memory, sealed["north"], noise(sealed["north"].payload))
    put_report(memory, "north", garbage)
    receipts = report_all(memory, proposal, HONEST[:2])
    small = opening_of(memory, proposal, receipts)
    assert set(open_everywhere(memory, small).values()) == {"FS-320"}
