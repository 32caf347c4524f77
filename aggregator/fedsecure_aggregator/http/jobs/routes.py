"""The HTTP routes of jobs. Every write is idempotent.

    PUT  /v1/jobs/{id}                       spec > grant              proposer
    POST /v1/jobs/{id}/start                 both grants > channel     proposer
    PUT  /v1/jobs/{id}/channel               peer's channel > channel  proposer
    PUT  /v1/jobs/{id}/inputs/{name}         input > receipt           its owner
    POST /v1/jobs/{id}/queries/{client}/{n}  query > answer            client
    GET  /v1/jobs/{id}                       ticket > standing         who takes part
    GET  /v1/jobs/{id}/output                ticket > output           receiver
    POST /v1/jobs/{id}/void                  void > void               proposer

`{id}` is the digest of the job's spec, in hex. Inputs, queries, answers and outputs
follow their header (`framing`); all else are tokens (JWS compact).
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Final, TypeAlias, TypeVar

from fastapi import Path, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from fedsecure.protocol.encodings import Digest
from fedsecure.protocol.identity import Name
from fedsecure.protocol.jobs.parts import ValueName
from fedsecure.protocol.jobs.statements import JobChannel, JobSpec, JobStart, JobVoid
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statement_fields import Positive
from fedsecure.protocol.statements import Statement
from fedsecure_aggregator.http.jobs.intake import JobIntake
from fedsecure_aggregator.http.jobs.lanes import Lanes
from fedsecure_aggregator.http.prometheus import Metrics, Stage
from fedsecure_aggregator.http.routes import (
    MAX_SPEC,
    MAX_VOID,
    Routes,
    Ticket,
    token_answer,
)
from fedsecure_aggregator.jobs import grants, outputs, standing, starts, voids
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.jobs.outputs import Answer
from fedsecure_aggregator.jobs.queries import Address

MAX_START: Final = 32 * 2**10  # bytes; two grants of 2.8 kB, in base64
MAX_CHANNEL: Final = 16 * 2**10  # bytes

S = TypeVar("S", bound=Statement)
Route: TypeAlias = tuple[str, str, Callable[..., object]]

JobId = Annotated[Digest, Path()]
InputName = Annotated[ValueName, Path()]
Client = Annotated[Name, Path()]
Number = Annotated[Positive, Path()]


class JobRoutes:
    """The handlers, bound to one aggregator."""

    def __init__(
        self, lanes: Lanes, routes: Routes, intake: JobIntake, metrics: Metrics
    ) -> None:
        self._lanes, self._context = lanes, lanes.context
        self._routes, self._intake, self._metrics = routes, intake, metrics

    async def grant(self, job_id: JobId, request: Request) -> Response:
        """Consent to a job."""
        with self._metrics.stage(Stage.JOB):
            spec, is_first = await self._routes.verified(request, MAX_SPEC, JobSpec)
            granted = await run_in_threadpool(
                grants.find_grant, self._context, job_id, spec
            )
            if granted is None:
                granted = await self._decide(grants.grant, job_id, spec, is_first)
            return token_answer(granted)

    async def start(self, job_id: JobId, request: Request) -> Response:
        """Hear that both aggregators consent; hand out a channel key."""
        with self._metrics.stage(Stage.JOB):
            begun, is_first = await self._routes.verified(request, MAX_START, JobStart)
            return token_answer(
                await self._decide(starts.start, job_id, begun, is_first)
            )

    async def channel(self, job_id: JobId, request: Request) -> Response:
        """Take the other aggregator's channel key."""
        with self._metrics.stage(Stage.JOB):
            key, is_first = await self._routes.verified(
                request, MAX_CHANNEL, JobChannel
            )
            own = await self._decide(starts.channel, job_id, key, is_first)
            await self._lanes.run_due()
            return token_answer(own)

    async def input(self, job_id: JobId, name: InputName, request: Request) -> Response:
        """Take an input in."""
        with self._metrics.stage(Stage.INPUT):
            return token_answer(await self._intake.input(request, job_id, name))

    async def query(
        self, job_id: JobId, client: Client, number: Number, request: Request
    ) -> Response:
        """Answer a query."""
        asked = Address(job_id, client, number)
        with self._metrics.stage(Stage.QUERY):
            return _framed(await self._intake.query(request, asked))

    async def standing(
        self, job_id: JobId, request: Request, authorization: Ticket = None
    ) -> dict[str, object]:
        """Tell those who take part how a job stands."""
        with self._metrics.stage(Stage.READ):
            reader = self._routes.reader(request, authorization)
            return await run_in_threadpool(
                standing.standing, self._context, job_id, reader
            )

    async def output(
        self, job_id: JobId, request: Request, authorization: Ticket = None
    ) -> Response:
        """Hand the output out to its receiver."""
        with self._metrics.stage(Stage.READ):
            reader = self._routes.reader(request, authorization)
            return _framed(
                await run_in_threadpool(outputs.output, self._context, job_id, reader)
            )

    async def void(self, job_id: JobId, request: Request) -> Response:
        """End a job."""
        with self._metrics.stage(Stage.VOID):
            said, is_first = await self._routes.verified(request, MAX_VOID, JobVoid)
            return token_answer(await self._decide(voids.void, job_id, said, is_first))

    async def _decide(
        self,
        change: Callable[[JobContext, str, Signed[S]], str],
        job_id: str,
        signed: Signed[S],
        is_first: bool,
    ) -> str:
        context = self._context
        return await self._routes.decide(
            lambda _, digest, said: change(context, digest, said),
            job_id,
            signed,
            is_first,
        )


def table(routes: JobRoutes) -> Sequence[Route]:
    """Return method, path and handler of each."""
    return (
        ("PUT", "/v1/jobs/{job_id}", routes.grant),
        ("POST", "/v1/jobs/{job_id}/start", routes.start),
        ("PUT", "/v1/jobs/{job_id}/channel", routes.channel),
        ("PUT", "/v1/jobs/{job_id}/inputs/{name}", routes.input),
        ("POST", "/v1/jobs/{job_id}/queries/{client}/{number}", routes.query),
        ("GET", "/v1/jobs/{job_id}", routes.standing),
        ("GET", "/v1/jobs/{job_id}/output", routes.output),
        ("POST", "/v1/jobs/{job_id}/void", routes.void),
    )


def _framed(answer: Answer) -> Response:
    return Response(answer.body, media_type="application/octet-stream")
