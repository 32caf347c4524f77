"""What both servers have of a computation: shares, ciphertexts and shapes, no number.

Everything is searched that reached either of them or lies there: the wire in both
directions, whole data folders with their databases, ledgers as exports, and logs.
"""

import re
import sqlite3
import struct
from collections.abc import Iterator, Mapping
from typing import Final

import httpx
import numpy as np
import pytest

from fedsecure.audit.stores import exports
from fedsecure.audit.stores.kinds import aggregator_kind
from fedsecure.audit.stores.sources import snapshot
from fedsecure.compute import inputs, outputs, proposal
from fedsecure.core.mpc.program import Linear
from fedsecure.protocol.jobs.parts import JobKind, Method
from tests.protocol.federation import OWNER, SERVERS, Handler
from tests.protocol.test_jobs import CLINIC, Jobs, jobs

__all__ = ["jobs"]  # a fixture

MODEL: Final = Linear(3, 1, 16, 14, 100.0, 4.0, 8.0)
ROWS: Final = np.array([[12.3456789, -73.2187501, 41.0009766]])
WEIGHTS: Final = np.array([[1.2345678], [-3.1415927], [0.5772157]])
BIAS: Final = np.array([[2.7182818]])
SHARED: Final = np.array([[61.8033989], [-27.1828183]])
BITS: Final = {"rows": 16, "weights": 14, "bias": 30, "shared": 16, "logits": 30}
LOGITS: Final = ROWS @ WEIGHTS + BIAS
SECRETS: Final = {
    "rows": ROWS,
    "weights": WEIGHTS,
    "bias": BIAS,
    "shared": SHARED,
    "logits": LOGITS,
}
SHORTEST: Final = 10**5  # digits that stand somewhere by chance say nothing


def patterns(name: str) -> Iterator[bytes]:
    """Every way in which a number could stand somewhere in the clear."""
    for number in SECRETS[name].ravel().tolist():
        word = round(number * 2 ** BITS[name])
        for order in "<>":
            yield struct.pack(f"{order}d", number)
            yield struct.pack(f"{order}q", word)
        yield f"{abs(number):.5f}".encode()
        if abs(word) >= SHORTEST:
            yield str(abs(word)).encode()


PATTERNS: Final = {pattern: name for name in SECRETS for pattern in patterns(name)}
ANY: Final = re.compile(b"|".join(map(re.escape, PATTERNS)), re.DOTALL)


def found(places: Mapping[str, bytes]) -> set[tuple[str, str]]:
    """Where which numbers stand in the clear."""
    return {
        (where, PATTERNS[match])
        for where, content in places.items()
        for match in ANY.findall(content)
    }


class Everything:
    """What the two servers got, sent, keep and say."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self.answers: dict[str, list[bytes]] = {name: [] for name in SERVERS}
        for name in SERVERS:
            jobs.memory.wires[name].fault = self._recorder(name)

    def _recorder(self, name: str):  # type: ignore[no-untyped-def]
        def record(request: httpx.Request, deliver: Handler) -> httpx.Response:
            answer = deliver(request)
            self.answers[name].append(answer.read())
            return answer

        return record

    def places(self, log: str) -> dict[str, bytes]:
        """All of it, by where it is."""
        places = {"log": log.encode()}
        for name in SERVERS:
            folder = self.jobs.memory.servers[name].folder
            for path in sorted(one for one in folder.rglob("*") if one.is_file()):
                places[f"{name} {path.relative_to(folder)}"] = path.read_bytes()
            for number, request in enumerate(self.jobs.memory.wires[name].carried):
                head = f"{request.method} {request.url} {request.headers}"
                places[f"{name} request {number}"] = head.encode() + request.content
            for number, answer in enumerate(self.answers[name]):
                places[f"{name} answer {number}"] = answer
            places[f"{name} export"] = self._export(name)
        return places

    def _export(self, name: str) -> bytes:
        path = self.jobs.memory.folder / f"{name}.jsonl"
        store = self.jobs.memory.servers[name].folder / "aggregator.db"
        with snapshot(str(store), aggregator_kind()) as connection:
            exports.write(connection, aggregator_kind(), path, lambda _: None)
        return path.read_bytes()


def ask_a_service(jobs: Jobs, method: Method) -> None:
    """Serve the model, and ask it about the rows."""
    owner = jobs.start(OWNER)
    request = proposal.Request("secret", MODEL, JobKind.LINEAR, method, (CLINIC,), 10)
    handout = proposal.propose(owner, request)
    inputs.contribute(owner, handout, "model", np.vstack([WEIGHTS, BIAS]))
    logits = jobs.service(handout).ask(ROWS)
    np.testing.assert_allclose(logits, LOGITS, atol=1e-2)


def add_numbers(jobs: Jobs) -> None:
    """Open a sum of three parties' numbers."""
    clinic, handout, key = jobs.propose()
    for name, party in (("a", OWNER), ("b", "basel")):
        inputs.contribute(jobs.start(party), handout, name, SHARED)
    opened = outputs.fetch(clinic, handout, key)["total"]
    np.testing.assert_allclose(opened, 4 * SHARED - 1, atol=1e-3)


@pytest.fixture
def everything(jobs: Jobs) -> Everything:
    return Everything(jobs)


@pytest.mark.parametrize("method", Method)
def test_servers_have_no_number_of_a_service(
    everything: Everything, method: Method, capfd: pytest.CaptureFixture[str]
) -> None:
    ask_a_service(everything.jobs, method)
    places = everything.places("".join(capfd.readouterr()))
    assert any(
        "queries" in content[:200].decode("latin1") for content in places.values()
    )
    assert found(places) == set()


def test_servers_have_no_number_that_was_shared(
    everything: Everything, capfd: pytest.CaptureFixture[str]
) -> None:
    add_numbers(everything.jobs)
    assert found(everything.places("".join(capfd.readouterr()))) == set()


@pytest.mark.parametrize("name", SECRETS)
def test_a_number_in_the_clear_would_be_found_wherever_it_is(
    everything: Everything, name: str
) -> None:
    add_numbers(everything.jobs)
    folder = everything.jobs.memory.servers["north"].folder
    planted = sorted(set(patterns(name)))
    (folder / "planted").write_bytes(b"\0".join(planted))
    with sqlite3.connect(folder / "aggregator.db") as store:
        store.execute("CREATE TABLE planted (number)")
        store.executemany("INSERT INTO planted VALUES (?)", [(one,) for one in planted])
    store.close()
    everything.answers["south"].append(b"..." + planted[0])
    where = found(everything.places(f"said {planted[-1].decode('latin1')}"))
    places = {place for place, what in where if what == name}
    assert "north planted" in places
    assert any(place.startswith("north aggregator.db") for place in places)
    assert any(place.startswith("south answer") for place in places)
    for one in planted:
        assert found({"by itself": b"x" + one + b"x"}), one
