"""The one opening of a round: checked, committed, added up, sealed, stored, sent.

    committed   before anything is added up: a crash resumes this set and no other
    stored      the sealed share is on disk before its header is signed and it is sent
    scrubbed    then the round's key and every report are deleted

The share is kept until the grant's expiry and some days more, so that a lost answer is
asked for again; it is sealed to the owner's key of this round and this opening.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.orm import Session

from aggregator import store
from aggregator.context import Context
from aggregator.fold import Upload
from aggregator.opening_rules import Facts, require_openable
from aggregator.policy import CompareSets
from aggregator.projection import Happened, members_of, spec_of
from aggregator.rounds import Step, advance, require_round
from aggregator.spool import disk, durable
from aggregator.tables import OpeningRow, ReportRow, RoundRow
from fedsecure.core import scheme, seal
from fedsecure.core.sealing_key import CONTENT_KEY_BYTES
from fedsecure.encodings import from_base64url
from fedsecure.errors import RoundStateError
from fedsecure.faults import Point, reached
from fedsecure.framing import offset_after
from fedsecure.rounds.parameters import params_of
from fedsecure.signing import MAX_TOKEN, Signed, set_digest
from fedsecure.statements import (
    AggregateShareHeader,
    Opening,
    ReportHeader,
    RoundSpec,
)

BYTES_PER_MEMBER: Final = 4096  # of an opening; two receipts take about 2,750

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SealedShare:
    """What answers an opening: the signed header, and the file that it speaks of."""

    header: str
    path: Path
    length: int


def most_bytes(context: Context, digest: str) -> int:
    """Return the longest opening that a round can have; reads only.

    Raises:
        RoundStateError: FS-300.
    """
    with context.store.reading("find round") as session:
        members = store.find_round(session, digest).cohort
    return min(MAX_TOKEN, (members + 1) * BYTES_PER_MEMBER)


def open_round(context: Context, digest: str, opening: Signed[Opening]) -> SealedShare:
    """Open a round over the set that its owner signed; the same answer again.

    Run by the worker's thread alone.

    Raises:
        PeerError: FS-301, FS-320 to FS-324, FS-7xx for a receipt.
        RoundStateError: FS-300, FS-304, FS-305, FS-307, FS-308, FS-322.
    """
    require_round(digest, opening.statement.spec)

    def work(session: Session) -> None:
        row = store.find_round(session, digest)
        known = store.find_opening(session, digest)
        if known is None:
            _commit(context, session, row, opening)
        elif known.opening != opening.digest:
            raise RoundStateError("FS-304", f"round {digest[:12]}, with another set")

    context.change("open round", work)
    reached(Point.OPENING_COMMITTED)
    return _share(context, digest)


def answered(
    context: Context, digest: str, opening: Signed[Opening]
) -> SealedShare | None:
    """Return the share that was stored for this very opening; reads only.

    Raises:
        PeerError: FS-301.
        RoundStateError: FS-308 when it is deleted.
    """
    require_round(digest, opening.statement.spec)
    with context.store.reading("find opening") as session:
        known = store.find_opening(session, digest)
    if known is None or known.opening != opening.digest or known.share_digest is None:
        return None
    return _stored_share(context, digest)


def resume(context: Context, digest: str) -> None:
    """Make the share of a committed opening that a crash left without; run at start.

    Raises:
        FedsecureError: As `open_round`.
    """
    with context.store.reading("find opening") as session:
        known = store.find_opening(session, digest)
    if known is not None and known.share_digest is None:
        _share(context, digest)
        log.info("opening resumed", round=digest, count=known.count)


def _commit(
    context: Context, session: Session, row: RoundRow, opening: Signed[Opening]
) -> None:
    advance(row.state, Step.OPEN)
    if not context.clock() < row.expires:
        raise RoundStateError("FS-308", f"round {row.spec[:12]}")
    rows = {report.reporter: report for report in store.reports_of(session, row.spec)}
    facts = Facts(
        name=context.name,
        federation=context.federation,
        spec=spec_of(row.token),
        least=max(row.min_cohort, context.policy.min_cohort),
        digests={(r.reporter, r.report_id): r.digest for r in rows.values()},
        opened=_compared(context, session, row),
    )
    members = opening.statement.set
    require_openable(opening.statement, facts)
    body = {
        "spec": row.spec,
        "opening": opening.digest,
        "set": set_digest(members),
        "members": [
            [m.reporter, m.report_id, rows[m.reporter].digest] for m in members
        ],
        "token": opening.token,
    }
    context.store.append(session, Happened.OPENED, body, context.clock())
    log.info("round opened", round=row.spec, count=len(members), stored=len(rows))


def _compared(
    context: Context, session: Session, row: RoundRow
) -> dict[frozenset[str], int]:
    """Return the sets opened before with which a new one is compared."""
    all_rounds = context.policy.compare_sets is CompareSets.ALL_ROUNDS
    return store.sets_opened(session, None if all_rounds else row.model)


def _share(context: Context, digest: str) -> SealedShare:
    with context.store.reading("find opening") as session:
        opening = session.get_one(OpeningRow, digest)
        if opening.share_digest is None:
            row = store.find_round(session, digest)
            reports = store.reports_of(session, digest)
    if opening.share_digest is None:
        _make_share(context, row, opening, reports)
    return _stored_share(context, digest)


def _make_share(
    context: Context, row: RoundRow, opening: OpeningRow, reports: Iterable[ReportRow]
) -> None:
    digest, spec = row.spec, spec_of(row.token)
    if not context.spool.has_key(digest):
        raise RoundStateError("FS-308", f"round {digest[:12]} has no key any more")
    members = {(name, report_id) for name, report_id, _ in members_of(opening)}
    uploads = [
        _upload(context, report)
        for report in reports
        if (report.reporter, report.report_id) in members
    ]
    total = context.fold.total(params_of(spec), digest, uploads)
    sealed = _seal_share(context, spec, opening, total)
    reached(Point.SHARE_ON_DISK)
    body = {"spec": digest, "digest": sealed.digest.hex(), "length": sealed.length}

    def work(session: Session) -> None:
        context.store.append(session, Happened.SHARE_STORED, body, context.clock())

    context.change("store share", work)
    reached(Point.SHARE_COMMITTED)
    context.fold.forget(digest)
    context.spool.scrub(digest)
    reached(Point.SCRUBBED)
    log.info("share stored", round=digest, count=opening.count, bytes=sealed.length)


def _seal_share(
    context: Context,
    spec: RoundSpec,
    opening: OpeningRow,
    total: scheme.AggregateShare,
) -> seal.Sealed:
    """Seal a sum to the owner's key of this round; on disk when this returns."""
    info = seal.share_info(
        bytes.fromhex(spec.federation),
        bytes.fromhex(opening.spec),
        context.name,
        opening.owner,
        bytes.fromhex(opening.opening),
    )
    path = context.spool.incoming()
    with disk("aggregate share"), durable(path) as file:
        sealed = seal.seal(
            from_base64url(spec.sealing_key),
            info,
            context.rand(CONTENT_KEY_BYTES),
            total.to_records(),
            file.write,
        )
    context.spool.keep(path, context.spool.share_file(opening.spec))
    return sealed


def _upload(context: Context, report: ReportRow) -> Upload:
    path = context.spool.report_file(report.spec, report.reporter)
    _, payload, _ = report.header.split(".")
    header = ReportHeader.model_validate_json(from_base64url(payload))
    return Upload(path, header, offset_after(report.header))


def _stored_share(context: Context, digest: str) -> SealedShare:
    with context.store.reading("find share") as session:
        row = session.get_one(OpeningRow, digest)
        header = AggregateShareHeader(
            federation=context.federation.digest,
            spec=digest,
            aggregator=context.name,
            opening=row.opening,
            set=row.set_digest,
            count=row.count,
            length=row.share_length or 0,
            digest=row.share_digest or "",
            head=store.head_at(session, row.share_entry or 0),
        )
    path = context.spool.share_file(digest)
    if not path.is_file():
        raise RoundStateError("FS-308", f"the share of round {digest[:12]} is gone")
    return SealedShare(context.author.sign(header).token, path, header.length)
