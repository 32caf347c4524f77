# ruff: noqa: S608 - every piece of these queries is written here
"""What two stores can contradict each other in: queries of checks (7) to (11), (21).

Each finds what contradicts in two attached databases with the same tables of evidence
(`fedsecure.audit.stores.evidence`). `o` is the model owner's, `x` an aggregator's.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A query that finds what two stores contradict each other in.

    Args:
        check: Its number in `fedsecure.audit`.
        code: Of its findings.
        at: In whose records the finding is: `o` or `x`.
        by: Whose entry the query's rows name.
        query: Rows of the round's digest, the entry (or null), and words.
        of: How many rows it looked at.
    """

    check: int
    code: str
    at: str
    by: str
    query: str
    of: str


def _missing(kind: str, here: str, there: str, other: str, words: str) -> str:
    """Find what one has done and the other has no entry of."""
    return (
        f"SELECT d.spec, d.entry, '{words}' FROM {here}.audit_deeds d "
        f"LEFT JOIN {there}.audit_deeds e ON e.kind = '{other}' AND e.spec = d.spec "
        f"WHERE d.kind = '{kind}' AND e.spec IS NULL"
    )


def _unlike(what: str, number: str) -> str:
    """Say what the model owner holds, and what its signer's ledger has instead."""
    return (
        f"'the model owner holds {what} ' || substr(s.content, 1, 12) || ' {number} ' "
        "|| s.number || ' after entry ' || s.head_entries || ', the ledger has ' "
        f"|| coalesce(substr(d.content, 1, 12) || ' {number} ' || d.number "
        "|| ' in entry ' || d.entry, 'none')"
    )


def _done(store: str, kind: str) -> str:
    return f"SELECT count(*) FROM {store}.audit_deeds WHERE kind = '{kind}'"


_STATEMENTS: Final = (
    "SELECT s.spec, s.entry, {words} FROM {holder}.audit_statements s "
    "LEFT JOIN x.audit_deeds d ON d.kind = '{deed}' AND d.spec = s.spec "
    "AND d.reporter = s.reporter "
    "WHERE s.kind = '{kind}' AND s.signer = :name AND NOT coalesce({same}, 0)"
)
OX: Final = ("o", "x")  # where both stores are attached
_PLACE: Final = "s.head_entries = d.entry"

CONTRADICTIONS: Final = (
    Contradiction(
        7,
        "FS-625",
        "x",
        "o",
        _missing(
            "granted",
            "o",
            "x",
            "granted",
            "the model owner has its grant, here is no entry of it",
        ),
        _done("o", "granted"),
    ),
    Contradiction(
        7,
        "FS-625",
        "o",
        "x",
        _missing("granted", "x", "o", "proposed", "granted there, never proposed here"),
        _done("x", "granted"),
    ),
    Contradiction(
        7,
        "FS-625",
        "x",
        "o",
        _STATEMENTS.format(
            words=_unlike("a grant with key", "until"),
            holder="o",
            kind="grant",
            deed="granted",
            same=f"d.content = s.content AND d.number = s.number AND {_PLACE}",
        ),
        "SELECT count(*) FROM o.audit_statements "
        "WHERE kind = 'grant' AND signer = :name",
    ),
    Contradiction(
        8,
        "FS-626",
        "o",
        "x",
        _missing("opening", "x", "o", "opening", "opened there, not asked for here"),
        _done("x", "opening"),
    ),
    Contradiction(
        8,
        "FS-626",
        "x",
        "o",
        _missing(
            "opened",
            "o",
            "x",
            "opening",
            "the model owner has its mean, not opened here",
        ),
        _done("o", "opened"),
    ),
    Contradiction(
        8,
        "FS-626",
        "x",
        "x",
        "SELECT d.spec, e.entry, 'the model owner has the opening ' || "
        "substr(d.content, 1, 12) || ' of ' || d.number || ' members, here is ' || "
        "substr(e.content, 1, 12) || ' of ' || e.number FROM o.audit_deeds d "
        "JOIN x.audit_deeds e ON e.kind = 'opening' AND e.spec = d.spec "
        "WHERE d.kind = 'opening' "
        "AND (d.content, d.number) <> (e.content, e.number)",
        _done("o", "opening"),
    ),
    Contradiction(
        9,
        "FS-627",
        "x",
        "o",
        "SELECT s.spec, s.entry, s.reporter || ' has a receipt for report ' || "
        "substr(s.content, 1, 12) || ', here was added ' || coalesce((SELECT "
        "substr(m.content, 1, 12) FROM x.audit_deeds m WHERE m.kind = 'member' "
        "AND m.spec = s.spec AND m.reporter = s.reporter), 'none') "
        "FROM o.audit_statements s JOIN x.audit_deeds o ON o.kind = 'opening' "
        "AND o.spec = s.spec LEFT JOIN x.audit_deeds d ON d.kind = 'member' "
        "AND d.spec = s.spec AND d.reporter = s.reporter AND d.content = s.content "
        "WHERE s.kind = 'receipt' AND s.signer = :name AND d.spec IS NULL",
        "SELECT count(*) FROM o.audit_statements "
        "WHERE kind = 'receipt' AND signer = :name",
    ),
    Contradiction(
        9,
        "FS-627",
        "x",
        "x",
        "SELECT d.spec, d.entry, d.reporter || ' is added here, and not in the set of "
        "the model owner' "
        "FROM x.audit_deeds d LEFT JOIN o.audit_deeds e ON e.kind = 'member' "
        "AND e.spec = d.spec AND e.reporter = d.reporter "
        "WHERE d.kind = 'member' AND e.spec IS NULL",
        _done("x", "member"),
    ),
    Contradiction(
        10,
        "FS-628",
        "x",
        "o",
        _STATEMENTS.format(
            words=_unlike("a share with SHA-256", "of bytes:"),
            holder="o",
            kind="share",
            deed="share",
            same=f"d.content = s.content AND d.number = s.number AND {_PLACE}",
        ),
        "SELECT count(*) FROM o.audit_statements "
        "WHERE kind = 'share' AND signer = :name",
    ),
    Contradiction(
        11,
        "FS-631",
        "x",
        "o",
        _STATEMENTS.format(
            words="'it confirmed to the model owner that it is void, and has no "
            "entry of that'",
            holder="o",
            kind="void",
            deed="void",
            same="d.spec IS NOT NULL",
        ),
        "SELECT count(*) FROM o.audit_statements "
        "WHERE kind = 'void' AND signer = :name",
    ),
    Contradiction(
        11,
        "FS-631",
        "o",
        "x",
        "SELECT d.spec, d.entry, 'opened here, void at an aggregator' "
        "FROM x.audit_deeds d JOIN o.audit_deeds e ON e.kind = 'opened' "
        "AND e.spec = d.spec WHERE d.kind = 'void'",
        _done("x", "void"),
    ),
    Contradiction(
        21,
        "FS-626",
        "x",
        "x",
        "SELECT d.spec, d.entry, 'its members are charged ' || coalesce(c.number || "
        "' for ' || substr(c.content, 1, 24), 'nothing') || ' here, its noise "
        "costs ' || coalesce(e.number || ' for ' || substr(e.content, 1, 24), "
        "'nothing') FROM x.audit_deeds d "
        "LEFT JOIN x.audit_deeds c ON c.kind = 'charged' AND c.spec = d.spec "
        "LEFT JOIN o.audit_deeds e ON e.kind = 'costs' AND e.spec = d.spec "
        "WHERE d.kind = 'opening' AND (coalesce(c.number, 0), coalesce(c.content, '')) "
        "<> (coalesce(e.number, 0), coalesce(e.content, ''))",
        _done("x", "opening"),
    ),
)
