"""The one way of the programs to a person's terminal.

Much of what is shown was written by others: the header of a table, a file's name, the
words of a server. In a terminal some characters are orders, which move the cursor,
change colours or rewrite lines. None of them gets there from a text: each shows as "?".
"""

import sys
from collections.abc import Iterable
from typing import Any

import typer
from rich import console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from structlog.typing import EventDict

from fedsecure.errors import one_line, printable


class Console(console.Console):
    """Rich's console; what a text holds does not steer the terminal."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render into segments whose texts are printable."""
        for segment in super().render(renderable, options):
            if segment.control:  # of Rich itself, such as a spinner's
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


def echo(text: str) -> None:
    """Print what a program may read, as it is; to a terminal printable alone."""
    typer.echo(printable(text) if sys.stdout.isatty() else text)


def printable_event(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Make all texts of a log line printable, and one line; for structlog."""
    return {
        key: one_line(value) if isinstance(value, str) else value
        for key, value in event.items()
    }
