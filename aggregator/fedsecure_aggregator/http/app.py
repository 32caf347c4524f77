"""The application of one aggregator: its routes, and what it does in the background."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool

from fedsecure.core.mpc.matmul import require_exact
from fedsecure.transport.connection_limits import Lines
from fedsecure_aggregator.http.admission import Admission
from fedsecure_aggregator.http.background import Task, running
from fedsecure_aggregator.http.jobs.intake import JobIntake
from fedsecure_aggregator.http.jobs.lanes import Lanes
from fedsecure_aggregator.http.jobs.routes import JobRoutes, Route, table as job_table
from fedsecure_aggregator.http.problems import add_handlers
from fedsecure_aggregator.http.prometheus import Metrics
from fedsecure_aggregator.http.rate_limit import RateLimit
from fedsecure_aggregator.http.readiness import Readiness
from fedsecure_aggregator.http.routes import Routes
from fedsecure_aggregator.http.worker import Worker
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.rounds import deletion
from fedsecure_aggregator.rounds.context import Context

WARN_SECONDS: Final = 86400.0


def create_app(
    context: Context,
    worker: Worker,
    readiness: Readiness | None = None,
    lines: Lines | None = None,
    jobs: JobContext | None = None,
) -> FastAPI:
    """Return the application of one aggregator; run by `operations.server`."""
    metrics, ready = Metrics(), readiness or Readiness(context)
    lanes = Lanes(jobs, worker) if jobs else None
    products = require_exact() if jobs and jobs.policy.enabled else None
    ready = replace(ready, tasks=_tasks(ready, worker, lanes), products=products)
    if ready.ends is not None:
        metrics.certificate.set(ready.ends)
    rate_limit = RateLimit(context.policy.requests_per_minute, context.monotonic)
    app = FastAPI(
        lifespan=lambda _: _living(ready, worker, lanes),
        openapi_url=None,
        redirect_slashes=False,
        title="fedsecure",
    )
    add_handlers(app, metrics)
    app.add_middleware(Admission, rate_limit=rate_limit, metrics=metrics)
    routes = Routes(context, worker, metrics, rate_limit, ready, lines)
    # As they are: included, each request would go through a router of its own.
    app.router.routes.extend(_router(_table(routes)).routes)
    if lanes is not None:
        intake = JobIntake(lanes, rate_limit, metrics)
        of_jobs = JobRoutes(lanes, routes, intake, metrics)
        app.router.routes.extend(_router(job_table(of_jobs)).routes)
    return app


def _router(table: Iterable[Route]) -> APIRouter:
    router = APIRouter()
    for method, path, handler in table:
        router.add_api_route(path, handler, methods=[method], response_model=None)
    return router


def _table(routes: Routes) -> Sequence[Route]:
    return (
        ("PUT", "/v1/rounds/{round_id}", routes.grant),
        ("GET", "/v1/rounds/{round_id}", routes.standing),
        ("PUT", "/v1/rounds/{round_id}/reports/{reporter}", routes.report),
        ("POST", "/v1/rounds/{round_id}/fold", routes.fold),
        ("POST", "/v1/rounds/{round_id}/open", routes.open),
        ("POST", "/v1/rounds/{round_id}/void", routes.void),
        ("GET", "/v1/rounds/{round_id}/inclusion/{reporter}", routes.inclusion),
        ("GET", "/v1/identity", routes.identity),
        ("GET", "/health/live", routes.live),
        ("GET", "/health/ready", routes.ready),
        ("GET", "/metrics", routes.metrics),
    )


def _tasks(ready: Readiness, worker: Worker, lanes: Lanes | None) -> tuple[Task, ...]:
    """Return what is done now and then, as long as the server runs."""
    context = ready.context

    async def delete() -> None:
        rounds = await run_in_threadpool(deletion.due, context)
        # One at a time: nobody waits for the worker until all are tidied.
        failures = [await worker.run(deletion.tidied, context, one) for one in rounds]
        await worker.run(context.spool.notes.mend_ledger_head)
        for failure in filter(None, failures):
            raise failure

    async def warn() -> None:
        ready.warn_of_end()

    every = {
        "deletion": (delete, context.tidy_seconds),
        "warning": (warn, WARN_SECONDS),
    }
    if lanes is not None:
        every["jobs"] = (lanes.tidy, context.tidy_seconds)
    return tuple(
        Task(name, work, seconds, context.monotonic)
        for name, (work, seconds) in every.items()
    )


@asynccontextmanager
async def _living(
    ready: Readiness, worker: Worker, lanes: Lanes | None
) -> AsyncIterator[None]:
    async with running(ready.tasks):
        yield
    if lanes is not None:
        await run_in_threadpool(lanes.stop)
    await run_in_threadpool(worker.stop)
