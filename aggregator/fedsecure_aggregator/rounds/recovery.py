"""What a start makes of what the last run left, before anybody is listened to."""

from contextlib import suppress
from typing import Final

from sqlalchemy.orm import Session

from fedsecure_aggregator.rounds import continuity, deletion, losses, voids
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.storage import charges, queries
from fedsecure_aggregator.storage.notes import RestoreNote
from fedsecure_aggregator.storage.projection import spec_of
from fedsecure_aggregator.storage.tables import RoundRow

LOST_KEY: Final = "its key is lost"
OTHER_FEDERATION: Final = "the federation changed"
RESTORED: Final = "the store was restored"


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
            losses.rebuild(context, digest)
    context.change("recover", lambda s: _settle(context, s, restored))  # (2), (3)
    context.spool.notes.forget_restore()
    with suppress(Exception):  # it is in the log, and tried again
        deletion.tidy(context)  # (4)


def _settle(context: Context, session: Session, restored: RestoreNote | None) -> None:
    if restored is not None:  # (2)
        continuity.close_runs(context, session, restored)
        for run in queries.known_runs(session):
            context.spool.notes.remember_run(run)
        for study in charges.known_studies(session):
            context.spool.notes.studies.remember(study)
    context.store.enter_version(session, context.clock())
    for row in queries.undecided_rounds(session):  # (3)
        reason = _why_hopeless(context, session, row)
        if reason:
            voids.give_up(context, session, row, reason)


def _why_hopeless(context: Context, session: Session, row: RoundRow) -> str | None:
    if queries.is_closed(session, row.run):
        return RESTORED
    if not context.spool.has_key(row.spec):
        return LOST_KEY
    if spec_of(row.token).federation != context.federation.digest:
        return OTHER_FEDERATION
    return None
