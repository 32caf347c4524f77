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


class PrivacySpentRow(Base):
    """One round that was answered, and what it costs this data owner in privacy."""

    __tablename__ = "privacy_spent"

    spec: Mapped[str] = mapped_column(
        String(64), primary_key=True, comment="digest of the round's spec"
    )
    study: Mapped[str] = mapped_column(
        String(64), index=True, comment="digest of the study (see studies)"
    )
    unit: Mapped[str | None] = mapped_column(
        String(16), comment="what noise protects, row or data-owner; null: no noise"
    )
    rho_pico: Mapped[int | None] = mapped_column(
        BigInteger, comment="cost in 1e-12 of rho (zCDP); null: unbounded, no noise"
    )
    epsilon: Mapped[float | None] = mapped_column(
        comment="the study's budget: epsilon that all its rounds may cost; null: none"
    )
    delta: Mapped[float | None] = mapped_column(
        comment="the delta at which the budget holds; null: none"
    )
    state: Mapped[str] = mapped_column(
        String(10),
        comment="held until both aggregators said what became of it, then spent or, "
        "where neither counted it, returned",
    )


class PrivacyTotalRow(Base):
    """What rounds that are held or spent cost together, of one study or of all."""

    __tablename__ = "privacy_totals"

    study: Mapped[str] = mapped_column(
        String(64), primary_key=True, comment="digest of the study, or the word all"
    )
    unit: Mapped[str] = mapped_column(
        String(16),
        primary_key=True,
        comment="what is protected, row or data-owner; none: a study without noise",
    )
    rounds: Mapped[int] = mapped_column(BigInteger, comment="how many rounds it is of")
    held: Mapped[int] = mapped_column(
        BigInteger, comment="of those, how many are not decided yet"
    )
    rho_pico: Mapped[int | None] = mapped_column(
        BigInteger, comment="their cost in 1e-12 of rho (zCDP); null: unbounded"
    )
    limit_pico: Mapped[int | None] = mapped_column(
        BigInteger, comment="what the study's budget allows; null: no budget"
    )
    budget: Mapped[float | None] = mapped_column(
        comment="the study's budget, an epsilon; null: no budget"
    )
    delta: Mapped[float] = mapped_column(comment="the delta of every epsilon here")
    epsilon: Mapped[float | None] = mapped_column(
        comment="for who knows the noise of one aggregator; null: unbounded"
    )
    epsilon_outsider: Mapped[float | None] = mapped_column(
        comment="for who knows the noise of neither; null: unbounded"
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
