"""A model owner who does not keep to the protocol: it signs and sends what it likes."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from clients.policy import Policy
from fedsecure import signing
from fedsecure.core import scheme, seal
from fedsecure.encodings import base64url, from_base64url
from fedsecure.errors import OperatorError, PeerError
from fedsecure.identity import load_federation, public_key_text
from fedsecure.rounds.contributor import Offer, TaskFacts
from fedsecure.rounds.proposal import Proposal
from fedsecure.statements import (
    AggregateShareHeader,
    Member,
    Opening,
    Purpose,
    RoundGrant,
)
from fedsecure.study.task import ConfigValue, Layer, model_digest, task_digest
from tests.protocol.attacks.forging import (
    Receipts,
    ask,
    code_of,
    granted,
    open_everywhere,
    opened,
    opening_of,
    post_opening,
    propose,
    put_spec,
    refusals,
    report_all,
    respecified,
    rounds,
    signed_text,
)
from tests.protocol.federation import (
    DIMENSION,
    HOSPITALS,
    NOW,
    OWNER,
    SERVERS,
    MemoryFederation,
    measurement_of,
    offer_of,
    refused,
    update_of,
)

# What one data owner is given instead of what all the others are.

LAYERS = [Layer("0", (20, 25))]
WEIGHTS = np.zeros(DIMENSION, np.float32)
CONFIG: dict[str, ConfigValue] = {"learning-rate": 0.1, "server-round": 1}
DEAD = np.full(DIMENSION, np.nan, np.float32)  # a model that cannot learn


def facts(
    purpose: Purpose = Purpose.TRAIN,
    layers: list[Layer] = LAYERS,
    weights: Any = WEIGHTS,
    config: dict[str, ConfigValue] = CONFIG,
) -> TaskFacts:
    """What a data owner finds in the task that reached it."""
    model = model_digest(layers, weights)
    task = task_digest(purpose, model, config)
    return TaskFacts(purpose, task.hex(), model.hex(), weights.size, config)


@pytest.mark.parametrize(
    "changed",
    [
        {"weights": DEAD},
        {"weights": np.nextafter(WEIGHTS, np.float32(1))},
        {"layers": [Layer("0", (25, 20))]},
        {"config": {**CONFIG, "learning-rate": 0.0}},
        {"config": {**CONFIG, "learning-rate": 1}},
        {"config": {**CONFIG, "only-here": True}},
        {"config": {"server-round": 1}},
        {"purpose": Purpose.EVALUATE},
    ],
    ids=[
        "a model that cannot learn",
        "a weight's last digit",
        "layers",
        "learning rate",
        "a number's type",
        "one value more",
        "one value less",
        "purpose",
    ],
)
def test_another_task_for_one_data_owner_is_refused_by_it_and_the_rest_go_on(
    memory: MemoryFederation, changed: dict[str, Any]
) -> None:
    honest = facts()
    proposal = propose(memory, task=honest.digest, model=honest.model)
    genf = memory.hospitals["genf"].contributor
    with refused("FS-340"):
        genf.accept(offer_of(proposal), facts(**changed))
    assert memory.hospitals["genf"].state.reports(proposal.spec.digest) == []
    receipts = report_all(memory, proposal, HOSPITALS[:3])
    assert opened(memory, proposal, receipts).count == 3
    # It cannot be asked for genf's part afterwards: the place in the run is taken.
    other = facts(**changed)
    again = respecified(memory, proposal, task=other.digest, model=other.model)
    assert [code_of(put_spec(memory, name, again.token)) for name in SERVERS] == [
        "FS-304",
        "FS-304",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"clip":2', '"clip":NaN'),
        ('"clip":2', '"clip":Infinity'),
        ('"clip":2', '"clip":-Infinity'),
        ('"clip":2', '"clip":1e999'),
        ('"clip":2', '"clip":-1e999'),
        ('"clip":2', '"clip":0'),
        ('"clip":2', '"clip":2,"clip":1000000'),
        ('"clip":2', '"clip":"2"'),
        ('"clip":2', '"clip":2.0'),
        ('"weight_cap":1000', '"weight_cap":1e999'),
        ('"weight_cap":1000', '"weight_cap":true'),
        ('"weight_cap":1000', '"weight_cap":18446744073709551617'),
        ('"low":0', '"low":NaN'),
        ('"high":4', '"high":1e999'),
        ('"round":1', '"round":1,"round":2'),
        ('"round":1', '"ROUND":1'),
        ('"round":1', '"\\u0072ound":1'),
        ('"deadline":', '"deadline": '),
    ],
)
def test_numbers_that_are_none_and_texts_with_two_readings_are_refused_by_everybody(
    memory: MemoryFederation, old: str, new: str
) -> None:
    proposal = propose(memory)
    text = signing.canonical(proposal.spec.statement).decode()
    assert text.count(old) == 1
    author = memory.author(OWNER)
    token = signed_text(author, "round-spec", text.replace(old, new).encode())
    assert [code_of(put_spec(memory, name, token)) for name in SERVERS] == [
        "FS-701",
        "FS-701",
    ]
    said = proposal.spec.statement
    found = TaskFacts(said.purpose, said.task, said.model, said.dimension)
    with refused("FS-701"):
        memory.hospitals["basel"].contributor.accept(
            Offer(token, offer_of(proposal).grants), found
        )
    assert [row[3] for row in rounds(memory, "north")] == ["granted"]


@pytest.mark.parametrize("low_high", [(4.0, 4.0), (4.0, 0.0), (0.0, None)])
def test_ranges_without_a_length_are_refused_by_everybody(
    memory: MemoryFederation, low_high: tuple[float, float | None]
) -> None:
    proposal = propose(memory)
    (field,) = proposal.spec.statement.scalars
    low, high = low_high
    scalars = [field.model_copy(update={"low": low, "high": high})]
    spec = respecified(memory, proposal, scalars=scalars, round=2)
    assert code_of(put_spec(memory, "north", spec.token)).startswith("FS-2")
    with pytest.raises(PeerError, match="FS-2"):
        memory.hospitals["basel"].accept(
            Proposal(spec, proposal.params, regranted(memory, proposal, spec), None)  # type: ignore[arg-type]
        )


def regranted(memory: MemoryFederation, proposal: Proposal, spec: Any) -> Any:
    """Grants of aggregators that both do what the owner wants."""
    return {
        name: memory.author(name).sign(
            grant.statement.model_copy(update={"spec": spec.digest})
        )
        for name, grant in proposal.grants.items()
    }


# Sets.


@pytest.fixture
def proposal(memory: MemoryFederation) -> Proposal:
    return propose(memory)


@pytest.fixture
def receipts(memory: MemoryFederation, proposal: Proposal) -> Receipts:
    return report_all(memory, proposal)


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
    tokens = {name: [*said, said[0]] for name, said in honest.receipts.items()}
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


def swapped_members(said: Opening) -> dict[str, list[str]]:
    return {name: tokens[::-1] for name, tokens in said.receipts.items()}


def swapped_servers(said: Opening) -> dict[str, list[str]]:
    return {"north": said.receipts["south"], "south": said.receipts["north"]}


def of_one_server(said: Opening) -> dict[str, list[str]]:
    return {"north": said.receipts["north"]}


def one_too_few(said: Opening) -> dict[str, list[str]]:
    return {name: tokens[:3] for name, tokens in said.receipts.items()}


def of_a_third_server(said: Opening) -> dict[str, list[str]]:
    return {**said.receipts, "east": said.receipts["north"]}


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
    said = signing.verify(token, AggregateShareHeader, memory.federation).statement
    info = seal.share_info(
        bytes.fromhex(memory.federation.digest),
        bytes.fromhex(proposal.spec.digest),
        said.aggregator,
        OWNER,
        bytes.fromhex(opening.digest),
    )
    plaintext = bytearray(proposal.params.plaintext_bytes)
    seal.open_sealed(proposal.key, info, payload, said.length, memoryview(plaintext))
    return scheme.AggregateShare.from_plaintext(proposal.params, plaintext, said.count)


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


# Rounds.


def test_an_owners_own_sealing_key_in_a_grant_is_refused(
    memory: MemoryFederation, proposal: Proposal
) -> None:
    mine = seal.SealingKey.from_seed(bytes(32))
    honest = proposal.grants["south"]
    said = honest.statement.model_copy(
        update={"sealing_key": base64url(mine.public_bytes)}
    )
    payload = signing.canonical(said)
    spoiled = honest.token.split(".")
    spoiled[1] = base64url(payload)
    forged = {
        "FS-703": memory.author(OWNER).sign(said).token,
        "FS-706": memory.author("north").sign(said).token,
        "FS-704": ".".join(spoiled),
    }
    own_key = memory.author(OWNER)
    in_souths_name = type(own_key)("south", own_key.key, own_key.federation)
    basel = memory.hospitals["basel"].contributor
    found = TaskFacts(
        *(proposal.spec.statement.purpose, proposal.spec.statement.task),
        *(proposal.spec.statement.model, proposal.spec.statement.dimension),
    )
    for code, token in [*forged.items(), ("FS-704", in_souths_name.sign(said).token)]:
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
    answers = [put_spec(memory, "north", proposal.spec.token) for _ in range(12)]
    assert [code_of(one) for one in answers] == [""] * 10 + ["FS-326"] * 2
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
