"""The one opening of a round: checked, added up, sealed, committed, sent.

    checked     everything that a set must be (`rules.opening`)
    added up    a report that no longer opens is a refusal: nothing was fixed
    released    what the mechanism makes of the sum: its seed is on disk before
    sealed      the share is on disk, in its place; no row names it
    committed   opening, what it costs its members in privacy, and share in one step:
                from now on there is no other set
    noted       in the data folder's list of opened sets, which outlives the database
    scrubbed    then the round's key and every report are deleted

Adding up and sealing tell nobody anything. What leaves is committed before, so a crash
either forgets that a set was asked for, or answers with the very share that it made.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import structlog
from sqlalchemy.orm import Session

from fedsecure.core.sealing import seal
from fedsecure.errors import RoundStateError
from fedsecure.protocol.signing import MAX_TOKEN, Signed, set_digest
from fedsecure.protocol.statements import Fold, Member, Opening
from fedsecure.system.crash_points import Point, crash_point
from fedsecure.system.durability import DamagedError
from fedsecure_aggregator.rounds import continuity, losses
from fedsecure_aggregator.rounds.aggregate_shares import (
    SealedShare,
    require_intact,
    seal_share,
    stored_share,
)
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rules.budgets import charge_of
from fedsecure_aggregator.rules.opening import OpeningContext, require_openable
from fedsecure_aggregator.rules.policy import CompareSets
from fedsecure_aggregator.rules.round_states import Step, advance, require_round
from fedsecure_aggregator.storage import charges, queries
from fedsecure_aggregator.storage.projection import EventKind, spec_of
from fedsecure_aggregator.storage.tables import OpeningRow, ReportRow, RoundRow

BYTES_PER_MEMBER: Final = 4096  # of an opening; two receipts take about 2,750

log = structlog.get_logger()


def most_bytes(context: Context, digest: str) -> int:
    """Return the longest opening that a round can have; reads only.

    Raises:
        RoundStateError: FS-300.
    """
    with context.store.reading("find round") as session:
        members = queries.find_round(session, digest).cohort
    return min(MAX_TOKEN, (members + 1) * BYTES_PER_MEMBER)


def fold(context: Context, digest: str, asked: Signed[Fold]) -> list[str]:
    """Add a set up before it is opened; return whose reports no longer open.

    Run by the worker's thread alone. It fixes nothing, and may be asked again.

    Raises:
        PeerError: FS-301.
        RoundStateError: FS-300, FS-304, FS-305, FS-307, FS-308, FS-322.
        OperatorError: FS-523 to FS-526.
    """
    require_round(digest, asked.statement.spec)
    _rebuild_if_lacking(context, digest, asked.statement.set)
    with context.store.reading("find round") as session:
        row = queries.find_round(session, digest)
        _require_openable_now(context, row)
        reports = queries.reports_of(session, digest)
    return sorted(losses.add_up(context, row, _chosen(reports, asked.statement.set)))


def open_round(context: Context, digest: str, opening: Signed[Opening]) -> SealedShare:
    """Open a round over the set that its owner signed; the same answer again.

    Run by the worker's thread alone.

    Raises:
        PeerError: FS-301, FS-320 to FS-325, FS-7xx for a receipt.
        RoundStateError: FS-300, FS-304, FS-305, FS-307, FS-308, FS-322; FS-328 when
            a report of the set was lost, FS-329 when the share was.
        OperatorError: FS-523 to FS-526.
    """
    require_round(digest, opening.statement.spec)
    losses.rebuild(context, digest)
    with context.store.reading("find opening") as session:
        row = queries.find_round(session, digest)
        known = queries.find_opening(session, digest)
        _require_same(known, opening)
        if known is None:
            reports = _require_openable(context, session, row, opening)
    if known is None:
        _open(context, row, opening, reports)
    else:
        require_intact(context, known)
    continuity.remember_opened(context, digest)
    return stored_share(context, digest)


def find_answer(
    context: Context, digest: str, opening: Signed[Opening]
) -> SealedShare | None:
    """Return the share that was stored for this very opening; reads only.

    Raises:
        PeerError: FS-301.
        RoundStateError: FS-308 when it is deleted, FS-329 when it was lost.
        OperatorError: FS-523 to FS-526.
    """
    require_round(digest, opening.statement.spec)
    with context.store.reading("find opening") as session:
        known = queries.find_opening(session, digest)
    if known is None or known.opening != opening.digest:
        return None
    if not context.spool.notes.journal.has(digest):
        return None  # not yet: `open_round` notes it first
    require_intact(context, known)
    return stored_share(context, digest)


def _rebuild_if_lacking(
    context: Context, digest: str, members: Sequence[Member]
) -> None:
    """Look for reports without a row only if a member has none; `open_round` does."""
    with context.store.reading("look for lost rows") as session:
        known = queries.reporters_of(session, digest)
    if not known.issuperset(member.reporter for member in members):
        losses.rebuild(context, digest)


def _require_same(known: OpeningRow | None, opening: Signed[Opening]) -> None:
    if known is not None and known.opening != opening.digest:
        where = f"round {opening.statement.spec[:12]}"
        raise RoundStateError("FS-304", f"{where}, with another set")


def _require_openable_now(context: Context, row: RoundRow) -> None:
    advance(row.state, Step.OPEN)
    if not context.clock() < row.expires:
        raise RoundStateError("FS-308", f"round {row.spec[:12]}")
    if not context.spool.has_key(row.spec):
        context.spool.require_sound()
        raise RoundStateError("FS-308", f"round {row.spec[:12]} has no key any more")
    if row.noise is not None and not _has_seed(context, row):
        context.spool.require_sound()
        raise RoundStateError("FS-308", f"round {row.spec[:12]} has no noise any more")


def _has_seed(context: Context, row: RoundRow) -> bool:
    """Tell whether the seed that the grant bound this aggregator to is there."""
    try:
        seed = context.spool.load_seed(row.spec)
    except DamagedError as error:
        log.error("seed damaged", code=error.code, detail=error.detail)
        return False
    return seed is not None and hashlib.sha256(seed).hexdigest() == row.noise


def _require_openable(
    context: Context, session: Session, row: RoundRow, opening: Signed[Opening]
) -> list[ReportRow]:
    """Check everything about a set that can be known before it is added up."""
    _require_openable_now(context, row)
    reports = queries.reports_of(session, row.spec)
    known = OpeningContext(
        name=context.name,
        federation=context.federation,
        spec=spec_of(row.token),
        least=max(row.min_cohort, context.policy.min_cohort),
        digests={(r.reporter, r.report_id): r.digest for r in reports},
        opened=_compared(context, session, row),
        spent=charges.spent(session, row.study) if row.study else {},
        own=context.policy.own_budget,
    )
    require_openable(opening.statement, known)
    return _chosen(reports, opening.statement.set)


def _chosen(reports: Iterable[ReportRow], members: Sequence[Member]) -> list[ReportRow]:
    """Return the reports of a set, in its order.

    Raises:
        RoundStateError: FS-322 when one is not stored here.
    """
    stored = {(one.reporter, one.report_id): one for one in reports}
    for member in members:
        if (member.reporter, member.report_id) not in stored:
            raise RoundStateError("FS-322", f"{member.reporter} {member.report_id}")
    return [stored[member.reporter, member.report_id] for member in members]


def _open(
    context: Context,
    row: RoundRow,
    opening: Signed[Opening],
    reports: Sequence[ReportRow],
) -> None:
    lost = losses.add_up(context, row, reports)
    if lost:
        detail = ", ".join(f"{name} ({why})" for name, why in sorted(lost.items()))
        raise RoundStateError("FS-328", detail)
    crash_point(Point.ADDED_UP)
    total = context.accumulator.total(row.spec)
    sealed = seal_share(context, row, opening.digest, total)
    crash_point(Point.SHARE_ON_DISK)
    _commit(context, row, opening, reports, sealed)
    crash_point(Point.OPENING_COMMITTED)
    context.accumulator.forget(row.spec)
    context.spool.scrub(row.spec)
    crash_point(Point.SCRUBBED)


def _commit(
    context: Context,
    row: RoundRow,
    opening: Signed[Opening],
    reports: Sequence[ReportRow],
    sealed: seal.Sealed,
) -> None:
    """Fix the set, charge its members and name its share, in one step."""
    charge = charge_of(spec_of(row.token))
    opened = {
        "spec": row.spec,
        "opening": opening.digest,
        "set": set_digest(opening.statement.set),
        "members": [[one.reporter, one.report_id, one.digest] for one in reports],
        "privacy": charge and charge.body,
        "token": opening.token,
    }
    share = {"spec": row.spec, "digest": sealed.digest.hex(), "length": sealed.length}

    def work(session: Session) -> None:
        known = queries.find_opening(session, row.spec)
        _require_same(known, opening)
        if known is not None:  # the answer to the commit was lost
            return
        now = context.clock()
        context.store.append(session, EventKind.OPENED, opened, now)
        context.store.append(session, EventKind.SHARE_STORED, share, now)

    context.change("open round", work)
    size = sealed.length
    log.info("round opened", round=row.spec, count=len(reports), bytes=size)


def _compared(
    context: Context, session: Session, row: RoundRow
) -> dict[frozenset[str], int]:
    """Return the sets opened before with which a new one is compared."""
    all_rounds = context.policy.compare_sets is CompareSets.ALL_ROUNDS
    model = None if all_rounds else row.model
    sets = queries.sets_opened(session, model)
    for members, least in context.spool.notes.journal.forgotten(model).items():
        sets[members] = max(least, sets.get(members, 0))
    return sets
