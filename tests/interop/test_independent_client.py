"""A client that was written from docs/protocol.md alone, against real aggregators."""

import ast
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.interop import numbers
from tests.interop.conftest import HOSPITALS, World
from tests.interop.parties import DataOwner, Round, done, read
from tests.interop.statements import canonical, digest, unbase64url

pytestmark = pytest.mark.service

OURS = {"fedsecure", "fedsecure_clients", "fedsecure_aggregator", "fedsecure_bench"}
ALLOWED = {"cryptography", "numpy", "httpx", "pytest"}
VECTORS = Path(__file__).parents[1] / "vectors"
STATEMENTS = json.loads((VECTORS / "statements.json").read_text("utf-8"))
DIMENSION = 300_007  # a vector share has two records
CLIP = 2.5
COHORT = HOSPITALS[:3]
LOSS = {"name": "loss", "low": 0, "high": 8, "size": 1}
ROWS = {"name": "rows", "low": None, "high": None, "size": 1}
SCORES = {"name": "scores", "low": -0.5, "high": 0.25, "size": 3}


def test_the_client_imports_nothing_of_ours() -> None:
    for path in Path(__file__).parent.glob("*.py"):
        imported = set[str]()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
        foreign = {
            name
            for name in imported
            if name.partition(".")[0] not in ALLOWED | sys.stdlib_module_names
            and not name.startswith("tests.interop")
        }
        assert foreign == set(), path.name
        assert not OURS & {name.partition(".")[0] for name in imported}


@pytest.mark.parametrize("case", STATEMENTS, ids=lambda case: str(case["name"]))
def test_it_says_what_the_vectors_say_byte_for_byte(case: dict[str, Any]) -> None:
    payload = unbase64url(case["token"].split(".")[1])
    assert canonical(case["statement"]) == payload
    assert digest(case["token"]) == case["digest"]


def update_of(name: str, length: float = 1.0) -> NDArray[np.float32]:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    values = np.random.default_rng(seed).standard_normal(DIMENSION)
    return (length * values / np.linalg.norm(values)).astype(np.float32)


def metrics_of(place: int) -> dict[str, Any]:
    return {"loss": 1.5 + place, "rows": 10 + place, "scores": [-0.5, 0.25, 0.1]}


def propose(world: World, **changes: Any) -> Round:
    """A round of a run, task and model of its own."""
    asked: dict[str, Any] = {
        "run": f"run-{os.urandom(4).hex()}",
        "task": os.urandom(32).hex(),
        "model": os.urandom(32).hex(),
        "dimension": DIMENSION,
        "scalars": [LOSS, ROWS, SCORES],
        "clip": CLIP,
        "weight_cap": 64,
        "weighting": "exact",
        "cohort": [*COHORT],
    }
    return world.owner.propose(**{**asked, **changes})


def taking_part(world: World) -> list[tuple[str, DataOwner]]:
    return [(name, world.hospitals[name]) for name in COHORT]


def bodies_of(
    world: World, asked: Round, grants: dict[str, str], updates: Sequence[Any]
) -> dict[str, dict[str, bytes]]:
    """What every data owner sends; weights are 8, 16 and 24."""
    return {
        name: owner.bodies(
            asked.token,
            grants,
            updates[place],
            8 * (place + 1),
            metrics_of(place),
            os.urandom(numbers.RAND),
        )
        for place, (name, owner) in enumerate(taking_part(world))
    }


def test_a_whole_round_opens_to_the_exact_mean(world: World) -> None:
    asked = propose(world)
    grants = world.owner.grants(asked)
    assert world.owner.grants(asked) == grants
    # chur's is twice as long as the clip.
    updates = [update_of("basel"), update_of("bern"), update_of("chur", 2 * CLIP)]
    bodies = bodies_of(world, asked, grants, updates)
    receipts = {
        name: world.hospitals[name].report(asked.digest, bodies[name])
        for name in COHORT
    }
    again = world.hospitals["basel"].report(asked.digest, bodies["basel"])
    assert again == receipts["basel"]
    for place, server in enumerate(world.federation.servers):
        standing = world.owner.standing(asked, server)
        assert standing["state"] == "collecting"
        assert sorted(standing["receipts"]) == sorted(
            [*receipts[name].values()][place] for name in COHORT
        )
    opening = world.owner.opening(asked, receipts)
    assert world.owner.fold(asked, opening) == []
    mean, scalars = world.owner.open(asked, opening)
    exact = sum(
        weight * update.astype(np.float64)
        for weight, update in zip((8, 16, 12), updates, strict=True)  # 24 is clipped
    ) / (8 + 16 + 24)
    bound = 3 * 0.5 / 2 ** asked.spec["fraction_bits"] / ((8 + 16 + 24) / 64)
    np.testing.assert_allclose(mean, exact, rtol=0, atol=1.01 * bound + 1e-9)
    assert {key: scalars[key] for key in ("weight", "clipped", "clamped", "rows")} == {
        "weight": 48,
        "clipped": 1,
        "clamped": 0,
        "rows": 33,
    }
    loss = (8 * 1.5 + 16 * 2.5 + 24 * 3.5) / 48
    assert scalars["loss"] == pytest.approx(loss, abs=2**-20)
    assert scalars["scores"] == pytest.approx([-0.5, 0.25, 0.1], abs=2**-20)
    assert np.array_equal(world.owner.open(asked, opening)[0], mean)  # asked again
    token = world.owner.signer.sign("opening", opening)
    for name in COHORT:
        for inclusion in world.hospitals[name].inclusions(asked.digest):
            assert (inclusion["included"], inclusion["count"]) == (True, 3)
            assert inclusion["opening"] == digest(token)
    for server in world.federation.servers:
        assert world.owner.standing(asked, server)["state"] == "opened"


def test_statistics_have_a_clip_of_their_own_and_no_number_is_not_in_the_mean(
    world: World,
) -> None:
    apart = {"clip": 8 * CLIP, "ranges": [[1, 3], [5, 6]]}
    asked = propose(world, statistics=apart)
    grants = world.owner.grants(asked)
    updates = []
    for name in COHORT:
        update = update_of(name)
        update[[1, 2, 5]] = np.float32([4, -2, 4]) * CLIP  # as long as 6 clips
        updates.append(update)
    updates[2][[1, 2, 5]] *= 4  # 24 clips: cut to 8, and nothing else is
    bodies = bodies_of(world, asked, grants, updates)
    bodies["bern"] = world.hospitals["bern"].bodies(
        *(asked.token, grants, updates[1], 16),
        {**metrics_of(1), "loss": float("nan")},
        os.urandom(numbers.RAND),
    )
    receipts = {
        name: world.hospitals[name].report(asked.digest, bodies[name])
        for name in COHORT
    }
    mean, scalars = world.owner.open(asked, world.owner.opening(asked, receipts))
    updates[2][[1, 2, 5]] /= 3
    exact = sum(
        weight * update.astype(np.float64)
        for weight, update in zip((8, 16, 24), updates, strict=True)
    ) / (8 + 16 + 24)
    bound = 3 * 0.5 / 2 ** asked.spec["fraction_bits"] / ((8 + 16 + 24) / 64)
    np.testing.assert_allclose(mean, exact, rtol=1e-6, atol=8 * bound + 1e-9)
    counts = ("clipped", "statistics-clipped", "clamped", "undefined", "rows")
    assert [scalars[name] for name in counts] == [0, 1, 0, 1, 10 + 12]
    loss = (8 * 1.5 + 24 * 3.5) / 32
    assert scalars["loss"] == pytest.approx(loss, abs=2**-20)


def test_a_round_that_evaluates_opens_scalars_alone(world: World) -> None:
    asked = propose(world, purpose="evaluate", dimension=0, weighting="equal")
    grants = world.owner.grants(asked)
    nothing = np.zeros(0, np.float32)
    receipts = {
        name: owner.report(
            asked.digest,
            owner.bodies(
                *(asked.token, grants, nothing, 64, metrics_of(place)),
                os.urandom(numbers.RAND),
            ),
        )
        for place, (name, owner) in enumerate(taking_part(world))
    }
    mean, scalars = world.owner.open(asked, world.owner.opening(asked, receipts))
    assert mean.size == 0
    assert scalars["loss"] == pytest.approx(2.5, abs=2**-20)
    assert (scalars["rows"], scalars["weight"]) == (33, 192)


def test_a_round_is_given_up_and_tried_again(world: World) -> None:
    asked = propose(world, dimension=4)
    grants = world.owner.grants(asked)
    owner = world.hospitals["basel"]
    one = np.ones(4, np.float32)
    sent = owner.bodies(
        *(asked.token, grants, one, 8, metrics_of(0)), os.urandom(numbers.RAND)
    )
    owner.report(asked.digest, sent)
    for server in world.federation.servers:
        answer = done(world.owner.void(asked, server, "too few"))
        void = server.statement("void", answer.text)
        assert (void["spec"], void["reason"]) == (asked.digest, "too few")
        assert world.owner.void(asked, server, "another").text == answer.text
        assert world.owner.standing(asked, server)["state"] == "void"
        assert code(owner.send(asked.digest, server, sent[server.name])) == "FS-305"
    for inclusion in owner.inclusions(asked.digest):
        assert inclusion["included"] is False
        assert (inclusion["opening"], inclusion["set"]) == (None, None)
    again = {key: asked.spec[key] for key in ("run", "task", "model")}
    assert world.owner.grants(propose(world, dimension=4, attempt=2, **again))


def code(answer: httpx.Response) -> str:
    """The code of a refusal, whose document is as the page says."""
    assert answer.status_code >= 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"urn:fedsecure:problem:{problem['code']}"
    assert problem["title"]
    assert problem["remedy"]
    return str(problem["code"])


def test_what_the_page_refuses_is_refused(world: World) -> None:
    asked = propose(world, dimension=4)
    grants = world.owner.grants(asked)
    basel, bern = world.hospitals["basel"], world.hospitals["bern"]
    north, south = world.federation.servers
    one = np.ones(4, np.float32)

    def sent(owner: DataOwner) -> dict[str, bytes]:
        return owner.bodies(
            *(asked.token, grants, one, 8, metrics_of(0)), os.urandom(numbers.RAND)
        )

    put = north.http.put
    other = {**asked.spec, "deadline": asked.spec["deadline"] + 1}
    signed = world.owner.signer.sign("round-spec", other)
    assert code(put(f"/v1/rounds/{digest(signed)}", content=signed)) == "FS-302"
    assert code(put(asked.path, content=signed)) == "FS-301"
    forged = basel.signer.sign("round-spec", asked.spec)
    assert code(put(f"/v1/rounds/{digest(forged)}", content=forged)) == "FS-703"
    assert code(put(asked.path, content=f"{asked.token}x")) == "FS-701"
    assert code(put(asked.path, content="ü.ü.ü".encode())) == "FS-701"
    assert code(north.http.post(f"{asked.path}/open", content="x")) == "FS-701"
    body = sent(basel)
    assert code(bern.send(asked.digest, north, body["north"])) == "FS-310"
    assert code(basel.send(asked.digest, south, body["north"])) == "FS-310"
    last = body["north"][-1] ^ 1
    spoilt = body["north"][:-1] + bytes([last])
    assert code(basel.send(asked.digest, north, spoilt)) == "FS-313"
    assert code(basel.send("0" * 64, north, body["north"])) == "FS-300"
    receipts = {"basel": basel.report(asked.digest, body)}
    second = sent(basel)
    assert code(basel.send(asked.digest, north, second["north"])) == "FS-312"
    for name in ("bern", "chur"):
        owner = world.hospitals[name]
        receipts[name] = owner.report(asked.digest, sent(owner))
    opening = world.owner.opening(asked, receipts)
    post = north.http.post
    for bad, expected in (
        ({**opening, "set": opening["set"][:2]}, "FS-320"),
        ({**opening, "receipts": {}}, "FS-323"),
        ({**opening, "set": opening["set"][::-1]}, "FS-701"),
    ):
        token = world.owner.signer.sign("opening", bad)
        assert code(post(f"{asked.path}/open", content=token)) == expected
    world.owner.open(asked, opening)
    assert code(world.owner.void(asked, north, "x")) == "FS-304"
    assert code(basel.send(asked.digest, north, second["north"])) in {
        "FS-304",
        "FS-312",
    }


def test_reads_need_a_ticket_for_this_very_path(world: World) -> None:
    asked = propose(world, dimension=4)
    world.owner.grants(asked)
    north, _ = world.federation.servers
    assert code(north.http.get(asked.path)) == "FS-332"
    basel = world.hospitals["basel"].signer
    assert code(read(world.federation, north, basel, asked.path)) == "FS-333"
    path = f"{asked.path}/inclusion/basel"
    assert code(read(world.federation, north, basel, path)) == "FS-331"


def test_a_set_that_tells_one_data_owner_apart_is_refused(world: World) -> None:
    model = os.urandom(32).hex()
    north, _ = world.federation.servers
    for cohort, expected in (
        (["basel", "bern", "chur"], None),
        (["bern", "chur", "genf"], "FS-324"),
    ):
        asked = propose(world, dimension=4, model=model, cohort=cohort)
        grants = world.owner.grants(asked)
        receipts = {name: small_report(world, asked, grants, name) for name in cohort}
        opening = world.owner.opening(asked, receipts)
        if expected is None:
            world.owner.open(asked, opening)
        else:
            token = world.owner.signer.sign("opening", opening)
            answer = north.http.post(f"{asked.path}/open", content=token)
            assert code(answer) == expected


def small_report(
    world: World, asked: Round, grants: dict[str, str], name: str
) -> dict[str, str]:
    owner, one = world.hospitals[name], np.ones(4, np.float32)
    sent = owner.bodies(
        *(asked.token, grants, one, 8, metrics_of(0)), os.urandom(numbers.RAND)
    )
    return owner.report(asked.digest, sent)


def test_an_aggregator_says_who_it_is(world: World) -> None:
    for server in world.federation.servers:
        introduced = done(server.http.get("/v1/identity")).json()
        assert introduced["protocol"] == 2
        assert introduced["name"] == server.name
        assert introduced["federation"] == world.federation.digest
        assert done(server.http.get("/health/live")).status_code == 200
        assert done(server.http.get("/health/ready")).status_code == 200
