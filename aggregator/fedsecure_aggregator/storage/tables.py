"""The tables of the aggregator store; their meaning for readers is in the comments.

`events` is the ledger. `reports` are working rows, one by one, whose digests go into it
with the opening. All others are projections of it (module `projection`), also those of
jobs (`jobs.tables`). No column ever holds a plaintext share or a private key.
"""

from sqlalchemy import (
    BigInteger,
    Enum,
    ForeignKey,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fedsecure.protocol.ledger import EventColumns
from fedsecure_aggregator.rules.round_states import RoundState


class Base(DeclarativeBase):
    """Root of this store's tables."""


class EventRow(EventColumns, Base):
    """One entry of this aggregator's ledger."""

    __tablename__ = "events"


class RoundRow(Base):
    """A round that was granted."""

    __tablename__ = "rounds"
    __table_args__ = (
        UniqueConstraint(
            "owner", "run", "round", "purpose", "attempt", name="one_spec_per_attempt"
        ),
    )

    spec: Mapped[str] = mapped_column(
        String(64), primary_key=True, comment="digest of the round's spec, hex"
    )
    owner: Mapped[str] = mapped_column(String(63), comment="model owner that signed")
    run: Mapped[str] = mapped_column(String(63), comment="run, as in the spec")
    round: Mapped[int] = mapped_column(BigInteger, comment="round, as in the spec")
    purpose: Mapped[str] = mapped_column(
        String(16), comment="train, evaluate or statistics"
    )
    attempt: Mapped[int] = mapped_column(BigInteger, comment="attempt, as in the spec")
    task: Mapped[str] = mapped_column(
        String(64), index=True, comment="digest of the task, as in the spec"
    )
    model: Mapped[str] = mapped_column(
        String(64), index=True, comment="digest of the global model, as in the spec"
    )
    dimension: Mapped[int] = mapped_column(
        BigInteger, comment="parameters of the model; 0 in evaluation rounds"
    )
    cohort: Mapped[int] = mapped_column(Integer, comment="data owners asked")
    min_cohort: Mapped[int] = mapped_column(
        Integer, comment="fewest members to open, of spec and this server's policy"
    )
    deadline: Mapped[int] = mapped_column(
        BigInteger, comment="last second for new reports, seconds since 1970"
    )
    expires: Mapped[int] = mapped_column(
        BigInteger, comment="when key and payloads are deleted, seconds since 1970"
    )
    state: Mapped[RoundState] = mapped_column(
        Enum(
            RoundState,
            native_enum=False,
            length=16,
            values_callable=lambda states: [state.value for state in states],
        ),
        index=True,
        comment="granted, collecting, opened or void",
    )
    sealing_key: Mapped[str] = mapped_column(
        Text, comment="public half of this round's sealing key, base64url"
    )
    noise: Mapped[str | None] = mapped_column(
        String(64), comment="SHA-256 of the seed of the round's noise, hex; null: none"
    )
    study: Mapped[str | None] = mapped_column(
        String(64),
        index=True,
        comment="digest of the study whose budget it counts in, hex; null: no noise",
    )
    granted_entry: Mapped[int] = mapped_column(
        Integer,
        index=True,
        comment="ledger entry of the grant; its hash is the grant's head",
    )
    granted_at: Mapped[float] = mapped_column(index=True, comment="seconds since 1970")
    void_at: Mapped[float | None] = mapped_column(comment="seconds since 1970")
    void_reason: Mapped[str | None] = mapped_column(
        String(200), comment="why it was given up"
    )
    token: Mapped[str] = mapped_column(Text, comment="the signed spec (JWS compact)")


class ReportRow(Base):
    """A report that is stored and opens; the payload lies in the spool."""

    __tablename__ = "reports"

    spec: Mapped[str] = mapped_column(
        ForeignKey("rounds.spec"), primary_key=True, comment="digest of the spec"
    )
    reporter: Mapped[str] = mapped_column(
        String(63), primary_key=True, comment="data owner"
    )
    report_id: Mapped[str] = mapped_column(
        String(32), comment="16 random bytes in hex, the same at both aggregators"
    )
    kind: Mapped[str] = mapped_column(String(8), comment="seed or vector")
    length: Mapped[int] = mapped_column(BigInteger, comment="bytes of the payload")
    digest: Mapped[str] = mapped_column(String(64), comment="of the payload, hex")
    header: Mapped[str] = mapped_column(
        Text, comment="the data owner's signed header (JWS compact)"
    )
    receipt_entry: Mapped[int] = mapped_column(
        Integer, comment="length of the ledger when it was stored: the receipt's head"
    )
    stored_at: Mapped[float] = mapped_column(comment="seconds since 1970")


class OpeningRow(Base):
    """The one opening of a round, written before anything of it leaves."""

    __tablename__ = "openings"
    __table_args__ = (
        UniqueConstraint("owner", "run", "round", "purpose", name="opened_once"),
    )

    spec: Mapped[str] = mapped_column(
        ForeignKey("rounds.spec"), primary_key=True, comment="digest of the spec"
    )
    owner: Mapped[str] = mapped_column(String(63), comment="model owner that signed")
    run: Mapped[str] = mapped_column(String(63), comment="run, as in the spec")
    round: Mapped[int] = mapped_column(BigInteger, comment="round, as in the spec")
    purpose: Mapped[str] = mapped_column(
        String(16), comment="train, evaluate or statistics"
    )
    model: Mapped[str] = mapped_column(
        String(64), index=True, comment="digest of the global model, as in the spec"
    )
    opening: Mapped[str] = mapped_column(
        String(64), comment="digest of the owner's signed opening, hex"
    )
    set_digest: Mapped[str] = mapped_column(
        String(64), comment="digest of the set of reports, hex"
    )
    members: Mapped[str] = mapped_column(
        Text, comment="the set: JSON list of [reporter, report id, report digest]"
    )
    count: Mapped[int] = mapped_column(Integer, comment="reports in the set")
    rho_pico: Mapped[int | None] = mapped_column(
        BigInteger,
        comment="what it cost each member in privacy, 1e-12 of rho; null: no noise",
    )
    opened_at: Mapped[float] = mapped_column(comment="seconds since 1970")
    share_digest: Mapped[str | None] = mapped_column(
        String(64), comment="SHA-256 of the sealed aggregate share; null until stored"
    )
    share_length: Mapped[int | None] = mapped_column(
        BigInteger, comment="bytes of the sealed aggregate share; null until stored"
    )
    share_entry: Mapped[int | None] = mapped_column(
        Integer, comment="ledger entry of the stored share: its header's head"
    )


class LostReportRow(Base):
    """A report that had its receipt and no longer opened when it was to be added up."""

    __tablename__ = "lost_reports"

    spec: Mapped[str] = mapped_column(
        ForeignKey("rounds.spec"), primary_key=True, comment="digest of the spec"
    )
    reporter: Mapped[str] = mapped_column(
        String(63), primary_key=True, comment="data owner"
    )
    report_id: Mapped[str] = mapped_column(
        String(32), comment="of the report, as in its receipt"
    )
    digest: Mapped[str] = mapped_column(
        String(64), comment="of its payload, as in its receipt, hex"
    )
    reason: Mapped[str] = mapped_column(
        String(200), comment="what was wrong with the file"
    )
    lost_at: Mapped[float] = mapped_column(comment="found then, seconds since 1970")
    entry: Mapped[int] = mapped_column(Integer, comment="ledger entry of the loss")


class ClosedRunRow(Base):
    """A run that was begun before the store was restored from a backup."""

    __tablename__ = "closed_runs"

    run: Mapped[str] = mapped_column(String(63), primary_key=True, comment="the run")
    entry: Mapped[int] = mapped_column(Integer, comment="ledger entry of the restore")


class PrivacySpentRow(Base):
    """What one opening, or a restore, cost a data owner in privacy."""

    __tablename__ = "privacy_spent"

    entry: Mapped[int] = mapped_column(
        Integer, primary_key=True, comment="ledger entry of the opening or restore"
    )
    reporter: Mapped[str] = mapped_column(
        String(63), primary_key=True, comment="data owner"
    )
    study: Mapped[str] = mapped_column(
        String(64), primary_key=True, comment="digest of the study, hex"
    )
    spec: Mapped[str | None] = mapped_column(
        ForeignKey("rounds.spec"),
        comment="digest of the opened round's spec; null: the store was restored",
    )
    unit: Mapped[str] = mapped_column(
        String(16), comment="what is protected: row or data-owner"
    )
    rho_pico: Mapped[int] = mapped_column(
        BigInteger, comment="what it cost, 1e-12 of rho"
    )


class PrivacyStudyRow(Base):
    """What a data owner has spent of a study's budget."""

    __tablename__ = "privacy_studies"

    study: Mapped[str] = mapped_column(
        String(64), primary_key=True, comment="digest of the study, hex"
    )
    reporter: Mapped[str] = mapped_column(
        String(63), primary_key=True, comment="data owner"
    )
    unit: Mapped[str] = mapped_column(
        String(16), comment="what is protected: row or data-owner"
    )
    budget: Mapped[float] = mapped_column(comment="epsilon that the study may spend")
    delta: Mapped[float] = mapped_column(comment="at which epsilon is meant")
    rho_pico: Mapped[int] = mapped_column(BigInteger, comment="spent, 1e-12 of rho")
    epsilon: Mapped[float] = mapped_column(
        comment="spent, for who knows one aggregator's noise; at delta"
    )
    outsider: Mapped[float] = mapped_column(
        comment="spent, for who knows neither's; at delta"
    )
    entry: Mapped[int] = mapped_column(
        Integer, index=True, comment="ledger entry of the last charge"
    )


class PrivacyTotalRow(Base):
    """What a data owner has spent in all studies; null where there is no bound."""

    __tablename__ = "privacy_totals"

    reporter: Mapped[str] = mapped_column(
        String(63), primary_key=True, comment="data owner"
    )
    row_rho_pico: Mapped[int | None] = mapped_column(
        BigInteger, comment="about each row, 1e-12 of rho"
    )
    row_epsilon: Mapped[float | None] = mapped_column(
        comment="the same for who knows one aggregator's noise; at delta 1e-5"
    )
    row_outsider: Mapped[float | None] = mapped_column(
        comment="the same for who knows neither's; at delta 1e-5"
    )
    data_owner_rho_pico: Mapped[int | None] = mapped_column(
        BigInteger, comment="about all it holds, 1e-12 of rho"
    )
    data_owner_epsilon: Mapped[float | None] = mapped_column(
        comment="the same for who knows one aggregator's noise; at delta 1e-5"
    )
    data_owner_outsider: Mapped[float | None] = mapped_column(
        comment="the same for who knows neither's; at delta 1e-5"
    )
    entry: Mapped[int] = mapped_column(
        Integer, comment="ledger entry of the last change"
    )


class RefusalRow(Base):
    """What a party has signed and this aggregator refused."""

    __tablename__ = "refusals"

    digest: Mapped[str] = mapped_column(
        String(64), primary_key=True, comment="digest of what was signed, hex"
    )
    code: Mapped[str] = mapped_column(
        String(8), primary_key=True, comment="why it was refused"
    )
    signer: Mapped[str] = mapped_column(String(63), index=True, comment="who signed it")
    statement: Mapped[str] = mapped_column(
        String(32), comment="round-spec, opening or report"
    )
    spec: Mapped[str] = mapped_column(
        String(64), index=True, comment="digest of the spec that it is, or is about"
    )
    refused_at: Mapped[float] = mapped_column(comment="seconds since 1970")
    entry: Mapped[int] = mapped_column(Integer, comment="ledger entry of the refusal")
