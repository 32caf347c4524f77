"""A model owner who opens other sets, or more of them, than the rules allow."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from fedsecure.core import scheme
from fedsecure.core.sealing import seal, seal_info
from fedsecure.errors import OperatorError, PeerError
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.protocol import signing
from fedsecure.protocol.encodings import from_base64url
from fedsecure.protocol.identity import load_federation
from fedsecure.protocol.statements import AggregateShareHeader, Member, Opening, Purpose
from fedsecure_aggregator.storage.folder_spool import open_spool
from fedsecure_aggregator.storage.notes import RestoreNote
from fedsecure_clients.consent.policy import Policy
from tests.protocol.attacks.forging import (
    Receipts,
    code_of,
    open_everywhere,
    opening_of,
    post_opening,
    propose,
    put_spec,
    refusals,
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
    update_of,
)


def test_a_set_padded_with_one_member_thrice_is_refused(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts
) -> None:
    one = receipts["genf"]
    member = Member(reporter="genf", report_id=one["north"].statement.report_id)
    padded = opening_of(
        memory,
        proposal,
        receipts,
        set=[member] * 3,
        receipts={name: [one[name].token] * 3 for name in SERVERS},
    )
    assert open_everywhere(memory, padded) == dict.fromkeys(SERVERS, "FS-701")
    assert {row[3] for row in rounds(memory, "north")} == {"collecting"}


def test_one_key_under_two_names_is_refused_by_whoever_reads_the_file(
    memory: MemoryFederation,
) -> None:
    content = memory.federation.model_dump(mode="json", exclude_none=True)
    content["data_owners"][3]["key"] = content["data_owners"][2]["key"]
    path = memory.folder / "federation.toml"
    lines = [f"{key} = {json.dumps(content.pop(key))}" for key in ("protocol", "name")]
    lines += [f"number = {content.pop('number')}"]
    for table, parties in content.items():
        for party in parties if isinstance(parties, list) else [parties]:
            lines.append(f"[[{table}]]" if isinstance(parties, list) else f"[{table}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in party.items()]
    path.write_text("\n".join(lines), "utf-8")
    with pytest.raises(OperatorError, match=r"FS-803.*two parties have the same key"):
        load_federation(path)


def test_a_set_below_the_minimum_is_refused_whatever_its_receipts_say(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts
) -> None:
    few = {name: receipts[name] for name in HOSPITALS[:2]}
    opening = opening_of(memory, proposal, few)
    assert open_everywhere(memory, opening) == dict.fromkeys(SERVERS, "FS-320")
    assert refusals(memory, "south") == [(OWNER, "opening", "FS-320")]
    assert [row[3:] for row in rounds(memory, "south")] == [("collecting", 4, None)]


def test_an_aggregators_own_minimum_holds_when_the_spec_asks_for_less(
    memory: MemoryFederation,
) -> None:
    low = propose(memory, min_cohort=2, cohort=HOSPITALS[:3])
    # Data owners with the default policy do not report to it; these agreed to two.
    generous = [
        memory.hospital(name, Policy(studies="any", min_cohort=2))
        for name in HOSPITALS[:2]
    ]
    receipts = {
        name: hospital.answer(low, measurement_of(name))
        for name, hospital in zip(HOSPITALS, generous, strict=False)
    }
    opening = opening_of(memory, low, receipts)
    assert open_everywhere(memory, opening) == dict.fromkeys(SERVERS, "FS-320")


@pytest.mark.parametrize("stranger", ["genf", "nobody", "north", OWNER])
def test_a_set_with_a_stranger_is_refused(
    memory: MemoryFederation, stranger: str
) -> None:
    three = HOSPITALS[:3]
    proposal = propose(memory, cohort=three)
    receipts = report_all(memory, proposal, three)
    honest = opening_of(memory, proposal, receipts).statement
    members = [*honest.set, Member(reporter=stranger, report_id="0" * 32)]
    tokens = {
        name: [*tokens_of_one, tokens_of_one[0]]
        for name, tokens_of_one in honest.receipts.items()
    }
    members.sort(key=lambda member: member.reporter)
    opening = opening_of(memory, proposal, receipts, set=members, receipts=tokens)
    assert open_everywhere(memory, opening) == dict.fromkeys(SERVERS, "FS-321")


def test_a_set_with_another_report_id_is_refused(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts
) -> None:
    honest = opening_of(memory, proposal, receipts).statement
    members = [*honest.set[:3], Member(reporter="genf", report_id="0" * 32)]
    opening = opening_of(memory, proposal, receipts, set=members)
    assert open_everywhere(memory, opening) == dict.fromkeys(SERVERS, "FS-322")


def swapped_members(opening: Opening) -> dict[str, list[str]]:
    return {name: tokens[::-1] for name, tokens in opening.receipts.items()}


def swapped_servers(opening: Opening) -> dict[str, list[str]]:
    return {"north": opening.receipts["south"], "south": opening.receipts["north"]}


def of_one_server(opening: Opening) -> dict[str, list[str]]:
    return {"north": opening.receipts["north"]}


def one_too_few(opening: Opening) -> dict[str, list[str]]:
    return {name: tokens[:3] for name, tokens in opening.receipts.items()}


def of_a_third_server(opening: Opening) -> dict[str, list[str]]:
    return {**opening.receipts, "east": opening.receipts["north"]}


@pytest.mark.parametrize(
    "forge",
    [swapped_members, swapped_servers, of_one_server, one_too_few, of_a_third_server],
)
def test_a_set_without_everybodys_receipts_is_refused(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts, forge: Any
) -> None:
    honest = opening_of(memory, proposal, receipts)
    opening = opening_of(memory, proposal, receipts, receipts=forge(honest.statement))
    assert open_everywhere(memory, opening) == dict.fromkeys(SERVERS, "FS-323")


def test_receipts_of_another_round_are_refused(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts
) -> None:
    other = propose(memory, round=2)
    theirs = report_all(memory, other)
    tokens = opening_of(memory, other, theirs).statement.receipts
    opening = opening_of(memory, proposal, receipts, receipts=tokens)
    assert open_everywhere(memory, opening) == dict.fromkeys(SERVERS, "FS-323")


def test_a_data_owner_who_reported_to_one_aggregator_alone_is_in_no_set(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    receipts = report_all(memory, proposal, HOSPITALS[:3])

    def cut(request: Any, _deliver: Any) -> Any:
        raise PeerError("FS-551", f"cut {request.url}")

    memory.wires["south"].fault = cut
    with refused("FS-551"):
        memory.hospitals["genf"].answer(proposal, measurement_of("genf"))
    stored = memory.owner.aggregators["north"]
    held = memory.owner._receipts(stored, proposal)
    token = next(one for one in held if "genf" in str(signing_payload(one)))
    one_sided = signing.verify(
        token, type(receipts["basel"]["north"].statement), (memory.federation)
    )
    receipts["genf"] = {"north": one_sided, "south": one_sided}
    opening = opening_of(memory, proposal, receipts)
    assert open_everywhere(memory, opening) == {"north": "FS-323", "south": "FS-322"}


def signing_payload(token: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(from_base64url(token.split(".")[1]))
    return content


# Two sums of one round.


def test_a_second_set_of_a_round_is_refused(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts
) -> None:
    assert open_everywhere(memory, opening_of(memory, proposal, receipts)) == {
        "north": "",
        "south": "",
    }
    three = {name: receipts[name] for name in HOSPITALS[:3]}
    again = opening_of(memory, proposal, three)
    assert open_everywhere(memory, again) == dict.fromkeys(SERVERS, "FS-304")
    assert refusals(memory, "north") == [(OWNER, "opening", "FS-304")]
    assert [row[5] for row in rounds(memory, "north")] == [4]


def test_the_same_set_signed_anew_is_another_opening_and_refused(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts
) -> None:
    first = opening_of(memory, proposal, receipts)
    assert set(open_everywhere(memory, first).values()) == {""}
    reordered = {
        "south": first.statement.receipts["south"],
        "north": first.statement.receipts["north"],
    }
    same = opening_of(memory, proposal, receipts, receipts=reordered)
    assert same.digest == first.digest  # canonical JSON has one order
    fewer = opening_of(memory, proposal, dict(list(receipts.items())[1:]))
    assert set(open_everywhere(memory, fewer).values()) == {"FS-304"}


def test_another_attempt_at_an_opened_round_is_refused(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts
) -> None:
    open_everywhere(memory, opening_of(memory, proposal, receipts))
    for attempt in (2, 7):
        spec = respecified(
            memory, proposal, attempt=attempt, cohort=list(HOSPITALS[:3])
        )
        assert code_of(put_spec(memory, "north", spec.token)) in {"FS-304", "FS-203"}
        assert code_of(put_spec(memory, "south", spec.token)) in {"FS-304", "FS-203"}


@pytest.mark.parametrize(
    "place", [{"run": "run-2"}, {"round": 2}, {"purpose": Purpose.EVALUATE}]
)
def test_a_set_without_one_member_is_refused_for_the_same_model_wherever_it_is_asked(
    memory: MemoryFederation,
    proposal: Proposal,
    receipts: Receipts,
    place: dict[str, Any],
) -> None:
    open_everywhere(memory, opening_of(memory, proposal, receipts))
    if place.get("purpose") is Purpose.EVALUATE:
        place = {**place, "dimension": 0}
    other = propose(memory, task="9" * 64, **place)
    names = HOSPITALS[:3]
    theirs = {
        name: memory.hospitals[name].answer(
            other,
            scheme.Measurement(
                None if "dimension" in place else update_of(name), 128, {"loss": 1.0}
            ),
        )
        for name in names
    }
    opening = opening_of(memory, other, theirs)
    assert open_everywhere(memory, opening) == dict.fromkeys(SERVERS, "FS-324")
    assert (OWNER, "opening", "FS-324") in refusals(memory, "north")


def test_of_two_sets_at_the_same_moment_one_is_opened(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts
) -> None:
    three = {name: receipts[name] for name in HOSPITALS[:3]}
    sets = [opening_of(memory, proposal, one) for one in (receipts, three)]
    with ThreadPoolExecutor(8) as threads:
        for server in SERVERS:
            answers = threads.map(
                lambda one, server=server: code_of(post_opening(memory, server, one)),
                sets * 3,
            )
            assert sorted(answers) == [""] * 3 + ["FS-304"] * 3
        assert [row[3] for row in rounds(memory, server)] == ["opened"]


def test_shares_over_two_different_sets_tell_nothing(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts
) -> None:
    # Crosswise at the same moment: each aggregator opens one set, as it may.
    three = {name: receipts[name] for name in HOSPITALS[:3]}
    shares = []
    for server, chosen in zip(SERVERS, (receipts, three), strict=True):
        opening = opening_of(memory, proposal, chosen)
        answer = post_opening(memory, server, opening)
        shares.append(unsealed(memory, proposal, opening, answer.content))
    (a, b) = shares
    assert (a.count, b.count) == (4, 3)
    with refused("FS-724"):
        scheme.unshard(proposal.params, a, b)
    difference = np.asarray(a.tensor + b.tensor)  # genf's mask is still in it
    bits = np.unpackbits(difference.view(np.uint8))
    assert abs(bits.mean() - 0.5) < 5 * 0.5 / np.sqrt(bits.size)


def unsealed(
    memory: MemoryFederation, proposal: Proposal, opening: Any, answer: bytes
) -> scheme.AggregateShare:
    length = int.from_bytes(answer[:4])
    token, payload = answer[4 : 4 + length].decode(), answer[4 + length :]
    statement = signing.verify(token, AggregateShareHeader, memory.federation).statement
    info = seal_info.share_info(
        bytes.fromhex(memory.federation.digest),
        bytes.fromhex(proposal.spec.digest),
        statement.aggregator,
        OWNER,
        bytes.fromhex(opening.digest),
    )
    plaintext = bytearray(proposal.params.layout.plaintext_bytes)
    assert proposal.key is not None
    seal.open_sealed(
        proposal.key, info, payload, statement.length, memoryview(plaintext)
    )
    return scheme.AggregateShare.from_plaintext(
        proposal.params, plaintext, statement.count
    )


def test_a_restored_database_opens_nothing_of_a_run_before_the_restore(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts
) -> None:
    south = memory.servers["south"]
    backup = memory.folder / "backup.db"
    shutil.copy(south.folder / "aggregator.db", backup)
    for suffix in ("-wal", "-shm"):
        if (beside := south.folder / f"aggregator.db{suffix}").exists():
            shutil.copy(beside, f"{backup}{suffix}")
    open_everywhere(memory, opening_of(memory, proposal, receipts))
    south.stop()
    for suffix in ("", "-wal", "-shm"):
        (south.folder / f"aggregator.db{suffix}").unlink(missing_ok=True)
        if (memory.folder / f"backup.db{suffix}").exists():
            shutil.copy(
                memory.folder / f"backup.db{suffix}",
                south.folder / f"aggregator.db{suffix}",
            )
    with pytest.raises(OperatorError, match="FS-545"):
        south.start()
    south.stop()
    with open_spool(south.folder) as spool:  # `fedsecure aggregator restore --as-it-is`
        spool.notes.note_restore(RestoreNote(at=NOW, sets_forgotten=False))
    south.start()
    three = {name: receipts[name] for name in HOSPITALS[:3]}
    again = opening_of(memory, proposal, three)
    assert open_everywhere(memory, again) == {"north": "FS-304", "south": "FS-305"}
    later = respecified(memory, proposal, round=2)
    assert code_of(put_spec(memory, "south", later.token)) == "FS-334"
    assert [row[3] for row in rounds(memory, "south")] == ["void"]


def test_a_server_that_is_wholly_set_back_gives_a_share_that_tells_nothing_alone(
    memory: MemoryFederation, proposal: Proposal, receipts: Receipts
) -> None:
    # docs/sharp-edges.md: a snapshot of the whole folder is not recognised.
    south = memory.servers["south"]
    south.stop()
    snapshot = memory.folder / "snapshot"
    shutil.copytree(south.folder, snapshot)
    south.start()
    open_everywhere(memory, opening_of(memory, proposal, receipts))
    south.set_back(snapshot)
    three = {name: receipts[name] for name in HOSPITALS[:3]}
    again = opening_of(memory, proposal, three)
    assert open_everywhere(memory, again) == {"north": "FS-304", "south": ""}
