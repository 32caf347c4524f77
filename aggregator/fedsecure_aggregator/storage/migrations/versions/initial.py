"""Tables of the aggregator store."""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "aggregator_1"
down_revision: Final = None

DIGEST: Final = sa.String(64)
NAME: Final = sa.String(63)


def _column(name: str, kind: Any, comment: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(
        name, kind, nullable=options.pop("nullable", False), comment=comment, **options
    )


def upgrade() -> None:
    _events()
    _rounds()
    _reports()
    _lost_reports()
    _openings()
    _closed_runs()
    _privacy_spent()
    _privacy_studies()
    _privacy_totals()
    _refusals()
    _jobs()
    _inputs()
    _queries()
    _answers()


def downgrade() -> None:
    for table in (
        *("answers", "queries", "inputs", "jobs"),
        *("refusals", "privacy_totals", "privacy_studies", "privacy_spent"),
        *("closed_runs", "openings"),
        *("lost_reports", "reports", "rounds", "events"),
    ):
        op.drop_table(table)


def _events() -> None:
    op.create_table(
        "events",
        sa.Column(
            "entry",
            sa.Integer,
            primary_key=True,
            autoincrement=False,
            comment="1, 2, 3 and so on",
        ),
        _column("hash", DIGEST, "SHA-256(previous hash || payload), hex"),
        _column("kind", NAME, "what happened, as in the payload", index=True),
        _column("at", sa.Double, "seconds since 1970 UTC, as in payload"),
        _column("payload", sa.Text, "the signed event, exactly (JWS compact)"),
    )


def _round_columns() -> list[sa.Column[Any]]:
    return [
        _column("owner", NAME, "model owner that signed"),
        _column("run", NAME, "run, as in the spec"),
        _column("round", sa.BigInteger, "round, as in the spec"),
        _column("purpose", sa.String(16), "train, evaluate or statistics"),
    ]


def _model_column() -> sa.Column[Any]:
    return _column(
        "model", DIGEST, "digest of the global model, as in the spec", index=True
    )


def _rounds() -> None:
    op.create_table(
        "rounds",
        _column("spec", DIGEST, "digest of the round's spec, hex", primary_key=True),
        *_round_columns(),
        _column("attempt", sa.BigInteger, "attempt, as in the spec"),
        _column("task", DIGEST, "digest of the task, as in the spec", index=True),
        _model_column(),
        _column(
            "dimension",
            sa.BigInteger,
            "parameters of the model; 0 in evaluation rounds",
        ),
        _column("cohort", sa.Integer, "data owners asked"),
        _column(
            "min_cohort",
            sa.Integer,
            "fewest members to open, of spec and this server's policy",
        ),
        _column(
            "deadline",
            sa.BigInteger,
            "last second for new reports, seconds since 1970",
        ),
        _column(
            "expires",
            sa.BigInteger,
            "when key and payloads are deleted, seconds since 1970",
        ),
        _column(
            "state", sa.String(16), "granted, collecting, opened or void", index=True
        ),
        _column(
            "sealing_key",
            sa.Text,
            "public half of this round's sealing key, base64url",
        ),
        _column(
            "noise",
            sa.String(64),
            "SHA-256 of the seed of the round's noise, hex; null: none",
            nullable=True,
        ),
        _column(
            "study",
            DIGEST,
            "digest of the study whose budget it counts in, hex; null: no noise",
            nullable=True,
            index=True,
        ),
        _column(
            "granted_entry",
            sa.Integer,
            "ledger entry of the grant; its hash is the grant's head",
            index=True,
        ),
        _column("granted_at", sa.Double, "seconds since 1970", index=True),
        _column("void_at", sa.Double, "seconds since 1970", nullable=True),
        _column("void_reason", sa.String(200), "why it was given up", nullable=True),
        _column("token", sa.Text, "the signed spec (JWS compact)"),
        sa.UniqueConstraint(
            "owner", "run", "round", "purpose", "attempt", name="one_spec_per_attempt"
        ),
    )


def _reports() -> None:
    op.create_table(
        "reports",
        _column(
            "spec",
            DIGEST,
            "digest of the spec",
            primary_key=True,
        ),
        _column("reporter", NAME, "data owner", primary_key=True),
        _column(
            "report_id",
            sa.String(32),
            "16 random bytes in hex, the same at both aggregators",
        ),
        _column("kind", sa.String(8), "seed or vector"),
        _column("length", sa.BigInteger, "bytes of the payload"),
        _column("digest", DIGEST, "of the payload, hex"),
        _column("header", sa.Text, "the data owner's signed header (JWS compact)"),
        _column(
            "receipt_entry",
            sa.Integer,
            "length of the ledger when it was stored: the receipt's head",
        ),
        _column("stored_at", sa.Double, "seconds since 1970"),
        sa.ForeignKeyConstraint(["spec"], ["rounds.spec"]),
    )


def _lost_reports() -> None:
    op.create_table(
        "lost_reports",
        _column("spec", DIGEST, "digest of the spec", primary_key=True),
        _column("reporter", NAME, "data owner", primary_key=True),
        _column("report_id", sa.String(32), "of the report, as in its receipt"),
        _column("digest", DIGEST, "of its payload, as in its receipt, hex"),
        _column("reason", sa.String(200), "what was wrong with the file"),
        _column("lost_at", sa.Double, "found then, seconds since 1970"),
        _column("entry", sa.Integer, "ledger entry of the loss"),
        sa.ForeignKeyConstraint(["spec"], ["rounds.spec"]),
    )


def _openings() -> None:
    op.create_table(
        "openings",
        _column("spec", DIGEST, "digest of the spec", primary_key=True),
        *_round_columns(),
        _model_column(),
        _column("opening", DIGEST, "digest of the owner's signed opening, hex"),
        _column("set_digest", DIGEST, "digest of the set of reports, hex"),
        _column(
            "members",
            sa.Text,
            "the set: JSON list of [reporter, report id, report digest]",
        ),
        _column("count", sa.Integer, "reports in the set"),
        _column(
            "rho_pico",
            sa.BigInteger,
            "what it cost each member in privacy, 1e-12 of rho; null: no noise",
            nullable=True,
        ),
        _column("opened_at", sa.Double, "seconds since 1970"),
        _column(
            "share_digest",
            DIGEST,
            "SHA-256 of the sealed aggregate share; null until stored",
            nullable=True,
        ),
        _column(
            "share_length",
            sa.BigInteger,
            "bytes of the sealed aggregate share; null until stored",
            nullable=True,
        ),
        _column(
            "share_entry",
            sa.Integer,
            "ledger entry of the stored share: its header's head",
            nullable=True,
        ),
        sa.ForeignKeyConstraint(["spec"], ["rounds.spec"]),
        sa.UniqueConstraint("owner", "run", "round", "purpose", name="opened_once"),
    )


def _closed_runs() -> None:
    op.create_table(
        "closed_runs",
        _column("run", NAME, "the run", primary_key=True),
        _column("entry", sa.Integer, "ledger entry of the restore"),
    )


def _privacy_spent() -> None:
    op.create_table(
        "privacy_spent",
        _column(
            "entry",
            sa.Integer,
            "ledger entry of the opening or restore",
            primary_key=True,
            autoincrement=False,
        ),
        _column("reporter", NAME, "data owner", primary_key=True),
        _column("study", DIGEST, "digest of the study, hex", primary_key=True),
        sa.Column(
            "spec",
            DIGEST,
            sa.ForeignKey("rounds.spec"),
            nullable=True,
            comment="digest of the opened round's spec; null: the store was restored",
        ),
        _column("unit", sa.String(16), "what is protected: row or data-owner"),
        _column("rho_pico", sa.BigInteger, "what it cost, 1e-12 of rho"),
    )


def _privacy_studies() -> None:
    op.create_table(
        "privacy_studies",
        _column("study", DIGEST, "digest of the study, hex", primary_key=True),
        _column("reporter", NAME, "data owner", primary_key=True),
        _column("unit", sa.String(16), "what is protected: row or data-owner"),
        _column("budget", sa.Double, "epsilon that the study may spend"),
        _column("delta", sa.Double, "at which epsilon is meant"),
        _column("rho_pico", sa.BigInteger, "spent, 1e-12 of rho"),
        _column(
            "epsilon",
            sa.Double,
            "spent, for who knows one aggregator's noise; at delta",
        ),
        _column("outsider", sa.Double, "spent, for who knows neither's; at delta"),
        _column("entry", sa.Integer, "ledger entry of the last charge", index=True),
    )


def _privacy_totals() -> None:
    def spent(name: str, kind: Any, comment: str) -> sa.Column[Any]:
        return _column(name, kind, comment, nullable=True)

    one = "the same for who knows one aggregator's noise; at delta 1e-5"
    neither = "the same for who knows neither's; at delta 1e-5"
    op.create_table(
        "privacy_totals",
        _column("reporter", NAME, "data owner", primary_key=True),
        spent("row_rho_pico", sa.BigInteger, "about each row, 1e-12 of rho"),
        spent("row_epsilon", sa.Double, one),
        spent("row_outsider", sa.Double, neither),
        spent("data_owner_rho_pico", sa.BigInteger, "about all it holds, 1e-12 of rho"),
        spent("data_owner_epsilon", sa.Double, one),
        spent("data_owner_outsider", sa.Double, neither),
        _column("entry", sa.Integer, "ledger entry of the last change"),
    )


def _refusals() -> None:
    op.create_table(
        "refusals",
        _column("digest", DIGEST, "digest of what was signed, hex", primary_key=True),
        _column("code", sa.String(8), "why it was refused", primary_key=True),
        _column("signer", NAME, "who signed it", index=True),
        _column("statement", sa.String(32), "round-spec, opening or report"),
        _column(
            "spec", DIGEST, "digest of the spec that it is, or is about", index=True
        ),
        _column("refused_at", sa.Double, "seconds since 1970"),
        _column("entry", sa.Integer, "ledger entry of the refusal"),
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        _column("spec", DIGEST, "digest of the job's spec, hex", primary_key=True),
        _column("name", NAME, "its name, as in the spec"),
        _column("proposer", NAME, "who signed the spec", index=True),
        _column("kind", sa.String(16), "shares or linear"),
        _column("method", sa.String(16), "shares or paillier"),
        _column(
            "receiver", NAME, "who opens its output; null: a service", nullable=True
        ),
        _column("clients", sa.Integer, "who may ask a service"),
        _column(
            "rows",
            sa.BigInteger,
            "rows that one client is answered in all; 0: no service",
        ),
        _column(
            "deadline",
            sa.BigInteger,
            "last second for inputs and queries, seconds since 1970",
        ),
        _column(
            "expires",
            sa.BigInteger,
            "when what is kept of it is deleted, seconds since 1970",
        ),
        _column(
            "state",
            sa.String(16),
            "granted, collecting, running, done, serving, closed or void",
            index=True,
        ),
        _column(
            "sealing_key",
            sa.Text,
            "public half of this job's sealing key, base64url",
        ),
        _column(
            "granted_entry",
            sa.Integer,
            "ledger entry of the grant; its hash is the grant's head",
            index=True,
        ),
        _column("granted_at", sa.Double, "seconds since 1970", index=True),
        *_job_channels(),
        *_job_output(),
        _column("token", sa.Text, "the signed spec (JWS compact)"),
    )


def _job_channels() -> list[sa.Column[Any]]:
    return [
        _column(
            "start",
            DIGEST,
            "digest of the signed start, hex; null: not started",
            nullable=True,
        ),
        _column(
            "channel",
            sa.Text,
            "this server's channel key, sealed to the other one, base64url",
            nullable=True,
        ),
        _column(
            "peer_channel",
            sa.Text,
            "the other server's signed job-channel; null: not here",
            nullable=True,
        ),
    ]


def _job_output() -> list[sa.Column[Any]]:
    return [
        _column(
            "inputs_digest",
            DIGEST,
            "SHA-256 of the list of what went into the output",
            nullable=True,
        ),
        _column(
            "output_digest",
            DIGEST,
            "SHA-256 of the sealed output; null: none",
            nullable=True,
        ),
        _column(
            "output_length",
            sa.BigInteger,
            "bytes of the sealed output; null: none",
            nullable=True,
        ),
        _column(
            "output_entry",
            sa.Integer,
            "ledger entry of the output: its header's head",
            nullable=True,
        ),
        _column(
            "ended_at",
            sa.Double,
            "done, closed or void then, seconds since 1970",
            nullable=True,
        ),
        _column("reason", sa.String(200), "why it is closed or void", nullable=True),
    ]


def _inputs() -> None:
    op.create_table(
        "inputs",
        _column("spec", DIGEST, "digest of the spec", primary_key=True),
        _column(
            "name", sa.String(64), "the input, as in the program", primary_key=True
        ),
        _column("owner", NAME, "whose it is"),
        _column(
            "input_id",
            sa.String(32),
            "16 random bytes in hex, the same at both aggregators",
        ),
        _column("kind", sa.String(16), "seed, vector or public"),
        _column(
            "plain", DIGEST, "SHA-256 of its words, hex; null: secret", nullable=True
        ),
        _column("length", sa.BigInteger, "bytes of the payload"),
        _column("digest", DIGEST, "of the payload, hex"),
        _column("header", DIGEST, "digest of the owner's signed header, hex"),
        _column("entry", sa.Integer, "ledger entry of the input: its receipt's head"),
        _column("stored_at", sa.Double, "seconds since 1970"),
        sa.ForeignKeyConstraint(["spec"], ["jobs.spec"]),
    )


def _queries() -> None:
    op.create_table(
        "queries",
        *_query_key(),
        _column(
            "query_id",
            sa.String(32),
            "16 random bytes in hex, the same at both aggregators",
        ),
        _column("kind", sa.String(16), "seed, vector or ciphertexts"),
        _column("rows", sa.BigInteger, "rows that it asked about"),
        _column(
            "answered",
            sa.BigInteger,
            "rows of this client up to here, this query's included",
        ),
        _column("header", DIGEST, "digest of the client's signed header, hex"),
        _column(
            "inputs_digest", DIGEST, "SHA-256 of the list of what went into the answer"
        ),
        _column("answer_digest", DIGEST, "SHA-256 of the sealed answer, hex"),
        _column("answer_length", sa.BigInteger, "bytes of the sealed answer"),
        _column(
            "entry",
            sa.Integer,
            "ledger entry of the query: its answer's head",
            index=True,
        ),
        _column("answered_at", sa.Double, "seconds since 1970"),
        sa.ForeignKeyConstraint(["spec"], ["jobs.spec"]),
    )


def _query_key() -> list[sa.Column[Any]]:
    number = "its number"
    return [
        _column("spec", DIGEST, "digest of the spec", primary_key=True),
        _column("client", NAME, "who asked", primary_key=True),
        _column("query", sa.BigInteger, number, primary_key=True, autoincrement=False),
    ]


def _answers() -> None:
    op.create_table(
        "answers",
        _column("spec", DIGEST, "digest of the spec", primary_key=True),
        _column("client", NAME, "who asked", primary_key=True),
        _column(
            "query",
            sa.BigInteger,
            "the query's number",
            primary_key=True,
            autoincrement=False,
        ),
        _column(
            "content",
            sa.LargeBinary,
            "sealed to a key that the client made for this query",
        ),
    )
