"""What stands before every route: a connection that asks too often hears so at once.

Then it rests: answered as fast as it asks, it would take more of the server by being
refused than others do by being served. Whoever waits as `Retry-After` says loses
nothing.
"""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from fedsecure.errors import RoundStateError
from fedsecure.transport.bounded_connection import Peer, peer_of
from fedsecure_aggregator.http.problems import document
from fedsecure_aggregator.http.prometheus import Metrics
from fedsecure_aggregator.http.rate_limit import RateLimit

REST: Final = 1.0  # seconds


class Admission:
    """ASGI middleware; neither the body is read nor a signature checked before it."""

    def __init__(self, app: ASGIApp, rate_limit: RateLimit, metrics: Metrics) -> None:
        self._app, self._rate_limit, self._metrics = app, rate_limit, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count one request, and pass it on or refuse it."""
        peer = peer_of(scope)
        refused = None if peer is None else self._entered(peer)
        await (refused or self._app)(scope, receive, send)

    def _entered(self, peer: Peer) -> ASGIApp | None:
        """Count one request of a connection, and return its refusal, if it is one."""
        try:
            self._rate_limit.enter(peer)
        except RoundStateError as error:
            self._metrics.refused.labels(error.code).inc()
            peer.rest = REST
            return document(error.problem, error.detail, error.problem.status)
        return None
