"""A round's beginning at this aggregator: its grant.

A grant is a promise with a key: whoever sees it may seal a report to the key. So the
key, and the seed of the round's noise, are on disk before the grant is committed, and
the grant before it is sent. When a round ends without being opened (`voids`), key, seed
and reports are deleted.
"""

import hashlib
from typing import Final

import structlog
from sqlalchemy.orm import Session

from fedsecure.core.release import SEED_BYTES
from fedsecure.core.sealing import sealing_key
from fedsecure.errors import RoundStateError
from fedsecure.protocol.encodings import base64url, from_base64url
from fedsecure.protocol.parameters import params_of
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import RoundGrant, RoundSpec
from fedsecure.system.crash_points import Point, crash_point
from fedsecure_aggregator.rounds import reports
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rules import budgets, policy
from fedsecure_aggregator.rules.round_states import (
    require_next_attempt,
    require_not_void,
    require_round,
)
from fedsecure_aggregator.storage import charges, queries
from fedsecure_aggregator.storage.projection import EventKind
from fedsecure_aggregator.storage.tables import RoundRow

HOUR: Final = 3600.0  # seconds

log = structlog.get_logger()


def grant(context: Context, digest: str, spec: Signed[RoundSpec]) -> str:
    """Consent to a round and return the signed grant; the same one if asked again.

    Raises:
        PeerError: FS-301, FS-2xx for its numbers, FS-4xx by policy or budget.
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
    crash_point(Point.GRANT_COMMITTED)
    # The noise's tables take seconds: nobody waits for them at the opening, and nobody
    # makes them for a round that is refused.
    context.mechanisms(params_of(spec.statement)).warm_up()
    return granted


def find_grant(context: Context, digest: str, spec: Signed[RoundSpec]) -> str | None:
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
    # (7) Each member of the cohort has room for what the round costs.
    _require_budgets(context, session, said)


def _require_budgets(context: Context, session: Session, said: RoundSpec) -> None:
    """Check a round's budgets. Only what is spent counts: the opening decides."""
    charge = budgets.charge_of(said)
    if charge is None:
        return
    study = charge.budget.study
    budgets.require_same_budget(charges.known_budget(session, study), charge.budget)
    spent, own = charges.spent(session, study), context.policy.own_budget
    budgets.require_room("FS-408", charge, said.cohort, spent, own)


def _grant(context: Context, session: Session, spec: Signed[RoundSpec]) -> RoundRow:
    said = spec.statement
    crash_point(Point.GRANTING)
    key = sealing_key.SealingKey.from_seed(context.rand(sealing_key.SEED_BYTES))
    context.spool.notes.remember_run(said.run)
    context.spool.notes.studies.remember(budgets.budget_of(said))
    context.spool.save_key(spec.digest, key)
    noise = _draw_seed(context, spec) if said.privacy else None
    crash_point(Point.KEY_SAVED)
    body = {
        "spec": spec.digest,
        "owner": spec.signer,
        "min_cohort": context.policy.least_members(said),
        "expires": said.deadline + context.policy.grant_seconds,
        "sealing_key": base64url(key.public_bytes),
        "noise": noise,
        "token": spec.token,
    }
    context.store.append(session, EventKind.GRANTED, body, context.clock())
    log.info("round granted", round=spec.digest, cohort=len(said.cohort))
    return queries.find_round(session, spec.digest)


def _draw_seed(context: Context, spec: Signed[RoundSpec]) -> str:
    """Draw the seed of the round's noise; return its SHA-256, which binds us to it."""
    seed = context.rand(SEED_BYTES)
    context.spool.save_seed(spec.digest, seed)
    return hashlib.sha256(seed).hexdigest()


def _grant_token(context: Context, session: Session, row: RoundRow) -> str:
    statement = RoundGrant(
        federation=context.federation.digest,
        spec=row.spec,
        aggregator=context.name,
        sealing_key=row.sealing_key,
        expires=row.expires,
        noise=row.noise,
        head=queries.head_at(session, row.granted_entry),
    )
    return context.author.sign(statement).token
