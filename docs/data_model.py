"""Write the tables of docs/data-model.md from the schemas' own comments.

    python docs/data_model.py           write them anew
    python docs/data_model.py --check   fail where the page differs

What stands between `<!-- generated: name -->` and `<!-- end -->` comes from here; the
rest of the page is written by hand.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Float,
    Integer,
    Table,
    inspect,
)
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeEngine

import aggregator.store
import aggregator.tables
import clients.rows
from aggregator.migrations.versions import initial as aggregator_schema
from fedsecure import database
from fedsecure.store import models, views

PAGE: Final = Path(__file__).with_name("data-model.md")
PART: Final = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)

_DESCRIBED: Final = re.compile(r'((?: *# .+\n)+) *"(v_\w+)": """')
_NAMED: Final = re.compile(r"(\w)\.(\w+)")
_ALIASES: Final = re.compile(r"(?:FROM|JOIN) (\w+) (\w)\b")


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


def owner_views() -> str:
    """Describe the views of the round store."""
    return "".join(
        _described(
            view.name,
            view.comment,
            ("column", "meaning"),
            ((f"`{column.name}`", column.comment) for column in view.columns),
        )
        for view in views.VIEWS
    )


def aggregator_views() -> str:
    """Describe the views of the aggregator store, by the columns they show."""
    source = Path(str(aggregator_schema.__file__)).read_text("utf-8")
    comments = {name: _unmarked(text) for text, name in _DESCRIBED.findall(source)}
    engine = database.open_for_writing(database.locate("sqlite://"))
    try:
        database.upgrade(engine, aggregator.store.MIGRATIONS)
        with engine.connect() as connection:
            return "".join(
                _aggregator_view(connection, name, query, comments[name])
                for name, query in aggregator_schema.VIEWS.items()
            )
    finally:
        engine.dispose()


def _aggregator_view(
    connection: Connection, name: str, query: str, comment: str
) -> str:
    columns = [one["name"] for one in inspect(connection).get_columns(name)]
    sources = dict(zip(columns, _selected(query), strict=True))
    shown = aggregator.tables.Base.metadata.tables
    origin = {alias: shown[table] for table, alias in _ALIASES.findall(query)}
    rows = (
        (f"`{column}`", _meaning(expression, origin))
        for column, expression in sources.items()
    )
    return _described(name, comment, ("column", "meaning"), rows)


def _selected(query: str) -> list[str]:
    """Return the expressions of a SELECT, without their new names."""
    text = " ".join(query.split()).removeprefix("SELECT ")
    parts, depth, start = [], 0, 0
    for place, char in enumerate(text):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth == 0 and (char == "," or text.startswith(" FROM ", place)):
            parts.append(text[start:place].strip())
            start = place + 1
        if depth == 0 and text.startswith(" FROM ", place):
            break
    return [re.sub(r" AS \w+$", "", part) for part in parts]


def _meaning(expression: str, origin: Mapping[str, Table]) -> str:
    named = _NAMED.fullmatch(expression)
    if named is None:
        return f"counted: `{expression.strip('()')}`"
    return str(origin[named[1]].columns[named[2]].comment)


def _unmarked(comment: str) -> str:
    lines = (line.strip().removeprefix("# ") for line in comment.splitlines())
    return " ".join(lines).rstrip(".")


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
    length = getattr(kind, "length", None)
    return f"text ({length})" if length else "text"


PARTS: Final[dict[str, Callable[[], str]]] = {
    "round-store-views": owner_views,
    "round-store-tables": lambda: tables(models.Base),
    "aggregator-views": aggregator_views,
    "aggregator-tables": lambda: tables(aggregator.tables.Base),
    "agent-tables": lambda: tables(clients.rows.Base),
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
