"""What a console is made of, and how it answers a browser with a page."""

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse

from fedsecure.console.auditing import Audits
from fedsecure.console.guard import Place
from fedsecure.console.rendering import Pages
from fedsecure.console.sessions import Session, Sessions
from fedsecure.console.watching import Watch

THEMES: Final = ("auto", "light", "dark")
THEME: Final = "fedsecure-theme"  # the cookie


@dataclass(frozen=True, slots=True)
class Console:
    """What a console is made of.

    Args:
        place: Where it is.
        sessions: Who is signed in.
        pages: Its templates.
        mark: Returns what changes with everything that happens in the store.
        entries: Returns how long the ledger of its store is.
        clock: Seconds, never going back.
        audits: Its audits; None: it cannot make any.
        without_audits: Why it cannot, and what to type instead.
    """

    place: Place
    sessions: Sessions
    pages: Pages
    mark: Callable[[], str]
    entries: Callable[[], int]
    clock: Callable[[], float]
    audits: Audits | None = None
    without_audits: str = ""
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "watch", Watch(self._mark, self.clock))

    def page(
        self, request: Request, template: str, status: int = HTTPStatus.OK, **about: Any
    ) -> HTMLResponse:
        """Return a page for the browser that asks."""
        session: Session | None = getattr(request.state, "session", None)
        theme = request.cookies.get(THEME, THEMES[0])
        query = request.url.query
        content = self.pages.render(
            template,
            path=request.url.path,
            here=request.url.path + (f"?{query}" if query else ""),
            theme=theme if theme in THEMES else THEMES[0],
            themes=THEMES,
            form_token=session.form_token if session else "",
            signed_in=session is not None,
            login=self.place.login,
            audits=self.audits,
            why_not=self.without_audits,
            **about,
        )
        return HTMLResponse(content, status)

    def _mark(self) -> str:
        told = 0 if self.audits is None else self.audits.mark
        return f"{self.mark()}.{told}"
