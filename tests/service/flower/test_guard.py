"""Who may use which part of a SuperLink, path by path."""

import asyncio

import httpx
import pytest

from fedsecure.frameworks.flower.runtime.guard import (
    OWNER_HEADER,
    OwnerOnly,
    owner_token,
)

SECRET = bytes(32)
OWNER = {OWNER_HEADER: owner_token(SECRET)}


async def flower(_scope, _receive, send):
    """Stands where Flower's application stands: everything is allowed."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def post(path: str, headers: dict[str, str], content: bytes = b"x") -> int:
    async def run() -> int:
        guarded = OwnerOnly(flower, owner_token(SECRET))
        transport = httpx.ASGITransport(guarded)
        async with httpx.AsyncClient(transport=transport) as client:
            url = f"https://superlink{path}"
            response = await client.post(url, headers=headers, content=content)
            return response.status_code

    return asyncio.run(run())


@pytest.mark.parametrize(
    "path", ["/v1/control/start-run", "/v1/runtime/acquire-task", "/v1/responses", "/"]
)
def test_what_is_not_for_agents_needs_the_owners_token(path):
    assert post(path, OWNER) == 200
    assert post(path, {}) == 403
    assert post(path, {OWNER_HEADER: ""}) == 403
    assert post(path, {OWNER_HEADER: owner_token(b"another secret")}) == 403


@pytest.mark.parametrize("path", ["/health", "/v1/fleet/pull-messages"])
def test_what_is_for_agents_needs_no_token(path):
    assert post(path, {}) == 200


@pytest.mark.parametrize(
    "path", ["/healthy", "/v1/fleet", "/v1/fleetx/", "//v1/fleet/", "/V1/FLEET/x"]
)
def test_what_only_looks_like_it_is_for_agents_does(path):
    assert post(path, {}) == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-length": str(16 * 2**20)}, 200),
        ({"content-length": str(16 * 2**20 + 1)}, 403),
        ({"content-length": "9" * 5000}, 403),
        ({"content-length": "-1"}, 403),
        ({"content-length": ""}, 403),
        ({"content-length": "1", "transfer-encoding": "chunked"}, 403),
    ],
)
def test_a_body_is_only_read_if_its_length_is_known_and_an_agents(headers, status):
    assert post("/v1/fleet/push-object", headers) == status


def test_another_protocol_is_refused():
    sent = []

    async def send(message):
        sent.append(message)

    guarded = OwnerOnly(flower, owner_token(SECRET))
    scope = {"type": "websocket", "path": "/v1/fleet/x", "headers": []}
    asyncio.run(guarded(scope, None, send))
    assert sent[0]["status"] == 403
