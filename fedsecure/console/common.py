"""The pages that every console has.

GET  /login    POST /login      the one-time link
POST /logout   POST /theme
GET  /live                      server-sent events: a mark that changes
GET  /audit    POST /audit      the last audit, and another one
GET  /static/{name}
"""

from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from importlib.resources import files
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from fedsecure.audit.page import CHECK_COLUMNS, SHOWN, STORES, checks
from fedsecure.console.forms import local, read_form, read_own_form
from fedsecure.console.guard import remember
from fedsecure.console.shell import THEME, THEMES, Console
from fedsecure.errors import PeerError

THEME_SECONDS: Final = 365 * 86400
STATIC: Final = {  # every file that there is; none is looked for on the disk
    "console.css": "text/css",
    "console.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}

OwnForm = Annotated[Mapping[str, str], Depends(read_own_form)]
AnyForm = Annotated[Mapping[str, str], Depends(read_form)]


class Common:
    """The handlers, bound to one console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        folder = files("fedsecure.console") / "static"
        self._static = {name: (folder / name).read_bytes() for name in STATIC}

    def router(self) -> APIRouter:
        """Return all of them."""
        router = APIRouter()
        for method, path, handler in (
            ("GET", "/static/{name}", self.static),
            ("GET", "/login", self.login_page),
            ("POST", "/login", self.login),
            ("POST", "/logout", self.logout),
            ("POST", "/theme", self.theme),
            ("GET", "/audit", self.audit_page),
            ("POST", "/audit", self.audit),
        ):
            router.add_api_route(path, handler, methods=[method], response_model=None)
        router.add_api_route(
            "/live",
            self.live,
            methods=["GET"],
            response_class=EventSourceResponse,
            dependencies=[Depends(self.room)],
        )
        return router

    async def static(self, name: str) -> Response:
        """Return a style, a script or the icon."""
        if name not in STATIC:
            raise PeerError("FS-585", "there is no such file")
        return Response(self._static[name], media_type=STATIC[name])

    async def login_page(self, request: Request) -> Response:
        """Ask for the token of the link."""
        if not self._console.place.login:
            return to("/")
        return self._console.page(request, "login.html", problem=None)

    async def login(self, request: Request, form: AnyForm) -> Response:
        """Begin a session."""
        try:
            session = self._console.sessions.sign_in(form.get("token", "").strip())
        except PeerError as error:
            status = error.problem.status
            return self._console.page(request, "login.html", status, problem=error)
        return remember(to("/"), session, self._console.place)

    async def logout(self, request: Request, _form: OwnForm) -> Response:
        """End a session."""
        self._console.sessions.end(request.state.session)
        answer = to("/login")
        cookie = self._console.place.cookie
        answer.delete_cookie(cookie, httponly=True, samesite="strict")
        return answer

    async def theme(self, form: OwnForm) -> Response:
        """Remember light, dark, or what the system says."""
        chosen = form.get("theme", "")
        if chosen not in THEMES:
            raise PeerError("FS-586", f"there is no theme {chosen[:20]!r}")
        answer = to(local(form.get("back", "/")))
        answer.set_cookie(
            THEME,
            chosen,
            max_age=THEME_SECONDS,
            httponly=True,
            samesite="strict",
            secure=self._console.place.scheme == "https",
        )
        return answer

    async def room(self) -> None:
        """Refuse one stream too many, before it begins."""
        self._console.watch.require_room()

    async def live(self, request: Request) -> AsyncIterator[ServerSentEvent]:
        """Tell a page when there is something new, as long as it is signed in."""
        cookie = request.state.session.cookie

        def allowed() -> bool:
            return self._console.sessions.find(cookie) is not None

        async for event in self._console.watch.stream(allowed):
            yield event

    def audit_page(self, request: Request) -> Response:
        """Show the last audit, or the one under way."""
        audits = self._console.audits
        last = audits.last if audits else None
        report = last.report if last else None
        return self._console.page(
            request,
            "audit.html",
            entries=self._console.entries(),
            stores=STORES,
            columns=CHECK_COLUMNS,
            checks=checks(report) if report else [],
            shown=SHOWN,
        )

    async def audit(self, _form: OwnForm) -> Response:
        """Begin an audit."""
        if self._console.audits is None:
            raise PeerError("FS-587", self._console.without_audits)
        await run_in_threadpool(self._console.audits.begin)
        return to("/audit")


def to(path: str) -> RedirectResponse:
    """Have a browser go on to a page after it sent a form."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)
