"""Write the tables of docs/data-model.md from the schemas' own comments.

    python tools/data_model.py           write them anew
    python tools/data_model.py --check   fail where the page differs

What stands between `<!-- generated: name -->` and `<!-- end -->` comes from here; the
rest of the page is written by hand.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Float,
    Integer,
    LargeBinary,
    Table,
)
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeEngine

import fedsecure.owner.store.views
import fedsecure_aggregator.storage.jobs.tables
import fedsecure_aggregator.storage.tables
import fedsecure_aggregator.storage.views
import fedsecure_clients.state.tables
import fedsecure_clients.state.views
from fedsecure.owner.store import models
from fedsecure.storage.views import View

PAGE: Final = Path(__file__).parents[1] / "docs" / "data-model.md"
PART: Final = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def page() -> str:
    """Return docs/data-model.md with its tables as the schemas are now."""
    text = PAGE.read_text("utf-8")
    return PART.sub(lambda part: f"{part[1]}{PARTS[part[2]]()}\n{part[3]}", text)


def tables(base: type[DeclarativeBase]) -> str:
    """Describe every table of a store; a table comes after those it refers to."""
    about = {
        mapper.local_table: mapper.class_.__doc__ for mapper in base.registry.mappers
    }
    return "".join(
        _table(table, table.comment or str(about[table]))
        for table in base.metadata.sorted_tables
    )


def described(views: Iterable[View]) -> str:
    """Describe views, column by column."""
    return "".join(
        _described(
            view.name,
            view.comment,
            ("column", "meaning"),
            ((f"`{column.name}`", column.comment) for column in view.columns),
        )
        for view in views
    )


def _table(table: Table, comment: str) -> str:
    rows = (
        (f"`{column.name}`", _kind(column), column.comment or "")
        for column in table.columns
    )
    heads = ("column", "type", "meaning")
    return _described(table.name, comment, heads, rows)


def _described(
    name: str, comment: str, heads: Iterable[str], rows: Iterable[Iterable[str]]
) -> str:
    sentence = f"{comment[0].upper()}{comment[1:].removesuffix('.')}."
    lines = ["", f"### {name}", "", sentence, "", *_markdown(heads, rows)]
    return "\n".join(lines) + "\n"


def _markdown(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = list(heads)
    for cells in (heads, ["---"] * len(heads), *rows):
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _kind(column: Column[Any]) -> str:
    words = [_type(column.type)]
    if column.primary_key:
        words.append("key")
    words += [f"-> {key.target_fullname}" for key in column.foreign_keys]
    if column.nullable:
        words.append("or null")
    return " ".join(words)


def _type(kind: TypeEngine[Any]) -> str:
    if isinstance(kind, models.CanonicalJson):
        return "JSON text"
    if isinstance(kind, Integer | BigInteger):
        return "integer"
    if isinstance(kind, Double | Float):
        return "number"
    if isinstance(kind, LargeBinary):
        return "bytes"
    length = getattr(kind, "length", None)
    return f"text ({length})" if length else "text"


PARTS: Final[dict[str, Callable[[], str]]] = {
    "round-store-views": lambda: described(fedsecure.owner.store.views.VIEWS),
    "round-store-tables": lambda: tables(models.Base),
    "aggregator-views": lambda: described(fedsecure_aggregator.storage.views.VIEWS),
    "aggregator-tables": lambda: (
        tables(fedsecure_aggregator.storage.tables.Base)
        + tables(fedsecure_aggregator.storage.jobs.tables.Unrecorded)
    ),
    "agent-views": lambda: described(fedsecure_clients.state.views.VIEWS),
    "agent-tables": lambda: tables(fedsecure_clients.state.tables.Base),
}


def main() -> None:
    """Write the page, or compare it."""
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, "utf-8")
    elif PAGE.read_text("utf-8") != text:
        sys.exit(f"{PAGE.name} is not what {Path(__file__).name} writes")


if __name__ == "__main__":
    main()
