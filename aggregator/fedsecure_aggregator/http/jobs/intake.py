"""An input, from the wire into the spool; a query's rows, into memory.

The header is checked before what follows is read. An input is as long as its program
says, and a query as its rows; all queries under way together take at most as many bytes
as a job may.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from fedsecure.core.layout import Buffer
from fedsecure.core.sealing.payload_digest import PayloadDigest
from fedsecure.errors import PeerError, RoundStateError
from fedsecure.protocol import framing
from fedsecure.protocol.jobs.statements import JobInput, JobQuery
from fedsecure.protocol.signing import Signed, verify
from fedsecure.protocol.statements import Statement
from fedsecure.transport.bounded_connection import peer_of, vouch
from fedsecure.transport.held_bodies import HeldBodies
from fedsecure_aggregator.http.intake import read_header
from fedsecure_aggregator.http.jobs.lanes import Lanes
from fedsecure_aggregator.http.prometheus import Metrics
from fedsecure_aggregator.http.rate_limit import RateLimit
from fedsecure_aggregator.http.request_body import Body, require_length
from fedsecure_aggregator.http.under_way import UnderWay
from fedsecure_aggregator.jobs import inputs, queries, services
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.jobs.inputs import ExpectedInput
from fedsecure_aggregator.jobs.outputs import Answer
from fedsecure_aggregator.jobs.queries import Address, ExpectedQuery
from fedsecure_aggregator.rounds import refusals
from fedsecure_aggregator.storage.spool import Upload

S = TypeVar("S", bound=Statement)


class JobIntake:
    """Takes inputs and queries in. One for each server."""

    def __init__(self, lanes: Lanes, rate_limit: RateLimit, metrics: Metrics) -> None:
        self._lanes, self._metrics = lanes, metrics
        self._rate_limit = rate_limit
        self._under_way = UnderWay()
        self._holding = HeldBodies(lanes.context.policy.max_memory)

    @property
    def _context(self) -> JobContext:
        return self._lanes.context

    async def input(self, request: Request, digest: str, name: str) -> str:
        """Stream an input into the spool, look at it, and return its receipt.

        Raises:
            PeerError: FS-224, FS-301, FS-310 to FS-319, FS-7xx.
            RoundStateError: FS-318, FS-390 to FS-392, FS-397.
            OperatorError: FS-523 to FS-525.
        """
        longest = await run_in_threadpool(inputs.most_bytes, self._context, digest)
        body, length, token = await self._begin(request, longest)
        header = self._signed(request, token, JobInput)
        async with self._recording(header):
            expected = await run_in_threadpool(
                inputs.expect, self._context, digest, name, header
            )
            _require_exact(length, token, header.statement.length)
            with self._under_way.slot(digest, header.signer):
                return await self._take(body, token, expected)

    async def query(self, request: Request, asked: Address) -> Answer:
        """Take a query's rows in, and return the answer; the same one again.

        Raises:
            PeerError: FS-301, FS-310 to FS-319, FS-398, FS-443, FS-445, FS-7xx.
            RoundStateError: FS-318, FS-390 to FS-392, FS-395, FS-537.
            OperatorError: FS-523 to FS-525, FS-541.
        """
        service = self._context.services.known(asked.digest)
        if service is None:
            service = await self._lanes.compute.run(
                services.find, self._context, asked.digest
            )
        longest = queries.most_bytes(self._context, service)
        body, length, token = await self._begin(request, longest)
        header = self._signed(request, token, JobQuery)
        async with self._recording(header):
            expected = queries.expect(self._context, service, asked, header)
            _require_exact(length, token, header.statement.length)
            with self._under_way.slot(asked.digest, header.signer):
                return await self._answer(request, body, expected)

    async def _begin(self, request: Request, longest: int) -> tuple[Body, int, str]:
        """Read a body's header, which nobody is known to have signed yet."""
        limit = framing.LENGTH.size + framing.MAX_HEADER + longest
        length = require_length(request, limit)
        body = Body(request, self._context.server.still_seconds)
        async with body.within(framing.MAX_HEADER):
            return body, length, await read_header(body)

    def _signed(self, request: Request, token: str, kind: type[S]) -> Signed[S]:
        header = verify(token, kind, self._context.server.federation)
        peer = peer_of(request.scope)
        vouch(peer)
        self._rate_limit.charge(header.signer, header.digest, peer)
        return header

    async def _take(self, body: Body, token: str, expected: ExpectedInput) -> str:
        context, said = self._context, expected.header.statement
        if expected.stored:
            digest = PayloadDigest(said.length, hashed_whole=True)
            await _stream(body, digest, said.digest)
            return await run_in_threadpool(
                inputs.receipt, context, said.spec, said.name
            )
        upload = await self._store(body, token, expected)
        try:
            receipt = await self._lanes.computed(
                lambda: inputs.open_input(
                    context, expected, upload, framing.offset_after(token)
                ),
                lambda _: inputs.accept(context, expected, upload),
            )
        finally:
            upload.discard()
        await self._lanes.run_due()
        return receipt

    async def _store(self, body: Body, token: str, expected: ExpectedInput) -> Upload:
        """Write an input to the spool; on disk, and what its header says, on return."""
        said = expected.header.statement
        self._context.server.spool.require_space(said.length)
        digest = PayloadDigest(said.length, hashed_whole=True)
        with self._context.spool.uploading("incoming input") as upload:
            upload.write(framing.prefix(token))
            await _stream(body, digest, said.digest, upload.write)
            await run_in_threadpool(upload.sync)
        return upload

    async def _answer(
        self, request: Request, body: Body, asked: ExpectedQuery
    ) -> Answer:
        context, said = self._context, asked.header.statement
        digest = PayloadDigest(said.length, hashed_whole=True)
        if not queries.is_new(context, asked):
            answer = await run_in_threadpool(queries.find_answer, context, asked)
            if answer is not None:
                await _stream(body, digest, said.digest)
                return answer
        peer = peer_of(request.scope)
        with self._holding.room(peer.address if peer else "") as held:
            self._holding.add(held, said.length)
            payload = bytearray()
            await _stream(body, digest, said.digest, payload.extend)
            answer = await self._lanes.computed(
                lambda: queries.compute(context, asked, payload),
                lambda made: queries.commit(context, asked, made),
            )
        self._metrics.queries.inc()
        self._metrics.query_rows.inc(said.rows)
        return answer

    @asynccontextmanager
    async def _recording(self, header: Signed[S]) -> AsyncIterator[None]:
        """Record why something signed is refused, once."""
        server = self._context.server
        try:
            yield
        except (PeerError, RoundStateError) as error:
            if await run_in_threadpool(refusals.is_new, server, header, error):
                await self._lanes.worker.run(refusals.record, server, header, error)
            raise


async def _stream(
    body: Body,
    digest: PayloadDigest,
    expected: str,
    *takers: Callable[[Buffer], object],
) -> None:
    """Read a payload to its end, and check that it is the one that was signed."""

    def take(piece: Buffer) -> None:
        digest.update(piece)
        for taker in takers:
            taker(piece)

    async with body.moving():
        await body.stream(take)
    if digest.digest().hex() != expected:
        raise PeerError("FS-313", "its payload")


def _require_exact(length: int, token: str, payload: int) -> None:
    whole = framing.offset_after(token) + payload
    if length != whole:
        raise PeerError("FS-310", f"a body of {length} bytes, its header says {whole}")
