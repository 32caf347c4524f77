"""Flower's middlewares, each for the paths that it is made for, and no others.

Flower sends every request through nine of them, most of which then look at the path
and pass it on. Passing on is what costs: each is a task group, two streams and an
event of its own, and a request of an agent, which four of them concern, spent more
than half of its time there. Looking at the path first changes nothing but that.
"""

from collections.abc import Sequence
from typing import Any, Final

from flwr.supercore.routers.runtime.tracing import RuntimeTracingMiddleware
from flwr.superlink.routers.control.middlewares import (
    ControlAuthenticationMiddleware,
    ControlEventLogMiddleware,
    ControlLicenseMiddleware,
    ControlSensitiveResponseMiddleware,
)
from flwr.superlink.routers.fleet.middlewares import FleetEventLogMiddleware
from flwr.superlink.routers.fleet.node_auth import NodeAuthMiddleware
from starlette.middleware import Middleware

from fedsecure.frameworks.flower.runtime.guard import FLEET, App, Scope

CONTROL: Final = "/v1/control/"
RUNTIME: Final = "/v1/runtime/"

PATHS: Final[dict[Any, str]] = {
    ControlSensitiveResponseMiddleware: CONTROL,
    ControlAuthenticationMiddleware: CONTROL,
    ControlLicenseMiddleware: CONTROL,
    ControlEventLogMiddleware: CONTROL,
    RuntimeTracingMiddleware: RUNTIME,
    NodeAuthMiddleware: FLEET,
    FleetEventLogMiddleware: FLEET,
}
"""What each begins to look for; one that is not listed sees every request."""


class Scoped:
    """ASGI middleware that is another one for some paths, and nothing for the rest.

    Args:
        app: What comes after.
        kind: The other middleware.
        path: How the paths begin that it is for.
    """

    def __init__(self, app: App, kind: Any, path: str) -> None:
        self._app = app
        self._inner: App = kind(app)
        self._path = path

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass a call on, through the other middleware or past it."""
        concerned = scope["type"] == "http" and scope["path"].startswith(self._path)
        await (self._inner if concerned else self._app)(scope, receive, send)


def scoped(middlewares: Sequence[Middleware]) -> list[Middleware]:
    """Return Flower's middlewares in the same order, each only for its paths."""
    return [
        Middleware(Scoped, kind=each.cls, path=PATHS[each.cls])
        if each.cls in PATHS
        else each
        for each in middlewares
    ]
