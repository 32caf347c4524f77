"""Numbers of queries, and what a new process does after one died at each step."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fedsecure.compute import inputs, outputs, proposal
from fedsecure.compute.folder import JobFolder
from fedsecure.compute.numbers import AHEAD, Numbers
from fedsecure.compute.queries import Service
from fedsecure.errors import OperatorError
from fedsecure.system import crash_points
from fedsecure.system.crash_points import Point
from fedsecure.transport.retries import UnreachableError
from tests.unit.compute.conftest import (
    BASEL,
    BERN,
    BIAS,
    CLINIC,
    WEIGHTS,
    A,
    B,
    Parties,
    program,
    refused,
)
from tests.unit.compute.small_aggregator import Refused, SmallAggregator

SPEC = "5" * 64
ROWS = np.array([[1.0, 2.0, 3.0]])
LOGITS = ROWS @ WEIGHTS + BIAS


class Died(BaseException):
    """What a killed process does: nothing any more."""


class Fault:
    """Dies at a point, or runs something there; in one process of the test's."""

    def __init__(self, point: Point, arrive: Callable[[], None]) -> None:
        self.point, self.arrive = point, arrive


def die() -> None:
    raise Died


@contextmanager
def death_at(monkeypatch: pytest.MonkeyPatch, point: Point) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(crash_points, "_fault", Fault(point, die))
        with pytest.raises(Died):
            yield


def take(numbers: Numbers) -> int:
    with numbers.next(SPEC) as number:
        return number


def test_numbers_ascend_and_none_comes_twice(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path)
    found = [take(numbers) for _ in range(3 * AHEAD)]
    assert found == sorted(set(found))
    assert found[0] == 1


def test_a_new_process_goes_on_above_all_that_an_earlier_one_may_have_used(
    tmp_path: Path,
) -> None:
    first = Numbers(tmp_path)
    used = [take(first) for _ in range(5)]
    assert take(Numbers(tmp_path)) > max(used)


def test_two_processes_of_one_client_never_use_a_lower_number_later(
    tmp_path: Path,
) -> None:
    """Each has its own `Numbers` over one folder; they take turns."""
    found: list[int] = []

    def ask(numbers: Numbers) -> None:
        for _ in range(50):
            with numbers.next(SPEC) as number:
                found.append(number)

    processes = [
        threading.Thread(target=ask, args=(Numbers(tmp_path),)) for _ in range(3)
    ]
    for one in processes:
        one.start()
    for one in processes:
        one.join()
    assert len(found) == 150
    assert found == sorted(set(found))


def test_a_number_is_on_disk_before_it_is_used(tmp_path: Path) -> None:
    with Numbers(tmp_path).next(SPEC) as number:
        content = (tmp_path / f"{SPEC}.numbers").read_text()
        assert int(content.split("\n")[0]) >= number


def test_other_services_have_numbers_of_their_own(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path)
    take(numbers)
    with numbers.next("6" * 64) as number:
        assert number == 1


@pytest.mark.parametrize("content", [b"", b"64", b"sixty-four", b"65\n" + b"0" * 64])
def test_a_damaged_file_of_numbers_is_not_believed(
    tmp_path: Path, content: bytes
) -> None:
    take(Numbers(tmp_path))
    (tmp_path / f"{SPEC}.numbers").write_bytes(content)
    with pytest.raises(OperatorError, match="FS-541"):
        take(Numbers(tmp_path))


@pytest.mark.parametrize(
    "point", [Point.QUERY_NUMBERED, Point.QUERY_ANSWERED_A, Point.QUERY_ANSWERED_B]
)
def test_a_client_that_died_in_a_query_asks_anew_with_a_new_number(
    parties: Parties, monkeypatch: pytest.MonkeyPatch, point: Point
) -> None:
    handout = parties.serve()
    dying = parties.start(CLINIC)
    service = Service(dying, handout, Numbers(dying.folder))
    with death_at(monkeypatch, point):
        service.ask(ROWS)
    again = parties.start(CLINIC)
    found = Service(again, handout, Numbers(again.folder)).ask(ROWS)
    np.testing.assert_allclose(found, LOGITS, atol=1e-3)
    require_no_number_twice(parties)


def test_a_client_that_died_before_one_of_both_heard_goes_on(
    parties: Parties, monkeypatch: pytest.MonkeyPatch
) -> None:
    """South never got the query that North answered."""
    handout = parties.serve()
    dying = parties.start(CLINIC)
    service = Service(dying, handout, Numbers(dying.folder))
    with monkeypatch.context() as patch:
        patch.setattr(SmallAggregator, "query", dead_for(parties.south))
        with pytest.raises(Died):
            service.ask(ROWS)
    again = parties.start(CLINIC)
    found = Service(again, handout, Numbers(again.folder)).ask(ROWS)
    np.testing.assert_allclose(found, LOGITS, atol=1e-3)
    require_no_number_twice(parties)


def dead_for(away: SmallAggregator) -> Callable[..., bytes]:
    answer = SmallAggregator.query

    def query(self: SmallAggregator, *asked: object) -> bytes:
        if self is away:
            raise Died
        return answer(self, *asked)  # type: ignore[arg-type]

    return query


def require_no_number_twice(parties: Parties) -> None:
    """Each aggregator was sent one query, the same bytes, under each number."""
    for aggregator in parties.aggregators.values():
        sent: dict[str, set[bytes]] = {}
        for path, body in aggregator.asked:
            if "/queries/" in path:
                sent.setdefault(path, set()).add(body)
        assert all(len(bodies) == 1 for bodies in sent.values())


def test_a_client_whose_folder_was_lost_goes_on_where_the_aggregators_are(
    parties: Parties,
) -> None:
    handout = parties.serve()
    clinic = parties.start(CLINIC)
    service = Service(clinic, handout, Numbers(clinic.folder))
    for _ in range(3):
        service.ask(ROWS)
    (clinic.folder / f"{handout.digest}.numbers").unlink()
    again = parties.start(CLINIC)
    found = Service(again, handout, Numbers(again.folder)).ask(ROWS)
    np.testing.assert_allclose(found, LOGITS, atol=1e-3)
    assert parties.north.jobs[handout.digest].queries[CLINIC] > 3


def test_what_an_aggregator_refuses_for_another_reason_is_not_asked_again(
    parties: Parties, monkeypatch: pytest.MonkeyPatch
) -> None:
    handout = parties.serve()
    clinic = parties.start(CLINIC)
    service = Service(clinic, handout, Numbers(clinic.folder))
    service.ask(ROWS)
    before = parties.north.jobs[handout.digest].queries[CLINIC]
    parties.south.jobs[handout.digest].queries[CLINIC] = -1  # and it still refuses

    def refuse(*_: object) -> bytes:
        raise Refused(409, "FS-320", "no")

    monkeypatch.setattr(SmallAggregator, "query", refuse)
    with refused("FS-320"):
        service.ask(ROWS)
    queries = [path for path, _ in parties.south.asked if "/queries/" in path]
    assert len(queries) == 2
    assert parties.north.jobs[handout.digest].queries[CLINIC] == before


def test_an_aggregator_that_is_away_fails_the_query_alone(parties: Parties) -> None:
    handout = parties.serve()
    clinic = parties.start(CLINIC)
    service = Service(clinic, handout, Numbers(clinic.folder))
    service.ask(ROWS)
    parties.south.away = True
    with pytest.raises(UnreachableError):
        service.ask(ROWS)
    parties.south.away = False
    np.testing.assert_allclose(service.ask(ROWS), LOGITS, atol=1e-3)
    require_no_number_twice(parties)


def test_an_input_owner_that_died_sends_the_same_shares(
    parties: Parties, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic, handout, key = parties.propose(CLINIC, program({"total": "a + b"}))
    with death_at(monkeypatch, Point.INPUT_STORED):
        inputs.contribute(parties.start(BASEL), handout, "a", A)
    parties.south.away = True
    with pytest.raises(UnreachableError):
        inputs.contribute(parties.start(BASEL), handout, "a", A)
    parties.south.away = False
    inputs.contribute(parties.start(BASEL), handout, "a", A)
    inputs.contribute(parties.start(BERN), handout, "b", B)
    np.testing.assert_allclose(outputs.fetch(clinic, handout, key)["total"], A + B)


def test_an_input_of_which_one_share_alone_was_stored_is_shared_anew(
    parties: Parties, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent, for that begins when both are stored."""
    clinic, handout, key = parties.propose(CLINIC, program({"total": "a + b"}))
    with death_at(monkeypatch, Point.INPUT_STORED):
        inputs.contribute(parties.start(BASEL), handout, "a", A)
    (lone,) = (parties.folder / BASEL).rglob("a.south.input")
    lone.unlink()
    inputs.contribute(parties.start(BASEL), handout, "a", A)
    inputs.contribute(parties.start(BERN), handout, "b", B)
    np.testing.assert_allclose(outputs.fetch(clinic, handout, key)["total"], A + B)


def test_no_share_is_kept_once_both_aggregators_have_it(parties: Parties) -> None:
    _, handout, _ = parties.propose(CLINIC, program({"total": "a + b"}))
    basel = parties.start(BASEL)
    first = inputs.contribute(basel, handout, "a", A)
    assert not [*basel.folder.rglob("*.input")]
    again = inputs.contribute(basel, handout, "a", A + 1)
    assert {one.token for one in first.values()} == {
        one.token for one in again.values()
    }


def test_a_proposer_that_died_finds_its_job_and_takes_it_up(parties: Parties) -> None:
    compiled = program({"total": "a + b"})
    clinic = parties.start(CLINIC)
    request, key = proposal.Request("sums", compiled.circuit), proposal.new_key(clinic)
    spec = proposal.sign(clinic, request, key)
    JobFolder(clinic.folder).begin(spec, key)
    parties.south.away = True
    with pytest.raises(UnreachableError):
        proposal.grant(clinic, spec)
    parties.south.away = False
    again = parties.start(CLINIC)
    folder = JobFolder(again.folder)
    job = folder.find("sums", again.federation)
    assert job.handout is None
    handout = proposal.grant(again, job.spec)
    folder.save(handout)
    inputs.contribute(parties.start(BASEL), handout, "a", A)
    inputs.contribute(parties.start(BERN), handout, "b", B)
    found = outputs.fetch(again, handout, folder.key(handout.digest))
    np.testing.assert_allclose(found["total"], A + B)
