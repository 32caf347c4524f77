"""A round that is given up: by its owner, by the clock, or because it cannot go on.

Its key and its reports are deleted with the commit that says so; what a crash leaves
behind is deleted by `deletion`.
"""

import structlog
from sqlalchemy.orm import Session

from fedsecure.errors import PeerError
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Void
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rules.round_states import (
    RoundState,
    Step,
    advance,
    require_round,
)
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.projection import EventKind
from fedsecure_aggregator.storage.tables import RoundRow

log = structlog.get_logger()


def void(context: Context, digest: str, signed: Signed[Void]) -> str:
    """Give a round up for its owner, and confirm it; also if it is void already.

    Raises:
        PeerError: FS-301, FS-703 unless the model owner says it.
        RoundStateError: FS-300, FS-304 when it was opened.
    """
    require_round(digest, signed.statement.spec)
    if signed.signer != context.federation.model_owner.name:
        raise PeerError("FS-703", f"{signed.signer} voids a round of the model owner")

    def work(session: Session) -> str:
        row = queries.find_round(session, digest)
        if row.state is not RoundState.VOID:
            give_up(context, session, row, signed.statement.reason, signed.token)
        return _void_token(context, row)

    confirmation = context.change("void round", work)
    forget(context, digest)
    return confirmation


def give_up(
    context: Context,
    session: Session,
    row: RoundRow,
    reason: str,
    token: str | None = None,
) -> None:
    """Say in the ledger, within a change, that a round will never be opened.

    Raises:
        RoundStateError: FS-304 when it was opened, FS-305 when it is void.
    """
    advance(row.state, Step.VOID)  # before anything is written
    body = {"spec": row.spec, "reason": reason, "void": token}
    context.store.append(session, EventKind.VOID, body, context.clock())
    log.info("round void", round=row.spec, by_owner=token is not None)


def forget(context: Context, digest: str) -> None:
    """Delete all that is kept of a round, but for its rows.

    Raises:
        OperatorError: FS-524 when something could not be deleted.
    """
    context.accumulator.forget(digest)
    context.spool.discard_round(digest)
    context.memory.forget_round(digest)


def _void_token(context: Context, row: RoundRow) -> str:
    statement = Void(
        federation=context.federation.digest,
        spec=row.spec,
        author=context.name,
        reason=str(row.void_reason),
    )
    return context.author.sign(statement).token
