"""An aggregator loses what it holds, a report or its share: the run goes on."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from flwr.serverapp.strategy import FedAvg

from fedsecure.audit.findings import Report
from fedsecure.audit.verify import audit
from fedsecure.errors import PeerError
from fedsecure.owner.store.records import Status
from fedsecure.protocol.federation_versions import Federations
from tests.protocol.audit.story import QUIET
from tests.protocol.federation import (
    HOSPITALS,
    Fault,
    Handler,
    MemoryFederation,
    refused,
)
from tests.protocol.test_resume import Owner, owner
from tests.protocol.test_secure_aggregation import Training, few, options, training

__all__ = ["owner", "training"]  # fixtures

REST = ["basel", "chur", "genf"]


def at_once(path: str, harm: Callable[[], None]) -> Fault:
    """Do harm before the first request of a kind arrives."""
    left = [harm]

    def fault(request: httpx.Request, deliver: Handler) -> httpx.Response:
        if request.url.path.endswith(path) and left:
            left.pop()()
        return deliver(request)

    return fault


def restarted_without(memory: MemoryFederation, *names: str) -> Callable[[], None]:
    """North dies, and comes back with some reports' last bytes changed."""
    server = memory.servers["north"]

    def harm() -> None:
        server.stop()
        for name in names:
            for file in server.folder.glob(f"rounds/*/reports/{name}"):
                content = bytearray(file.read_bytes())
                content[-1] ^= 1
                file.write_bytes(content)
        server.start()

    return harm


def audited(memory: MemoryFederation) -> Report:
    stores = [memory.folder / name / "aggregator.db" for name in ("north", "south")]
    return audit(
        str(memory.folder / "rounds.db"),
        [str(one) for one in stores],
        Federations([memory.federation]),
        QUIET,
        memory.folder,
    )


def contradictions(report: Report) -> list[str]:
    """What was found, but that these runs begin with a model of the test's own."""
    return [f"{one.code} {one.what}" for one in report.findings if one.check != 13]


def test_a_round_is_opened_without_the_report_that_one_aggregator_lost(
    memory: MemoryFederation, training: Training
) -> None:
    harm = restarted_without(memory, "bern")
    memory.wires["north"].fault = at_once("/fold", harm)
    training.run(FedAvg(**few()), rounds=2)
    first, second, _ = training.outcomes
    assert (first.included, second.included) == (REST, list(HOSPITALS))
    (absent,) = first.missing
    assert (absent.name, absent.status) == ("bern", Status.LOST)
    assert absent.reason == "north lost its report"


def test_an_audit_names_the_report_that_was_lost_and_finds_no_contradiction(
    owner: Owner,
) -> None:
    memory = owner.memory
    memory.wires["north"].fault = at_once("/fold", restarted_without(memory, "bern"))
    owner.run(min_cohort=3)
    report = audited(memory)
    assert contradictions(report) == []
    (note,) = [one for one in report.notes if "lost" in one]
    assert "run-1 train round 1" in note
    assert "north lost the report of bern after it had given a receipt" in note


def test_a_round_of_which_too_few_reports_are_left_is_void_and_repeated(
    memory: MemoryFederation, training: Training
) -> None:
    harm = restarted_without(memory, "bern", "chur")
    memory.wires["north"].fault = at_once("/fold", harm)
    training.run(FedAvg(**options()), rounds=1)
    first, second = training.outcomes[:2]
    assert first.opened is None
    assert first.reason == "2 reported, 3 needed"
    assert sorted(first.voids) == ["north", "south"]
    assert second.included == list(HOSPITALS)


def test_a_report_lost_after_the_set_was_fixed_burns_the_round_that_was_opened(
    owner: Owner,
) -> None:
    """It was there when both added up; north dies in between, south has opened."""
    memory = owner.memory
    memory.wires["north"].fault = at_once("/open", restarted_without(memory, "bern"))
    owner.run()
    first = memory.store.rounds("run-1")[0]
    assert first.burnt
    (reason,) = [one.reason for one in owner.shown if one.reason]
    assert reason.startswith("burnt: opened at south and lost (FS-328")
    assert "bern" in reason
    assert contradictions(audited(memory)) == []


def test_a_report_lost_after_the_set_was_fixed_voids_a_round_that_nobody_opened(
    owner: Owner,
) -> None:
    memory = owner.memory
    harm = restarted_without(memory, "bern")
    memory.wires["north"].fault = at_once("/open", harm)
    memory.wires["south"].fault = _first_answer_is("/open", "FS-308", 410)
    owner.run()
    states = [(one.round, one.state) for one in memory.store.rounds("run-1")]
    assert states[:2] == [(1, "void"), (1, "opened")]


def _first_answer_is(path: str, code: str, status: int) -> Fault:
    left = [httpx.Response(status, json={"code": code, "detail": "as a test says"})]

    def fault(request: httpx.Request, deliver: Handler) -> httpx.Response:
        if request.url.path.endswith(path) and left:
            return left.pop()
        return deliver(request)

    return fault


def share_of(memory: MemoryFederation, name: str) -> Path:
    (found,) = memory.servers[name].folder.glob("rounds/*/share")
    return found


@pytest.mark.parametrize("harm", ["damaged", "missing"])
def test_a_share_that_was_lost_is_never_sent_and_burns_the_round(
    owner: Owner, harm: str
) -> None:
    memory, sent = owner.memory, []

    def lose_the_answer(request: httpx.Request, deliver: Handler) -> httpx.Response:
        if not request.url.path.endswith("/open") or len(sent) == 2:
            return deliver(request)
        sent.append(deliver(request))
        if len(sent) == 1:
            share = share_of(memory, "north")
            if harm == "damaged":
                share.write_bytes(share.read_bytes()[:-1] + b"x")
            else:
                share.unlink()
            msg = "cut by the test"
            raise httpx.ReadError(msg, request=request)
        return sent[-1]

    memory.wires["north"].fault = lose_the_answer
    with refused("FS-551"):
        owner.run()
    owner.resume()
    first = memory.store.rounds("run-1")[0]
    assert first.burnt
    (reason,) = [one.reason for one in owner.shown if one.reason]
    assert reason.startswith("burnt: opened at north and south and lost (FS-329")
    assert [one.state for one in memory.store.rounds("run-1")][1:] == ["opened"] * 3


def test_shares_that_stay_wrong_stop_the_run_once_and_it_goes_on_at_the_next_round(
    owner: Owner,
) -> None:
    """Some aggregator sends other bytes than it signs; that stays so."""
    asked: list[str] = []

    def spoil(request: httpx.Request, deliver: Handler) -> httpx.Response:
        response = deliver(request)
        if not request.url.path.endswith("/open"):
            return response
        asked.append(request.url.path)
        content = response.content[:-1] + bytes([response.content[-1] ^ 1])
        return httpx.Response(200, headers=response.headers, content=content)

    owner.memory.wires["south"].fault = spoil
    with pytest.raises(PeerError, match="FS-354"):
        owner.run()
    assert len(asked) == 2
    assert owner.memory.store.rounds("run-1")[0].burnt
    owner.resume()
    rounds = owner.memory.store.rounds("run-1")
    assert [(one.round, one.state) for one in rounds] == [
        *((1, "void"), (2, "opened"), (3, "opened")),
        (3, "opened"),  # the evaluation
    ]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_what_may_pass_is_not_taken_for_an_answer(owner: Owner, status: int) -> None:
    """Nor a proxy's word while the server behind it starts again."""
    memory = owner.memory
    left = ["a proxy speaks"]

    def fault(request: httpx.Request, deliver: Handler) -> httpx.Response:
        if request.url.path.endswith("/open") and left:
            return httpx.Response(status, text=left.pop())
        return deliver(request)

    memory.wires["south"].fault = fault
    with refused("FS-553"):
        owner.run()  # this federation has no patience at all
    owner.resume()
    rounds = memory.store.rounds("run-1")
    assert [(one.attempt, one.state) for one in rounds] == [(1, "opened")] * 4
