"""A round's life at this aggregator: granted, given up, expired, found again at start.

A grant is a promise with a key: whoever sees it may seal a report to the key. So the
key is on disk before the grant is committed, and the grant before it is sent. When a
round ends without being opened, key and reports are deleted with the commit that says
so; whatever a crash leaves behind is deleted by `tidy`.
"""

from contextlib import suppress
from functools import partial
from typing import Final

import structlog
from sqlalchemy.orm import Session

from fedsecure.core import sealing_key
from fedsecure.errors import PeerError, RoundStateError, described
from fedsecure.protocol.encodings import base64url, from_base64url
from fedsecure.protocol.parameters import params_of
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import RoundGrant, RoundSpec, Void
from fedsecure.system.crash_points import Point, reached
from fedsecure_aggregator.rounds import continuity, reports
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rules import policy
from fedsecure_aggregator.rules.round_states import (
    UNDECIDED,
    RoundState,
    Step,
    advance,
    require_next_attempt,
    require_not_void,
    require_round,
)
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.notes import RestoreNote
from fedsecure_aggregator.storage.projection import Happened, spec_of
from fedsecure_aggregator.storage.tables import OpeningRow, RoundRow

HOUR: Final = 3600.0  # seconds
LOST_KEY: Final = "its key is lost"
EXPIRED: Final = "its grant expired"
OTHER_FEDERATION: Final = "the federation changed"
RESTORED: Final = "the store was restored"

log = structlog.get_logger()


def grant(context: Context, digest: str, spec: Signed[RoundSpec]) -> str:
    """Consent to a round and return the signed grant; the same one if asked again.

    Raises:
        PeerError: FS-301, FS-2xx for its numbers, FS-4xx by policy.
        RoundStateError: FS-302 to FS-305, FS-334, FS-402, FS-406.
    """
    require_round(digest, spec.digest)

    def work(session: Session) -> str:
        row = session.get(RoundRow, digest)
        if row is None:
            _require_grantable(context, session, spec)
            row = _grant(context, session, spec)
        require_not_void(digest, row.state, row.void_reason)
        return _grant_token(context, session, row)

    granted = context.change("grant round", work)
    reached(Point.GRANT_COMMITTED)
    return granted


def granted(context: Context, digest: str, spec: Signed[RoundSpec]) -> str | None:
    """Return the grant that was given for this very spec; reads only.

    Raises:
        PeerError: FS-301.
        RoundStateError: FS-305.
    """
    require_round(digest, spec.digest)
    with context.store.reading("find grant") as session:
        row = session.get(RoundRow, digest)
        if row is None:
            return None
        require_not_void(digest, row.state, row.void_reason)
        return _grant_token(context, session, row)


def void(context: Context, digest: str, said: Signed[Void]) -> str:
    """Give a round up for its owner, and confirm it; also if it is void already.

    Raises:
        PeerError: FS-301, FS-703 unless the model owner says it.
        RoundStateError: FS-300, FS-304 when it was opened.
    """
    require_round(digest, said.statement.spec)
    if said.signer != context.federation.model_owner.name:
        raise PeerError("FS-703", f"{said.signer} voids a round of the model owner")

    def work(session: Session) -> str:
        row = queries.find_round(session, digest)
        if row.state is not RoundState.VOID:
            _give_up(context, session, row, said.statement.reason, said.token)
        return _void_token(context, row)

    confirmation = context.change("void round", work)
    _forget(context, digest)
    return confirmation


def recover(context: Context) -> None:
    """Make sense of what the last run left behind; run once, before listening.

    The steps, in order:
        (1) the database is the one that this data folder left (`continuity`);
        (2) if not, and its operator said so, its runs are closed; and a ledger that
            goes on under a new version of the federation says so;
        (3) undecided rounds that cannot go on are void;
        (4) leftovers are deleted.

    Raises:
        OperatorError: FS-545, FS-546, FS-548 or FS-549.
    """
    restored = continuity.recognise(context)  # (1)
    if restored is None:
        for digest in context.spool.rounds():
            reports.rebuild(context, digest)
    context.change("recover", lambda s: _settle(context, s, restored))  # (2), (3)
    context.spool.notes.forget_restore()
    with suppress(Exception):  # it is in the log, and tried again
        tidy(context)  # (4)


def _settle(context: Context, session: Session, restored: RestoreNote | None) -> None:
    if restored is not None:  # (2)
        continuity.close_runs(context, session, restored)
        for run in queries.known_runs(session):
            context.spool.notes.remember_run(run)
    context.store.enter_version(session, context.clock())
    for row in queries.undecided_rounds(session):  # (3)
        reason = _why_hopeless(context, session, row)
        if reason:
            _give_up(context, session, row, reason)


def tidy(context: Context) -> None:
    """Delete by the clock, and what a crash left, of all rounds at once.

    Raises:
        Exception: The first that kept something from being deleted; all else is gone.
    """
    failures = [tidied(context, digest) for digest in context.spool.rounds()]
    context.spool.notes.mend_ledger_head()
    for failure in filter(None, failures):
        raise failure


def tidied(context: Context, digest: str) -> Exception | None:
    """Delete what has expired of one round; return why it could not be, if so.

    Run by the worker's thread alone. Nothing is raised: one round keeps no other.
    """
    try:
        _tidy(context, digest)
    except Exception as error:  # noqa: BLE001 - and the next time may do
        code, detail = described(error)
        log.error("cannot tidy", round=digest, code=code, detail=detail)
        return error
    return None


def _require_grantable(
    context: Context, session: Session, spec: Signed[RoundSpec]
) -> None:
    said = spec.statement
    # (1) Sums cannot wrap, by this party's own computation.
    params = params_of(said)
    # (2) The owner's key is one that a share can be sealed to.
    sealing_key.seal_key(
        from_base64url(said.sealing_key),
        b"",
        context.rand(sealing_key.CONTENT_KEY_BYTES),
    )
    # (3) This aggregator's own policy agrees.
    now = context.clock()
    policy.require_acceptable(said, context.policy, context.federation, now)
    policy.require_body(reports.longest_payload(params), context.policy)
    # (4) Nothing is known to be forgotten about the run.
    if queries.is_closed(session, said.run):
        raise RoundStateError("FS-334", f"run {said.run}")
    # (5) One spec per attempt, one attempt at a time, and never after an opening.
    earlier = queries.earlier_attempts(session, said, spec.signer)
    require_next_attempt(spec.digest, said, earlier)
    # (6) There is room.
    policy.require_room(
        len(queries.undecided_rounds(session)),
        queries.rounds_between(session, spec.signer, now - HOUR, now),
        context.policy,
    )


def _grant(context: Context, session: Session, spec: Signed[RoundSpec]) -> RoundRow:
    said = spec.statement
    reached(Point.GRANTING)
    key = sealing_key.SealingKey.from_seed(context.rand(sealing_key.SEED_BYTES))
    context.spool.notes.remember_run(said.run)
    context.spool.save_key(spec.digest, key)
    reached(Point.KEY_SAVED)
    body = {
        "spec": spec.digest,
        "owner": spec.signer,
        "min_cohort": context.policy.least_members(said),
        "expires": said.deadline + context.policy.grant_seconds,
        "sealing_key": base64url(key.public_bytes),
        "token": spec.token,
    }
    context.store.append(session, Happened.GRANTED, body, context.clock())
    log.info("round granted", round=spec.digest, cohort=len(said.cohort))
    return queries.find_round(session, spec.digest)


def _grant_token(context: Context, session: Session, row: RoundRow) -> str:
    statement = RoundGrant(
        federation=context.federation.digest,
        spec=row.spec,
        aggregator=context.name,
        sealing_key=row.sealing_key,
        expires=row.expires,
        head=queries.head_at(session, row.granted_entry),
    )
    return context.author.sign(statement).token


def _void_token(context: Context, row: RoundRow) -> str:
    statement = Void(
        federation=context.federation.digest,
        spec=row.spec,
        author=context.name,
        reason=str(row.void_reason),
    )
    return context.author.sign(statement).token


def _give_up(
    context: Context,
    session: Session,
    row: RoundRow,
    reason: str,
    token: str | None = None,
) -> None:
    advance(row.state, Step.VOID)  # before anything is written
    body = {"spec": row.spec, "reason": reason, "void": token}
    context.store.append(session, Happened.VOID, body, context.clock())
    log.info("round void", round=row.spec, by_owner=token is not None)


def _tidy(context: Context, digest: str) -> None:
    row, opening = _found(context, digest)
    if row is not None and row.state in UNDECIDED and _is_over(context, row):
        context.change("expire round", partial(_expire, context, digest))
        row, opening = _found(context, digest)
    if row is None or row.state is RoundState.VOID or _share_is_over(context, row):
        _forget(context, digest)
    elif opening is not None:
        context.spool.scrub(digest)
    else:
        reports.rebuild(context, digest)


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
        _give_up(context, session, row, EXPIRED)


def _forget(context: Context, digest: str) -> None:
    context.fold.forget(digest)
    context.spool.discard_round(digest)
    context.receipted.pop(digest, None)


def _why_hopeless(context: Context, session: Session, row: RoundRow) -> str | None:
    if queries.is_closed(session, row.run):
        return RESTORED
    if not context.spool.has_key(row.spec):
        return LOST_KEY
    if spec_of(row.token).federation != context.federation.digest:
        return OTHER_FEDERATION
    return None


def _is_over(context: Context, row: RoundRow) -> bool:
    return not context.clock() < row.expires


def _share_is_over(context: Context, row: RoundRow) -> bool:
    return not context.clock() < row.expires + context.policy.share_seconds
