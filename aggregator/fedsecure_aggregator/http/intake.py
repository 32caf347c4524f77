"""One upload, from the wire into the spool: never more in memory than a piece of it.

The header is checked before the payload is read, so only a data owner of the round's
cohort can make this server write, and only as many bytes as its report has.
"""

from dataclasses import dataclass
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from fedsecure.core.layout import Buffer
from fedsecure.core.sealing.payload_digest import PayloadDigest
from fedsecure.errors import PeerError, RoundStateError
from fedsecure.protocol import framing
from fedsecure.protocol.signing import Signed, verify
from fedsecure.protocol.statements import ReportHeader
from fedsecure.transport.bounded_connection import peer_of, vouch
from fedsecure_aggregator.http.rate_limit import RateLimit
from fedsecure_aggregator.http.request_body import Body, require_length
from fedsecure_aggregator.http.under_way import UnderWay
from fedsecure_aggregator.http.worker import Worker
from fedsecure_aggregator.rounds import receipts, refusals, reports
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rounds.reports import Expected
from fedsecure_aggregator.storage.spool import Upload


@dataclass(frozen=True, slots=True)
class _Refused:
    """Why a report is not expected, and whether that is still to be recorded."""

    error: PeerError | RoundStateError
    is_new: bool


class Intake:
    """Takes reports in. One for each server."""

    def __init__(self, context: Context, worker: Worker, rate_limit: RateLimit) -> None:
        self._context = context
        self._worker = worker
        self._rate_limit = rate_limit
        self._under_way = UnderWay()

    async def receive(self, request: Request, digest: str, reporter: str) -> str:
        """Stream a report into the spool and return its receipt.

        Raises:
            PeerError: FS-301, FS-310 to FS-319, FS-7xx.
            RoundStateError: FS-300, FS-304 to FS-306, FS-312, FS-318.
            OperatorError: FS-523 to FS-525.
        """
        longest = await self._longest(digest)
        limit = framing.LENGTH.size + framing.MAX_HEADER + longest
        length = require_length(request, limit)
        body = Body(request, self._context.still_seconds)
        async with body.within(framing.MAX_HEADER):
            token = await read_header(body)
        # Short, and so checked here: a thread would cost more than it takes away.
        header = verify(token, ReportHeader, self._context.federation)
        peer = peer_of(request.scope)
        vouch(peer)
        self._rate_limit.charge(header.signer, header.digest, peer)
        expected = await self._expected(digest, reporter, header)
        offset = framing.offset_after(token)
        _require_exact(length, offset, expected)
        # Not before the header is verified, or strangers could take all the slots.
        with self._under_way.slot(digest, reporter):
            if expected.stored:
                await self._compare(body, expected)
                return await run_in_threadpool(
                    receipts.receipt, self._context, digest, reporter
                )
            upload = await self._store(body, token, expected)
            return await self._worker.run(
                refusals.decide,
                self._context,
                expected.header,
                partial(
                    reports.accept, expected=expected, upload=upload, offset=offset
                ),
            )

    async def _expected(
        self, digest: str, reporter: str, header: Signed[ReportHeader]
    ) -> Expected:
        """Check a report's header; who is refused again waits for no worker."""
        found = await run_in_threadpool(self._look, digest, reporter, header)
        if isinstance(found, Expected):
            return found
        if found.is_new:
            context, error = self._context, found.error
            await self._worker.run(refusals.record, context, header, error)
        raise found.error

    def _look(
        self, digest: str, reporter: str, header: Signed[ReportHeader]
    ) -> Expected | _Refused:
        try:
            return reports.expect(self._context, digest, reporter, header)
        except (PeerError, RoundStateError) as error:
            return _Refused(error, refusals.is_new(self._context, header, error))

    async def _longest(self, digest: str) -> int:
        """Return how long a payload of a round can be; the store is asked once."""
        granted = self._context.grant_cache.known(digest)
        if granted is not None:
            return reports.longest_payload(granted.params)
        return await run_in_threadpool(reports.most_bytes, self._context, digest)

    async def _compare(self, body: Body, expected: Expected) -> None:
        digest = PayloadDigest(expected.header.statement.length)
        async with body.moving():
            await body.stream(digest.update)
        _require_digest(digest, expected)

    async def _store(self, body: Body, token: str, expected: Expected) -> Upload:
        """Write a report to the spool; on disk, and what its header says, on return."""
        self._context.spool.require_space(expected.header.statement.length)
        digest = PayloadDigest(expected.header.statement.length)
        with self._context.spool.uploading("incoming report") as upload:
            upload.write(framing.prefix(token))
            async with body.moving():
                await body.stream(lambda piece: _write(piece, upload, digest))
            _require_digest(digest, expected)
            await run_in_threadpool(upload.sync)
        return upload


async def read_header(body: Body) -> str:
    """Read the header that precedes a payload; nobody is known to have signed it.

    Raises:
        PeerError: FS-313, FS-315, FS-701.
    """
    (length,) = framing.LENGTH.unpack(await body.take(framing.LENGTH.size))
    if not length <= framing.MAX_HEADER:
        raise PeerError("FS-315", f"a header of {length} bytes")
    try:
        return (await body.take(length)).decode("ascii")
    except UnicodeDecodeError as error:
        raise PeerError("FS-701", "the header is not a compact JWS") from error


def _require_exact(length: int, offset: int, expected: Expected) -> None:
    whole = offset + expected.header.statement.length
    if length != whole:
        raise PeerError("FS-310", f"a body of {length} bytes, its header says {whole}")


def _require_digest(digest: PayloadDigest, expected: Expected) -> None:
    if digest.digest().hex() != expected.header.statement.digest:
        report = expected.header.statement.report_id
        raise PeerError("FS-313", f"payload of report {report}")


def _write(piece: Buffer, upload: Upload, digest: PayloadDigest) -> None:
    digest.update(piece)
    upload.write(piece)
