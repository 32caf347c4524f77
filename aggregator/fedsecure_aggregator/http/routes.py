"""The HTTP routes of an aggregator. Every write is idempotent.

    PUT  /v1/rounds/{id}                        spec > grant          model owner
    PUT  /v1/rounds/{id}/reports/{reporter}     report > receipt      data owner
    GET  /v1/rounds/{id}                        ticket > standing     model owner
    POST /v1/rounds/{id}/fold                   fold > who is lost    model owner
    POST /v1/rounds/{id}/open                   opening > share       model owner
    POST /v1/rounds/{id}/void                   void > void           model owner
    GET  /v1/rounds/{id}/inclusion/{reporter}   ticket > inclusion    data owner
    GET  /v1/identity   /health/live   /health/ready   /metrics
    ...  /v1/jobs/...   in `http.jobs`

`{id}` is the digest of the round's spec, in hex. Bodies and answers are tokens (JWS
compact) but for reports and aggregate shares, which follow their header (`framing`).
"""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from importlib.metadata import version
from typing import Annotated, Final, TypeVar

from fastapi import Header, Path, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool

from fedsecure import PROTOCOL_VERSION
from fedsecure.errors import OperatorError
from fedsecure.protocol import framing
from fedsecure.protocol.encodings import Digest
from fedsecure.protocol.identity import Name
from fedsecure.protocol.signing import MAX_TOKEN, Signed, verify
from fedsecure.protocol.statements import Fold, Opening, RoundSpec, Statement, Void
from fedsecure.transport.bounded_connection import peer_of, vouch
from fedsecure.transport.connection_limits import Lines
from fedsecure.transport.held_bodies import HeldBodies
from fedsecure_aggregator.http.cached_answers import CachedAnswer
from fedsecure_aggregator.http.intake import Intake
from fedsecure_aggregator.http.prometheus import Metrics, Stage
from fedsecure_aggregator.http.rate_limit import RateLimit
from fedsecure_aggregator.http.readiness import Readiness
from fedsecure_aggregator.http.request_body import reading
from fedsecure_aggregator.http.worker import Worker
from fedsecure_aggregator.rounds import grants, openings, reads, voids
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rounds.refusals import decide
from fedsecure_aggregator.storage import charges, queries
from fedsecure_aggregator.storage.jobs import reading as jobs_reading

MAX_SPEC: Final = 4 * 2**20  # bytes; 10,000 names and 1,024 scalars take 1.2 MiB
MAX_VOID: Final = 16 * 2**10  # bytes
SHORT: Final = 4 * 2**10  # bytes of a token that is checked sooner than a thread begins

S = TypeVar("S", bound=Statement)
T = TypeVar("T")

RoundId = Annotated[Digest, Path()]
Reporter = Annotated[Name, Path()]
Ticket = Annotated[str | None, Header(alias="authorization")]


class Routes:
    """The handlers, bound to one aggregator."""

    def __init__(
        self,
        context: Context,
        worker: Worker,
        metrics: Metrics,
        rate_limit: RateLimit,
        readiness: Readiness,
        lines: Lines | None,
    ) -> None:
        self._context = context
        self._readiness = readiness
        self._worker = worker
        self._metrics = metrics
        self._rate_limit = rate_limit
        self._lines = lines
        self._intake = Intake(context, worker, rate_limit)
        self._holding = HeldBodies(MAX_TOKEN)
        self._repeated = asyncio.Semaphore(1)
        self._seen = CachedAnswer(self._look, context.monotonic)

    async def grant(self, round_id: RoundId, request: Request) -> Response:
        """Consent to a round."""
        with self._metrics.stage(Stage.GRANT):
            spec, is_first = await self.verified(request, MAX_SPEC, RoundSpec)
            granted = await run_in_threadpool(
                grants.find_grant, self._context, round_id, spec
            )
            if granted is None:
                granted = await self.decide(grants.grant, round_id, spec, is_first)
            return token_answer(granted)

    async def report(
        self, round_id: RoundId, reporter: Reporter, request: Request
    ) -> Response:
        """Take a report in."""
        with self._metrics.stage(Stage.REPORT):
            receipt = await self._intake.receive(request, round_id, reporter)
        self._metrics.reports.inc()
        self._metrics.received.inc(int(request.headers["content-length"]))
        return token_answer(receipt)

    async def standing(
        self, round_id: RoundId, request: Request, authorization: Ticket = None
    ) -> dict[str, object]:
        """Tell the model owner who reported."""
        owner = self._context.federation.model_owner.name
        with self._metrics.stage(Stage.READ):
            self._require_ticket(request, authorization, owner)
            return await run_in_threadpool(reads.standing, self._context, round_id)

    async def fold(self, round_id: RoundId, request: Request) -> dict[str, object]:
        """Add a set up before it is opened, and tell what was lost."""
        with self._metrics.stage(Stage.FOLD):
            most = await run_in_threadpool(openings.most_bytes, self._context, round_id)
            asked, is_first = await self.verified(request, most, Fold)
            lost = await self.decide(openings.fold, round_id, asked, is_first)
            return {"lost": lost}

    async def open(self, round_id: RoundId, request: Request) -> Response:
        """Open a round."""
        with self._metrics.stage(Stage.OPEN):
            most = await run_in_threadpool(openings.most_bytes, self._context, round_id)
            opening, is_first = await self.verified(request, most, Opening)
            share = await run_in_threadpool(
                openings.find_answer, self._context, round_id, opening
            )
            if share is None:
                share = await self.decide(
                    openings.open_round, round_id, opening, is_first
                )
        length = framing.offset_after(share.header) + share.length
        self._metrics.sent.inc(length)
        return StreamingResponse(
            share.body(),
            media_type="application/octet-stream",
            headers={"Content-Length": str(length)},
        )

    async def void(self, round_id: RoundId, request: Request) -> Response:
        """Give a round up."""
        with self._metrics.stage(Stage.VOID):
            void, is_first = await self.verified(request, MAX_VOID, Void)
            return token_answer(await self.decide(voids.void, round_id, void, is_first))

    async def inclusion(
        self,
        round_id: RoundId,
        reporter: Reporter,
        request: Request,
        authorization: Ticket = None,
    ) -> Response:
        """Tell a data owner whether its report was in the set."""
        with self._metrics.stage(Stage.READ):
            self._require_ticket(request, authorization, reporter)
            return token_answer(
                await run_in_threadpool(
                    reads.inclusion, self._context, round_id, reporter
                )
            )

    async def identity(self) -> dict[str, object]:
        """Say who this is, for comparing before a federation starts."""
        federation = self._context.federation
        _, party = federation.find(self._context.name)
        return {
            "protocol": PROTOCOL_VERSION,
            "version": version("fedsecure"),
            "name": self._context.name,
            "federation": federation.digest,
            "fingerprint": party.fingerprint,
        }

    async def live(self) -> dict[str, str]:
        """Answer as long as the server runs."""
        return {"status": "live"}

    async def ready(self) -> dict[str, object]:
        """Answer with success only if rounds can be granted and reports stored.

        With it comes how long ago, in seconds, each task in the background was done;
        and, where jobs are computed, by which arithmetic matrices are multiplied.
        """
        fault, _ = await self._seen.get()
        if fault is not None:
            raise OperatorError(fault.code, fault.detail)
        ages = {task.name: round(task.age, 1) for task in self._readiness.tasks}
        told: dict[str, object] = {"status": "ready", "done_before": ages}
        if self._readiness.products is not None:
            told["products"] = self._readiness.products
        return told

    async def metrics(self) -> Response:
        """Return the metrics, which tell nothing about who takes part."""
        _, page = await self._seen.get()
        return Response(page, media_type=CONTENT_TYPE_LATEST)

    async def verified(
        self, request: Request, limit: int, kind: type[S]
    ) -> tuple[Signed[S], bool]:
        """Read a statement, and tell whether it comes for the first time.

        Whatever nobody signed never reaches the worker.
        """
        federation, still = self._context.federation, self._context.still_seconds
        async with reading(request, limit, still, self._holding) as token:
            if len(token) <= SHORT:
                signed = verify(token, kind, federation)
            else:
                signed = await run_in_threadpool(verify, token, kind, federation)
        peer = peer_of(request.scope)
        vouch(peer)
        return signed, self._rate_limit.charge(signed.signer, signed.digest, peer)

    async def decide(
        self,
        change: Callable[[Context, str, Signed[S]], T],
        round_id: str,
        signed: Signed[S],
        is_first: bool,
    ) -> T:
        """Do what a party has signed, by the worker, and record it if it is refused."""
        # What came before waits in a line of its own, before it waits for the worker.
        async with nullcontext() if is_first else self._repeated:
            return await self._worker.run(
                decide, self._context, signed, change, round_id, signed
            )

    def _look(self) -> tuple[OperatorError | None, bytes]:
        """Look at what no request changes, once for `ready` and for the metrics.

        Returns:
            Why this server is not ready, if it is not; and the metrics, which come
            whatever fails.
        """
        fault: OperatorError | None = None
        self._metrics.watch_tasks(self._readiness.tasks)
        if self._lines is not None:
            self._metrics.watch_lines(self._lines)
        try:
            self._metrics.disk_free.set(self._context.spool.free())
            self._readiness.require()
            with self._context.store.reading("count rounds") as session:
                self._metrics.count_rounds(queries.count_states(session))
                self._metrics.count_jobs(jobs_reading.count_states(session))
                self._metrics.privacy_spent.set(charges.largest_part(session))
        except OperatorError as error:
            fault = error
        self._metrics.ready.set(fault is None)
        return fault, self._metrics.page()

    def reader(self, request: Request, authorization: str | None) -> str:
        """Return who signed the ticket of a read, which costs that party."""
        # As it was sent: decoded, one ticket would be good for several spellings.
        path = request.scope["raw_path"].decode("latin-1")
        reader = reads.reader_of(self._context, authorization, path)
        self._charge(request, reader)
        return reader

    def _require_ticket(
        self, request: Request, authorization: str | None, reader: str
    ) -> None:
        path = request.scope["raw_path"].decode("latin-1")
        reads.require_ticket(self._context, authorization, path, reader)
        self._charge(request, reader)

    def _charge(self, request: Request, reader: str) -> None:
        peer = peer_of(request.scope)
        vouch(peer)
        self._rate_limit.require(reader)
        self._rate_limit.paid(peer)


def token_answer(token: str) -> Response:
    """Return an answer that is one token."""
    return PlainTextResponse(token, media_type="application/jose")
