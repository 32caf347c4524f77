"""The first schema: the ledger and every table that is a projection of it.

Says in full what the models say today, so that it still creates these tables when
the models have moved on. A test compares the two. There is no way back from a
revision but a backup.
"""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "round_store_1"
down_revision = None
branch_labels = None
depends_on = None

BIG: Final = sa.BigInteger()
DIGEST: Final = sa.String(64)
DOUBLE: Final[sa.Double[float]] = sa.Double(53)
INTEGER: Final = sa.Integer()
NAME: Final = sa.String(63)
REPORT_ID: Final = sa.String(32)
TEXT: Final = sa.Text()
WORD: Final = sa.String(15)


def upgrade() -> None:
    """Create the tables."""
    _create_events()
    _create_models()
    _create_runs()
    _create_subjects()
    _create_rounds()
    _create_metrics()
    _create_participations()
    _create_jobs()


def _column(
    name: str, kind: Any, comment: str, *, null: bool = False
) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=null, comment=comment, autoincrement=False)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _reference(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=f"fk_{table}_{column}")


def _create_events() -> None:
    op.create_table(
        "events",
        _column("entry", INTEGER, "1, 2, 3 and so on"),
        _column("hash", DIGEST, "SHA-256(previous hash || payload), hex"),
        _column("kind", NAME, "what happened, as in the payload"),
        _column("at", DOUBLE, "seconds since 1970 UTC, as in payload"),
        _column("payload", TEXT, "the signed event, exactly (JWS compact)"),
        _key("events", "entry"),
        comment="the ledger: a hash chain of signed events",
    )
    op.create_index("ix_events_kind", "events", ["kind"])


def _create_models() -> None:
    op.create_table(
        "models",
        _column("path", TEXT, "relative to the folder of the store's files"),
        _column("sha256", DIGEST, "digest of the file's bytes"),
        _column("bytes", BIG, "size of the file"),
        _column("kind", WORD, "model (global model) or mean (opened mean update)"),
        _column(
            "digest",
            DIGEST,
            "of a global model, as specs name it; null: not recorded",
            null=True,
        ),
        _key("models", "path"),
        comment="arrays in files",
    )


def _create_runs() -> None:
    op.create_table(
        "runs",
        _column("run", NAME, "the run's id"),
        _column("entry", INTEGER, "the event with which it began"),
        _column("study", TEXT, "the study that is trained"),
        _column("title", TEXT, "what people call it"),
        _column("strategy", TEXT, "how means change the model"),
        _column(
            "weighting", WORD, "equal, rounded or exact: what weights tell about counts"
        ),
        _column("planned_rounds", INTEGER, "train rounds that were planned"),
        _column("min_cohort", INTEGER, "fewest data owners in an opened sum"),
        _column("clip", DOUBLE, "largest L2 norm of one update, in the model's units"),
        _column(
            "statistics_clip",
            DOUBLE,
            "the same of its statistics, which are not in that norm",
            null=True,
        ),
        _column("initial_model", TEXT, "the model that the run started from"),
        _column(
            "origin",
            DIGEST,
            "digest of the spec of the round that this model came out of",
            null=True,
        ),
        _column(
            "origin_forced",
            sa.Boolean(),
            "whether that round was not accepted",
            null=True,
        ),
        _column(
            "unit",
            WORD,
            "what noise protects, row or data-owner; null: no noise yet",
            null=True,
        ),
        _column(
            "epsilon_budget",
            DOUBLE,
            "largest epsilon of all runs of the study together",
            null=True,
        ),
        _column("delta", DOUBLE, "at this delta", null=True),
        _column(
            "epsilon",
            DOUBLE,
            "what its openings cost who is in most sets, one server corrupt",
            null=True,
        ),
        _column(
            "epsilon_outsider",
            DOUBLE,
            "the same for who sees no server's noise",
            null=True,
        ),
        _column(
            "study_epsilon",
            DOUBLE,
            "what openings of all runs of the study cost, one server corrupt",
            null=True,
        ),
        _column(
            "state",
            WORD,
            "running, completed, diverged, budget-spent, failed or stopped",
        ),
        _column("reason", TEXT, "why it ended so", null=True),
        _column("started_at", DOUBLE, "when it began"),
        _column("finished_at", DOUBLE, "when it ended", null=True),
        _column("settings", TEXT, "the study's other settings (JSON)"),
        _key("runs", "run"),
        _reference("runs", "entry", "events.entry"),
        _reference("runs", "initial_model", "models.path"),
        comment="one row per training",
    )


def _create_subjects() -> None:
    op.create_table(
        "subjects",
        _column("entry", INTEGER, "the event"),
        _column("run", NAME, "the run; null: a job with another model", null=True),
        _column(
            "spec",
            DIGEST,
            "digest of the round's or job's spec; null: the whole run",
            null=True,
        ),
        _key("subjects", "entry"),
        _reference("subjects", "entry", "events.entry"),
        comment="what each event is about",
    )
    op.create_index("ix_subjects_run", "subjects", ["run"])
    op.create_index("ix_subjects_spec", "subjects", ["spec"])


def _create_rounds() -> None:
    op.create_table(
        "rounds",
        _column("spec_digest", DIGEST, "digest of the spec, names the round"),
        _column("entry", INTEGER, "the event with which it was proposed"),
        _column("run", NAME, "the run"),
        _column("round", BIG, "number within the run"),
        _column("purpose", WORD, "train, evaluate or statistics"),
        _column("attempt", BIG, "1, and one more after each void attempt"),
        _column("state", WORD, "proposed, granted, opening, opened or void"),
        _column("reason", TEXT, "why it is void", null=True),
        _column("cohort_size", INTEGER, "data owners that were asked"),
        _column(
            "min_cohort", INTEGER, "fewest data owners that the spec lets be opened"
        ),
        _column(
            "set_size",
            INTEGER,
            "data owners whose reports are in the opened sum",
            null=True,
        ),
        _column(
            "set_digest",
            DIGEST,
            "digest of the set, the same in both aggregate shares",
            null=True,
        ),
        _column("opening_digest", DIGEST, "digest of the opening", null=True),
        _column("model_digest", DIGEST, "of the global model that it started from"),
        _column(
            "study_digest",
            DIGEST,
            "of the study whose budget it is charged to; null: no noise",
            null=True,
        ),
        _column(
            "rho_pico",
            BIG,
            "what opening it costs each of its set, in 1e-12 of rho; null: no noise",
            null=True,
        ),
        _column("mean", TEXT, "the opened mean update", null=True),
        _column("model", TEXT, "the global model after the round", null=True),
        _column("total_weight", BIG, "sum of the set's weights", null=True),
        _column(
            "clipped", BIG, "members of the set whose update was scaled down", null=True
        ),
        _column(
            "statistics_clipped",
            BIG,
            "members of the set whose statistics were scaled down",
            null=True,
        ),
        _column(
            "clamped",
            BIG,
            "scalars of the set that were brought into their range",
            null=True,
        ),
        _column(
            "undefined",
            BIG,
            "members of the set whose metrics were not finite",
            null=True,
        ),
        _column("scalars", TEXT, "the shared figures as they were opened (JSON)"),
        _column(
            "bytes_up",
            BIG,
            "payload bytes from the set to both aggregators together",
            null=True,
        ),
        _column("proposed_at", DOUBLE, "when the spec was signed"),
        _column("granted_at", DOUBLE, "when both had granted it", null=True),
        _column("opening_at", DOUBLE, "when the set was fixed", null=True),
        _column(
            "decided_at",
            DOUBLE,
            "when the mean was stored, or the round was given up",
            null=True,
        ),
        _column("stage_seconds", TEXT, "duration of each stage (JSON)"),
        _column("spec", TEXT, "the spec (token)"),
        _column("grants", TEXT, "aggregator -> its grant (JSON of tokens)"),
        _column("opening", TEXT, "the opening with every receipt (token)", null=True),
        _column("shares", TEXT, "headers of both aggregate shares (JSON of tokens)"),
        _column(
            "voids", TEXT, "aggregator -> its confirmation of void (JSON of tokens)"
        ),
        _column(
            "verdict",
            WORD,
            "accepted or rejected by the model owner; null: not judged",
            null=True,
        ),
        _column("verdict_note", TEXT, "why", null=True),
        _column("verdict_by", TEXT, "who typed it", null=True),
        _column("verdict_at", DOUBLE, "when it was judged", null=True),
        _key("rounds", "spec_digest"),
        _reference("rounds", "entry", "events.entry"),
        _reference("rounds", "mean", "models.path"),
        _reference("rounds", "model", "models.path"),
        _reference("rounds", "run", "runs.run"),
        sa.UniqueConstraint("run", "round", "purpose", "attempt", name="uq_rounds_run"),
        comment="one row per proposed round; a repeated round has several",
    )
    op.create_index("ix_rounds_entry", "rounds", ["entry"])
    op.create_index("ix_rounds_model", "rounds", ["model_digest", "state", "entry"])
    op.create_index("ix_rounds_run_entry", "rounds", ["run", "entry"])
    op.create_index("ix_rounds_run_verdict", "rounds", ["run", "verdict", "entry"])
    op.create_index("ix_rounds_run_proposed", "rounds", ["run", "proposed_at", "entry"])
    op.create_index("ix_rounds_run_state", "rounds", ["run", "purpose", "state"])
    op.create_index("ix_rounds_study", "rounds", ["study_digest"])


def _create_metrics() -> None:
    op.create_table(
        "metrics",
        _column("spec_digest", DIGEST, "the round"),
        _column("name", NAME, "such as loss, accuracy, auc"),
        _column(
            "value",
            DOUBLE,
            "null: undefined, such as the AUC of a single class",
            null=True,
        ),
        _column(
            "deviation",
            DOUBLE,
            "standard deviation that noise gives it; null: exact, or not known",
            null=True,
        ),
        _key("metrics", "spec_digest", "name"),
        _reference("metrics", "spec_digest", "rounds.spec_digest"),
        comment="train: of the model a round STARTED from; evaluate: of the final one",
    )


def _create_participations() -> None:
    op.create_table(
        "participations",
        _column("spec_digest", DIGEST, "the round"),
        _column("data_owner", NAME, "name in the roster"),
        _column("status", WORD, "in set, or what happened instead"),
        _column("reason", TEXT, "more about the status", null=True),
        _column(
            "rho_pico",
            BIG,
            "what it is charged, in 1e-12 of rho: from the fixing of the set on, but "
            "not if both aggregators confirmed that it was never opened",
            null=True,
        ),
        _column(
            "report_id",
            REPORT_ID,
            "of the report in the set, the same at both aggregators",
            null=True,
        ),
        _column(
            "receipt_a",
            DIGEST,
            "digest of the receipt of the aggregator first by name",
            null=True,
        ),
        _column(
            "receipt_b",
            DIGEST,
            "digest of the receipt of the aggregator second by name",
            null=True,
        ),
        _key("participations", "spec_digest", "data_owner"),
        _reference("participations", "spec_digest", "rounds.spec_digest"),
        comment="one row per round and data owner of its cohort",
    )


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        _column("spec_digest", DIGEST, "digest of the spec, names the job"),
        _column("entry", INTEGER, "the event with which it was proposed"),
        _column("name", NAME, "what people call it"),
        _column("kind", WORD, "what it is for: linear"),
        _column(
            "method",
            WORD,
            "shares (both aggregators know the weights) or paillier",
        ),
        _column("state", WORD, "proposed, ready, closed or failed"),
        _column("reason", TEXT, "why it is closed or failed", null=True),
        _column(
            "run", NAME, "the run whose model it serves; null: a file's", null=True
        ),
        _column(
            "model_digest",
            DIGEST,
            "of that global model, as specs of rounds name it",
            null=True,
        ),
        _column("features", BIG, "numbers in one row"),
        _column("outputs", BIG, "logits for one row"),
        _column("clients", TEXT, "names of who may ask, the model owner too (JSON)"),
        _column("rows", BIG, "the most rows that one client is answered in all"),
        _column(
            "tried",
            INTEGER,
            "rows that were tried through both aggregators",
            null=True,
        ),
        _column(
            "difference",
            DOUBLE,
            "largest difference of a score to the model's own, of those rows",
            null=True,
        ),
        _column("proposed_at", DOUBLE, "when the spec was signed"),
        _column(
            "ready_at", DOUBLE, "when it had answered as the model does", null=True
        ),
        _column("ended_at", DOUBLE, "when it closed or failed", null=True),
        _column("deadline", DOUBLE, "when it closes by itself"),
        _column("spec", TEXT, "the spec (token)"),
        _column("grants", TEXT, "aggregator -> its grant (JSON of tokens)"),
        _column(
            "description",
            TEXT,
            "what its file tells clients beside (JSON)",
            null=True,
        ),
        _key("jobs", "spec_digest"),
        _reference("jobs", "entry", "events.entry"),
        _reference("jobs", "run", "runs.run"),
        comment="one row per job that the model owner proposed",
    )
    op.create_index("ix_jobs_entry", "jobs", ["entry"])
    op.create_index("ix_jobs_name", "jobs", ["name"])
