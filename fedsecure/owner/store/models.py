"""The tables of the round store. Read them through the views (module `views`).

Times are seconds since 1970 UTC; digests are SHA-256 in hex; `token` is a compact
JWS. On SQLite the comments stand in the schema itself (`.schema rounds`).
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from fedsecure.owner.store.base import DIGEST, NAME, Base, CanonicalJson
from fedsecure.owner.store.job_models import Job
from fedsecure.protocol.ledger import EventColumns

__all__ = [
    "Base",
    "CanonicalJson",
    "Event",
    "Job",
    "Metric",
    "Model",
    "Participation",
    "Round",
    "Run",
    "Subject",
]


class Event(EventColumns, Base):
    """The ledger, `fedsecure.protocol.ledger`."""

    __tablename__ = "events"
    __table_args__ = {"comment": "the ledger: a hash chain of signed events"}  # noqa: RUF012


class Subject(Base):
    """Which run and round each event is about, so that people can filter events."""

    __tablename__ = "subjects"
    __table_args__ = {"comment": "what each event is about"}  # noqa: RUF012

    entry: Mapped[int] = mapped_column(
        ForeignKey("events.entry"),
        primary_key=True,
        autoincrement=False,
        comment="the event",
    )
    run: Mapped[str | None] = mapped_column(
        NAME, index=True, comment="the run; null: a job with another model"
    )
    spec: Mapped[str | None] = mapped_column(
        DIGEST,
        index=True,
        comment="digest of the round's or job's spec; null: the whole run",
    )


class Model(Base):
    """A global model or an opened mean, in a file."""

    __tablename__ = "models"
    __table_args__ = {"comment": "arrays in files"}  # noqa: RUF012

    path: Mapped[str] = mapped_column(
        primary_key=True, comment="relative to the folder of the store's files"
    )
    sha256: Mapped[str] = mapped_column(DIGEST, comment="digest of the file's bytes")
    bytes: Mapped[int] = mapped_column(comment="size of the file")
    kind: Mapped[str] = mapped_column(
        String(15), comment="model (global model) or mean (opened mean update)"
    )
    digest: Mapped[str | None] = mapped_column(
        DIGEST, comment="of a global model, as specs name it; null: not recorded"
    )


class Run(Base):
    """One training."""

    __tablename__ = "runs"
    __table_args__ = {"comment": "one row per training"}  # noqa: RUF012

    run: Mapped[str] = mapped_column(NAME, primary_key=True, comment="the run's id")
    entry: Mapped[int] = mapped_column(
        ForeignKey("events.entry"), comment="the event with which it began"
    )
    study: Mapped[str] = mapped_column(comment="the study that is trained")
    title: Mapped[str] = mapped_column(comment="what people call it")
    strategy: Mapped[str] = mapped_column(comment="how means change the model")
    weighting: Mapped[str] = mapped_column(
        String(15), comment="equal, rounded or exact: what weights tell about counts"
    )
    planned_rounds: Mapped[int] = mapped_column(
        Integer, comment="train rounds that were planned"
    )
    min_cohort: Mapped[int] = mapped_column(
        Integer, comment="fewest data owners in an opened sum"
    )
    clip: Mapped[float] = mapped_column(
        comment="largest L2 norm of one update, in the model's units"
    )
    statistics_clip: Mapped[float | None] = mapped_column(
        comment="the same of its statistics, which are not in that norm"
    )
    initial_model: Mapped[str] = mapped_column(
        ForeignKey("models.path"), comment="the model that the run started from"
    )
    origin: Mapped[str | None] = mapped_column(
        DIGEST, comment="digest of the spec of the round that this model came out of"
    )
    origin_forced: Mapped[bool | None] = mapped_column(
        comment="whether that round was not accepted"
    )
    unit: Mapped[str | None] = mapped_column(
        String(15), comment="what noise protects, row or data-owner; null: no noise yet"
    )
    epsilon_budget: Mapped[float | None] = mapped_column(
        comment="largest epsilon of all runs of the study together"
    )
    delta: Mapped[float | None] = mapped_column(comment="at this delta")
    epsilon: Mapped[float | None] = mapped_column(
        comment="what its openings cost who is in most sets, one server corrupt"
    )
    epsilon_outsider: Mapped[float | None] = mapped_column(
        comment="the same for who sees no server's noise"
    )
    study_epsilon: Mapped[float | None] = mapped_column(
        comment="what openings of all runs of the study cost, one server corrupt"
    )
    state: Mapped[str] = mapped_column(
        String(15),
        comment="running, completed, diverged, budget-spent, failed or stopped",
    )
    reason: Mapped[str | None] = mapped_column(comment="why it ended so")
    started_at: Mapped[float] = mapped_column(comment="when it began")
    finished_at: Mapped[float | None] = mapped_column(comment="when it ended")
    settings: Mapped[dict[str, Any]] = mapped_column(
        CanonicalJson, comment="the study's other settings (JSON)"
    )


class Round(Base):
    """One secure sum: an attempt at a round of a run."""

    __tablename__ = "rounds"
    __table_args__ = (
        UniqueConstraint("run", "round", "purpose", "attempt"),
        # For pages of long runs: in order, by verdict, by date; how many there are.
        # And for sums over the same model.
        Index("ix_rounds_model", "model_digest", "state", "entry"),
        Index("ix_rounds_run_entry", "run", "entry"),
        Index("ix_rounds_run_verdict", "run", "verdict", "entry"),
        Index("ix_rounds_run_proposed", "run", "proposed_at", "entry"),
        Index("ix_rounds_run_state", "run", "purpose", "state"),
        Index("ix_rounds_study", "study_digest"),
        {"comment": "one row per proposed round; a repeated round has several"},
    )

    spec_digest: Mapped[str] = mapped_column(
        DIGEST, primary_key=True, comment="digest of the spec, names the round"
    )
    entry: Mapped[int] = mapped_column(
        ForeignKey("events.entry"),
        index=True,
        comment="the event with which it was proposed",
    )
    run: Mapped[str] = mapped_column(ForeignKey("runs.run"), comment="the run")
    round: Mapped[int] = mapped_column(BigInteger, comment="number within the run")
    purpose: Mapped[str] = mapped_column(
        String(15), comment="train, evaluate or statistics"
    )
    attempt: Mapped[int] = mapped_column(
        BigInteger, comment="1, and one more after each void attempt"
    )
    state: Mapped[str] = mapped_column(
        String(15), comment="proposed, granted, opening, opened or void"
    )
    reason: Mapped[str | None] = mapped_column(comment="why it is void")
    cohort_size: Mapped[int] = mapped_column(
        Integer, comment="data owners that were asked"
    )
    min_cohort: Mapped[int] = mapped_column(
        Integer, comment="fewest data owners that the spec lets be opened"
    )
    set_size: Mapped[int | None] = mapped_column(
        Integer, comment="data owners whose reports are in the opened sum"
    )
    set_digest: Mapped[str | None] = mapped_column(
        DIGEST, comment="digest of the set, the same in both aggregate shares"
    )
    opening_digest: Mapped[str | None] = mapped_column(
        DIGEST, comment="digest of the opening"
    )
    model_digest: Mapped[str] = mapped_column(
        DIGEST, comment="of the global model that it started from"
    )
    study_digest: Mapped[str | None] = mapped_column(
        DIGEST, comment="of the study whose budget it is charged to; null: no noise"
    )
    rho_pico: Mapped[int | None] = mapped_column(
        BigInteger,
        comment="what opening it costs each of its set, in 1e-12 of rho; null: no "
        "noise",
    )
    mean: Mapped[str | None] = mapped_column(
        ForeignKey("models.path"), comment="the opened mean update"
    )
    model: Mapped[str | None] = mapped_column(
        ForeignKey("models.path"), comment="the global model after the round"
    )
    total_weight: Mapped[int | None] = mapped_column(
        BigInteger, comment="sum of the set's weights"
    )
    clipped: Mapped[int | None] = mapped_column(
        BigInteger, comment="members of the set whose update was scaled down"
    )
    statistics_clipped: Mapped[int | None] = mapped_column(
        BigInteger, comment="members of the set whose statistics were scaled down"
    )
    clamped: Mapped[int | None] = mapped_column(
        BigInteger, comment="scalars of the set that were brought into their range"
    )
    undefined: Mapped[int | None] = mapped_column(
        BigInteger, comment="members of the set whose metrics were not finite"
    )
    scalars: Mapped[dict[str, Any]] = mapped_column(
        CanonicalJson, comment="the shared figures as they were opened (JSON)"
    )
    bytes_up: Mapped[int | None] = mapped_column(
        BigInteger, comment="payload bytes from the set to both aggregators together"
    )
    proposed_at: Mapped[float] = mapped_column(comment="when the spec was signed")
    granted_at: Mapped[float | None] = mapped_column(comment="when both had granted it")
    opening_at: Mapped[float | None] = mapped_column(comment="when the set was fixed")
    decided_at: Mapped[float | None] = mapped_column(
        comment="when the mean was stored, or the round was given up"
    )
    stage_seconds: Mapped[dict[str, float]] = mapped_column(
        CanonicalJson, comment="duration of each stage (JSON)"
    )
    spec: Mapped[str] = mapped_column(comment="the spec (token)")
    grants: Mapped[dict[str, str]] = mapped_column(
        CanonicalJson, comment="aggregator -> its grant (JSON of tokens)"
    )
    opening: Mapped[str | None] = mapped_column(
        comment="the opening with every receipt (token)"
    )
    shares: Mapped[list[str]] = mapped_column(
        CanonicalJson, comment="headers of both aggregate shares (JSON of tokens)"
    )
    voids: Mapped[dict[str, str]] = mapped_column(
        CanonicalJson, comment="aggregator -> its confirmation of void (JSON of tokens)"
    )
    verdict: Mapped[str | None] = mapped_column(
        String(15), comment="accepted or rejected by the model owner; null: not judged"
    )
    verdict_note: Mapped[str | None] = mapped_column(comment="why")
    verdict_by: Mapped[str | None] = mapped_column(comment="who typed it")
    verdict_at: Mapped[float | None] = mapped_column(comment="when it was judged")


class Participation(Base):
    """One data owner of the cohort of one round."""

    __tablename__ = "participations"
    __table_args__ = {"comment": "one row per round and data owner of its cohort"}  # noqa: RUF012

    spec_digest: Mapped[str] = mapped_column(
        ForeignKey("rounds.spec_digest"), primary_key=True, comment="the round"
    )
    data_owner: Mapped[str] = mapped_column(
        NAME, primary_key=True, comment="name in the roster"
    )
    status: Mapped[str] = mapped_column(
        String(15), comment="in set, or what happened instead"
    )
    reason: Mapped[str | None] = mapped_column(comment="more about the status")
    rho_pico: Mapped[int | None] = mapped_column(
        BigInteger,
        comment="what it is charged, in 1e-12 of rho: from the fixing of the set on, "
        "but not if both aggregators confirmed that it was never opened",
    )
    report_id: Mapped[str | None] = mapped_column(
        String(32), comment="of the report in the set, the same at both aggregators"
    )
    receipt_a: Mapped[str | None] = mapped_column(
        DIGEST, comment="digest of the receipt of the aggregator first by name"
    )
    receipt_b: Mapped[str | None] = mapped_column(
        DIGEST, comment="digest of the receipt of the aggregator second by name"
    )


class Metric(Base):
    """One figure of one opened round, over the whole set."""

    __tablename__ = "metrics"
    __table_args__ = {  # noqa: RUF012
        "comment": "train: of the model a round STARTED from; evaluate: of the final "
        "one"
    }

    spec_digest: Mapped[str] = mapped_column(
        ForeignKey("rounds.spec_digest"), primary_key=True, comment="the round"
    )
    name: Mapped[str] = mapped_column(
        NAME, primary_key=True, comment="such as loss, accuracy, auc"
    )
    value: Mapped[float | None] = mapped_column(
        comment="null: undefined, such as the AUC of a single class"
    )
    deviation: Mapped[float | None] = mapped_column(
        comment="standard deviation that noise gives it; null: exact, or not known"
    )
