"""The federation changes: everybody joins the next version, and keeps what it has."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedsecure.contributor.settlement import Fate, Settlement
from fedsecure.owner.store.records import RunFinished
from fedsecure.owner.store.states import RunState
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.statements import Inclusion, Read, Receipt
from fedsecure.system.crash_points import Point
from fedsecure_clients.agent import receipts
from fedsecure_clients.consent.policy import Policy
from fedsecure_clients.state.roster import roster_of
from fedsecure_clients.state.studies import Decision
from tests.protocol.audit.harm import opened as opened_file
from tests.protocol.audit.story import QUIET, Records, hold, model_after, settle
from tests.protocol.federation import (
    HOSPITALS,
    MODEL,
    MemoryFederation,
    measurement_of,
    run_started,
)
from tests.protocol.test_consent import Bench, decide, named, refused
from tests.protocol.test_resume import Killed, Owner, die_at, owner

__all__ = ["die_at", "owner"]  # fixtures

DAVOS = {"davos": Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)}
NEW_KEY = {"north": Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)}
STAYING = ("basel", "bern", "chur")
AFTER = (*STAYING, "davos")  # genf has left


def second_run(memory: MemoryFederation, model: str) -> None:
    start = run_started("run-2")
    initial = replace(start.initial_model, path="models/run-2/begin.npy", digest=model)
    source = memory.folder / start.initial_model.path
    target = memory.folder / initial.path
    target.parent.mkdir()
    shutil.copy(source, target)
    memory.store.start_run(replace(start, initial_model=initial))


def opened(memory: MemoryFederation, model: str, names: Sequence[str]) -> set[str]:
    """Open a sum over these, from this model, in a run of its own."""
    memory.clock.now += 60.0
    run = f"run-{memory.clock.now:.0f}"
    memory.store.start_run(run_started(run))
    request = memory.request(run=run, cohort=names, model=model)
    proposal = memory.owner.propose(request)
    found = {
        name: memory.hospitals[name].answer(proposal, measurement_of(name))
        for name in names
    }
    done = memory.owner.open(proposal, found)
    return {one.reporter for one in done.opening.statement.set}


def test_one_model_is_not_opened_over_who_left_and_then_over_who_came_in(
    memory: MemoryFederation,
) -> None:
    """A hospital that comes in would give its first update away."""
    hold(memory, 1)
    memory.change(AFTER, {**DAVOS, **NEW_KEY})
    for names in (AFTER, STAYING):
        with refused("FS-324"):
            opened(memory, MODEL, names)
    other = model_after(1)
    assert opened(memory, other, AFTER) == set(AFTER)
    # And so it is after one more change, back to who was there at first.
    memory.change(HOSPITALS)
    with refused("FS-324"):
        opened(memory, other, HOSPITALS)
    assert opened(memory, MODEL, HOSPITALS) == set(HOSPITALS)


def two_versions(memory: MemoryFederation) -> Records:
    """Hold a run under each of two versions; north's key is another in the second."""
    hold(memory, 1)
    hold(memory, 2)
    memory.store.finish_run(RunFinished("run-1", RunState.COMPLETED))
    memory.change(AFTER, {**DAVOS, **NEW_KEY})
    second_run(memory, model_after(10))
    hold(memory, 11, names=AFTER, run="run-2")
    hold(memory, 12, names=AFTER, run="run-2")
    memory.store.finish_run(RunFinished("run-2", RunState.COMPLETED))
    return Records(memory.folder, memory.federation, memory.keys, tuple(memory.past))


def test_one_audit_says_that_records_over_two_versions_agree(
    memory: MemoryFederation,
) -> None:
    records = two_versions(memory)
    report = records.audit()
    assert report.holds, report.findings
    for query in (
        "SELECT count(*) FROM events WHERE kind = 'federation-changed'",
        "SELECT count(*) FROM v_event WHERE kind = 'federation-changed'",
    ):
        for name in ("north", "south"):
            assert memory.servers[name].ask(query) == [(1,)]
    # Without the first version nothing can be said, and what is missing is named.
    report = replace(records, past=()).audit()
    assert {one.code for one in report.findings} == {"FS-654"}
    assert all(memory.past[0].digest in one.what for one in report.findings)


def test_receipts_of_both_versions_are_proof_together(memory: MemoryFederation) -> None:
    hold(memory, 1)  # nobody asked yet what became of it
    memory.change(AFTER, {**DAVOS, **NEW_KEY})
    second_run(memory, model_after(10))
    hold(memory, 11, names=AFTER, run="run-2")
    settle(memory)
    state = memory.hospitals["basel"].state
    assert state.unsettled() == []
    assert state.fates() == {"included": 2}
    keys = Federations([*memory.past, memory.federation])
    stores = [
        str(memory.folder / name / "aggregator.db") for name in ("north", "south")
    ]
    report = receipts.check("basel", memory.folder / "basel", stores, keys, QUIET)
    assert report.holds, report.findings
    report = receipts.check(
        "basel", memory.folder / "basel", [], Federations([memory.federation]), QUIET
    )
    assert {one.code for one in report.findings} == {"FS-641"}
    assert all("FS-654" in one.what for one in report.findings)


@pytest.mark.parametrize("column", ["receipt", "inclusion"])
def test_a_replaced_key_signs_no_proof_for_a_later_report(
    memory: MemoryFederation, column: str
) -> None:
    old = memory.author("north")
    memory.change(AFTER, {**DAVOS, **NEW_KEY})
    hold(memory, 1, names=AFTER)
    settle(memory)
    keys = Federations([*memory.past, memory.federation])
    kind = {"receipt": Receipt, "inclusion": Inclusion}[column]
    with opened_file(memory.folder / "basel" / "agent.db") as state:
        query = f"SELECT {column} FROM reports WHERE aggregator = 'north'"  # noqa: S608
        (token,) = state.execute(query).fetchone()
        statement = keys.verify(token, kind).statement
        forged = statement.model_copy(update={"federation": old.federation.digest})
        update = f"UPDATE reports SET {column} = ? WHERE aggregator = 'north'"  # noqa: S608
        state.execute(update, (old.sign(forged).token,))
    report = receipts.check("basel", memory.folder / "basel", [], keys, QUIET)
    assert "FS-641" in {one.code for one in report.findings}


def test_a_round_under_way_is_void_and_its_reports_are_not_sent_any_more(
    memory: MemoryFederation,
) -> None:
    proposal = memory.owner.propose(memory.request())
    for name in HOSPITALS:
        basel = memory.hospitals[name]
        accepted = basel.accept(proposal)
        basel.contributor.contribute(accepted, measurement_of(name))
    memory.hospitals["bern"].contributor.deliver(
        memory.hospitals["bern"].accept(proposal)
    )
    memory.change(HOSPITALS)
    basel = memory.hospitals["basel"]
    assert basel.state.undelivered(memory.clock()) == []
    for server in memory.servers.values():
        assert server.ask("SELECT state, void_reason FROM rounds") == [
            ("void", "the federation changed")
        ]
        left = list((server.folder / "rounds").iterdir())
        assert left == []
    bern = memory.hospitals["bern"]
    settlement = Settlement(
        memory.author("bern"), memory.clients(), bern.state, memory.clock
    )
    (spec,) = bern.state.unsettled()
    reports = bern.state.reports(spec)
    by_name = {one.header.statement.aggregator: one for one in reports}
    assert settlement.settle(by_name) is Fate.VOID


def test_an_aggregator_signs_no_receipt_for_a_round_of_an_earlier_version(
    memory: MemoryFederation,
) -> None:
    hold(memory, 1)
    (spec,) = [one.spec_digest for one in memory.store.rounds("run-1")]
    memory.change(HOSPITALS)
    for name, client in memory.clients().items():
        ticket = Read(
            federation=memory.federation.digest,
            aggregator=name,
            reader="consortium",
            method="GET",
            path=f"/v1/rounds/{spec}",
            expires=int(memory.clock()) + 60,
        )
        standing = client.standing(spec, memory.author("consortium").sign(ticket))
        assert standing.receipts == []


@pytest.mark.parametrize(
    ("point", "states"),
    [
        (Point.SPEC_RECORDED, [1, 2]),
        (Point.RECEIPTS_COLLECTED, [1, 2]),
        (Point.OPENING_RECORDED, [1, 2]),
        (Point.SHARE_B_FETCHED, [1]),  # both opened it: its number is burnt
    ],
)
def test_a_run_goes_on_over_a_change_and_its_round_under_way_is_void(
    owner: Owner,
    die_at: Callable[[Point, int], None],
    point: Point,
    states: list[int],
) -> None:
    memory = owner.memory
    die_at(point, 2)
    with pytest.raises(Killed):
        owner.run()
    for wire in memory.wires.values():
        wire.fault = None
    memory.change(HOSPITALS, NEW_KEY)
    owner.resume()
    found = [one for one in memory.store.rounds("run-1") if one.round == 2]
    assert [one.attempt for one in found] == states
    assert [one.state.value for one in found] == ["void", "opened"][: len(states)]
    assert found[0].burnt == (len(states) == 1)
    assert "FS-657" in [one.reason for one in owner.shown if one.reason][-1]
    keys = tuple(memory.past)
    report = Records(memory.folder, memory.federation, memory.keys, keys).audit()
    assert [one for one in report.findings if one.check < 13] == []


# what a person approved


APPROVED = Policy(studies="approved")


def approved(memory: MemoryFederation, policy: Policy) -> Bench:
    bench = Bench(memory, policy)
    decide(bench, bench.propose(), Decision.APPROVED)
    bench.answer(bench.propose())
    return bench


def go_on(bench: Bench, policy: Policy) -> None:
    bench.basel = bench.memory.hospital("basel", policy)


def test_an_approval_holds_when_hospitals_come_and_go_and_keys_change(
    memory: MemoryFederation,
) -> None:
    bench = approved(memory, APPROVED)
    memory.change(AFTER, {**DAVOS, **NEW_KEY})
    go_on(bench, APPROVED)
    proposal = bench.propose(cohort=AFTER)
    bench.answer(proposal)
    assert bench.held(proposal) == {"basel"}


def test_an_approval_for_a_roster_asks_again_when_somebody_comes_in(
    memory: MemoryFederation,
) -> None:
    careful = Policy(studies="approved", roster="approved")
    bench = approved(memory, careful)
    memory.change(STAYING)  # who leaves learns nothing more
    go_on(bench, careful)
    bench.answer(bench.propose(cohort=STAYING))
    memory.change(AFTER, DAVOS)
    go_on(bench, careful)
    proposal = bench.propose(cohort=AFTER)
    with refused("FS-762", f"study {named(bench, proposal)}: davos came in since"):
        bench.answer(proposal)
    decide(bench, proposal, Decision.APPROVED)
    bench.answer(proposal)
    memory.change(AFTER, NEW_KEY)
    go_on(bench, careful)
    with refused("FS-762"):
        bench.answer(bench.propose(cohort=AFTER))


def test_a_clinic_that_comes_in_asks_for_no_approval(memory: MemoryFederation) -> None:
    """Its key is not in the trainings, and so not in what was approved."""
    careful = Policy(studies="approved", roster="approved")
    bench = approved(memory, careful)
    memory.clinics = ["clinic"]
    memory.change(HOSPITALS, {"clinic": Ed25519PrivateKey.generate()})
    assert [party.name for party in memory.federation.clients] == ["clinic"]
    go_on(bench, careful)
    proposal = bench.propose()
    bench.answer(proposal)
    assert bench.held(proposal) == {"basel"}


def test_a_refusal_holds_whoever_comes_in(memory: MemoryFederation) -> None:
    bench = Bench(memory, APPROVED)
    decide(bench, bench.propose(), Decision.REFUSED)
    memory.change(AFTER, DAVOS)
    go_on(bench, APPROVED)
    with refused("FS-419"):
        bench.answer(bench.propose(cohort=AFTER))
    known = bench.basel.state.studies.all()[0]
    assert known.roster == roster_of(memory.past[0])


def test_the_rounds_of_a_study_are_counted_over_all_versions(
    memory: MemoryFederation,
) -> None:
    few = Policy(studies="any", max_rounds=1)
    bench = Bench(memory, few)
    bench.answer(bench.propose())
    memory.change(AFTER, DAVOS)
    go_on(bench, few)
    memory.store.start_run(run_started("run-2"))
    with refused("FS-411"):
        bench.answer(bench.propose(run="run-2", round=1, cohort=AFTER))
