"""The model owner's pages.

GET  /                              runs
GET  /runs/{run}                    one run: progress, curves, cohorts, costs
GET  /runs/{run}/curves.svg
GET  /runs/{run}/rounds/{which}     one round; `which` as for `fedsecure rounds`
POST /runs/{run}/rounds/{which}     the model owner's verdict on it
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from fedsecure.console.common import OwnForm
from fedsecure.console.owner import reading
from fedsecure.console.owner.pictures import Pictures
from fedsecure.console.paging import part_of
from fedsecure.console.rendering import present, segment
from fedsecure.console.shell import Console
from fedsecure.errors import PeerError
from fedsecure.owner.store.records import Verdict
from fedsecure.review import privacy, records
from fedsecure.review.choosing import Judged
from fedsecure.review.reading import open_round_store
from fedsecure.review.terminal import round_page, run_tables

SVG_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
MAX_NOTE: Final = 1000  # characters
MAX_BY: Final = 100
VERDICTS: Final = {"accept": Verdict.ACCEPTED, "reject": Verdict.REJECTED}

Judge = Callable[[str, Verdict, str, str], None]
"""Signs a verdict: the spec's digest, what, why, and by whom."""
Number = Annotated[int, Query(ge=1, le=10**9)]


@dataclass(frozen=True, slots=True)
class Routes:
    """The pages over one round store.

    Args:
        console: What they are part of.
        place: The round store.
        user: Who is offered as the one who judges.
        judge: Signs verdicts; None: this console only reads.
    """

    console: Console
    place: str
    user: str
    judge: Judge | None = field(default=None, repr=False)
    pictures: Pictures = field(default_factory=Pictures, repr=False)

    def router(self) -> APIRouter:
        """Return all of them."""
        router = APIRouter()
        for path, handler in (
            ("/", self.runs),
            ("/runs/{run}", self.run),
            ("/runs/{run}/curves.svg", self.curves),
            ("/runs/{run}/rounds/{which}", self.round),
        ):
            router.add_api_route(path, handler, methods=["GET"], response_model=None)
        path = "/runs/{run}/rounds/{which}"
        router.add_api_route(path, self.verdict, methods=["POST"], response_model=None)
        return router

    def runs(self, request: Request, page: Number = 1) -> Response:
        """List the runs, the newest first."""
        with self._store() as session:
            newest_first = list(reversed(records.runs(session)))
            entries = records.last_entry(session)
        part = part_of(page, len(newest_first), reading.RUNS_PER_PAGE)
        return self.console.page(
            request,
            "runs.html",
            runs=newest_first[part.offset :][: part.size],
            part=part,
            entries=entries,
        )

    def run(
        self,
        request: Request,
        run: str,
        page: Number = 1,
        verdict: str = "",
    ) -> Response:
        """Show one run."""
        with self._store() as session:
            shown = reading.read_run(session, run, page, _judged(verdict))
        return self.console.page(
            request,
            "run.html",
            shown=shown,
            run=shown.run,
            columns=present(run_tables.columns_for(shown.rounds), "model"),
            verdicts=list(Judged),
            href=_page_of,
            metric=run_tables.metric,
            noise=privacy.told(shown.run),
            bare=privacy.BARE,
        )

    def curves(self, run: str, theme: str = "light") -> Response:
        """Draw one run."""
        with self._store() as session:
            drawn = self.pictures.of(session, run, dark=theme == "dark")
        headers = {"Content-Security-Policy": SVG_POLICY}
        return Response(drawn, media_type="image/svg+xml", headers=headers)

    def round(self, request: Request, run: str, which: str) -> Response:
        """Show one round."""
        return self._round_page(request, run, which, {})

    async def verdict(
        self, request: Request, run: str, which: str, form: OwnForm
    ) -> Response:
        """Sign the model owner's verdict on a round."""
        return await run_in_threadpool(self._judge, request, run, which, form)

    def _judge(
        self, request: Request, run: str, which: str, form: Mapping[str, str]
    ) -> Response:
        if self.judge is None:
            raise PeerError("FS-587", "verdicts are signed with the model owner's key")
        try:
            verdict, note, by = _verdict_in(form)
        except PeerError as error:
            return self._round_page(request, run, which, form, error)
        with self._store() as session:
            row = records.find_round(session, records.find_run(session, run).run, which)
        self.judge(row.spec_digest, verdict, note, by)
        where = f"/runs/{segment(row.run)}/rounds/{segment(which)}#verdict"
        return RedirectResponse(where, HTTPStatus.SEE_OTHER)

    def _round_page(
        self,
        request: Request,
        run: str,
        which: str,
        form: Mapping[str, str],
        problem: PeerError | None = None,
    ) -> Response:
        with self._store() as session:
            shown = reading.read_round(session, run, which)
        return self.console.page(
            request,
            "round.html",
            HTTPStatus.OK if problem is None else problem.problem.status,
            shown=shown,
            row=shown.detail.round,
            participations=round_page.PARTICIPATIONS,
            statements=round_page.STATEMENTS,
            events=round_page.EVENTS,
            files=round_page.FILES,
            may_judge=self.judge is not None,
            user=self.user,
            form=form,
            problem=problem,
            max_note=MAX_NOTE,
            max_by=MAX_BY,
        )

    def _store(self) -> AbstractContextManager[Session]:
        return open_round_store(self.place)


def _judged(verdict: str) -> Judged | None:
    """Return which verdict is asked for; the form sends nothing for any.

    Raises:
        PeerError: FS-586.
    """
    if not verdict:
        return None
    if verdict not in set(Judged):
        raise PeerError("FS-586", f"there is no verdict {verdict[:20]!r}")
    return Judged(verdict)


def _page_of(row: records.RoundRow) -> str:
    """Return where one attempt at a round is shown."""
    return f"/runs/{segment(row.run)}/rounds/{row.spec_digest[:16]}"


def _verdict_in(form: Mapping[str, str]) -> tuple[Verdict, str, str]:
    """Return verdict, note and name.

    Raises:
        PeerError: FS-586 with the field.
    """
    note, by = form.get("note", "").strip(), form.get("by", "").strip()
    if form.get("verdict") not in VERDICTS:
        raise PeerError("FS-586", "choose accept or reject")
    if not 0 < len(note) <= MAX_NOTE:
        raise PeerError("FS-586", f"the note needs 1 to {MAX_NOTE:,} characters")
    if not 0 < len(by) <= MAX_BY:
        raise PeerError("FS-586", f"the name needs 1 to {MAX_BY} characters")
    return VERDICTS[form["verdict"]], note, by
