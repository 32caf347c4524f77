"""An aggregator's pages.

GET  /                 rounds, privacy spent, what is refused, the policy
GET  /rounds/{spec}    one round: reports, opening, refusals, the spec
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
from fedsecure.protocol.statements import RoundSpec
from fedsecure.protocol.stored_statements import stored
from fedsecure.terminal.values import moment, plain, size
from fedsecure_aggregator.console import page_tables, reading
from fedsecure_aggregator.console.reading import Detail, RoundRow
from fedsecure_aggregator.rules.policy import Policy

Number = Annotated[int, Query(ge=1, le=10**9)]


@dataclass(frozen=True, slots=True)
class Routes:
    """The pages over one aggregator's store."""

    console: Console
    store: Callable[[], AbstractContextManager[Session]] = field(repr=False)
    policy: Policy

    def router(self) -> APIRouter:
        """Return all of them."""
        router = APIRouter()
        for path, handler in (("/", self.rounds), ("/rounds/{spec}", self.round)):
            router.add_api_route(path, handler, methods=["GET"], response_model=None)
        return router

    def rounds(self, request: Request, page: Number = 1) -> Response:
        """List the rounds, the newest first."""
        with self.store() as session:
            shown = reading.read_overview(session, page)
        return self.console.page(
            request,
            "rounds.html",
            shown=shown,
            states={state.value: number for state, number in shown.states.items()},
            columns=page_tables.ROUNDS,
            refusals=page_tables.REFUSALS,
            accounts=page_tables.ACCOUNTS,
            policy=list(_policy(self.policy)),
            href=_page_of,
        )

    def round(self, request: Request, spec: str) -> Response:
        """Show one round."""
        with self.store() as session:
            shown = reading.read_round(session, spec)
        statement = stored(shown.token, RoundSpec).statement
        reported = {one.reporter for one in shown.reports}
        return self.console.page(
            request,
            "round.html",
            shown=shown,
            row=shown.round,
            facts=list(_facts(shown)),
            reports=page_tables.REPORTS,
            refusals=page_tables.REFUSALS,
            left_out=sorted(reported - shown.members) if shown.opening else [],
            silent=sorted(set(statement.cohort) - reported),
            spec=statement.model_dump_json(indent=2),
        )


def _page_of(row: RoundRow) -> str:
    return f"/rounds/{segment(row.spec)}"


def _policy(policy: Policy) -> Iterable[tuple[str, Text]]:
    for name, value in policy.model_dump(mode="json").items():
        if name == "max_body":
            yield name, size(value)
        else:
            yield name, plain(f"{value:,}" if isinstance(value, int) else value)


def _facts(shown: Detail) -> Iterable[tuple[str, Text]]:
    row, opening = shown.round, shown.opening
    yield "asked by", plain(row.owner)
    yield "purpose", plain(f"{row.purpose}, attempt {row.attempt}")
    yield "cohort", plain(f"{row.cohort} asked, at least {row.min_cohort} to open")
    yield "parameters", plain(f"{row.dimension:,}")
    for name, at in (
        ("granted", row.granted_at),
        ("deadline", row.deadline),
        ("expires", row.expires),
        ("opened", row.opened_at),
        ("void", row.void_at),
    ):
        if at is not None:
            yield name, Text.assemble(moment(at), " UTC")
    if row.void_reason is not None:
        yield "because", plain(row.void_reason, "red")
    if opening is not None:
        yield "set", plain(f"{opening.count} reports")
        yield "set digest", plain(opening.set_digest)
        yield "opening", plain(opening.opening)
        yield "share (SHA-256)", plain(opening.share_digest)
        yield "share", size(opening.share_bytes)
    yield "started from", plain(row.started_from)
    yield "task", plain(row.task)
    yield "spec", plain(row.spec)
