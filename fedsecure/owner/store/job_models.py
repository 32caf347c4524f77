"""The table of jobs: services that the model owner has proposed."""

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from fedsecure.owner.store.base import DIGEST, NAME, Base, CanonicalJson


class Job(Base):
    """One job, such as a service that answers clients' rows."""

    __tablename__ = "jobs"
    __table_args__ = {"comment": "one row per job that the model owner proposed"}  # noqa: RUF012

    spec_digest: Mapped[str] = mapped_column(
        DIGEST, primary_key=True, comment="digest of the spec, names the job"
    )
    entry: Mapped[int] = mapped_column(
        ForeignKey("events.entry"),
        index=True,
        comment="the event with which it was proposed",
    )
    name: Mapped[str] = mapped_column(NAME, index=True, comment="what people call it")
    kind: Mapped[str] = mapped_column(String(15), comment="what it is for: linear")
    method: Mapped[str] = mapped_column(
        String(15),
        comment="shares (both aggregators know the weights) or paillier",
    )
    state: Mapped[str] = mapped_column(
        String(15), comment="proposed, ready, closed or failed"
    )
    reason: Mapped[str | None] = mapped_column(comment="why it is closed or failed")
    run: Mapped[str | None] = mapped_column(
        ForeignKey("runs.run"), comment="the run whose model it serves; null: a file's"
    )
    model_digest: Mapped[str | None] = mapped_column(
        DIGEST, comment="of that global model, as specs of rounds name it"
    )
    features: Mapped[int] = mapped_column(BigInteger, comment="numbers in one row")
    outputs: Mapped[int] = mapped_column(BigInteger, comment="logits for one row")
    clients: Mapped[list[str]] = mapped_column(
        CanonicalJson, comment="names of who may ask, the model owner too (JSON)"
    )
    rows: Mapped[int] = mapped_column(
        BigInteger, comment="the most rows that one client is answered in all"
    )
    tried: Mapped[int | None] = mapped_column(
        Integer, comment="rows that were tried through both aggregators"
    )
    difference: Mapped[float | None] = mapped_column(
        comment="largest difference of a score to the model's own, of those rows"
    )
    proposed_at: Mapped[float] = mapped_column(comment="when the spec was signed")
    ready_at: Mapped[float | None] = mapped_column(
        comment="when it had answered as the model does"
    )
    ended_at: Mapped[float | None] = mapped_column(comment="when it closed or failed")
    deadline: Mapped[float] = mapped_column(comment="when it closes by itself")
    spec: Mapped[str] = mapped_column(comment="the spec (token)")
    grants: Mapped[dict[str, str]] = mapped_column(
        CanonicalJson, comment="aggregator -> its grant (JSON of tokens)"
    )
    description: Mapped[dict[str, Any] | None] = mapped_column(
        CanonicalJson, comment="what its file tells clients beside (JSON)"
    )
