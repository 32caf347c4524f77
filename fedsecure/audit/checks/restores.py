"""Stores that their operator put back to an earlier state, and what was lost with that.

An aggregator that is restored says so in its ledger: how many entries are kept, and up
to which it had gone before. Others hold heads of the lost ones. Each would be a finding
of its own, as if the ledger had been rewritten; together they are one, which names what
the store no longer tells of. Whether it was needed, nobody can prove: ask its operator.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from fedsecure.audit.findings import Finding, Report
from fedsecure.protocol.statements import LedgerHead

CHECK: Final = 12
IS_LOST: Final = (
    "EXISTS (SELECT 1 FROM {x}audit_restores r WHERE {entries} > r.kept "
    "AND ({entries} < r.lost OR ({entries} = r.lost AND {hash} = r.hash)))"
)
"""Whether a head is of an entry that a restore has lost, and of no other one."""

_ALL: Final = text("SELECT * FROM x.audit_restores ORDER BY entry")
_SPECS: Final = text(
    "SELECT DISTINCT s.spec FROM o.audit_statements s JOIN x.audit_restores r "
    "ON r.entry = :entry AND s.head_entries > r.kept AND (s.head_entries < r.lost "
    "OR (s.head_entries = r.lost AND s.head_hash = r.hash)) "
    "LEFT JOIN x.events e ON e.entry = s.head_entries AND e.hash = s.head_hash "
    "WHERE s.signer = :name AND e.entry IS NULL ORDER BY s.spec"
)
_HEAD: Final = text(
    "SELECT * FROM audit_restores r WHERE :entries > r.kept AND (:entries < r.lost "
    "OR (:entries = r.lost AND :hash = r.hash)) AND NOT EXISTS "
    "(SELECT 1 FROM events e WHERE e.entry = :entries AND e.hash = :hash)"
)


def lost_rounds(connection: Connection, name: str) -> Iterator[tuple[Any, list[str]]]:
    """Yield each restore of `x`, and the rounds of which it lost what `o` holds."""
    for row in connection.execute(_ALL):
        values = {"name": name, "entry": row.entry}
        yield row, list(connection.execute(_SPECS, values).scalars())


def lost_with(ledger: Connection, head: LedgerHead) -> Any | None:
    """Return the restore by which a ledger lost the entry of a head, if one did."""
    values = {"entries": head.entries, "hash": head.hash}
    return ledger.execute(_HEAD, values).first()


def tell(report: Report, party: str, row: Any, missed: list[str]) -> None:
    """Say that a store was put back: a finding if others hold what it lost.

    Args:
        report: Takes it.
        party: Whose store it is.
        row: The restore.
        missed: What it no longer tells of, for people.
    """
    at = datetime.fromtimestamp(row.at, UTC)
    what = f"its operator put the store back on {at:%Y-%m-%d %H:%M} UTC"
    if row.lost > row.kept:
        what = f"{what}: entries {row.kept + 1} to {row.lost} are lost"
    if row.forgotten:
        what = f"{what}; which sets had been opened was forgotten"
    if not missed:
        report.notes.append(f"{party}: {what} (entry {row.entry})")
        return
    what = f"{what}; it no longer tells what it did in {', '.join(missed)}"
    where = f"entry {row.entry}"
    report.add(Finding(CHECK, "FS-651", party, where, what, row.entry))
