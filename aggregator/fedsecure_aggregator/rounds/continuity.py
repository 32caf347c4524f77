"""Whether the database is the one that this data folder left behind.

    it goes on      what was committed last is in its ledger
    it went back    commits were lost, or an older database was put in its place: FS-545
    it is unknown   it tells of runs that this data folder never saw: FS-546
    it is foreign   its last entry was not signed by this aggregator: FS-548

Only in the first case is anything written: an entry more would fork the ledger that
others hold receipts of. If there is no better database, the operator says so with
`fedsecure aggregator restore`, which leaves a note in the data folder. Then the next
start closes every run that was begun before, uses up the privacy budgets of their
studies, and says in the ledger what was lost.
"""

from operator import attrgetter
from typing import Any

import structlog
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError
from fedsecure.protocol.statements import LedgerHead
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.storage import charges, queries
from fedsecure_aggregator.storage.disk import disk
from fedsecure_aggregator.storage.journal import OpenedSet
from fedsecure_aggregator.storage.notes import RestoreNote
from fedsecure_aggregator.storage.projection import EventKind, members_of

log = structlog.get_logger()


def recognise(context: Context) -> RestoreNote | None:
    """Check that the database goes on; run at start, before anything is written.

    The steps, in order:
        (1) its last entry is this aggregator's;
        (2) unless its operator said that it was put back: it tells of no run that the
            data folder never saw, and holds what was committed last;
        (3) the journal of opened sets holds what the database does, and lends it what
            it has forgotten.

    Returns:
        What the operator said, if the database was put back.

    Raises:
        OperatorError: FS-545, FS-546, FS-548 or FS-549.
    """
    noted = context.spool.notes.ledger_head()
    restored = context.spool.notes.restore_note()
    with context.store.reading("recognise the database") as session:
        found = context.store.head(session)
        queries.require_own(session, context.name, context.keys)  # (1)
        if restored is None:
            _require_seen(context, session, noted)  # (2)
            _require_held(session, noted, found)
        _compare_sets(context, session, restored)  # (3)
    context.store.transactions.expect(found)
    return restored


def close_runs(context: Context, session: Session, restored: RestoreNote) -> None:
    """Close every run that was begun before a restore, and say what was lost.

    What was opened may be forgotten here, and nobody else has forgotten it. So every
    data owner is charged all that the studies may cost.
    """
    runs = sorted({*queries.known_runs(session), *context.spool.notes.runs()})
    found, noted = context.store.head(session), context.spool.notes.ledger_head()
    lost: dict[str, Any] | None = None
    if noted is not None and queries.head_at(session, noted.entries) != noted:
        lost = {"entries": noted.entries, "hash": noted.hash}
    body = {
        "runs": runs,
        "ordered_at": restored.at,
        "kept": found.entries,
        "lost": lost,
        "sets_forgotten": restored.sets_forgotten,
        **_used_up(context, session),
    }
    context.store.append(session, EventKind.RESTORED, body, context.clock())
    log.warning("store was restored", runs=len(runs), kept=found.entries, lost=lost)


def _used_up(context: Context, session: Session) -> dict[str, Any]:
    """Return which budgets a restore uses up, and whose, as its entry says it."""
    noted = context.spool.notes.studies.read()
    seen = noted.union(charges.known_studies(session))
    studies = sorted((one for one in seen if one is not None), key=attrgetter("study"))
    roster = {
        party.name for version in context.keys.versions for party in version.data_owners
    }
    return {
        "studies": [one.model_dump(mode="json") for one in studies],
        "without_noise": None in seen,
        "data_owners": sorted(roster | charges.known_reporters(session)),
    }


def remember_opened(context: Context, digest: str) -> None:
    """Note outside of the database that a round was opened; before its share leaves.

    Raises:
        OperatorError: FS-523, FS-524, FS-526, FS-549.
    """
    if not context.spool.notes.journal.has(digest):
        with context.store.reading("find opening") as session:
            _note(context, session, digest)


def _require_seen(context: Context, session: Session, noted: LedgerHead | None) -> None:
    unseen = {*queries.known_runs(session)} - {*context.spool.notes.runs()}
    lacking = None
    if unseen:
        lacking = f"never saw run {min(unseen)}"
    elif context.spool.notes.studies.lacks(charges.known_studies(session)):
        lacking = "never saw one of the studies"
    elif noted is None and context.store.head(session).entries:
        lacking = "has no note of the ledger"
    elif not context.spool.notes.journal.exists and queries.was_restored(session):
        lacking = "has no list of opened sets any more"
    if lacking:
        raise OperatorError("FS-546", f"{context.spool.place} {lacking}")


def _require_held(
    session: Session, noted: LedgerHead | None, found: LedgerHead
) -> None:
    if noted is not None and queries.head_at(session, noted.entries) != noted:
        raise OperatorError(
            "FS-545",
            f"its ledger has {found.entries} entries up to {found.hash[:12]}, and "
            f"{noted.entries} up to {noted.hash[:12]} were committed",
        )


def _compare_sets(
    context: Context, session: Session, restored: RestoreNote | None
) -> None:
    journal = context.spool.notes.journal
    with disk("the list of opened sets"):
        if not journal.exists:
            if restored is not None:
                restored.require_sets(context.spool.place)
            journal.begin()
        for spec in journal.compare(queries.opened_specs(session)):
            _note(context, session, spec)


def _note(context: Context, session: Session, digest: str) -> None:
    opening = queries.find_opening(session, digest)
    if opening is None:
        return
    members = tuple(name for name, _, _ in members_of(opening))
    least = queries.find_round(session, digest).min_cohort
    opened = OpenedSet(spec=digest, model=opening.model, least=least, members=members)
    with disk("the list of opened sets"):
        context.spool.notes.journal.add(opened)
