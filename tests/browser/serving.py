"""Consoles for tests: served on a free port by a thread of the tests' own."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from fedsecure.console.owner.start import OwnerConsole
from fedsecure.console.server import Options, listen, place_of
from fedsecure.console.start import Parts, assemble
from fedsecure.protocol.federation_versions import Federations
from tests.browser.stores import story

SECONDS: Final = 30


@dataclass
class Served:
    """A console that answers."""

    url: str
    lines: list[str] = field(default_factory=list)

    @property
    def link(self) -> str:
        """The newest link that was printed."""
        return next(one.strip() for one in reversed(self.lines) if "#" in one)

    @property
    def token(self) -> str:
        return self.link.rpartition("#")[2]

    @property
    def origin(self) -> dict[str, str]:
        return {"Origin": self.url}

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """A browser without scripts that is signed in."""
        with httpx.Client(base_url=self.url, timeout=SECONDS) as client:
            form = {"token": self.token}
            answer = client.post("/login", data=form, headers=self.origin)
            assert answer.status_code == 303, answer.text
            yield client


@contextmanager
def serving(parts: Parts, **options: Any) -> Iterator[Served]:
    """Serve a console as long as the block lasts."""
    chosen = Options("127.0.0.1:0", **options)
    ready = threading.Event()
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            ready.set()

    with listen(chosen) as listener:
        place = place_of(chosen, listener)
        server = assemble(parts, chosen, place, say)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert ready.wait(SECONDS)
            yield Served(place.url, lines)
        finally:
            server.handle_exit(0, None)
            thread.join(SECONDS)


def owner(path: Path, *, reads_only: bool = False, **more: Any) -> Parts:
    """A model owner's console over a store of `round_story`."""
    author = None if reads_only else story.author()
    keys = Federations([story.FEDERATION])
    return OwnerConsole(str(path), "ada", author, keys, **more).parts()


def hidden(client: httpx.Client, path: str) -> str:
    """Return the token that the forms of a page hold."""
    text = client.get(path).text
    return text.partition('name="form_token" value="')[2].partition('"')[0]


def post(
    served: Served,
    client: httpx.Client,
    path: str,
    form: dict[str, str],
    without: Sequence[str] = (),
) -> httpx.Response:
    """Send a form as a page of the console would."""
    whole = {"form_token": hidden(client, "/"), **form}
    for name in without:
        del whole[name]
    return client.post(path, data=whole, headers=served.origin)
