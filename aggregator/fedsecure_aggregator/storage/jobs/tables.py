"""The tables of jobs; their meaning for readers is in the comments.

`jobs`, `inputs` and `queries` are projections of the ledger. `answers` holds the sealed
outputs of queries, each as long as its service lives: no part of the record, so it is
in no backup, no export and no comparison, and has a metadata of its own.
"""

from sqlalchemy import (
    BigInteger,
    Enum,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fedsecure_aggregator.rules.job_states import JobState
from fedsecure_aggregator.storage.tables import Base


class JobRow(Base):
    """A job that was granted."""

    __tablename__ = "jobs"

    spec: Mapped[str] = mapped_column(
        String(64), primary_key=True, comment="digest of the job's spec, hex"
    )
    name: Mapped[str] = mapped_column(String(63), comment="its name, as in the spec")
    proposer: Mapped[str] = mapped_column(
        String(63), index=True, comment="who signed the spec"
    )
    kind: Mapped[str] = mapped_column(String(16), comment="shares or linear")
    method: Mapped[str] = mapped_column(String(16), comment="shares or paillier")
    receiver: Mapped[str | None] = mapped_column(
        String(63), comment="who opens its output; null: a service"
    )
    clients: Mapped[int] = mapped_column(Integer, comment="who may ask a service")
    rows: Mapped[int] = mapped_column(
        BigInteger, comment="rows that one client is answered in all; 0: no service"
    )
    deadline: Mapped[int] = mapped_column(
        BigInteger, comment="last second for inputs and queries, seconds since 1970"
    )
    expires: Mapped[int] = mapped_column(
        BigInteger, comment="when what is kept of it is deleted, seconds since 1970"
    )
    state: Mapped[JobState] = mapped_column(
        Enum(
            JobState,
            native_enum=False,
            length=16,
            values_callable=lambda states: [state.value for state in states],
        ),
        index=True,
        comment="granted, collecting, running, done, serving, closed or void",
    )
    sealing_key: Mapped[str] = mapped_column(
        Text, comment="public half of this job's sealing key, base64url"
    )
    granted_entry: Mapped[int] = mapped_column(
        Integer,
        index=True,
        comment="ledger entry of the grant; its hash is the grant's head",
    )
    granted_at: Mapped[float] = mapped_column(index=True, comment="seconds since 1970")
    start: Mapped[str | None] = mapped_column(
        String(64), comment="digest of the signed start, hex; null: not started"
    )
    channel: Mapped[str | None] = mapped_column(
        Text, comment="this server's channel key, sealed to the other one, base64url"
    )
    peer_channel: Mapped[str | None] = mapped_column(
        Text, comment="the other server's signed job-channel; null: not here"
    )
    inputs_digest: Mapped[str | None] = mapped_column(
        String(64), comment="SHA-256 of the list of what went into the output"
    )
    output_digest: Mapped[str | None] = mapped_column(
        String(64), comment="SHA-256 of the sealed output; null: none"
    )
    output_length: Mapped[int | None] = mapped_column(
        BigInteger, comment="bytes of the sealed output; null: none"
    )
    output_entry: Mapped[int | None] = mapped_column(
        Integer, comment="ledger entry of the output: its header's head"
    )
    ended_at: Mapped[float | None] = mapped_column(
        comment="done, closed or void then, seconds since 1970"
    )
    reason: Mapped[str | None] = mapped_column(
        String(200), comment="why it is closed or void"
    )
    token: Mapped[str] = mapped_column(Text, comment="the signed spec (JWS compact)")


class InputRow(Base):
    """An input that is stored and opens; the payload lies in the spool."""

    __tablename__ = "inputs"

    spec: Mapped[str] = mapped_column(
        ForeignKey("jobs.spec"), primary_key=True, comment="digest of the spec"
    )
    name: Mapped[str] = mapped_column(
        String(64), primary_key=True, comment="the input, as in the program"
    )
    owner: Mapped[str] = mapped_column(String(63), comment="whose it is")
    input_id: Mapped[str] = mapped_column(
        String(32), comment="16 random bytes in hex, the same at both aggregators"
    )
    kind: Mapped[str] = mapped_column(String(16), comment="seed, vector or public")
    plain: Mapped[str | None] = mapped_column(
        String(64), comment="SHA-256 of its words, hex; null: secret"
    )
    length: Mapped[int] = mapped_column(BigInteger, comment="bytes of the payload")
    digest: Mapped[str] = mapped_column(String(64), comment="of the payload, hex")
    header: Mapped[str] = mapped_column(
        String(64), comment="digest of the owner's signed header, hex"
    )
    entry: Mapped[int] = mapped_column(
        Integer, comment="ledger entry of the input: its receipt's head"
    )
    stored_at: Mapped[float] = mapped_column(comment="seconds since 1970")


class QueryRow(Base):
    """A query that was answered."""

    __tablename__ = "queries"

    spec: Mapped[str] = mapped_column(
        ForeignKey("jobs.spec"), primary_key=True, comment="digest of the spec"
    )
    client: Mapped[str] = mapped_column(
        String(63), primary_key=True, comment="who asked"
    )
    query: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False, comment="its number"
    )
    query_id: Mapped[str] = mapped_column(
        String(32), comment="16 random bytes in hex, the same at both aggregators"
    )
    kind: Mapped[str] = mapped_column(String(16), comment="seed, vector or ciphertexts")
    rows: Mapped[int] = mapped_column(BigInteger, comment="rows that it asked about")
    answered: Mapped[int] = mapped_column(
        BigInteger, comment="rows of this client up to here, this query's included"
    )
    header: Mapped[str] = mapped_column(
        String(64), comment="digest of the client's signed header, hex"
    )
    inputs_digest: Mapped[str] = mapped_column(
        String(64), comment="SHA-256 of the list of what went into the answer"
    )
    answer_digest: Mapped[str] = mapped_column(
        String(64), comment="SHA-256 of the sealed answer, hex"
    )
    answer_length: Mapped[int] = mapped_column(
        BigInteger, comment="bytes of the sealed answer"
    )
    entry: Mapped[int] = mapped_column(
        Integer, index=True, comment="ledger entry of the query: its answer's head"
    )
    answered_at: Mapped[float] = mapped_column(comment="seconds since 1970")


class Unrecorded(DeclarativeBase):
    """Root of what lies in the database beside the record."""


class AnswerRow(Unrecorded):
    """A sealed answer, as long as it may be asked for again."""

    __tablename__ = "answers"

    spec: Mapped[str] = mapped_column(
        String(64), primary_key=True, comment="digest of the spec"
    )
    client: Mapped[str] = mapped_column(
        String(63), primary_key=True, comment="who asked"
    )
    query: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False, comment="the query's number"
    )
    content: Mapped[bytes] = mapped_column(
        LargeBinary, comment="sealed to a key that the client made for this query"
    )
