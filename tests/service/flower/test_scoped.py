"""Each middleware of Flower still sees every request that it is made for."""

import asyncio
from typing import Any

import pytest
from flwr.supercore.protobuf.translation import ProtobufTranslationMiddleware
from flwr.superlink import main
from flwr.superlink.routers.control import router as control
from flwr.superlink.routers.fleet.router import router as fleet
from starlette.middleware.base import BaseHTTPMiddleware

from fedsecure.frameworks.flower.runtime.guard import FLEET
from fedsecure.frameworks.flower.runtime.scoped_middlewares import (
    CONTROL,
    PATHS,
    RUNTIME,
    Scoped,
    scoped,
)

pytestmark = pytest.mark.service
FOR_ALL = {ProtobufTranslationMiddleware, BaseHTTPMiddleware}  # the latter for errors


def test_all_of_flowers_middlewares_are_known() -> None:
    there = [each.cls for each in main._get_middleware()]
    assert set(there) == {*PATHS, *FOR_ALL}
    assert len(there) == len(PATHS) + len(FOR_ALL)


def test_the_order_stays_and_who_is_for_all_sees_all() -> None:
    before = main._get_middleware()
    for old, new in zip(before, scoped(before), strict=True):
        if old.cls in FOR_ALL:
            assert new is old
        else:
            assert new.cls is Scoped
            assert new.kwargs == {"kind": old.cls, "path": PATHS[old.cls]}


@pytest.mark.parametrize(("router", "path"), [(control, CONTROL), (fleet, FLEET)])
def test_every_route_of_a_kind_lies_below_its_path(router: Any, path: str) -> None:
    assert router.routes
    assert all(route.path.startswith(path) for route in router.routes)


@pytest.mark.parametrize(
    ("kind", "path", "seen"),
    [
        ("http", f"{FLEET}pull-object", True),
        ("http", FLEET, True),
        ("http", f"{RUNTIME}pull-object", False),
        ("http", f"{CONTROL}list-nodes", False),
        ("http", "/health", False),
        ("lifespan", "", False),
    ],
)
def test_a_middleware_sees_its_paths_alone(kind: str, path: str, seen: bool) -> None:
    calls = []

    async def app(*_call: Any) -> None:
        calls.append("app")

    class Noting:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            calls.append("middleware")
            await self._inner(scope, receive, send)

    one = Scoped(app, Noting, FLEET)
    asyncio.run(one({"type": kind, "path": path}, None, None))
    assert calls == (["middleware", "app"] if seen else ["app"])
