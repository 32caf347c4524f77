"""Vectors of whole requests: one conversation, sent to a real aggregator's app.

The same bytes for whoever writes another aggregator or another client: every refusal
that a request can meet, with its status and its code.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedsecure.contributor.contribution import Contributor
from fedsecure.contributor.outbox import StoredReport
from fedsecure.errors import PROBLEMS, FedsecureError
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.owner.rounds.round_owner import RoundOwner
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.parameters import params_of
from fedsecure.protocol.signing import Author, verify
from fedsecure.protocol.statements import Opening, ReportHeader, RoundSpec
from fedsecure.transport.aggregator_client import AggregatorClient
from fedsecure.transport.retries import Patience
from fedsecure_aggregator.http.app import create_app
from fedsecure_aggregator.http.worker import Worker
from fedsecure_aggregator.rounds import recovery
from fedsecure_aggregator.rounds.accumulator import Accumulator
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rules.opening import OpeningContext, require_openable
from fedsecure_aggregator.rules.policy import Policy
from fedsecure_aggregator.storage.folder_spool import open_spool
from fedsecure_aggregator.storage.store import open_store
from tests.unit.aggregator.world import Clock

FOLDER = Path(__file__).parents[2] / "vectors"


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text("utf-8"))


KNOWN = load("federation.json")[0]
FEDERATION = Federation.model_validate(KNOWN["content"])
HTTP, OPENINGS, RECEIPTS = map(
    load, ("http.json", "bad_openings.json", "bad_receipts.json")
)


def author(name: str) -> Author:
    seed = bytes.fromhex(KNOWN["seeds"][name])
    return Author(name, Ed25519PrivateKey.from_private_bytes(seed), FEDERATION)


def named(cases: Any) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in cases]


def test_files_are_what_their_script_writes() -> None:
    script = [sys.executable, str(FOLDER / "generate_exchange.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# requests


@contextmanager
def aggregator(folder: Path, clock: Clock, policy: Policy) -> Iterator[Context]:
    """An aggregator as the vectors ask for it."""
    me, key_seed = author(HTTP["server"]), bytes.fromhex(HTTP["key_seed"])
    with open_spool(folder) as spool:
        store = open_store(str(folder / "aggregator.db"), me)
        context = Context(
            author=me,
            policy=policy,
            store=store,
            spool=spool,
            accumulator=Accumulator(spool),
            clock=clock,
            monotonic=lambda: 0.0,
            rand=lambda size: key_seed[:size],
        )
        recovery.recover(context)
        yield context
        store.close()


async def converse(
    context: Context, clock: Clock, requests: Sequence[dict[str, Any]]
) -> list[httpx.Response]:
    """Send requests in order, byte for byte, with no header of a client's own."""
    worker = Worker()
    transport = httpx.ASGITransport(create_app(context, worker))
    answers = []
    for one in requests:
        clock.now = one["clock"]
        body = bytes.fromhex(one["body_hex"]) if "body_hex" in one else one["body"]
        sent = httpx.Request(
            one["method"], f"https://north.test:8443{one['path']}", content=body
        )
        sent.headers = httpx.Headers(one["headers"])
        answer = await transport.handle_async_request(sent)
        await answer.aread()
        answers.append(answer)
    worker.stop()
    return answers


@pytest.fixture(scope="module")
def answers(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, httpx.Response]:
    folder, clock = tmp_path_factory.mktemp("http"), Clock()
    with aggregator(folder, clock, Policy()) as context:
        given = asyncio.run(converse(context, clock, HTTP["requests"]))
    names = [one["name"] for one in HTTP["requests"]]
    return dict(zip(names, given, strict=True))


def test_a_statement_sent_again_costs_nothing_and_every_read_costs_its_reader(
    tmp_path: Path,
) -> None:
    by_name = {one["name"]: one for one in HTTP["requests"]}
    clock, policy = Clock(), Policy(requests_per_minute=4)
    sent = ["spec", *["spec again"] * 6, "read", "read", "read", "read", "spec again"]
    with aggregator(tmp_path, clock, policy) as context:
        given = asyncio.run(converse(context, clock, [by_name[one] for one in sent]))
    assert [one.status_code for one in given] == [*[200] * 10, 429, 200]
    assert given[10].json()["code"] == "FS-326"


@pytest.mark.parametrize("case", named(HTTP["requests"]))
def test_a_request_is_answered_as_the_vectors_say(
    case: dict[str, Any], answers: dict[str, httpx.Response]
) -> None:
    answer = answers[case["name"]]
    code = answer.json()["code"] if answer.status_code != 200 else None
    assert (answer.status_code, code) == (case["status"], case["code"]), answer.text
    if "same_as" in case:
        assert answer.content == answers[case["same_as"]].content


@pytest.mark.parametrize("case", named(one for one in HTTP["requests"] if one["code"]))
def test_a_refusal_is_a_problem_document(
    case: dict[str, Any], answers: dict[str, httpx.Response]
) -> None:
    answer, problem = answers[case["name"]], PROBLEMS[case["code"]]
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document.pop("detail")
    assert document == {
        "type": f"urn:fedsecure:problem:{case['code']}",
        "title": problem.title,
        "status": case["status"],
        "code": case["code"],
        "remedy": problem.remedy,
    }


def test_success_has_the_type_of_its_content(
    answers: dict[str, httpx.Response],
) -> None:
    for name, media in (
        ("spec", "application/jose"),
        ("report of basel", "application/jose"),
        ("void", "application/jose"),
        ("inclusion", "application/jose"),
        ("opening", "application/octet-stream"),
        ("read", "application/json"),
        ("identity", "application/json"),
    ):
        given = answers[name].headers["content-type"]
        assert given.partition(";")[0] == media, name


def test_the_conversation_meets_every_refusal_of_an_opening_and_a_report() -> None:
    codes = {one["code"] for one in HTTP["requests"]}
    assert {f"FS-{number}" for number in range(300, 309)} <= codes
    assert {f"FS-{number}" for number in range(310, 318)} <= codes
    assert {f"FS-{number}" for number in range(320, 325)} <= codes
    assert {f"FS-{number}" for number in range(330, 334)} <= codes
    assert {f"FS-{number}" for number in range(701, 707)} - {"FS-706"} <= codes


# openings


@pytest.mark.parametrize("case", named(OPENINGS["cases"]))
def test_an_opening_is_refused_as_the_vectors_say(case: dict[str, Any]) -> None:
    opening = verify(case["token"], Opening, FEDERATION).statement
    facts = OpeningContext(
        name=OPENINGS["server"],
        federation=FEDERATION,
        spec=verify(OPENINGS["spec"], RoundSpec, FEDERATION).statement,
        least=3,
        digests={(name, number): d for name, number, d in OPENINGS["stored"]},
        opened={},
    )
    assert code_of(lambda: require_openable(opening, facts)) == case["code"]


def code_of(call: Any) -> str | None:
    try:
        call()
    except FedsecureError as error:
        return error.code
    return None


# receipts


class Kept:
    """The outbox of one report."""

    def __init__(self, report: StoredReport) -> None:
        self.report, self.received = report, list[Any]()

    def reports(self, _spec: str) -> list[StoredReport]:
        return [self.report]

    def receive(self, receipt: Any) -> None:
        self.received.append(receipt)


def deliver(receipt: str, folder: Path) -> list[Any]:
    """Send the report of the vectors; `receipt` comes back. Return what was kept."""
    header = verify(RECEIPTS["header"], ReportHeader, FEDERATION)
    payload = folder / "payload"
    payload.write_bytes(bytes(header.statement.length))
    outbox = Kept(StoredReport(header, payload))
    client = AggregatorClient(
        FEDERATION.pair[0],
        FEDERATION,
        None,
        Patience(seconds=0.0),
        httpx.MockTransport(lambda _: httpx.Response(200, text=receipt)),
    )
    me = author(header.signer)
    contributor = Contributor(
        me,
        {"north": client},
        outbox,
        lambda *_: None,
        Clock(),
        bytes,  # type: ignore[arg-type]
    )
    contributor.send_stored(header.statement.spec)
    return outbox.received


def test_a_good_receipt_is_kept(tmp_path: Path) -> None:
    (kept,) = deliver(RECEIPTS["receipts"][0], tmp_path)
    assert kept.token == RECEIPTS["receipts"][0]


@pytest.mark.parametrize("case", named(RECEIPTS["answers"]))
def test_a_data_owner_refuses_a_receipt_as_the_vectors_say(
    case: dict[str, Any], tmp_path: Path
) -> None:
    assert code_of(lambda: deliver(case["receipt"], tmp_path)) == case["code"]


def test_a_model_owner_refuses_a_grant_of_another_round() -> None:
    (grant,) = (c for c in load("statements.json") if c["name"] == "round-grant")
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, text=str(grant["token"]))
    )
    patience = Patience(seconds=0.0)
    north = FEDERATION.pair[0]
    client = AggregatorClient(north, FEDERATION, None, patience, transport)
    spec = verify(RECEIPTS["spec"], RoundSpec, FEDERATION)
    assert spec.digest != grant["statement"]["spec"]
    assert code_of(lambda: client.propose(spec)) == "FS-553"


def collect(tokens: list[str]) -> Any:
    spec = verify(RECEIPTS["spec"], RoundSpec, FEDERATION)
    proposal = Proposal(spec, params_of(spec.statement), {}, None)
    owner = RoundOwner(
        author("study"),
        dict.fromkeys(("north", "south")),  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        Path(),
        Clock(),
        bytes,
    )
    return owner.collect(proposal, "basel", tokens)


def test_the_receipts_of_both_are_taken() -> None:
    assert set(collect(RECEIPTS["receipts"])) == {"north", "south"}


@pytest.mark.parametrize("case", named(RECEIPTS["replies"]))
def test_a_model_owner_refuses_receipts_as_the_vectors_say(
    case: dict[str, Any],
) -> None:
    assert code_of(lambda: collect(case["receipts"])) == case["code"]
