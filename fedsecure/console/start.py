"""Puts a console together and serves it; both parties' commands end here."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import APIRouter

from fedsecure.console.app import create_app
from fedsecure.console.auditing import Audits
from fedsecure.console.guard import Place
from fedsecure.console.rendering import Pages
from fedsecure.console.server import Options, listen, place_of, prepare
from fedsecure.console.sessions import Sessions
from fedsecure.console.shell import Console


@dataclass(frozen=True, slots=True)
class Parts:
    """What is a party's own in its console.

    Args:
        templates: The package that has them.
        shared: What every template may name: who, and over what.
        mark: Returns what changes with everything that happens in the store.
        entries: Returns how long the ledger is.
        routers: The pages.
        audits: Its audits, if it can make any, or else `without_audits` says why not.
    """

    templates: str
    shared: Mapping[str, Any]
    mark: Callable[[], str]
    entries: Callable[[], int]
    routers: Callable[[Console], Sequence[APIRouter]]
    audits: Audits | None = field(default=None, repr=False)
    without_audits: str = ""


def run(parts: Parts, options: Options, say: Callable[[str], None]) -> None:
    """Serve a console until Ctrl-C.

    Args:
        parts: The party's own.
        options: Where.
        say: Prints a line for the person who started it.

    Raises:
        OperatorError: FS-580, FS-581, FS-590.
    """
    with listen(options) as listener:
        server = assemble(parts, options, place_of(options, listener), say)
        server.run(sockets=[listener])


def assemble(
    parts: Parts, options: Options, place: Place, say: Callable[[str], None]
) -> uvicorn.Server:
    """Return a console that is not served yet.

    Raises:
        OperatorError: FS-590.
    """

    def announce(token: str) -> None:
        say(f"  {place.url}/login#{token}")

    sessions = Sessions(secrets.token_bytes, time.monotonic, announce)
    console = Console(
        place=place,
        sessions=sessions,
        pages=Pages([parts.templates], parts.shared),
        mark=parts.mark,
        entries=parts.entries,
        clock=time.monotonic,
        audits=parts.audits,
        without_audits=parts.without_audits,
    )

    def ready() -> None:
        if place.login:
            say("Open this link. It works once; then the next one stands here.")
            sessions.begin()
        else:
            say(f"Open {place.url}; everybody on this machine can.")
        say("Ctrl-C ends the console.")

    def leaving() -> None:
        console.watch.close()
        if parts.audits is not None:
            parts.audits.close()

    app = create_app(console, parts.routers(console))
    return prepare(app, options, ready, leaving)
