r"""The round store as people read it: stable, documented views.

    sqlite3 rounds.db 'select * from v_round'

Names, order and meaning of columns are an interface; times are ISO 8601 in UTC.
The same text serves SQLite and PostgreSQL but for the phrases in `PHRASES`. On
SQLite the comments stand in the schema (`.schema v_round`), on PostgreSQL they are
comments of the views and their columns (`\d+ v_round`).
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from sqlalchemy import Connection


class Form(Enum):
    """How a column's expression is shown."""

    PLAIN = auto()  # as it is
    INSTANT = auto()  # seconds since 1970 as ISO 8601, UTC
    TENTHS = auto()  # a double, one digit after the point
    FRACTION = auto()  # a double, four digits after the point
    METRIC = auto()  # the metric of that name, six digits after the point
    SHORT = auto()  # the first twelve digits of a digest
    MISSING = auto()  # names of the cohort that did not report


_METRIC: Final = (
    "(SELECT {rounded} FROM metrics m "
    "WHERE m.spec_digest = r.spec_digest AND m.name = '{{0}}')"
)
_SHORT: Final = "substr({0}, 1, 12)"

PHRASES: Final[dict[str, dict[Form, str]]] = {
    "sqlite": {
        Form.PLAIN: "{0}",
        Form.INSTANT: "strftime('%Y-%m-%dT%H:%M:%SZ', {0}, 'unixepoch')",
        Form.TENTHS: "round({0}, 1)",
        Form.FRACTION: "round({0}, 4)",
        Form.METRIC: _METRIC.format(rounded="round(m.value, 6)"),
        Form.SHORT: _SHORT,
        Form.MISSING: "(SELECT group_concat(data_owner, ', ') FROM "
        "(SELECT p.data_owner FROM participations p "
        "WHERE p.spec_digest = r.spec_digest "
        "AND p.status NOT IN ('asked', 'in set', 'reported', 'round void') "
        "ORDER BY p.data_owner))",
    },
    "postgresql": {
        Form.PLAIN: "{0}",
        Form.INSTANT: "to_char(to_timestamp({0}) AT TIME ZONE 'UTC', "
        '\'YYYY-MM-DD"T"HH24:MI:SS"Z"\')',
        Form.TENTHS: "CAST(round(CAST({0} AS numeric), 1) AS double precision)",
        Form.FRACTION: "CAST(round(CAST({0} AS numeric), 4) AS double precision)",
        Form.METRIC: _METRIC.format(
            rounded="CAST(round(CAST(m.value AS numeric), 6) AS double precision)"
        ),
        Form.SHORT: _SHORT,
        Form.MISSING: "(SELECT string_agg(p.data_owner, ', ' ORDER BY p.data_owner) "
        "FROM participations p WHERE p.spec_digest = r.spec_digest "
        "AND p.status NOT IN ('asked', 'in set', 'reported', 'round void'))",
    },
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view."""

    name: str
    sql: str
    comment: str
    form: Form = Form.PLAIN


@dataclass(frozen=True, slots=True)
class View:
    """A view: what it shows, column by column, and where from."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    source: str


V_RUN: Final = View(
    "v_run",
    "one row per training, oldest first",
    (
        Column("run", "x.run", "the run's id"),
        Column("study", "x.study", "the study that is trained"),
        Column("title", "x.title", "what people call it"),
        Column("state", "x.state", "running, completed, failed or stopped"),
        Column("started_at", "x.started_at", "when it began", Form.INSTANT),
        Column("finished_at", "x.finished_at", "when it ended", Form.INSTANT),
        Column("planned_rounds", "x.planned_rounds", "train rounds planned"),
        Column(
            "opened_rounds",
            "(SELECT count(*) FROM rounds r WHERE r.run = x.run "
            "AND r.purpose = 'train' AND r.state = 'opened')",
            "train rounds opened",
        ),
        Column(
            "void_rounds",
            "(SELECT count(*) FROM rounds r WHERE r.run = x.run AND r.state = 'void')",
            "attempts at any round that are void",
        ),
        Column("strategy", "x.strategy", "how means change the model"),
        Column("weighting", "x.weighting", "equal, rounded or exact"),
        Column("min_cohort", "x.min_cohort", "fewest data owners in an opened sum"),
        Column("clip", "x.clip", "largest L2 norm of one update, model units"),
        Column(
            "model",
            "coalesce((SELECT m.sha256 FROM rounds r "
            "JOIN models m ON m.path = r.model WHERE r.run = x.run "
            "AND r.state = 'opened' ORDER BY r.entry DESC LIMIT 1), i.sha256)",
            "SHA-256 of the newest global model's file, first 12 digits",
            Form.SHORT,
        ),
        Column("reason", "x.reason", "why it ended so"),
    ),
    "FROM runs x JOIN models i ON i.path = x.initial_model ORDER BY x.entry",
)

V_ROUND: Final = View(
    "v_round",
    "one row per attempt at a round, in the order in which they were proposed",
    (
        Column("run", "r.run", "the run's id"),
        Column("round", "r.round", "number within the run"),
        Column("purpose", "r.purpose", "train or evaluate"),
        Column("attempt", "r.attempt", "1, and one more after each void attempt"),
        Column("state", "r.state", "proposed, granted, opening, opened or void"),
        Column("proposed_at", "r.proposed_at", "when it was proposed", Form.INSTANT),
        Column("decided_at", "r.decided_at", "when opened or void", Form.INSTANT),
        Column("cohort", "r.cohort_size", "data owners that were asked"),
        Column("min_cohort", "r.min_cohort", "fewest that may be in an opened sum"),
        Column("in_set", "r.set_size", "data owners whose reports are in the sum"),
        Column(
            "missing",
            "",
            "names of the cohort that did not report, once decided",
            Form.MISSING,
        ),
        Column("total_weight", "r.total_weight", "sum of the set's weights"),
        Column(
            "clip_rate",
            "CASE r.purpose WHEN 'train' THEN r.clipped * 1.0 / r.set_size END",
            "part of the set whose update was scaled down to the clip, 0 to 1",
            Form.FRACTION,
        ),
        Column(
            "loss",
            "loss",
            "of the model that the round STARTED from (train), or of the final model "
            "(evaluate), over the set's data; so too accuracy and auc",
            Form.METRIC,
        ),
        Column("accuracy", "accuracy", "see loss; null: not measured", Form.METRIC),
        Column("auc", "auc", "see loss; null: not measured, undefined", Form.METRIC),
        Column(
            "seconds",
            "r.decided_at - r.proposed_at",
            "from proposal to decision, by the model owner's clock",
            Form.TENTHS,
        ),
        Column("bytes_up", "r.bytes_up", "payload from the set to both aggregators"),
        Column(
            "model",
            "g.sha256",
            "SHA-256 of the file of the global model AFTER the round, 12 digits",
            Form.SHORT,
        ),
        Column(
            "verdict",
            "CASE WHEN r.state = 'void' THEN 'void: ' || r.reason "
            "WHEN r.state <> 'opened' THEN 'undecided' "
            "WHEN r.set_size = r.cohort_size THEN 'complete' "
            "ELSE CAST(r.cohort_size - r.set_size AS varchar(9)) || ' missing' END",
            "complete, how many are missing, undecided, or why it is void",
        ),
        Column("set_digest", "r.set_digest", "digest of the set, hex"),
        Column("spec_digest", "r.spec_digest", "names the round at every party, hex"),
    ),
    "FROM rounds r LEFT JOIN models g ON g.path = r.model ORDER BY r.entry",
)

V_PARTICIPATION: Final = View(
    "v_participation",
    "one row per attempt at a round and data owner of its cohort",
    (
        Column("run", "r.run", "the run's id"),
        Column("round", "r.round", "number within the run"),
        Column("purpose", "r.purpose", "train or evaluate"),
        Column("attempt", "r.attempt", "which attempt at the round"),
        Column("data_owner", "p.data_owner", "name in the roster"),
        Column("status", "p.status", "in set, or what happened instead"),
        Column("reason", "p.reason", "more about the status"),
        Column("receipt_a", "p.receipt_a", "digest of one receipt, 12", Form.SHORT),
        Column("receipt_b", "p.receipt_b", "digest of the other, 12", Form.SHORT),
        Column("report_id", "p.report_id", "of the report in the set, hex"),
        Column("spec_digest", "p.spec_digest", "names the round, hex"),
    ),
    "FROM participations p JOIN rounds r ON r.spec_digest = p.spec_digest "
    "ORDER BY r.entry, p.data_owner",
)

V_EVENT: Final = View(
    "v_event",
    "the ledger, one row per entry, first to last",
    (
        Column("entry", "e.entry", "1, 2, 3 and so on"),
        Column("at", "e.at", "when, by the model owner's clock", Form.INSTANT),
        Column("kind", "e.kind", "what happened"),
        Column("run", "s.run", "the run that it is about"),
        Column("round", "r.round", "the round that it is about; null: the whole run"),
        Column("purpose", "r.purpose", "train or evaluate"),
        Column("attempt", "r.attempt", "which attempt at the round"),
        Column("hash", "e.hash", "SHA-256(hash before || signed event), hex"),
    ),
    "FROM events e LEFT JOIN subjects s ON s.entry = e.entry "
    "LEFT JOIN rounds r ON r.spec_digest = s.spec ORDER BY e.entry",
)

VIEWS: Final = (V_RUN, V_ROUND, V_PARTICIPATION, V_EVENT)


def definition(view: View, dialect: str) -> str:
    """Return the CREATE VIEW of one view, commented, for `sqlite` or `postgresql`."""
    phrases = PHRASES[dialect]
    lines = [
        f"  {phrases[c.form].format(c.sql)} AS {c.name} /* {c.comment} */"
        for c in view.columns
    ]
    columns = ",\n".join(lines)
    return f"CREATE VIEW {view.name} AS /* {view.comment} */\nSELECT\n{columns}\n" + (
        view.source
    )


def create_views(connection: Connection) -> None:
    """Create every view; run when the tables are those of this version."""
    dialect = connection.dialect.name
    for view in VIEWS:
        connection.exec_driver_sql(definition(view, dialect))
        if dialect == "postgresql":
            for statement in _comments(view):
                connection.exec_driver_sql(statement)


def drop_views(connection: Connection) -> None:
    """Drop every view that there is; run before the tables change."""
    for view in VIEWS:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {view.name}")


def _comments(view: View) -> list[str]:
    where = [(f"VIEW {view.name}", view.comment)]
    where += [(f"COLUMN {view.name}.{c.name}", c.comment) for c in view.columns]
    return [
        "COMMENT ON {} IS '{}'".format(what, text.replace("'", "''"))
        for what, text in where
    ]
