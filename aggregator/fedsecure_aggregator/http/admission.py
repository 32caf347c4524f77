"""What stands before every route: a connection that asks too often hears so at once."""

from starlette.types import ASGIApp, Receive, Scope, Send

from fedsecure.errors import RoundStateError
from fedsecure.transport.bounded_connection import peer_of
from fedsecure_aggregator.http.metrics import Metrics
from fedsecure_aggregator.http.problems import document
from fedsecure_aggregator.http.rate_limit import Pace


class Entrance:
    """ASGI middleware; neither the body is read nor a signature checked before it."""

    def __init__(self, app: ASGIApp, pace: Pace, metrics: Metrics) -> None:
        self._app, self._pace, self._metrics = app, pace, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count one request, and pass it on or refuse it."""
        peer = peer_of(scope)
        try:
            if peer is not None:
                self._pace.enter(peer)
        except RoundStateError as error:
            self._metrics.refused.labels(error.code).inc()
            answer = document(error.problem, error.detail, error.problem.status)
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)
