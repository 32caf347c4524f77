"""The tables of the agent's state, which `migrations` makes."""

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Tables of the agent's state."""


class ReportRow(Base):
    """One sealed input share that this agent made."""

    __tablename__ = "reports"

    spec: Mapped[str] = mapped_column(
        String(64), primary_key=True, comment="digest of the round's spec"
    )
    aggregator: Mapped[str] = mapped_column(
        String(63), primary_key=True, comment="which aggregator it is sealed for"
    )
    study: Mapped[str] = mapped_column(
        String(64), index=True, comment="digest of the study (see studies)"
    )
    run: Mapped[str] = mapped_column(String(63), comment="run of the spec")
    round: Mapped[int] = mapped_column(BigInteger, comment="round of the spec")
    purpose: Mapped[str] = mapped_column(
        String(16), comment="train, evaluate or statistics"
    )
    attempt: Mapped[int] = mapped_column(BigInteger, comment="attempt of the spec")
    deadline: Mapped[int] = mapped_column(
        BigInteger, comment="deadline of the spec, seconds since 1970, UTC"
    )
    kind: Mapped[str] = mapped_column(String(8), comment="seed or vector")
    length: Mapped[int] = mapped_column(BigInteger, comment="bytes of the payload")
    header: Mapped[str] = mapped_column(Text, comment="signed header (JWS)")
    receipt: Mapped[str | None] = mapped_column(
        Text, comment="the aggregator's receipt (JWS), once it came"
    )
    inclusion: Mapped[str | None] = mapped_column(
        Text, comment="what the aggregator said became of it (JWS), once decided"
    )
    fate: Mapped[str | None] = mapped_column(
        String(16), comment="included, left out or void; both aggregators agree"
    )


class ReplyRow(Base):
    """One reply that this agent sent to the model owner through Flower."""

    __tablename__ = "replies"

    number: Mapped[int] = mapped_column(primary_key=True, comment="1, 2, 3 and so on")
    at: Mapped[float] = mapped_column(comment="seconds since 1970, UTC")
    outcome: Mapped[str] = mapped_column(
        String(16), comment="receipts or not_reported: all that a reply can say"
    )
    length: Mapped[int] = mapped_column(BigInteger, comment="bytes of the reply")


class MembershipRow(Base):
    """The agent's last membership in Flower's SuperLink."""

    __tablename__ = "membership"

    superlink: Mapped[str] = mapped_column(
        String(255), primary_key=True, comment="address of the SuperLink"
    )
    node: Mapped[str] = mapped_column(
        String(32), comment="node id there, needed to sign off after a crash"
    )


class StudyRow(Base):
    """One study that this agent was asked to take part in, or was told of by a file."""

    __tablename__ = "studies"

    digest: Mapped[str] = mapped_column(
        String(64), primary_key=True, comment="of the task and its terms"
    )
    content: Mapped[str] = mapped_column(
        String(64), index=True, comment="digest of the task alone, whatever its terms"
    )
    text: Mapped[str] = mapped_column(
        Text, comment="the task's text; of another ClientApp its config values (JSON)"
    )
    terms: Mapped[str] = mapped_column(
        Text, comment="what leaves and how it is hidden (canonical JSON)"
    )
    parameters: Mapped[int] = mapped_column(
        BigInteger, comment="of the model, the largest number seen; 0: not known yet"
    )
    asked_by: Mapped[str | None] = mapped_column(
        String(63), comment="model owner whose signed spec asked; null: only a file did"
    )
    first_seen: Mapped[float] = mapped_column(comment="seconds since 1970, UTC")
    decision: Mapped[str | None] = mapped_column(
        String(8), comment="approved or refused, by a person here; null: not decided"
    )
    decided_at: Mapped[float | None] = mapped_column(comment="seconds since 1970, UTC")
    note: Mapped[str | None] = mapped_column(
        Text, comment="what that person wrote about it"
    )
    roster: Mapped[str | None] = mapped_column(
        Text, comment="who took part then: name -> fingerprint of each party (JSON)"
    )


class RefusalRow(Base):
    """One task that this agent answered with not_reported, and why; the newest 1000."""

    __tablename__ = "refusals"

    number: Mapped[int] = mapped_column(primary_key=True, comment="1, 2, 3 and so on")
    at: Mapped[float] = mapped_column(comment="seconds since 1970, UTC")
    run: Mapped[str | None] = mapped_column(
        String(63), comment="run of the spec; null: no spec of the model owner came"
    )
    round: Mapped[int | None] = mapped_column(BigInteger, comment="round of the spec")
    purpose: Mapped[str] = mapped_column(
        String(16), comment="train, evaluate or statistics"
    )
    code: Mapped[str] = mapped_column(String(6), comment="FS-nnn of the reason")
    detail: Mapped[str] = mapped_column(Text, comment="the reason; stays here")
