"""What parties of the federation asked for and were refused, kept for an auditor.

Only what somebody has signed gets here, so it is evidence: the ledger holds the digest
of the statement and who signed it. What can happen to honest parties is left out: a
report that is late, a round that is void, a server that is busy; and whatever others
can do with a statement once they have it: carry it to another address, hold it back, or
change what its signature does not cover.
"""

from collections.abc import Callable
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import structlog
from sqlalchemy.orm import Session

from fedsecure.core.layout import CHUNK
from fedsecure.core.sealing.payload_digest import sealed_length
from fedsecure.errors import (
    Evidence,
    FedsecureError,
    OperatorError,
    PeerError,
    Problem,
    RoundStateError,
    Stands,
)
from fedsecure.protocol.jobs.statements import JobSpec, JobVoid
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import (
    Fold,
    ReportHeader,
    RoundSpec,
    Statement,
    Void,
)
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.projection import EventKind

HOUR: Final = 3600.0  # seconds
ONE_RECORD: Final = sealed_length(CHUNK)  # bytes of a payload, at most
MOST: Final = 60  # refusals of one party in an hour that are recorded

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger()


def decide(
    context: Context,
    signed: Signed[Any],
    change: Callable[Concatenate[Context, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Do what a party has signed, and record it if it is refused.

    Run by the worker's thread alone.

    Raises:
        FedsecureError: As `change`.
    """
    try:
        return change(context, *args, **kwargs)
    except (PeerError, RoundStateError) as error:
        record(context, signed, error)
        raise


def record(context: Context, signed: Signed[Any], error: FedsecureError) -> None:
    """Record one refusal, once for a statement and a code; run by the worker's thread.

    It never hides why something was refused: a database that fails is logged.
    """
    if isinstance(error, OperatorError) or not _tells(signed.statement, error.problem):
        return
    try:
        _append(context, signed, error.code)
    except OperatorError as failure:
        log.error("refusal not recorded", code=failure.code, detail=failure.detail)


def is_new(context: Context, signed: Signed[Any], error: FedsecureError) -> bool:
    """Tell whether a refusal is one to record; reads only."""
    if not _tells(signed.statement, error.problem):
        return False
    if context.memory.is_recorded(signed.digest, error.code):
        return False
    try:
        with context.store.reading("find refusal") as session:
            return _is_new(context, session, signed, error.code)
    except OperatorError:
        return True  # `record` will say so


def _is_new(context: Context, session: Session, signed: Signed[Any], code: str) -> bool:
    now = context.clock()
    if queries.find_refusal(session, signed.digest, code) is not None:
        context.memory.refusal_recorded(signed.digest, code)
        return False
    if not queries.refusals_between(session, signed.signer, now - HOUR, now) < MOST:
        log.warning("too many refusals to record", signer=signed.signer, code=code)
        return False
    return True


def _append(context: Context, signed: Signed[Any], code: str) -> None:
    now = context.clock()

    def work(session: Session) -> None:
        if not _is_new(context, session, signed, code):
            return
        body = {
            "signer": signed.signer,
            "statement": signed.statement.typ,
            "digest": signed.digest,
            "code": code,
            "spec": _round_of(signed),
        }
        context.store.append(session, EventKind.REFUSED, body, now)

    context.change("record refusal", work)


def _tells(statement: Statement, problem: Problem) -> bool:
    """Tell whether an honest party would not have asked for it."""
    if isinstance(statement, Void | Fold | JobVoid) or problem.innocent:
        return False
    if not isinstance(statement, ReportHeader):
        return True
    if problem.evidence is Evidence.FAULT_IF_COVERED:
        # Of more records the digest holds the tags alone: others can spoil the rest.
        return statement.length <= ONE_RECORD
    # A report that comes after the opening is late, and nothing else.
    return problem.stands is not Stands.OPENED


def _round_of(signed: Signed[Any]) -> str:
    """Return the digest of the spec that a statement is, or is about."""
    if isinstance(signed.statement, RoundSpec | JobSpec):
        return signed.digest
    return str(signed.statement.spec)
