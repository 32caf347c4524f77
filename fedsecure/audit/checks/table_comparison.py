"""Tables as they are against tables as their ledger says; constant memory, linear time.

Both are read in the order of their keys, as the databases have them, and laid side by
side. The definitions of tables, views and indexes are compared, too: whoever reads a
view believes it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    Connection,
    Engine,
    String,
    Table,
    func,
    literal_column,
    select,
    text,
)

from fedsecure.audit.findings import Finding, Report
from fedsecure.audit.stores.evidence import named
from fedsecure.audit.stores.kinds import Kind
from fedsecure.audit.stores.sources import BATCH, Source
from fedsecure.protocol.federation_versions import Federations

SHOWN: Final = 60  # characters of a value
READ_AHEAD: Final = 256  # rows
Values: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not as its events say."""

    table: str
    key: Values
    finding: str  # changed, added or removed after it was written
    values: tuple[tuple[str, Any, Any], ...] = ()  # column, as it is, as projected

    @property
    def where(self) -> str:
        """The row, for people."""
        key = " ".join(str(part)[:20] for part in self.key)
        return f"{self.table} row {key}"

    @property
    def what(self) -> str:
        """What is wrong with it, for people."""
        if not self.values:
            return self.finding
        return "; ".join(
            f"{column} is {_shown(found)}, the ledger says {_shown(recorded)}"
            for column, found, recorded in self.values
        )


def differences(
    table: Table, recorded: Connection, projected: Connection
) -> Iterator[Difference]:
    """Yield every row of a table that is not in both, or not the same."""
    names = [column.name for column in table.columns]
    here, there = _rows(table, recorded), _rows(table, projected)
    one, other = next(here, None), next(there, None)
    while one is not None or other is not None:
        if one is not None and (other is None or _rank(one[0]) < _rank(other[0])):
            yield Difference(table.name, one[0], "added")
            one = next(here, None)
        elif other is not None and (one is None or _rank(other[0]) < _rank(one[0])):
            yield Difference(table.name, other[0], "removed")
            other = next(there, None)
        elif one is not None and other is not None:
            changed = tuple(
                (name, a, b)
                for name, a, b in zip(names, one[1], other[1], strict=True)
                if (type(a), a) != (type(b), b) and not _same(a, b)
            )
            if changed:
                yield Difference(table.name, one[0], "changed", changed)
            one, other = next(here, None), next(there, None)


def definitions(recorded: Connection, projected: Connection) -> Iterator[str]:
    """Yield what is defined otherwise than by this version's migrations (SQLite)."""
    here, there = _schema(recorded), _schema(projected)
    for name in sorted(here.keys() | there.keys()):
        if name not in here:
            yield f"{name} is missing"
        elif name not in there:
            yield f"{name} is added"
        elif here[name] != there[name]:
            yield f"{name} is changed"
    for (problem,) in recorded.exec_driver_sql("PRAGMA integrity_check(20)"):
        if problem != "ok":
            yield f"the database says of itself: {problem}"


def _rows(table: Table, connection: Connection) -> Iterator[tuple[Values, Values]]:
    keys = [list(table.columns).index(one) for one in table.primary_key.columns]
    # Without their types: a column may hold what its type does not allow.
    columns: list[Any] = [
        literal_column(f'"{column.name}"') for column in table.columns
    ]
    order = []
    for index in keys:
        key = literal_column(f'"{table.columns[index].name}"', String)
        textual = isinstance(table.columns[index].type, String)
        postgresql = connection.dialect.name == "postgresql"
        order.append(key.collate("C") if textual and postgresql else key)
    query = select(*columns).select_from(table).order_by(*order)
    with connection.execute(query.execution_options(yield_per=READ_AHEAD)) as rows:
        for row in rows:
            yield tuple(row[index] for index in keys), tuple(row)


def _shown(value: Any) -> str:
    """Return a value for people: both ends of one that is long."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]}...{text[-9:]}"


def _rank(key: Values) -> tuple[tuple[int, Any], ...]:
    """Order keys as databases do, whatever their types."""
    return tuple(_ranked(part) for part in key)


def _ranked(part: Any) -> tuple[int, Any]:
    match part:
        case None:
            return 0, 0
        case int() | float():
            return 1, part
        case str():
            return 2, part.encode("utf-8", errors="surrogatepass")
    return 3, bytes(part)


def _same(a: Any, b: Any) -> bool:
    # SQLite has no truth values: they are numbers there.
    return isinstance(a, bool | int) and isinstance(b, bool | int) and a == b


def _schema(connection: Connection) -> dict[str, Any]:
    query = text("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {f"{row.type} {row.name}": row.sql for row in connection.execute(query)}


def look_at_tables(
    source: Source,
    kind: Kind,
    engine: Engine,
    party: str,
    keys: Federations,
    report: Report,
) -> None:
    """Check a walked store's tables against what its ledger says: (4) to (6).

    Args:
        source: The store.
        kind: What it is.
        engine: Of the database that its ledger was projected to.
        party: Whose store it is.
        keys: Of everybody.
        report: Takes what is found.
    """
    with engine.connect() as projected:
        if source.whole:
            _compare(source.connection, kind, projected, party, report)
        _copy(source.connection, kind, projected)
        if kind.look is not None:
            report.look(5, _count(projected, kind.working))
            for where, what in kind.look(projected, party, keys):
                report.add(Finding(5, "FS-623", party, where, what))
        projected.commit()


def _compare(
    recorded: Connection, kind: Kind, projected: Connection, party: str, report: Report
) -> None:
    if recorded.dialect.name == "sqlite":
        for what in _our_definitions(recorded, projected):
            report.add(Finding(6, "FS-624", party, "its database", what))
        report.look(6)
    for table in kind.metadata.sorted_tables:
        if table in kind.working or table is kind.events.__table__:
            continue
        report.look(4, _count(projected, (table,)))
        for one in differences(table, recorded, projected):
            where = f"{_about(projected, table, one.key)}{one.where}"
            report.add(Finding(4, "FS-622", party, where, one.what))


def _about(projected: Connection, table: Table, key: tuple[Any, ...]) -> str:
    """Name the round that a row is about, where its key says it."""
    names = [column.name for column in table.primary_key.columns]
    for name, value in zip(names, key, strict=True):
        if name in {"spec", "spec_digest"}:
            return f"{named(projected, value)}, "
    return ""


def _our_definitions(recorded: Connection, projected: Connection) -> Iterator[str]:
    ours = ("table audit_", "index ix_audit_", "index ix_deeds", "index ix_statements")
    return (
        what for what in definitions(recorded, projected) if not what.startswith(ours)
    )


def _copy(recorded: Connection, kind: Kind, projected: Connection) -> None:
    """Take over the rows that are no projection, to be looked at with the others."""
    for table in kind.working:
        query = select(table).execution_options(yield_per=BATCH)
        for rows in recorded.execute(query).mappings().partitions():
            projected.execute(table.insert(), [dict(row) for row in rows])


def _count(connection: Connection, tables: tuple[Table, ...]) -> int:
    return sum(
        connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in tables
    )
