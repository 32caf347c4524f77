"""What the network does to the model owner's requests changes no result."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import httpx
import pytest

from fedsecure.transport.aggregator_client import AggregatorClient
from fedsecure.transport.retries import Patience
from tests.protocol.federation import Fault, Handler, MemoryFederation, federate
from tests.protocol.test_resume import Owner

SPEC: Final = "PUT /v1/rounds/*"
OPEN: Final = "POST /v1/rounds/*/open"
STANDING: Final = "GET /v1/rounds/*"
TIMES: Final = 2  # a request meets the fault so often in a row, in every round


def kind_of(request: httpx.Request) -> str:
    parts = request.url.path.split("/")
    parts[3:4] = ["*"]
    return f"{request.method} {'/'.join(parts)}"


def refused(request: httpx.Request, _deliver: Handler) -> httpx.Response:
    msg = "[Errno 111] Connection refused"
    raise httpx.ConnectError(msg, request=request)


def slow(request: httpx.Request, deliver: Handler) -> httpx.Response:
    deliver(request)
    msg = "timed out"
    raise httpx.ReadTimeout(msg, request=request)


def lost(request: httpx.Request, deliver: Handler) -> httpx.Response:
    deliver(request)
    msg = "Connection reset by peer"
    raise httpx.ReadError(msg, request=request)


def cut(request: httpx.Request, deliver: Handler) -> httpx.Response:
    answer = deliver(request)
    return httpx.Response(
        answer.status_code, headers=answer.headers, stream=_Half(answer.content)
    )


def twice(request: httpx.Request, deliver: Handler) -> httpx.Response:
    deliver(request)
    return deliver(request)


class _Half(httpx.SyncByteStream):
    """An answer whose connection breaks in the middle of the body."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content[: len(self._content) // 2]
        msg = "peer closed connection without sending complete message body"
        raise httpx.RemoteProtocolError(msg)


FAULTS: Final = (refused, slow, lost, cut, twice)


def first_times(fault: Fault, kind: str, met: Counter[str]) -> Fault:
    """Let each request of a kind meet a fault the first times that it is sent."""

    def choose(request: httpx.Request, deliver: Handler) -> httpx.Response:
        if kind_of(request) != kind:
            return deliver(request)
        met[request.url.path] += 1
        if met[request.url.path] <= TIMES:
            return fault(request, deliver)
        return deliver(request)

    return choose


def patient(memory: MemoryFederation) -> dict[str, AggregatorClient]:
    patience = Patience(seconds=60.0, sleep=lambda _seconds: None)
    return {
        party.name: AggregatorClient(
            party,
            memory.federation,
            None,
            patience=patience,
            transport=memory.wires[party.name],
        )
        for party in memory.federation.aggregators
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    with federate(tmp_path_factory.mktemp("undisturbed")) as memory:
        return Owner(memory).run()


@pytest.mark.parametrize("kind", [SPEC, OPEN])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_request_that_meets_a_fault_has_the_same_result_in_the_end(
    memory: MemoryFederation, undisturbed: bytes, fault: Fault, kind: str
) -> None:
    memory.owner = replace(memory.owner, aggregators=patient(memory))
    met: Counter[str] = Counter()
    for wire in memory.wires.values():
        wire.fault = first_times(fault, kind, met)
    owner = Owner(memory)
    assert owner.run() == undisturbed
    assert met  # the fault was there
    assert {one.attempt for one in memory.store.rounds("run-1")} == {1}
    for server in memory.servers.values():
        opened = server.ask(
            "SELECT round, purpose, COUNT(*) FROM openings GROUP BY 1, 2"
        )
        assert {count for _, _, count in opened} == {1}
        assert len(opened) == 4


@pytest.mark.parametrize("fault", FAULTS)
def test_a_void_that_meets_a_fault_is_confirmed_in_the_end(
    memory: MemoryFederation, fault: Fault
) -> None:
    memory.owner = replace(memory.owner, aggregators=patient(memory))
    proposal = memory.owner.propose(memory.request())
    for wire in memory.wires.values():
        wire.fault = first_times(fault, "POST /v1/rounds/*/void", Counter())
    voided = memory.owner.void(proposal.spec, "a test")
    assert sorted(voided.confirmations) == ["north", "south"]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_standing_of_a_round_is_read_in_the_end(
    memory: MemoryFederation, fault: Fault
) -> None:
    memory.owner = replace(memory.owner, aggregators=patient(memory))
    proposal = memory.owner.propose(memory.request())
    for wire in memory.wires.values():
        wire.fault = first_times(fault, STANDING, Counter())
    assert memory.owner.held(proposal) == {"north": {}, "south": {}}
