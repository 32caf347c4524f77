"""Reads that tell who reported: each needs a ticket signed by the one who may know.

The model owner may ask who reported in a round; a data owner whether its own report
was in the opened set. A ticket is for one aggregator, one address and a short time.
"""

from typing import Final

from sqlalchemy.orm import Session

from fedsecure.errors import PeerError, RoundStateError
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import Inclusion, Read
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rounds.receipts import receipt_of, require_report
from fedsecure_aggregator.rules.round_states import UNDECIDED
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.projection import members_of, spec_of
from fedsecure_aggregator.storage.tables import OpeningRow, ReportRow

BEARER: Final = "bearer "


def require_ticket(
    context: Context, authorization: str | None, path: str, reader: str
) -> None:
    """Check the `Authorization` header of a read that one party alone may do.

    Args:
        context: This aggregator.
        authorization: The header's value, if it was sent.
        path: The path that was asked for, as it came, before decoding.
        reader: Who alone may read it.

    Raises:
        PeerError: As `reader_of`.
    """
    found = reader_of(context, authorization, path)
    if found != reader:
        raise PeerError("FS-333", f"reader is {found!r} inside, {reader!r} here")


def reader_of(context: Context, authorization: str | None, path: str) -> str:
    """Return who signed the ticket of a read; whether it may is not checked.

    Raises:
        PeerError: FS-332 without a ticket, FS-333 for a ticket that does not fit,
            FS-7xx for one that is not what it seems.
    """
    if authorization is None or not authorization.lower().startswith(BEARER):
        raise PeerError("FS-332", path)
    ticket = verify(authorization[len(BEARER) :], Read, context.federation).statement
    for what, inside, here in (
        ("aggregator", ticket.aggregator, context.name),
        ("path", ticket.path, path),
    ):
        if inside != here:
            raise PeerError("FS-333", f"{what} is {inside!r} inside, {here!r} here")
    late = context.clock() - ticket.expires
    if not late < 0:
        raise PeerError("FS-333", f"it expired {late:.0f} s ago")
    return ticket.reader


def standing(context: Context, digest: str) -> dict[str, object]:
    """Return a round's state, and the receipts of its reports; for its owner.

    A report that was lost has no receipt any more; its reporter is named instead.

    A receipt is given under the round's own version of the federation, or not at all.

    Raises:
        RoundStateError: FS-300.
    """
    with context.store.reading("read round") as session:
        row = queries.find_round(session, digest)
        reports = queries.reports_of(session, digest)
        lost = queries.losses_of(session, digest)
        if spec_of(row.token).federation != context.federation.digest:
            reports = []
        receipts = [
            receipt_of(context, session, report)
            for report in reports
            if report.reporter not in lost
        ]
        return {"state": row.state, "receipts": receipts, "lost": sorted(lost)}


def inclusion(context: Context, digest: str, reporter: str) -> str:
    """Sign whether a report was in the opened set; for its data owner.

    Raises:
        RoundStateError: FS-300, FS-330 until the round is decided, FS-331.
    """
    with context.store.reading("read inclusion") as session:
        row = queries.find_round(session, digest)
        report = require_report(session, digest, reporter)
        if row.state in UNDECIDED:
            raise RoundStateError("FS-330", f"round {digest[:12]} is {row.state}")
        opening = queries.find_opening(session, digest)
        statement = _inclusion(context, session, report, opening)
    return context.author.sign(statement).token


def _inclusion(
    context: Context,
    session: Session,
    report: ReportRow,
    opening: OpeningRow | None,
) -> Inclusion:
    members = members_of(opening) if opening else []
    included = any(name == report.reporter for name, _, _ in members)
    return Inclusion(
        federation=context.federation.digest,
        spec=report.spec,
        aggregator=context.name,
        reporter=report.reporter,
        report=report.digest,
        included=included,
        charged=(opening.rho_pico or 0) if opening and included else 0,
        opening=opening.opening if opening else None,
        set=opening.set_digest if opening else None,
        count=len(members),
        head=context.store.head(session),
    )
