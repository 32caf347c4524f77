"""Attacks on jobs over HTTP: each is refused, and changes nothing.

Each test is one attack, named after what the attacker tries.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest
from sqlalchemy import text

from fedsecure.core.homomorphic import gmp, keys, queries
from fedsecure.core.mpc import ring
from fedsecure.core.mpc.program import Circuit, Linear, Operation
from fedsecure.core.sealing import seal_info
from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure.errors import OperatorError
from fedsecure.protocol.encodings import base64url
from fedsecure.protocol.jobs.statements import JobQuery, JobSpec
from fedsecure_aggregator.jobs.paillier import MOST_POWERS
from tests.conftest import Databases
from tests.unit.aggregator.jobs.conftest import Http, JobPair, path_of
from tests.unit.aggregator.jobs.world import (
    BITS,
    ROWS,
    SUM,
    A,
    Job,
    JobWorld,
    Upload,
    matrix,
    model_words,
)
from tests.unit.aggregator.world import CLINIC, NOW, OWNER, SERVERS

MIXED: Final = Circuit(
    inputs=(matrix("a", "basel"), matrix("p", "bern", secret=False)),
    operations=(Operation("add", "total", ("a", "p")),),
    outputs=("total",),
)
REFUSED: Final = "SELECT signer, statement, code FROM v_refusal ORDER BY entry"


@pytest.fixture
def databases() -> Databases:
    """Nothing here depends on which database it is."""
    return str


@pytest.fixture
def north(http: dict[str, Http]) -> Http:
    return http["north"]


def recorded(both: JobPair) -> list[tuple[Any, ...]]:
    with both.north.jobs.server.store.reading("test") as session:
        return [tuple(row) for row in session.execute(text(REFUSED))]


def counted(both: JobPair) -> dict[str, int]:
    tables = ("jobs", "inputs", "queries", "answers")
    with both.north.jobs.server.store.reading("test") as session:
        return {
            one: int(session.execute(text(f"SELECT count(*) FROM {one}")).scalar_one())  # noqa: S608
            for one in tables
        }


# --- proposing ------------------------------------------------------------------------


def test_somebody_outside_of_the_federation_proposes(
    both: JobPair, north: Http
) -> None:
    stranger = JobWorld("others").job()
    assert north.refused("PUT", stranger.path, stranger.spec.token) == "FS-704"
    assert counted(both)["jobs"] == 0


def test_a_job_is_proposed_where_nothing_is_computed(
    both: JobPair, http: dict[str, Http]
) -> None:
    running = both.world.service()
    tokens = both.served(running)
    both.policy(enabled=False)
    one, job = Http(both.north, http["north"].loop), both.world.job()
    assert one.refused("PUT", job.path, job.spec.token) == "FS-446"
    # What was granted before goes on.
    assert one.ask(running, both.world.query(running, tokens, 1)["north"]).is_success
    one.close()


@pytest.mark.parametrize("proposer", ["basel", CLINIC])
def test_somebody_else_than_the_model_owner_proposes_a_service(
    both: JobPair, north: Http, proposer: str
) -> None:
    job = both.world.service(proposer=proposer)
    assert north.refused("PUT", job.path, job.spec.token) == "FS-703"
    assert recorded(both) == [(proposer, "job-spec", "FS-703")]


def test_an_aggregator_is_asked_for_an_input(both: JobPair, north: Http) -> None:
    inputs = (matrix("a", "basel"), matrix("b", "south"))
    job = both.world.job(replace(SUM, inputs=inputs))
    assert north.refused("PUT", job.path, job.spec.token) == "FS-703"


def test_a_spec_is_signed_in_the_name_of_another(both: JobPair, north: Http) -> None:
    spec = both.world.job().spec.statement
    forged = both.world.author("bern").sign(spec)
    assert north.refused("PUT", f"/v1/jobs/{forged.digest}", forged.token) == "FS-706"


def test_a_spec_that_another_replays_makes_no_second_job(
    both: JobPair, north: Http
) -> None:
    job = both.world.job()
    first = north.send("PUT", job.path, job.spec.token)
    assert north.send("PUT", job.path, job.spec.token).content == first.content
    other = both.world.job()
    assert north.refused("PUT", other.path, job.spec.token) == "FS-301"
    assert counted(both)["jobs"] == 1


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("FS-220", lambda w: w.job(_with(bound=2.0**46))),
        ("FS-223", lambda w: w.job(replace(SUM, outputs=("total", "none")))),
        ("FS-443", lambda w: w.job(_with(rows=10_001))),
        ("FS-444", lambda w: w.service(Linear(2**22, 9, 16, 8, 1.0, 1.0, 1.0))),
        ("FS-403", lambda w: w.job(deadline=NOW - 1)),
        ("FS-403", lambda w: w.job(deadline=NOW + 91 * 86_400)),
    ],
)
def test_a_program_beyond_what_the_aggregator_allows(
    both: JobPair, north: Http, code: str, make: Callable[[JobWorld], Job]
) -> None:
    job = make(both.world)
    assert north.refused("PUT", job.path, job.spec.token) == code
    assert both.north.files(job) == set()


def _with(**changes: Any) -> Circuit:
    return replace(SUM, inputs=tuple(replace(one, **changes) for one in SUM.inputs))


def test_a_kind_that_is_not_allowed_and_one_job_too_many(
    both: JobPair, http: dict[str, Http]
) -> None:
    both.policy(kinds=frozenset({"linear"}), max_open_jobs=1)
    one, world = Http(both.north, http["north"].loop), both.world
    first, second, sums = world.service(), world.service(), world.job()
    assert one.refused("PUT", sums.path, sums.spec.token) == "FS-440"
    assert one.send("PUT", first.path, first.spec.token).is_success
    assert one.refused("PUT", second.path, second.spec.token) == "FS-402"
    one.close()


def test_encrypted_rows_where_nothing_can_answer_them(
    both: JobPair, north: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise OperatorError("FS-563", "gmpy2 is not installed here")

    monkeypatch.setattr(gmp, "library", missing)
    job, plain = both.world.service(method="paillier"), both.world.service()
    assert north.refused("PUT", job.path, job.spec.token) == "FS-563"
    assert north.send("PUT", plain.path, plain.spec.token).is_success


def test_more_encrypted_rows_than_a_server_has_time_for(
    both: JobPair, north: Http
) -> None:
    """Each takes a power; one client's query would keep all others waiting."""
    world, wide = both.world, Linear(MOST_POWERS, 1, BITS, 14, 1.0, 1.0, 1.0)
    job = world.service(wide, method="paillier")
    tokens = both.started(job)
    model = np.zeros((MOST_POWERS + 1, 1))
    both.put(job, world.shared(job, tokens, "model", model, bits=0))
    size = queries.query_bytes(2048, 2, MOST_POWERS)
    asked, _ = encrypted(world, job, tokens, 1, bytes(size), rows=2)
    assert north.refused("POST", path_of(job, asked), asked.body) == "FS-443"


# --- starting -------------------------------------------------------------------------


def test_grants_of_two_different_jobs_in_one_start(both: JobPair, north: Http) -> None:
    job, other = both.world.job(), both.world.job()
    mixed = {"north": both.granted(job)["north"], "south": both.granted(other)["south"]}
    begin = both.world.start(job, mixed)
    assert north.refused("POST", f"{job.path}/start", begin) == "FS-301"
    twice = both.world.start(job, dict.fromkeys(SERVERS, mixed["north"]))
    assert north.refused("POST", f"{job.path}/start", twice) == "FS-310"
    assert both.north.state(job) == "granted"


def test_another_party_starts_or_ends_a_job(both: JobPair, north: Http) -> None:
    job = both.world.job()
    tokens = both.granted(job)
    begin = both.world.start(job, tokens, signer="bern")
    assert north.refused("POST", f"{job.path}/start", begin) == "FS-703"
    end = both.world.void(job, author="bern")
    assert north.refused("POST", f"{job.path}/void", end) == "FS-703"
    assert both.north.state(job) == "granted"


def test_a_second_start_with_another_grant_of_the_peer(
    both: JobPair, north: Http
) -> None:
    """A peer that lost its store would grant anew; what was sealed stays sealed."""
    job = both.world.job()
    tokens = both.started(job)
    again = {**tokens, "south": _regranted(both, tokens["south"])}
    begin = both.world.start(job, again)
    assert north.refused("POST", f"{job.path}/start", begin) == "FS-397"


def _regranted(both: JobPair, token: str) -> str:
    from fedsecure.protocol.jobs.statements import JobGrant  # noqa: PLC0415
    from fedsecure.protocol.signing import verify  # noqa: PLC0415

    said = verify(token, JobGrant, both.world.federation).statement
    key = base64url(both.world.sealing_key().public_bytes)
    other = said.model_copy(update={"sealing_key": key})
    return both.world.author("south").sign(other).token


def test_a_channel_key_of_somebody_who_is_not_the_peer(
    both: JobPair, north: Http
) -> None:
    job, other = both.world.job(), both.world.job()
    tokens, path = both.granted(job), f"{job.path}/channel"
    foreign = both.granted(other)
    both.north.start(job, both.world.start(job, tokens))
    channel = both.world.channel
    forged = channel(job, tokens, "south", aggregator="basel", peer="north")
    owner = both.world.author("basel").sign(_said(forged)).token
    assert north.refused("PUT", path, owner) == "FS-703"  # a data owner
    assert north.refused("PUT", path, channel(other, foreign, "south")) == "FS-301"
    assert north.refused("PUT", path, channel(job, tokens, "north")) == "FS-310"
    elsewhere = channel(job, foreign, "south")  # sealed to another job's key
    assert north.refused("PUT", path, elsewhere) == "FS-732"
    assert not both.north.standing(job)["channel"]


def _said(token: str) -> Any:
    from fedsecure.protocol.jobs.statements import JobChannel  # noqa: PLC0415
    from tests.unit.aggregator.world import payload_of  # noqa: PLC0415

    return JobChannel.model_validate(payload_of(token))


def test_a_second_channel_key_and_one_before_the_start(
    both: JobPair, north: Http
) -> None:
    job = both.world.job()
    tokens, path = both.granted(job), f"{job.path}/channel"
    early = both.world.channel(job, tokens, "south")
    assert north.refused("PUT", path, early) == "FS-391"
    begin = both.world.start(job, tokens)
    both.north.start(job, begin)
    own = both.servers["south"].start(job, begin)
    assert north.send("PUT", path, own).is_success
    assert north.refused("PUT", path, early) == "FS-397"


# --- inputs ---------------------------------------------------------------------------


def test_an_input_of_another_job_owner_name_or_aggregator(
    both: JobPair, north: Http
) -> None:
    world, job, other = both.world, both.world.job(), both.world.job()
    tokens, foreign = both.started(job), both.started(other)
    a, path = world.shared(job, tokens, "a", A), f"{job.path}/inputs/a"
    elsewhere = world.shared(other, foreign, "a", A)["north"]
    assert north.refused("PUT", path, elsewhere.body) == "FS-301"
    assert north.refused("PUT", f"{job.path}/inputs/b", a["north"].body) == "FS-310"
    assert north.refused("PUT", path, a["south"].body) == "FS-310"
    berns = world.shared(job, tokens, "a", A, owner="bern")["north"]
    assert north.refused("PUT", path, berns.body) == "FS-311"
    unknown = world.shared(job, tokens, "c", A, owner="bern")["north"]
    assert north.refused("PUT", f"{job.path}/inputs/c", unknown.body) == "FS-310"
    assert counted(both)["inputs"] == 0
    assert ("bern", "job-input", "FS-311") in recorded(both)


def test_a_second_different_input(both: JobPair, north: Http) -> None:
    job = both.world.job()
    tokens = both.started(job)
    first, second = (both.world.shared(job, tokens, "a", A) for _ in range(2))
    receipt = north.put(job, first["north"])
    path = f"{job.path}/inputs/a"
    assert north.refused("PUT", path, second["north"].body) == "FS-397"
    assert north.put(job, first["north"]).content == receipt.content


def test_an_input_longer_than_the_program_says(both: JobPair, north: Http) -> None:
    world, job = both.world, both.world.job()
    tokens, path = both.started(job), f"{job.path}/inputs/a"
    long = world.shared(job, tokens, "a", np.ones((3, 2)))
    for upload in long.values():
        if upload.header.statement.kind == "vector":
            server = upload.header.statement.aggregator
            one = north if server == "north" else None
            if one is not None:
                assert one.refused("PUT", path, upload.body) == "FS-310"
    good = world.shared(job, tokens, "a", A)["north"]
    assert north.refused("PUT", path, good.body + b"x") in {"FS-310", "FS-315"}
    assert north.refused("PUT", path, good.body + bytes(2**16)) == "FS-315"
    changed = good.body[:-1] + bytes([good.body[-1] ^ 1])
    assert north.refused("PUT", path, changed) == "FS-313"
    assert both.north.files(job) == {"key", "channel"}


def test_an_input_that_does_not_open(both: JobPair, north: Http) -> None:
    world, job = both.world, both.world.job()
    tokens = both.started(job)
    key, path = both.granted(world.job())["north"], f"{job.path}/inputs/a"
    sealed = world.sealed_input(
        job, key, "a", "seed", bytes(32), input_id=world.rand(16)
    )
    assert north.refused("PUT", path, sealed.body) == "FS-730"
    assert both.north.files(job) == {"key", "channel"}
    assert recorded(both) == [("basel", "job-input", "FS-730")]
    assert north.put(job, world.shared(job, tokens, "a", A)["north"]).is_success


def test_a_public_input_that_is_not_what_its_header_says(
    both: JobPair, north: Http
) -> None:
    world, job = both.world, both.world.job(MIXED)
    tokens, path = both.started(job), f"{job.path}/inputs/p"
    words = ring.encode(A, BITS, 100.0)
    lies = world.public(job, tokens, "p", words, plain="ab" * 32)["north"]
    assert north.refused("PUT", path, lies.body) == "FS-730"
    shared = world.shared(job, tokens, "p", A)["north"]
    assert north.refused("PUT", path, shared.body) == "FS-310"  # not to be shared
    opened = world.public(job, tokens, "a", words)["north"]
    assert north.refused("PUT", f"{job.path}/inputs/a", opened.body) == "FS-310"


def test_words_outside_of_the_bound(both: JobPair, north: Http) -> None:
    world, job = both.world, both.world.service()
    tokens, path = both.started(job), f"{job.path}/inputs/model"
    words = model_words(np.array([[0.5], [2.0**20], [1.0]]))
    wild = world.public(job, tokens, "model", words)["north"]
    assert north.refused("PUT", path, wild.body) == "FS-224"
    assert both.north.state(job) == "collecting"


# --- queries --------------------------------------------------------------------------


def test_a_query_number_again_with_another_body_and_a_lower_one(
    both: JobPair, north: Http
) -> None:
    world, job = both.world, both.world.service()
    tokens = both.served(job)
    first = world.query(job, tokens, 7)["north"]
    answer = north.ask(job, first)
    other, lower = (world.query(job, tokens, number)["north"] for number in (7, 6))
    assert north.refused("POST", path_of(job, other), other.body) == "FS-395"
    assert north.refused("POST", path_of(job, lower), lower.body) == "FS-395"
    assert north.ask(job, first).content == answer.content
    assert counted(both)["queries"] == 1


def test_a_query_of_somebody_who_is_no_client_or_for_somewhere_else(
    both: JobPair, north: Http
) -> None:
    world, job, other = both.world, both.world.service(), both.world.service()
    tokens, foreign = both.served(job), both.served(other)
    basels = world.query(job, tokens, 1, client="basel")["north"]
    assert north.refused("POST", path_of(job, basels), basels.body) == "FS-311"
    asked = world.query(job, tokens, 1)
    good, path = asked["north"], path_of(job, asked["north"])
    assert north.refused("POST", path, asked["south"].body) == "FS-310"
    assert north.refused("POST", path[:-1] + "2", good.body) == "FS-310"
    elsewhere = world.query(other, foreign, 1)["north"]
    assert north.refused("POST", path, elsewhere.body) == "FS-301"
    assert counted(both)["queries"] == 0


def test_a_query_that_is_sealed_for_another_number(both: JobPair, north: Http) -> None:
    world, job = both.world, both.world.service()
    tokens = both.served(job)
    first = world.query(job, tokens, 1)["north"]
    said = first.header.statement.model_copy(update={"query": 2})
    moved = Upload(world.author(CLINIC).sign(said), first.payload)
    assert north.refused("POST", path_of(job, moved), moved.body) == "FS-730"
    assert counted(both)["queries"] == 0


def test_a_query_of_a_job_that_opens_once_or_of_one_that_is_over(
    both: JobPair, north: Http
) -> None:
    world, sums, service, early = (
        both.world,
        both.world.job(),
        both.world.service(),
        both.world.service(),
    )
    of_sums, tokens = both.started(sums), both.served(service)
    asked = world.query(sums, of_sums, 1)["north"]
    assert north.refused("POST", path_of(sums, asked), asked.body) == "FS-310"
    soon = world.query(early, both.started(early), 1)["north"]
    assert north.refused("POST", path_of(early, soon), soon.body) == "FS-391"
    both.north.void(service, world.void(service))
    late = world.query(service, tokens, 1)["north"]
    assert north.refused("POST", path_of(service, late), late.body) == "FS-392"
    nowhere = f"/v1/jobs/{'0' * 64}/queries/{CLINIC}/1"
    assert north.refused("POST", nowhere, late.body) == "FS-390"


def test_more_rows_than_allowed_in_all(both: JobPair, north: Http) -> None:
    world, job = both.world, both.world.service(rows=5)
    tokens = both.served(job)
    for number in (1, 2):
        assert north.ask(job, world.query(job, tokens, number)["north"]).is_success
    more = world.query(job, tokens, 3)["north"]
    assert north.refused("POST", path_of(job, more), more.body) == "FS-398"
    last = world.query(job, tokens, 4, ROWS[:1])["north"]
    assert north.ask(job, last).is_success
    assert both.north.standing(job, CLINIC)["rows"] == 5


def test_more_rows_than_allowed_in_two_queries_at_once(
    both: JobPair, north: Http
) -> None:
    world, job = both.world, both.world.service(rows=3)
    tokens = both.served(job)
    north.ask(job, world.query(job, tokens, 1, ROWS[:1])["north"])  # it is in memory
    two = [world.query(job, tokens, number)["north"] for number in (2, 3)]
    answers = north.together(*(("POST", path_of(job, q), q.body, "") for q in two))
    codes = sorted(a.status_code for a in answers)
    assert codes == [200, 403]
    assert {a.json()["code"] for a in answers if a.is_error} == {"FS-398"}
    assert both.north.standing(job, CLINIC)["rows"] == 3


def test_the_same_query_twice_at_once_is_answered_to_the_same_bytes(
    both: JobPair, north: Http
) -> None:
    world, job = both.world, both.world.service()
    one = world.query(job, both.served(job), 1)["north"]
    sent = ("POST", path_of(job, one), one.body, "")
    first, second = north.together(sent, sent)
    assert first.content == second.content
    assert counted(both)["queries"] == counted(both)["answers"] == 1


def test_more_rows_in_a_query_and_more_queries_than_the_aggregator_allows(
    both: JobPair, http: dict[str, Http]
) -> None:
    world, job = both.world, both.world.service()
    tokens = both.served(job)
    both.policy(max_rows=2, max_queries=1)
    one = Http(both.north, http["north"].loop)
    three = world.query(job, tokens, 1, np.ones((3, 3)))["north"]
    refused = one.refused("POST", path_of(job, three), three.body)
    assert refused in {"FS-315", "FS-443"}
    assert one.ask(job, world.query(job, tokens, 2)["north"]).is_success
    more = world.query(job, tokens, 3)["north"]
    assert one.refused("POST", path_of(job, more), more.body) == "FS-445"
    one.close()


def test_a_body_larger_than_any_query_is_not_read(both: JobPair, north: Http) -> None:
    world, job = both.world, both.world.service()
    asked = world.query(job, both.served(job), 1)["north"]
    large = asked.body + bytes(2**20)
    assert north.refused("POST", path_of(job, asked), large) == "FS-315"
    longer = asked.body + b"x"
    assert north.refused("POST", path_of(job, asked), longer) in {"FS-310", "FS-315"}


# --- encrypted rows -------------------------------------------------------------------

KEY: Final = keys.generate(2048, bytes(32))
WIDTH: Final = 256  # bytes of n


def encrypted(
    world: JobWorld,
    job: Job,
    tokens: dict[str, str],
    number: int,
    plain: bytes,
    to: str = "north",
    **changes: Any,
) -> tuple[Upload[JobQuery], SealingKey]:
    """Seal a query of encrypted rows; with it comes the key for its answer."""
    query_id, key = world.rand(16), world.sealing_key()
    info = seal_info.query_info(
        world.digests(job), CLINIC, to, number, query_id, "ciphertexts"
    )
    payload, made = world.sealed(world.granted_key(tokens[to]), info, plain)
    content = {
        "federation": world.federation.digest,
        "spec": job.digest,
        "client": CLINIC,
        "aggregator": to,
        "query": number,
        "query_id": query_id.hex(),
        "kind": "ciphertexts",
        "rows": 1,
        "key_bits": 2048,
        "sealing_key": base64url(key.public_bytes),
        "length": made.length,
        "digest": made.digest.hex(),
    }
    said = JobQuery.model_validate(content | changes)
    return Upload(world.author(CLINIC).sign(said), payload), key


def spoilt(plain: bytes, what: str) -> bytes:
    head = len(plain) - 3 * 2 * WIDTH  # of three ciphertexts
    n = KEY.n
    first = {
        "a multiple of a prime": int(KEY.first.value).to_bytes(2 * WIDTH),
        "n squared": (int(n) ** 2).to_bytes(2 * WIDTH),
        "zero": bytes(2 * WIDTH),
    }
    if what in first:
        return plain[:head] + first[what] + plain[head + 2 * WIDTH :]
    if what == "an even key":
        return (int(n) - 1).to_bytes(WIDTH) + plain[WIDTH:]
    return plain[:WIDTH] + bytes([plain[WIDTH] ^ 1]) + plain[WIDTH + 1 :]


@pytest.mark.parametrize(
    "what",
    ["a multiple of a prime", "n squared", "zero", "an even key", "no proof"],
)
def test_a_foreign_blob_instead_of_ciphertexts(
    both: JobPair, north: Http, what: str
) -> None:
    world, job = both.world, both.world.service(method="paillier")
    tokens = both.started(job)
    words = ring.decode(model_words(), 0)
    both.put(job, world.shared(job, tokens, "model", words, bits=0))
    row = ring.encode(ROWS[:1], BITS, 64.0)
    good = queries.encrypt(KEY, row, bytes(32))
    bad, _ = encrypted(world, job, tokens, 1, spoilt(good, what))
    assert north.refused("POST", path_of(job, bad), bad.body) == "FS-731"
    assert recorded(both) == [(CLINIC, "job-query", "FS-731")]
    asked, _ = encrypted(world, job, tokens, 1, good)
    assert north.ask(job, asked).is_success  # the number is still free


def test_a_key_of_another_length_and_rows_that_are_not_encrypted(
    both: JobPair, north: Http
) -> None:
    world, job = both.world, both.world.service(method="paillier")
    tokens = both.started(job)
    words = ring.decode(model_words(), 0)
    both.put(job, world.shared(job, tokens, "model", words, bits=0))
    good = queries.encrypt(KEY, ring.encode(ROWS[:1], BITS, 64.0), bytes(32))
    other, _ = encrypted(world, job, tokens, 1, good, key_bits=3072)
    assert north.refused("POST", path_of(job, other), other.body) == "FS-310"
    shared = world.query(job, tokens, 2)["north"]
    assert north.refused("POST", path_of(job, shared), shared.body) == "FS-310"
    assert both.north.state(job) == "serving"


# --- reading --------------------------------------------------------------------------


def test_a_ticket_of_somebody_else_for_the_output(both: JobPair, north: Http) -> None:
    job, world = both.world.job(), both.world
    both.summed(job)
    path = f"{job.path}/output"
    assert north.read(world, "basel", path).json()["code"] == "FS-391"  # not done
    both.north.run()
    assert north.read(world, "bern", path).json()["code"] == "FS-333"
    assert north.read(world, OWNER, job.path).json()["code"] == "FS-333"
    wrong = north.ticket(world, "basel", job.path)  # for another address
    assert north.refused("GET", path, ticket=wrong) == "FS-333"
    souths = world.ticket("south", "basel", path)
    assert north.refused("GET", path, ticket=souths) == "FS-333"
    assert north.refused("GET", path) == "FS-332"
    assert north.read(world, "basel", path).is_success


def test_a_statement_of_another_kind_where_a_spec_is_due(
    both: JobPair, north: Http
) -> None:
    job = both.world.job()
    assert north.refused("PUT", job.path, both.world.void(job)) == "FS-702"
    spaced = json.dumps(job.spec.statement.model_dump(mode="json"))
    assert JobSpec.model_validate_json(spaced) == job.spec.statement
    assert north.refused("PUT", job.path, spaced) == "FS-701"
