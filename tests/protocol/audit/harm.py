# ruff: noqa: S608 - every piece of these queries is written here
"""Ways to harm a store, and an audit that walks only the harmed one anew."""

import math
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from fedsecure.audit.checks.walk import Walked, walk
from fedsecure.audit.findings import Report
from fedsecure.audit.stores import owner as owners
from fedsecure.audit.stores.kinds import Kind, aggregator_kind
from fedsecure.audit.stores.sources import open_source
from fedsecure.audit.verify import conclude
from fedsecure.errors import FedsecureError
from fedsecure.owner.store.models import Event as OwnerEvent
from fedsecure.owner.store.projection import project as project_owner
from fedsecure.owner.store.rounds import MIGRATIONS as AT_THE_OWNER
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.ledger import Ledger, read_chain
from fedsecure.protocol.signing import Author
from fedsecure.protocol.statements import Event
from fedsecure.storage import database, revisions
from fedsecure_aggregator.storage.projection import project as project_aggregator
from fedsecure_aggregator.storage.store import MIGRATIONS as AT_AGGREGATORS
from fedsecure_aggregator.storage.tables import EventRow
from tests.protocol.audit.story import QUIET, STORES, Records

Entry = tuple[str, dict[str, Any], float]
Change = Callable[[list[Entry]], list[Entry]]


def kind_of(party: str) -> Kind:
    return owners.KIND if party == "owner" else aggregator_kind()


@dataclass
class Auditor:
    """Audits records of which at most one store was harmed."""

    honest: Records
    folder: Path
    stack: ExitStack
    walked: dict[str, Walked] = field(default_factory=dict)
    number: int = 0

    def audit(self, harmed: str, path: Path) -> Report:
        """Audit with another store instead of one party's."""
        report = Report()
        with ExitStack() as stack:
            parts = [
                self._walk(stack, party, path, report)
                if party == harmed
                else self._honest(party)
                for party in STORES
            ]
            keys = Federations([self.honest.federation])
            conclude(parts, keys, report, QUIET, self.honest.folder)
        return report

    def finds(self, harmed: str, path: Path) -> bool:
        """Tell whether an audit notices."""
        try:
            return not self.audit(harmed, path).holds
        except FedsecureError:
            return True

    def _honest(self, party: str) -> Walked:
        if party not in self.walked:
            path = self.honest.store(party)
            self.walked[party] = self._walk(self.stack, party, path, Report())
        return self.walked[party]

    def _walk(self, stack: ExitStack, party: str, path: Path, report: Report) -> Walked:
        self.number += 2
        kind = kind_of(party)
        imported, scratch = (self.folder / str(self.number + n) for n in (0, 1))
        source = stack.enter_context(open_source(str(path), kind, imported))
        keys = Federations([self.honest.federation])
        return stack.enter_context(
            walk(source, kind, keys, scratch, report, lambda _: None)
        )


def columns(party: str) -> list[tuple[str, str]]:
    """Return every table and column of a store that is made anew."""
    migrations = AT_THE_OWNER if party == "owner" else AT_AGGREGATORS
    engine = database.open_for_writing(database.locate("sqlite://"))
    revisions.upgrade(engine, migrations)
    query = (
        "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c "
        "WHERE m.type = 'table'"
    )
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(query).all()
    engine.dispose()
    return [(table, column) for table, column in rows]


def tables(party: str) -> list[str]:
    return sorted({table for table, _ in columns(party)})


def nearly(value: Any) -> Any:
    """Return a value that differs as little as it can."""
    match value:
        case None:
            return 1
        case int():
            return value ^ 1
        case float():
            return math.nextafter(value, 0.0)
        case str() if value:
            half = len(value) // 2
            return value[:half] + chr(ord(value[half]) ^ 1) + value[half + 1 :]
    return "x"


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a store as somebody with a shell on its machine."""
    with closing(sqlite3.connect(path)) as store:
        yield store
        store.commit()


def change(path: Path, table: str, column: str, order: str) -> bool:
    """Change one value of the first or last row; False if there is no row."""
    with opened(path) as store:
        query = f"SELECT rowid, {column} FROM {table} ORDER BY rowid {order} LIMIT 1"
        row = store.execute(query).fetchone()
        if row is None:
            return False
        update = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
        store.execute(update, (nearly(row[1]), row[0]))
    return True


def remove(path: Path, table: str, order: str) -> bool:
    """Remove the first or last row; False if there is none."""
    with opened(path) as store:
        query = (
            f"DELETE FROM {table} WHERE rowid = "
            f"(SELECT rowid FROM {table} ORDER BY rowid {order} LIMIT 1)"
        )
        return store.execute(query).rowcount == 1


def swap(path: Path, table: str) -> bool:
    """Swap the keys of the first two rows; False if there is only one."""
    with opened(path) as store:
        info = store.execute(f"PRAGMA table_info({table})").fetchall()
        names = ", ".join(one[1] for one in info if one[5])
        query = f"SELECT {names or 1}, rowid FROM {table} ORDER BY rowid LIMIT 2"
        rows = store.execute(query).fetchall()
        if not names or len(rows) < 2:
            return False
        one, other = rows
        aside = tuple(-1 if isinstance(part, int) else "aside" for part in one[:-1])
        marks = ", ".join("?" for _ in aside)
        update = f"UPDATE {table} SET ({names}) = ({marks}) WHERE ({names}) = ({marks})"
        for old, new in ((one, aside), (other, one), ((*aside, 0), other)):
            store.execute(update, (*new[: len(aside)], *old[:-1]))
    return True


def rewrite(path: Path, target: Path, author: Author, changed: Change) -> Path:
    """Write a store's ledger anew with its owner's own key, and its tables with it."""
    owner = author.name == author.federation.model_owner.name
    events = OwnerEvent if owner else EventRow
    ledger = Ledger(author, events, project_owner if owner else project_aggregator)
    shutil.copy(path, target)
    engine = database.open_for_writing(database.locate(target))
    with Session(database.writer(engine)) as session, session.begin():
        entries = [
            _entry(one) for one in read_chain(session, events, author.federation)
        ]
        session.execute(text("PRAGMA defer_foreign_keys = ON"))
        kept = {table.name for table in kind_of("owner" if owner else "north").working}
        for table in reversed(events.metadata.sorted_tables):
            if table.name not in kept:
                session.execute(table.delete())
        for kind, body, at in changed(entries):
            ledger.append(session, kind, body, at)
        if not owner:
            unknown = "DELETE FROM reports WHERE spec NOT IN (SELECT spec FROM rounds)"
            session.execute(text(unknown))
    engine.dispose()
    return target


def _entry(event: Event) -> Entry:
    return event.kind, dict(event.body), event.at
