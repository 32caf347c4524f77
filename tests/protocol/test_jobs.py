"""Jobs of shares and services among real parties, over both real aggregators."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pytest

from fedsecure.compute import inputs, outputs, proposal
from fedsecure.compute.handout import Handout
from fedsecure.compute.numbers import Numbers
from fedsecure.compute.participant import Participant
from fedsecure.compute.policy import OwnRules
from fedsecure.compute.programs.program_file import ProgramFile
from fedsecure.compute.queries import Service
from fedsecure.core.mpc.program import Linear
from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure.membership.jobs_policy import JobsPolicy
from fedsecure.protocol.jobs.parts import JobKind, Method
from fedsecure.transport.job_server import JobServer
from fedsecure.transport.retries import Patience
from fedsecure.transport.server_connection import ServerConnection
from tests.protocol.federation import (
    OWNER,
    SERVERS,
    Entropy,
    Handler,
    MemoryFederation,
    federate,
    refused,
)

CLINIC: Final = "clinic"
A: Final = np.array([[1.0], [50.25]])
B: Final = np.array([[70.0], [0.5]])
SUMS: Final = {
    "name": "sums",
    "title": "Visits",
    "inputs": {
        "a": {"owner": OWNER, "rows": 2, "bound": 100},
        "b": {"owner": "basel", "rows": 2, "bound": 100},
        "c": {"owner": CLINIC, "rows": 2, "bound": 100},
    },
    "outputs": {"total": "a + 3 * b - c"},
}
WEIGHTS: Final = np.array([[0.5], [2.0], [-1.5]])
BIAS: Final = np.array([[0.125]])
MODEL: Final = Linear(3, 1, 16, 14, 100.0, 4.0, 8.0)
ROWS: Final = np.array([[1.0, 2.0, 3.0], [-50.0, 99.5, 0.25]])
LOGITS: Final = ROWS @ WEIGHTS + BIAS


@dataclass
class Jobs:
    """Parties of jobs, in the federation in memory."""

    memory: MemoryFederation
    stack: ExitStack
    starts: int = 0
    faults: dict[str, Any] = field(default_factory=dict)

    def start(self, name: str, min_owners: int = 1) -> Participant:
        self.starts += 1
        servers = {
            party.name: JobServer(
                ServerConnection(
                    party,
                    self.memory.federation,
                    None,
                    Patience(seconds=2.0, sleep=lambda _: None),
                    self.memory.wires[party.name],
                )
            )
            for party in self.memory.federation.aggregators
        }
        policy = JobsPolicy(receivers=frozenset({CLINIC}), min_owners=min_owners)
        party = Participant(
            self.memory.author(name),
            servers,
            self.memory.folder / "jobs" / name,
            OwnRules(policy),
            self.memory.clock,
            Entropy(f"{name} {self.starts}"),
        )
        self.stack.callback(party.close)
        return party

    def propose(self) -> tuple[Participant, Handout, SealingKey]:
        clinic = self.start(CLINIC)
        compiled = ProgramFile.model_validate(SUMS).compiled(CLINIC)
        public = {name: one.tolist() for name, one in compiled.public.items()}
        described = {"title": "Visits", "public": public}
        request = proposal.Request("sums", compiled.circuit, description=described)
        key = proposal.new_key(clinic)
        handout = proposal.propose(clinic, request, key)
        for name, numbers in compiled.public.items():
            inputs.contribute(clinic, handout, name, numbers)
        inputs.contribute(clinic, handout, "c", np.ones((2, 1)))
        return clinic, handout, key

    def serve(self, method: Method = Method.SHARES, rows: int = 100) -> Handout:
        owner = self.start(OWNER)
        request = proposal.Request(
            "heart", MODEL, JobKind.LINEAR, method, (CLINIC,), rows
        )
        handout = proposal.propose(owner, request)
        inputs.contribute(owner, handout, "model", np.vstack([WEIGHTS, BIAS]))
        return handout

    def service(self, handout: Handout) -> Service:
        clinic = self.start(CLINIC)
        return Service(clinic, handout, Numbers(clinic.folder))


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with federate(tmp_path, clinics=(CLINIC,)) as memory, ExitStack() as stack:
        yield Jobs(memory, stack)


def test_three_parties_share_numbers_and_the_clinic_alone_opens_the_sum(
    jobs: Jobs,
) -> None:
    clinic, handout, key = jobs.propose()
    inputs.contribute(jobs.start(OWNER, min_owners=2), handout, "a", A)
    inputs.contribute(jobs.start("basel", min_owners=2), handout, "b", B)
    found = outputs.fetch(clinic, handout, key)
    np.testing.assert_allclose(found["total"], A + 3 * B - 1, atol=2.0**-16)
    np.testing.assert_array_equal(
        outputs.fetch(clinic, handout, key)["total"], found["total"]
    )


def test_who_is_not_the_receiver_gets_no_output(jobs: Jobs) -> None:
    clinic, handout, key = jobs.propose()
    inputs.contribute(jobs.start(OWNER), handout, "a", A)
    basel = jobs.start("basel")
    inputs.contribute(basel, handout, "b", B)
    outputs.wait(clinic, handout)
    with refused("FS-333"):
        outputs.fetch(basel, handout, key)


def test_aggregators_that_stop_in_between_lose_nothing(jobs: Jobs) -> None:
    clinic, handout, key = jobs.propose()
    inputs.contribute(jobs.start(OWNER), handout, "a", A)
    for server in jobs.memory.servers.values():
        server.stop()
        server.start()
    inputs.contribute(jobs.start("basel"), handout, "b", B)
    found = outputs.fetch(clinic, handout, key)
    np.testing.assert_allclose(found["total"], A + 3 * B - 1, atol=2.0**-16)


def test_an_input_that_arrived_twice_counts_once(jobs: Jobs) -> None:
    """An answer is lost at each aggregator: the same bytes are sent again."""
    clinic, handout, key = jobs.propose()
    for wire in jobs.memory.wires.values():
        wire.fault = Once()
    inputs.contribute(jobs.start(OWNER), handout, "a", A)
    inputs.contribute(jobs.start("basel"), handout, "b", B)
    found = outputs.fetch(clinic, handout, key)
    np.testing.assert_allclose(found["total"], A + 3 * B - 1, atol=2.0**-16)


class Once:
    """Loses the first answer to a PUT or POST, after it was acted upon."""

    lost = False

    def __call__(self, request: httpx.Request, deliver: Handler) -> httpx.Response:
        response = deliver(request)
        if request.method != "GET" and not self.lost:
            self.lost = True
            raise httpx.ReadError("cut off", request=request)
        return response


@pytest.mark.parametrize("method", list(Method))
def test_a_service_answers_a_clinic_as_its_model_would(
    jobs: Jobs, method: Method
) -> None:
    service = jobs.service(jobs.serve(method))
    np.testing.assert_allclose(service.ask(ROWS), LOGITS, atol=1e-3)
    np.testing.assert_allclose(service.ask(ROWS[:1]), LOGITS[:1], atol=1e-3)


def test_a_lost_answer_is_asked_for_again_and_comes_as_it_was(jobs: Jobs) -> None:
    handout = jobs.serve()
    service = jobs.service(handout)
    service.ask(ROWS)
    for wire in jobs.memory.wires.values():
        wire.fault = Once()
    np.testing.assert_allclose(service.ask(ROWS), LOGITS, atol=1e-3)
    for name in SERVERS:
        asked = [
            request
            for request in jobs.memory.wires[name].carried
            if "/queries/" in request.url.path
        ]
        assert len(asked) == 3
        assert asked[1].content == asked[2].content


def test_a_client_that_lost_its_folder_goes_on_where_the_aggregators_are(
    jobs: Jobs,
) -> None:
    handout = jobs.serve()
    first = jobs.service(handout)
    for _ in range(3):
        first.ask(ROWS[:1])
    folder = jobs.memory.folder / "jobs" / CLINIC
    (folder / f"{handout.digest}.numbers").unlink()
    np.testing.assert_allclose(jobs.service(handout).ask(ROWS), LOGITS, atol=1e-3)


def test_a_client_is_answered_so_many_rows_and_no_more(jobs: Jobs) -> None:
    service = jobs.service(jobs.serve(rows=3))
    service.ask(ROWS)
    with refused("FS-398"):
        service.ask(ROWS)
    np.testing.assert_allclose(service.ask(ROWS[:1]), LOGITS[:1], atol=1e-3)


def test_a_service_that_ended_answers_no_more(jobs: Jobs) -> None:
    handout = jobs.serve()
    service = jobs.service(handout)
    service.ask(ROWS)
    proposal.void(jobs.start(OWNER), handout.digest, "the model is old")
    with refused("FS-392"):
        service.ask(ROWS)


def test_a_replayed_query_gets_what_was_answered_and_another_is_refused(
    jobs: Jobs,
) -> None:
    handout = jobs.serve()
    jobs.service(handout).ask(ROWS)
    wire = jobs.memory.wires["north"]
    (sent,) = [one for one in wire.carried if "/queries/" in one.url.path]
    again = wire.deliver(sent)
    assert again.status_code == 200
    path = f"{sent.url.path.rpartition('/')[0]}/1"
    other = httpx.Request("POST", f"https://north.test{path}", content=b"\0\0\0\1x")
    assert wire.deliver(other).status_code != 200


def test_aggregators_see_neither_rows_nor_sums(jobs: Jobs) -> None:
    """What travels to one of them is sealed, and differs each time."""
    service = jobs.service(jobs.serve())
    service.ask(ROWS)
    service.ask(ROWS)
    bodies = [
        one.content
        for one in jobs.memory.wires["north"].carried
        if "/queries/" in one.url.path
    ]
    assert len({body[-64:] for body in bodies}) == 2
    assert all(ROWS[0].tobytes() not in body for body in bodies)


def test_a_job_that_asks_for_more_than_an_aggregator_allows_is_refused(
    jobs: Jobs,
) -> None:
    inputs_of = {"c": {"owner": CLINIC, "rows": 20_000}}
    content = {**SUMS, "inputs": inputs_of, "outputs": {"r": "c + c"}}
    compiled = ProgramFile.model_validate(content).compiled(CLINIC)
    clinic = jobs.start(CLINIC)
    with refused("FS-443"):
        proposal.propose(
            clinic,
            proposal.Request("large", compiled.circuit),
            proposal.new_key(clinic),
        )


def test_what_a_handout_says_is_json(jobs: Jobs) -> None:
    _, handout, _ = jobs.propose()
    content = json.loads(handout.text)
    assert content.keys() == {"spec", "grants", "description"}
    assert content["grants"].keys() == set(SERVERS)
