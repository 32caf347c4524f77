# ruff: noqa: S608 - every piece of these queries is written here
"""Stores against each other: checks (7) to (12) of `fedsecure.audit`.

Each walked store has a database with the same tables of evidence (module `kinds`). All
are attached to one connection, and each check is a query that finds what contradicts.
`o` is the model owner's, `x` an aggregator's in turn.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Final

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from fedsecure.audit.checks import jobs
from fedsecure.audit.checks.contradictions import CONTRADICTIONS, OX, Contradiction
from fedsecure.audit.checks.restores import IS_LOST, lost_rounds, tell
from fedsecure.audit.checks.walk import Walked
from fedsecure.audit.findings import Finding, Report
from fedsecure.audit.stores.evidence import named

_HEADS: Final = (
    "SELECT s.entry, s.kind, s.spec, s.head_entries, s.head_hash, e.hash, "
    "(SELECT max(entry) FROM x.events) AS last "
    "FROM {holder}.audit_statements s LEFT JOIN x.events e ON e.entry = s.head_entries "
    "WHERE s.signer = :name AND s.head_entries > 0 "
    "AND (e.hash IS NULL OR e.hash <> s.head_hash) AND NOT "
    + IS_LOST.format(x="x.", entries="s.head_entries", hash="s.head_hash")
    + " ORDER BY s.head_entries LIMIT 1"
)
_AGREED: Final = (
    "SELECT max(s.head_entries) FROM {holder}.audit_statements s "
    "JOIN x.events e ON e.entry = s.head_entries AND e.hash = s.head_hash "
    "WHERE s.signer = :name AND s.head_entries < :first"
)
_HELD: Final = "SELECT count(*) FROM {holder}.audit_statements WHERE signer = :name"
_LOST: Final = (
    "SELECT spec, reporter, entry FROM x.audit_deeds WHERE kind = 'lost' ORDER BY entry"
)
_BURNT: Final = (
    "SELECT v.spec FROM o.audit_deeds v JOIN x.audit_deeds d ON d.spec = v.spec "
    "AND d.kind = 'opening' WHERE v.kind = 'void'"
)


@contextmanager
def attached(stores: dict[str, Walked]) -> Iterator[Connection]:
    """Connect to the databases of several walked stores, each under a short name."""
    engine = create_engine("sqlite://", poolclass=NullPool)
    try:
        with engine.connect() as connection:
            for name, walked in stores.items():
                connection.exec_driver_sql(
                    f"ATTACH DATABASE ? AS {name}", (str(walked.path),)
                )
            yield connection
    finally:
        engine.dispose()


def compare(
    owner: Walked, aggregators: Sequence[Walked], report: Report, newer: "Newer"
) -> None:
    """Check the model owner's store against each aggregator's, and their heads.

    Args:
        owner: The model owner's.
        aggregators: One or both.
        report: Takes what is found.
        newer: Tells which rounds went on while this was read.
    """
    for x in aggregators:
        with attached({"o": owner, "x": x}) as connection:
            lost = _restores(connection, x, report)
            for one in CONTRADICTIONS:
                _contradictions(connection, one, owner, x, report, newer + lost)
            _heads(connection, "o", owner, x, report)
            for row in connection.execute(text(_LOST)):
                report.notes.append(
                    f"{named(connection, row.spec, *OX)}: {x.party} lost the "
                    f"report of {row.reporter} after it had given a receipt (entry "
                    f"{row.entry}); it is in no sum"
                )
            for row in connection.execute(text(_BURNT)):
                report.notes.append(
                    f"round {row.spec[:12]}: opened at {x.party}, void for the model "
                    "owner, who got no mean: its number is burnt"
                )
        with attached({"a": owner, "b": x}) as connection:
            jobs.compare_holder(connection, x, report, newer.excuses)
    for holder in aggregators:
        for x in aggregators:
            with attached({"h": holder, "x": x}) as connection:
                _heads(connection, "h", holder, x, report)
    for peer, x in permutations(aggregators, 2):
        with attached({"a": peer, "b": x}) as connection:
            jobs.compare_with_peer(connection, peer, x, report)


@dataclass(frozen=True, slots=True)
class Newer:
    """Which rounds went on between the snapshots of stores that are in use."""

    specs: frozenset[str] = frozenset()

    def __add__(self, others: frozenset[str]) -> "Newer":
        """Return the same, with rounds that may look half done for another reason."""
        return Newer(self.specs | others)

    def excuses(self, spec: str) -> bool:
        """Tell whether a round may look half done."""
        return spec in self.specs


def _restores(connection: Connection, x: Walked, report: Report) -> frozenset[str]:
    """Say when a store was put back; return the rounds of which it lost something."""
    specs: set[str] = set()
    for row, lost in lost_rounds(connection, x.party):
        specs.update(lost)
        tell(report, x.party, row, [named(connection, spec, *OX) for spec in lost])
    return frozenset(specs)


def _contradictions(
    connection: Connection,
    one: Contradiction,
    owner: Walked,
    x: Walked,
    report: Report,
    newer: Newer,
) -> None:
    name = {"name": x.party}
    report.look(one.check, connection.execute(_bound(one.of, name)).scalar_one())
    names = {"o": owner.party, "x": x.party}
    for spec, entry, words in connection.execute(_bound(one.query, name)):
        if newer.excuses(spec):
            continue
        where = named(connection, spec, *OX)
        what = f"{words} (entry {entry} of {names[one.by]})"
        report.add(Finding(one.check, one.code, names[one.at], where, what))


def _heads(
    connection: Connection, holder: str, held_by: Walked, x: Walked, report: Report
) -> None:
    name = {"name": x.party}
    report.look(
        12, connection.execute(_bound(_HELD.format(holder=holder), name)).scalar_one()
    )
    row = connection.execute(_bound(_HEADS.format(holder=holder), name)).first()
    if row is None:
        return
    agreed = _bound(_AGREED.format(holder=holder), {**name, "first": row.head_entries})
    last = connection.execute(agreed).scalar() or 0
    which = named(connection, row.spec, holder, "x")
    proof = f"{held_by.party} holds a {row.kind} of {which} (its entry {row.entry})"
    sound = f"entries 1 to {last} are as others hold them" if last else "none is proved"
    if row.hash is None:
        code = "FS-630"
        what = f"{proof} given after {row.head_entries} entries, here are {row.last}"
    else:
        code, hashes = "FS-629", (row.head_hash[:12], row.hash[:12])
        what = f"{proof} with hash {hashes[0]} of entry {row.head_entries}, here "
        what += f"it is {hashes[1]}"
    where = f"entries {last + 1} to {row.head_entries}"
    report.add(Finding(12, code, x.party, where, f"{what}; {sound}", last + 1))


def _bound(query: str, values: dict[str, Any]) -> Any:
    used = {name: value for name, value in values.items() if f":{name}" in query}
    return text(query).bindparams(**used)
