"""What each kind of ledger entry does to the other tables.

    round-granted      a row in `rounds`
    round-collecting   the first report was stored
    report-lost        a stored report no longer opens; it is in no sum
    round-opened       a row in `openings`, once its sum is sealed and on disk; what it
                       costs its members (`charges`)
    share-stored       which share that is; always follows the opening
    round-void         the round will never be opened
    store-restored     runs begun before a restore are closed, and budgets used up
    refused            what a party has signed was refused
    federation-changed the ledger goes on under a new version; no row changes
    job-...            `jobs.projection`

An audit projects the same entries onto empty tables and compares. A round's state
changes here alone, and only as `round_states.advance` allows.
"""

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final

from sqlalchemy.orm import Session

from fedsecure.protocol.ledger import CHANGED
from fedsecure.protocol.statements import Event, RoundSpec
from fedsecure.protocol.stored_statements import stored
from fedsecure_aggregator.rules.budgets import StudyBudget, budget_of
from fedsecure_aggregator.rules.round_states import RoundState, Step, advance
from fedsecure_aggregator.storage import charges
from fedsecure_aggregator.storage.charges import Place
from fedsecure_aggregator.storage.jobs import projection as jobs
from fedsecure_aggregator.storage.jobs.projection import JobEvent
from fedsecure_aggregator.storage.tables import (
    ClosedRunRow,
    LostReportRow,
    OpeningRow,
    RefusalRow,
    RoundRow,
)


class EventKind(StrEnum):
    """Kinds of ledger entries at an aggregator, but for those about jobs."""

    GRANTED = "round-granted"
    COLLECTING = "round-collecting"
    LOST = "report-lost"
    OPENED = "round-opened"
    SHARE_STORED = "share-stored"
    VOID = "round-void"
    RESTORED = "store-restored"
    REFUSED = "refused"
    FEDERATION_CHANGED = CHANGED


def project(session: Session, event: Event) -> None:
    """Apply one ledger entry to the tables; run by `Ledger.append` and by audits."""
    if event.kind in _OF_JOBS:
        jobs.project(session, event)
    else:
        _PROJECTIONS[EventKind(event.kind)](session, event)


def _granted(session: Session, event: Event) -> None:
    spec = spec_of(event.body["token"])
    session.add(
        RoundRow(
            spec=event.body["spec"],
            owner=event.body["owner"],
            run=spec.run,
            round=spec.round,
            purpose=spec.purpose,
            attempt=spec.attempt,
            task=spec.task,
            model=spec.model,
            dimension=spec.dimension,
            cohort=len(spec.cohort),
            min_cohort=event.body["min_cohort"],
            deadline=spec.deadline,
            expires=event.body["expires"],
            state=RoundState.GRANTED,
            sealing_key=event.body["sealing_key"],
            study=spec.study,
            noise=event.body["noise"],
            granted_entry=event.entry,
            granted_at=event.at,
            token=event.body["token"],
        )
    )


def _collecting(session: Session, event: Event) -> None:
    _advance(session, event, Step.REPORT)


def _lost(session: Session, event: Event) -> None:
    session.add(LostReportRow(lost_at=event.at, entry=event.entry, **event.body))


def _opened(session: Session, event: Event) -> None:
    row = _advance(session, event, Step.OPEN)
    members, privacy = event.body["members"], event.body["privacy"]
    session.add(
        OpeningRow(
            spec=row.spec,
            owner=row.owner,
            run=row.run,
            round=row.round,
            purpose=row.purpose,
            model=row.model,
            opening=event.body["opening"],
            set_digest=event.body["set"],
            members=json.dumps(members, separators=(",", ":")),
            count=len(members),
            rho_pico=privacy and privacy["rho_pico"],
            opened_at=event.at,
        )
    )
    names = [name for name, _, _ in members]
    budget, place = budget_of(spec_of(row.token)), Place(event.entry, row.spec)
    if budget is None or privacy is None:
        charges.unbound(session, place, names)
    else:
        costs = dict.fromkeys(names, privacy["rho_pico"])
        charges.charge(session, place, budget, costs)


def _share_stored(session: Session, event: Event) -> None:
    row = session.get_one(OpeningRow, event.body["spec"])
    row.share_digest = event.body["digest"]
    row.share_length = event.body["length"]
    row.share_entry = event.entry


def _void(session: Session, event: Event) -> None:
    row = _advance(session, event, Step.VOID)
    row.void_at = event.at
    row.void_reason = event.body["reason"]


def _restored(session: Session, event: Event) -> None:
    jobs.void_all(session, event)
    for run in event.body["runs"]:
        session.merge(ClosedRunRow(run=run, entry=event.entry))
    place, names = Place(event.entry, None), event.body["data_owners"]
    for one in event.body["studies"]:
        charges.charge_whole(session, place, StudyBudget.model_validate(one), names)
    if event.body["without_noise"]:
        charges.unbound(session, place, names)


def _refused(session: Session, event: Event) -> None:
    session.add(RefusalRow(refused_at=event.at, entry=event.entry, **event.body))


def _advance(session: Session, event: Event, step: Step) -> RoundRow:
    row = session.get_one(RoundRow, event.body["spec"])
    row.state = advance(row.state, step)
    return row


_OF_JOBS: Final = frozenset(JobEvent)
_PROJECTIONS: Final[Mapping[EventKind, Callable[[Session, Event], None]]] = {
    EventKind.GRANTED: _granted,
    EventKind.COLLECTING: _collecting,
    EventKind.LOST: _lost,
    EventKind.OPENED: _opened,
    EventKind.SHARE_STORED: _share_stored,
    EventKind.VOID: _void,
    EventKind.RESTORED: _restored,
    EventKind.REFUSED: _refused,
    EventKind.FEDERATION_CHANGED: lambda _session, _event: None,
}


def members_of(opening: OpeningRow) -> list[tuple[str, str, str]]:
    """Return an opened set: reporter, report id and report digest of each member."""
    return [
        (name, report, digest) for name, report, digest in json.loads(opening.members)
    ]


@lru_cache(maxsize=8)
def spec_of(token: str) -> RoundSpec:
    """Read a spec that was verified when it was granted, from this own store."""
    return stored(token, RoundSpec).statement
