"""The model owner's pages about its services.

GET  /jobs           services, the newest first
GET  /jobs/{spec}    one of them: how it stands, what it tells its clients, the spec
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from rich.text import Text

from fedsecure.console.owner import job_reading
from fedsecure.console.owner.job_reading import JobPage, ShownJob
from fedsecure.console.rendering import segment
from fedsecure.console.shell import Console
from fedsecure.protocol.jobs.statements import JobSpec
from fedsecure.protocol.stored_statements import stored
from fedsecure.review.reading import open_round_store
from fedsecure.terminal.text_tables import Column
from fedsecure.terminal.values import moment, plain, stated

Number = Annotated[int, Query(ge=1, le=10**9)]
KNOWN: Final = {
    "shares": "by shares: both aggregators know the weights",
    "paillier": "by Paillier: no aggregator alone knows the weights",
}


def _of(row: ShownJob) -> Text:
    return plain(row.run or "a file")


def _outcome(row: ShownJob) -> Text:
    if row.reason:
        return plain(row.reason, "red" if row.state == "failed" else "")
    if row.tried:
        return plain(f"{row.tried} rows tried, off by {row.difference or 0:.1g}")
    return plain(None)


COLUMNS: Final[tuple[Column[ShownJob], ...]] = (
    Column("service", lambda row: plain(row.job)),
    Column("state", lambda row: stated(row.state)),
    Column("method", lambda row: plain(row.method)),
    Column("model of", _of),
    Column("clients", lambda row: plain(", ".join(row.asking)), folds=True),
    Column("rows for each", lambda row: plain(f"{row.rows:,}"), "right"),
    Column("proposed (UTC)", lambda row: moment(row.proposed_at)),
    Column("until (UTC)", lambda row: moment(row.deadline)),
    Column("outcome", _outcome, folds=True),
)


@dataclass(frozen=True, slots=True)
class JobRoutes:
    """The pages about services over one round store."""

    console: Console
    place: str

    def router(self) -> APIRouter:
        """Return all of them."""
        router = APIRouter()
        for path, handler in (("/jobs", self.jobs), ("/jobs/{spec}", self.job)):
            router.add_api_route(path, handler, methods=["GET"], response_model=None)
        return router

    def jobs(self, request: Request, page: Number = 1) -> Response:
        """List the services, the newest first."""
        with open_round_store(self.place) as session:
            shown = job_reading.read_jobs(session, page)
        return self.console.page(
            request, "jobs.html", shown=shown, columns=COLUMNS, href=_page_of
        )

    def job(self, request: Request, spec: str) -> Response:
        """Show one service."""
        with open_round_store(self.place) as session:
            shown = job_reading.read_job(session, spec)
        statement = stored(shown.token, JobSpec).statement
        told = shown.description
        return self.console.page(
            request,
            "job.html",
            shown=shown,
            row=shown.job,
            title=str((told or {}).get("title") or shown.job.job),
            facts=list(_facts(shown)),
            told=None if told is None else json.dumps(told, indent=2),
            spec=statement.model_dump_json(indent=2),
            known=shown.job.rows > shown.job.features,
        )


def _page_of(row: ShownJob) -> str:
    return f"/jobs/{segment(row.spec_digest)}"


def _facts(shown: JobPage) -> Iterable[tuple[str, Text]]:
    row = shown.job
    yield "method", plain(KNOWN.get(row.method, row.method))
    yield "model of", _of(row)
    yield "clients", plain(", ".join(row.asking))
    yield "rows for each", plain(f"{row.rows:,} in all")
    yield "features", plain(f"{row.features:,}")
    yield "outputs", plain(f"{row.outputs:,}")
    if row.tried:
        words = f"{row.tried} rows, off by at most {row.difference or 0:.1g}"
        yield "tried through both", plain(words)
    for name, at in (
        ("proposed", row.proposed_at),
        ("ready", row.ready_at),
        ("ended", row.ended_at),
        ("until", row.deadline),
    ):
        if at is not None:
            yield name, Text.assemble(moment(at), " UTC")
    if row.reason is not None:
        yield "because", plain(row.reason, "red" if row.state == "failed" else "")
    if row.model is not None:
        yield "model", plain(row.model)
    yield "spec", plain(row.spec_digest)
