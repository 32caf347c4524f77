# ruff: noqa: S608 - every piece of these queries is written here
"""Jobs: checks (22) to (25) of `fedsecure.audit`.

What a job's proposer and both aggregators signed when it began must be the same at all
(22), and so must be what went into it (23). What a service answered is looked at in
each aggregator's store by itself (24), and query by query in both (25).

That a query was answered at one aggregator alone is no contradiction: its client may
have been cut off between the two. It is said, for nobody else holds proof of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from fedsecure.audit.checks.restores import IS_LOST
from fedsecure.audit.checks.walk import Walked
from fedsecure.audit.findings import Finding, Report
from fedsecure.audit.stores.evidence import named

_IN_ORDER: Final = text(
    "SELECT q.*, j.rows AS most, "
    "lag(q.query) OVER w AS before, sum(q.rows) OVER w AS told "
    "FROM audit_queries q LEFT JOIN audit_jobs j ON j.spec = q.spec "
    "WINDOW w AS (PARTITION BY q.spec, q.client ORDER BY q.entry) ORDER BY q.entry"
)
_ALONE: Final = text(
    "SELECT q.spec, q.client, count(*) AS number, min(q.query) AS first "
    "FROM a.audit_queries q LEFT JOIN b.audit_queries e "
    "ON e.spec = q.spec AND e.client = q.client AND e.query = q.query "
    "WHERE e.spec IS NULL GROUP BY q.spec, q.client ORDER BY min(q.entry)"
)


@dataclass(frozen=True, slots=True)
class _Contrast:
    """A query over two stores, `a` and `b`, for what they say otherwise.

    Args:
        check: Its number.
        code: Of its findings.
        query: Rows of the job's digest, the entry in `b`, and words.
        of: How many rows it looked at.
    """

    check: int
    code: str
    query: str
    of: str


_GRANTS: Final = _Contrast(
    22,
    "FS-660",
    "SELECT s.spec, d.entry, 'a grant with key ' || substr(s.content, 1, 12) || "
    "' until ' || s.number || ' after entry ' || s.head_entries || ' is held, here is '"
    " || coalesce('one with key ' || substr(d.content, 1, 12) || ' until ' || d.number "
    "|| ' in entry ' || d.entry, 'none') "
    "FROM a.audit_statements s LEFT JOIN b.audit_deeds d "
    "ON d.kind = 'job-granted' AND d.spec = s.spec "
    "WHERE s.kind = 'job-grant' AND s.signer = :name AND NOT coalesce("
    "d.content = s.content AND d.number = s.number AND d.entry = s.head_entries, 0) "
    "AND NOT "
    + IS_LOST.format(x="b.", entries="s.head_entries", hash="s.head_hash")
    + " ORDER BY s.entry",
    "SELECT count(*) FROM a.audit_statements "
    "WHERE kind = 'job-grant' AND signer = :name",
)
_CHANNELS: Final = _Contrast(
    22,
    "FS-660",
    "SELECT d.spec, e.entry, 'its channel key is ' || substr(e.content, 1, 12) || "
    "' here, the other aggregator was brought ' || substr(d.content, 1, 12) "
    "FROM a.audit_deeds d JOIN b.audit_deeds e "
    "ON e.kind = 'job-own-channel' AND e.spec = d.spec "
    "WHERE d.kind = 'job-peer-channel' AND d.content <> e.content ORDER BY e.entry",
    "SELECT count(*) FROM a.audit_deeds WHERE kind = 'job-peer-channel'",
)
_TRIED: Final = _Contrast(
    22,
    "FS-660",
    "SELECT t.spec, NULL, 'the model owner had ' || t.tried || ' rows answered, here "
    "are ' || t.answered FROM (SELECT d.spec, d.number AS tried, (SELECT "
    "coalesce(sum(q.rows), 0) FROM b.audit_queries q WHERE q.spec = d.spec "
    "AND q.client = d.reporter) AS answered FROM a.audit_deeds d "
    "WHERE d.kind = 'job-tried' AND NOT EXISTS (SELECT 1 FROM b.audit_restores)) t "
    "WHERE t.answered < t.tried",
    "SELECT count(*) FROM a.audit_deeds WHERE kind = 'job-tried'",
)
_UNKNOWN: Final = _Contrast(
    22,
    "FS-660",
    "SELECT j.spec, j.entry, 'granted here, in the model owner''s store never proposed'"
    " FROM b.audit_jobs j LEFT JOIN a.audit_jobs k ON k.spec = j.spec "
    "WHERE j.kind = 'linear' AND k.spec IS NULL ORDER BY j.entry",
    "SELECT count(*) FROM b.audit_jobs WHERE kind = 'linear'",
)
_PAIRED: Final = (
    "((a.kind = 'seed' AND b.kind = 'vector') OR (a.kind = 'vector' "
    "AND b.kind = 'seed') OR (a.kind = b.kind "
    "AND a.kind IN ('public', 'ciphertexts')))"
)
_INPUTS: Final = _Contrast(
    23,
    "FS-661",
    "SELECT b.spec, b.entry, 'input ' || b.name || ' is ' || b.input_id || ' of ' || "
    "b.owner || ', a ' || b.kind || coalesce(' with SHA-256 ' || substr(b.plain, 1, "
    "12), '') || '; the other aggregator has ' || a.input_id || ' of ' || a.owner || "
    "', a ' || a.kind || coalesce(' with SHA-256 ' || substr(a.plain, 1, 12), '') "
    "FROM a.audit_inputs a JOIN b.audit_inputs b "
    "ON b.spec = a.spec AND b.name = a.name "
    "WHERE (a.owner, a.input_id, coalesce(a.plain, '')) <> "
    f"(b.owner, b.input_id, coalesce(b.plain, '')) OR NOT {_PAIRED} ORDER BY b.entry",
    "SELECT count(*) FROM a.audit_inputs a JOIN b.audit_inputs b "
    "ON b.spec = a.spec AND b.name = a.name",
)
_OUTPUTS: Final = _Contrast(
    23,
    "FS-661",
    "SELECT b.spec, b.entry, 'its output is of inputs ' || substr(b.inputs, 1, 12) || "
    "', that of the other aggregator of ' || substr(a.inputs, 1, 12) "
    "FROM a.audit_outputs a JOIN b.audit_outputs b ON b.spec = a.spec "
    "WHERE a.inputs <> b.inputs ORDER BY b.entry",
    "SELECT count(*) FROM a.audit_outputs a JOIN b.audit_outputs b ON b.spec = a.spec",
)
_QUERIES: Final = _Contrast(
    25,
    "FS-664",
    "SELECT b.spec, b.entry, 'query ' || b.query || ' of ' || b.client || ' is ' || "
    "b.query_id || ' of ' || b.rows || ' rows, a ' || b.kind || ', over inputs ' || "
    "substr(b.inputs, 1, 12) || '; the other aggregator answered ' || a.query_id || "
    "' of ' || a.rows || ' rows, a ' || a.kind || ', over inputs ' || "
    "substr(a.inputs, 1, 12) FROM a.audit_queries a JOIN b.audit_queries b "
    "ON b.spec = a.spec AND b.client = a.client AND b.query = a.query "
    "WHERE (a.query_id, a.rows, a.inputs) <> (b.query_id, b.rows, b.inputs) "
    f"OR NOT {_PAIRED} ORDER BY b.entry",
    "SELECT count(*) FROM a.audit_queries a JOIN b.audit_queries b "
    "ON b.spec = a.spec AND b.client = a.client AND b.query = a.query",
)
OF_HOLDERS: Final = (_GRANTS, _TRIED, _UNKNOWN)
OF_AGGREGATORS: Final = (_GRANTS, _CHANNELS)
OF_BOTH: Final = (_INPUTS, _OUTPUTS, _QUERIES)


def look(walked: Walked, report: Report) -> None:
    """Check what one aggregator answered: (24)."""
    party = walked.party
    report.look(24, 0)
    with walked.engine.connect() as connection:
        for row in connection.execute(_IN_ORDER):
            report.look(24)
            where = named(connection, row.spec)
            asked = f"query {row.query} of {row.client}"
            if row.before is not None and not row.query > row.before:
                what = f"{asked} was answered after query {row.before}"
                report.add(Finding(24, "FS-662", party, where, what, row.entry))
            if row.most is not None and not row.told <= row.most:
                what = f"{asked} makes {row.told} rows, its service answers {row.most}"
                report.add(Finding(24, "FS-663", party, where, what, row.entry))
            elif row.told != row.answered:
                what = f"{asked} makes {row.told} rows, its entry says {row.answered}"
                report.add(Finding(24, "FS-663", party, where, what, row.entry))


def compare_holder(
    connection: Connection,
    x: Walked,
    report: Report,
    excused: Callable[[str], bool],
) -> None:
    """Check what the model owner (`a`) holds of an aggregator (`b`).

    Args:
        connection: To both.
        x: The aggregator's.
        report: Takes what is found.
        excused: Tells of a job whether it may look half done.
    """
    for one in OF_HOLDERS:
        _contrast(connection, one, x, report, excused)


def compare_with_peer(
    connection: Connection, one: Walked, other: Walked, report: Report
) -> None:
    """Check an aggregator's store (`b`) against the other's (`a`): (22), (23), (25).

    Run for both orders; what is the same in both is looked at in one.
    """
    for contrast in OF_AGGREGATORS:
        _contrast(connection, contrast, other, report)
    if one.party < other.party:
        for contrast in OF_BOTH:
            _contrast(connection, contrast, other, report)
    _say_what_one_has(connection, one, other, report)


def _contrast(
    connection: Connection,
    one: _Contrast,
    b: Walked,
    report: Report,
    excused: Callable[[str], bool] = lambda _: False,
) -> None:
    name = {"name": b.party} if ":name" in one.query else {}
    report.look(one.check, connection.execute(text(one.of), name).scalar_one())
    for spec, entry, words in connection.execute(text(one.query), name):
        if excused(spec):
            continue
        where = named(connection, spec, "b", "a")
        report.add(Finding(one.check, one.code, b.party, where, words, entry))


def _say_what_one_has(
    connection: Connection, here: Walked, there: Walked, report: Report
) -> None:
    for row in connection.execute(_ALONE):
        where = named(connection, row.spec, "a")
        number = "1 query" if row.number == 1 else f"{row.number} queries"
        report.notes.append(
            f"{where}: {number} of {row.client}, the first {row.first}, have an answer "
            f"at {here.party} and none at {there.party}: its client was cut off, or "
            f"{there.party} does not tell of it"
        )
