"""Somebody who has only docs/protocol.md can write a data owner's client."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, cast

import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.protocol.federation import (
    HOSPITALS,
    MemoryFederation,
    federate,
    measurement_of,
    update_of,
)
from tests.unit.docs import client, page

SERVERS = ("north", "south")
KNOWN = json.loads((page.ROOT / "tests/vectors/report.json").read_text("utf-8"))
SHOWN = {
    name: json.loads(value)
    for name, value in page.values(
        page.blocks(page.read("protocol.md"), "example")["report.json"]
    ).items()
}


def of(server: str, name: str) -> str:
    """Return a value of one of both reports: from the page, or where it is cut."""
    shown = str(SHOWN.get(f"{server}_{name}", "..."))
    if not shown.endswith("..."):
        return shown
    return str(
        next(one for one in KNOWN["reports"] if one["aggregator"] == server)[name]
    )


def test_it_builds_the_report_of_the_page_byte_for_byte() -> None:
    owner = client.DataOwner(
        SHOWN["reporter"],
        Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SHOWN["signing_key"])),
    )
    numbers = client.Numbers(SHOWN["update"], SHOWN["weight"], SHOWN["metrics"])
    given = {name: bytes.fromhex(of(name, "sealed_key")) for name in SERVERS}
    bodies = client.reports(
        owner,
        KNOWN["spec"],
        SERVERS,
        numbers,
        bytes.fromhex(SHOWN["rand"]),
        lambda server, _key, _info: given[server],
    )
    for name in SERVERS:
        token = bodies[name][4:].partition(b".")[0] + b"."
        assert of(name, "header").encode().startswith(token)
        assert bodies[name].hex() == of(name, "body")
        assert hashlib.sha256(bodies[name]).hexdigest() == of(name, "body_sha256")


@pytest.fixture
def memory(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[MemoryFederation]:
    with federate(tmp_path_factory.mktemp("memory")) as federation:
        yield federation


def put(
    memory: MemoryFederation, server: str, path: str, body: bytes
) -> httpx.Response:
    """Send one body with nothing of the product but the server."""
    request = httpx.Request(
        "PUT",
        f"https://{server}.test{path}",
        content=body,
        headers={"Content-Type": "application/octet-stream"},
    )
    return memory.wires[server].handle_request(request)


def test_its_report_is_taken_and_counted(memory: MemoryFederation) -> None:
    proposal = memory.owner.propose(memory.request())
    first, *others = HOSPITALS
    receipts: dict[str, Any] = {
        name: memory.hospitals[name].answer(proposal, measurement_of(name))
        for name in others
    }
    measured = measurement_of(first)
    bodies = client.reports(
        client.DataOwner(first, memory.keys[first]),
        proposal.spec.token,
        SERVERS,
        client.Numbers(
            update_of(first).tolist(),
            measured.weight,
            cast(dict[str, Any], measured.metrics),
        ),
        b"".join(hashlib.sha256(bytes([i])).digest() for i in range(4))[:113],
        client.seal_to(
            {name: g.statement.sealing_key for name, g in proposal.grants.items()}
        ),
    )
    path = f"/v1/rounds/{proposal.spec.digest}/reports/{first}"
    answers = [put(memory, name, path, bodies[name]) for name in SERVERS]
    assert [answer.status_code for answer in answers] == [200, 200]
    receipts[first] = memory.owner.collect(
        proposal, first, [answer.text for answer in answers]
    )
    mean = memory.owner.open(proposal, receipts).mean
    expected = np.mean([update_of(name) for name in HOSPITALS], axis=0)
    np.testing.assert_allclose(mean.update, expected, atol=1e-6)
    assert mean.count == len(HOSPITALS)
