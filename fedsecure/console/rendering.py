"""Templates to pages: everything is escaped, and what is not printable is replaced.

Columns, words and numbers are those of the terminal: a page says what a command says.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from rich.text import Text

from fedsecure.terminal import values
from fedsecure.terminal.text_tables import Column

TONES: Final = ("green", "red", "yellow", "cyan", "dim")


class Pages:
    """Every template of a console.

    Args:
        packages: Where templates are looked for, the console's own last.
        shared: What all of them may name.
    """

    def __init__(self, packages: Sequence[str], shared: Mapping[str, Any]) -> None:
        loaders = [PackageLoader(one) for one in (*packages, "fedsecure.console")]
        self._environment = Environment(
            loader=ChoiceLoader(loaders),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "moment": values.moment,
            "number": values.number,
            "percent": values.percent,
            "size": values.size,
            "digest": values.digest,
            "tone": tone,
            "segment": segment,
        }
        self._environment.globals |= {
            "when": when,
            "lines": lines,
            **shared,
        }

        for name in self._environment.list_templates():
            self._environment.get_template(name)  # now, so that no page waits for it

    def render(self, template: str, **content: Any) -> str:
        """Return a page."""
        return self._environment.get_template(template).render(**content)


def tone(value: Text | str | None) -> str:
    """Return the class of a word's colour: of a state, or as the terminal has it."""
    if isinstance(value, Text):
        styles = [str(value.style), *(str(span.style) for span in value.spans)]
    else:
        styles = [values.STYLES.get(value or "", "")]
    words = " ".join(styles).split()
    return next((one for one in TONES if one in words), "")


def segment(value: object) -> str:
    """Return a name as one segment of a path."""
    return quote(str(value), safe="")


def when(at: float) -> str:
    """Return an instant, seconds since 1970, as the views write it."""
    moment = datetime.fromtimestamp(at, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def lines(text: str) -> Markup:
    """Return a text of several lines, escaped."""
    return Markup("\n").join(
        escape(values.plain(one).plain) for one in text.split("\n")
    )


def present(columns: Iterable[Column[Any]], *without: str) -> list[Any]:
    """Return the columns of a table, without those of these titles."""
    return [one for one in columns if one.title not in without]


def _shown(value: object) -> object:
    # Markup is a template's own; all else is data.
    if isinstance(value, Markup):
        return value
    if isinstance(value, Text):
        return value.plain
    return values.plain(value).plain
