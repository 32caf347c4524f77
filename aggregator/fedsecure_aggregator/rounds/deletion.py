"""What is deleted by the clock, and what a crash left behind.

Rounds expire with their grant, shares some days later. Nothing is deleted for what a
database has lost: it has to go on where it was.

An opened round keeps its share alone, mostly for days. Once that is so it is looked at
again when the share expires, and not before: the time that what has expired waits for
its deletion does not grow with the number of shares that are kept.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from sqlalchemy.orm import Session

from fedsecure.errors import described
from fedsecure_aggregator.rounds import losses, voids
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rules.round_states import (
    UNDECIDED,
    RoundState,
)
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.tables import OpeningRow, RoundRow

EXPIRED: Final = "its grant expired"

log = structlog.get_logger()


def tidy(context: Context) -> None:
    """Delete by the clock, and what a crash left, of all rounds at once.

    Raises:
        Exception: The first that kept something from being deleted; all else is gone.
    """
    failures = [tidied(context, digest) for digest in due(context)]
    context.spool.notes.mend_ledger_head()
    for failure in filter(None, failures):
        raise failure


def due(context: Context) -> list[str]:
    """Return the rounds of which something may have to be deleted now.

    Raises:
        OperatorError: FS-524 when the spool is away.
    """
    now, memory = context.clock(), context.memory
    return [one for one in context.spool.rounds() if not memory.is_settled(one, now)]


def tidied(context: Context, digest: str) -> Exception | None:
    """Delete what has expired of one round; return why it could not be, if so.

    Run by the worker's thread alone. Nothing is raised: one round keeps no other.
    """
    return attempted("round", digest, partial(_tidy, context, digest))


def attempted(what: str, digest: str, work: Callable[[], None]) -> Exception | None:
    """Tidy one round or job; log and return why it could not be, if so."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - and the next time may do
        code, detail = described(error)
        log.error("cannot tidy", code=code, detail=detail, **{what: digest})
        return error
    return None


def _tidy(context: Context, digest: str) -> None:
    row, opening = _found(context, digest)
    if row is not None and row.state in UNDECIDED and _is_over(context, row):
        context.change("expire round", partial(_expire, context, digest))
        row, opening = _found(context, digest)
    if row is None or row.state is RoundState.VOID or _share_is_over(context, row):
        voids.forget(context, digest)
    elif opening is not None:
        context.spool.scrub(digest)
        context.memory.settle(digest, _share_expires(context, row))
    else:
        losses.rebuild(context, digest)


def _found(context: Context, digest: str) -> tuple[RoundRow | None, OpeningRow | None]:
    """Read how a round stands; only reading, for mostly nothing has changed.

    Raises:
        OperatorError: FS-545: nothing may be deleted for what a database has lost.
    """
    with context.store.reading("tidy round") as session:
        context.store.transactions.require_continued(session)
        return session.get(RoundRow, digest), queries.find_opening(session, digest)


def _expire(context: Context, digest: str, session: Session) -> None:
    row = queries.find_round(session, digest)
    if row.state in UNDECIDED:
        voids.give_up(context, session, row, EXPIRED)


def _is_over(context: Context, row: RoundRow) -> bool:
    return not context.clock() < row.expires


def _share_is_over(context: Context, row: RoundRow) -> bool:
    return not context.clock() < _share_expires(context, row)


def _share_expires(context: Context, row: RoundRow) -> int:
    return row.expires + context.policy.share_seconds
