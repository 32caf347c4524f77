"""An aggregator's pages about jobs.

GET  /jobs           jobs, the newest first
GET  /jobs/{spec}    one job: inputs, clients, queries, the spec
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from rich.text import Text
from sqlalchemy.orm import Session

from fedsecure.console.rendering import segment
from fedsecure.console.shell import Console
from fedsecure.protocol.jobs.statements import JobSpec
from fedsecure.protocol.stored_statements import stored
from fedsecure.terminal.values import moment, plain, size
from fedsecure_aggregator.console import job_reading, job_tables
from fedsecure_aggregator.console.job_reading import JobPage, ShownJob
from fedsecure_aggregator.rules.compute_policy import ComputePolicy

Number = Annotated[int, Query(ge=1, le=10**9)]


@dataclass(frozen=True, slots=True)
class JobRoutes:
    """The pages about jobs over one aggregator's store."""

    console: Console
    store: Callable[[], AbstractContextManager[Session]] = field(repr=False)
    policy: ComputePolicy

    def router(self) -> APIRouter:
        """Return all of them."""
        router = APIRouter()
        for path, handler in (("/jobs", self.jobs), ("/jobs/{spec}", self.job)):
            router.add_api_route(path, handler, methods=["GET"], response_model=None)
        return router

    def jobs(self, request: Request, page: Number = 1) -> Response:
        """List the jobs, the newest first."""
        with self.store() as session:
            shown = job_reading.read_jobs(session, page)
        return self.console.page(
            request,
            "jobs.html",
            shown=shown,
            columns=job_tables.JOBS,
            policy=list(_policy(self.policy)),
            enabled=self.policy.enabled,
            href=_page_of,
        )

    def job(self, request: Request, spec: str) -> Response:
        """Show one job."""
        with self.store() as session:
            shown = job_reading.read_job(session, spec)
            statement = stored(shown.token, JobSpec).statement
            return self.console.page(
                request,
                "job.html",
                shown=shown,
                row=shown.job,
                outcome=job_tables.outcome(shown.job),
                facts=list(_facts(shown, statement)),
                missing=sorted(_wanted(statement) - {one.name for one in shown.inputs}),
                inputs=job_tables.INPUTS,
                clients=job_tables.CLIENTS,
                queries=job_tables.ASKED,
                spec=statement.model_dump_json(indent=2),
            )


def _page_of(row: ShownJob) -> str:
    return f"/jobs/{segment(row.spec)}"


def _wanted(spec: JobSpec) -> set[str]:
    """Return the names of the inputs that a job needs."""
    program = spec.program
    return {"model"} if program.type == "linear" else {x.name for x in program.inputs}


def _policy(policy: ComputePolicy) -> Iterable[tuple[str, Text]]:
    for name, value in policy.model_dump(mode="json").items():
        if name == "max_memory":
            yield name, size(value)
        elif isinstance(value, list):
            yield name, plain(", ".join(sorted(value)))
        elif isinstance(value, bool):
            yield name, plain("yes" if value else "no")
        else:
            yield name, plain(f"{value:,}")


def _facts(shown: JobPage, spec: JobSpec) -> Iterable[tuple[str, Text]]:
    row = shown.job
    yield "what", job_tables.kind(row)
    yield "proposed by", plain(row.proposer)
    if row.receiver is not None:
        yield "received by", plain(row.receiver)
    else:
        yield "clients", plain(", ".join(spec.clients))
        yield "rows for each", plain(f"{row.rows:,} in all")
    for name, at in (
        ("granted", row.granted_at),
        ("until", row.deadline),
        ("kept until", row.expires),
        ("ended", row.ended_at),
    ):
        if at is not None:
            yield name, Text.assemble(moment(at), " UTC")
    if row.reason is not None:
        yield "because", plain(row.reason, "red" if row.state == "void" else "")
    if row.output_bytes is not None:
        yield "sealed output", size(row.output_bytes)
    yield "spec", plain(row.spec)
