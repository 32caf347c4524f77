"""An aggregator's store, for audits: what its entries hold, and what its reports are.

Of each entry it is checked that
    (1) a granted spec was signed by the model owner that is named, and that its limits
        are not below the spec's;
    (2) an opening is the model owner's, of this round, and its set is the one noted;
    (3) of each member, both aggregators gave a receipt, and this one's is for the very
        report that the entry names;
    (4) a void that is the model owner's was signed by it, for this round;
        a restore charges every study, and every data owner, that the ledger knows.

Of each stored report, for reports stand in no entry before their round is opened:
    (5) its data owner signed a header that says what the row says;
    (6) it is for a granted round, and from somebody in its cohort;
    (7) a round with reports is not one that has none by its state;
    (8) each member of an opened set has its row, with that report and digest;
    (9) its receipt's place in the ledger is the one in the receipt, if it was opened,
        and at least between the grant and the end;
    (10) a report that was lost had been stored, and is in no opened set.

What stands in entries about jobs is checked by `jobs.audit`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, text
from sqlalchemy.orm import Session

from fedsecure.audit.stores.evidence import Deed, Evidence, Restore, Spec, named
from fedsecure.audit.stores.kinds import Fault, Kind, require
from fedsecure.audit.stores.owner import receipt_held, receipts_of
from fedsecure.errors import PeerError
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.signing import set_digest
from fedsecure.protocol.statements import Event, Opening, ReportHeader, RoundSpec, Void
from fedsecure_aggregator.rules.budgets import StudyBudget
from fedsecure_aggregator.storage import charges
from fedsecure_aggregator.storage.jobs import audit as jobs
from fedsecure_aggregator.storage.jobs.projection import JobEvent
from fedsecure_aggregator.storage.projection import EventKind, project, spec_of
from fedsecure_aggregator.storage.store import MIGRATIONS
from fedsecure_aggregator.storage.tables import Base, EventRow, ReportRow


def read(session: Session, event: Event, keys: Federations) -> Iterator[Evidence]:
    """Check an entry's statements, and yield what they are evidence of.

    Raises:
        PeerError: FS-637 when one belongs elsewhere, FS-7xx for its signature.
    """
    reader = _READERS.get(event.kind)
    if reader is not None:
        yield from reader(event, keys)
    if event.kind in set(JobEvent):
        yield from jobs.read(session, event, keys)
    if event.kind == EventKind.RESTORED:
        _require_used_up(session, event)


def _granted(event: Event, keys: Federations) -> Iterator[Evidence]:
    body = event.body
    spec = keys.verify(body["token"], RoundSpec)
    require(
        (spec.digest, spec.signer) == (body["spec"], body["owner"]),
        "the spec is not the one that is named",
    )
    statement = spec.statement
    require(
        body["min_cohort"] >= statement.min_cohort, "fewer members than the spec asks"
    )
    require(body["expires"] >= statement.deadline, "it expires before its deadline")
    yield Spec(spec.digest, spec.signer, statement, body["min_cohort"])
    yield Deed(
        "granted", spec.digest, content=body["sealing_key"], number=body["expires"]
    )


def _opened(event: Event, keys: Federations) -> Iterator[Evidence]:
    body = event.body
    opening = keys.verify(body["token"], Opening)
    statement = opening.statement
    require(
        (opening.digest, statement.spec, set_digest(statement.set))
        == (body["opening"], body["spec"], body["set"]),
        "the opening is not the one that is named",
    )
    require(
        [[one.reporter, one.report_id] for one in statement.set]
        == [[name, report_id] for name, report_id, _ in body["members"]],
        "the members are not those of the opening",
    )
    digests = {name: digest for name, _, digest in body["members"]}
    for receipt in receipts_of(opening, keys):
        got = receipt.statement
        if receipt.signer == event.author:
            require(
                got.digest == digests[got.reporter],
                f"the receipt is for another report of {got.reporter}",
            )
        yield receipt_held(receipt)
    yield Deed(
        "opening", statement.spec, content=opening.digest, number=len(statement.set)
    )
    for name, digest in digests.items():
        yield Deed("member", statement.spec, name, digest)
    charge = body["privacy"]
    if charge is not None:
        under = f"{charge['unit']} {charge['study']}"
        yield Deed("charged", statement.spec, content=under, number=charge["rho_pico"])


def _require_used_up(session: Session, event: Event) -> None:
    """Check that a restore charged what it had to, as far as its ledger knows."""
    body = event.body
    said = {StudyBudget.model_validate(one) for one in body["studies"]}
    known = {*charges.known_studies(session)}
    require(known - {None} <= said, "a study is not charged that had rounds before")
    require(
        body["without_noise"] or None not in known,
        "totals keep their bounds, and there were rounds without noise",
    )
    owners = charges.known_reporters(session)
    require(owners <= {*body["data_owners"]}, "somebody is not charged who was before")


def _lost(event: Event, _keys: Federations) -> Iterator[Evidence]:
    body = event.body
    yield Deed("lost", body["spec"], body["reporter"], body["digest"])


def _share(event: Event, _keys: Federations) -> Iterator[Evidence]:
    body = event.body
    yield Deed("share", body["spec"], content=body["digest"], number=body["length"])


def _void(event: Event, keys: Federations) -> Iterator[Evidence]:
    digest, token = event.body["spec"], event.body["void"]
    if token is not None:
        void = keys.verify(token, Void)
        require(
            (void.signer, void.statement.spec) == (keys.owner, digest),
            "the void is not the model owner's of this round",
        )
    yield Deed("void", digest, number=int(token is not None))


def _restored(event: Event, _keys: Federations) -> Iterator[Evidence]:
    body, lost = event.body, event.body["lost"] or {"entries": 0, "hash": ""}
    require(body["kept"] <= event.entry - 1, "it kept more entries than there are")
    yield Restore(
        kept=body["kept"],
        lost=lost["entries"],
        hash=lost["hash"],
        at=event.at,
        forgotten=body["sets_forgotten"],
    )


_READERS: Final[Mapping[str, Callable[[Event, Federations], Iterator[Evidence]]]] = {
    EventKind.GRANTED: _granted,
    EventKind.LOST: _lost,
    EventKind.OPENED: _opened,
    EventKind.SHARE_STORED: _share,
    EventKind.VOID: _void,
    EventKind.RESTORED: _restored,
}

_REPORTS: Final = text(
    "SELECT p.*, r.token, r.state, r.granted_entry, s.head_entries "
    "FROM reports p LEFT JOIN rounds r ON r.spec = p.spec "
    "LEFT JOIN audit_statements s ON s.kind = 'receipt' AND s.spec = p.spec "
    "AND s.signer = :name AND s.reporter = p.reporter "
    "ORDER BY p.spec, p.reporter"
)
_GONE: Final = text(
    "SELECT d.spec, d.reporter, p.digest IS NOT NULL AS known, m.spec IS NOT NULL "
    "AS counted FROM audit_deeds d "
    "LEFT JOIN reports p ON p.spec = d.spec AND p.reporter = d.reporter "
    "AND p.digest = d.content "
    "LEFT JOIN audit_deeds m ON m.kind = 'member' AND m.spec = d.spec "
    "AND m.reporter = d.reporter WHERE d.kind = 'lost' ORDER BY d.entry"
)
_LOST: Final = text(
    "SELECT d.spec, d.reporter FROM audit_deeds d "
    "LEFT JOIN reports p ON p.spec = d.spec AND p.reporter = d.reporter "
    "AND p.digest = d.content WHERE d.kind = 'member' AND p.spec IS NULL "
    "ORDER BY d.entry, d.reporter"
)


def look(connection: Connection, name: str, keys: Federations) -> Iterator[Fault]:
    """Check the stored reports.

    Args:
        connection: Tables that were projected again, with the reports as they are.
        name: This aggregator.
        keys: For the data owners' signatures.
    """
    last = connection.execute(text("SELECT max(entry) FROM events")).scalar() or 0
    for row in connection.execute(_REPORTS, {"name": name}):
        where = _where(connection, row)
        for wrong in _wrong(row, name, keys, last):
            yield where, wrong
    for row in connection.execute(_LOST):  # (8)
        yield (
            _where(connection, row),
            "it is in the opened set, and no such report is stored",
        )
    for row in connection.execute(_GONE):  # (10)
        where = _where(connection, row)
        if not row.known:
            yield where, "it was lost, and no such report was stored"
        if row.counted:
            yield where, "it is in the opened set, and was lost"


def _where(connection: Connection, row: Row[Any]) -> str:
    return f"report of {row.reporter}, {named(connection, row.spec)}"


def _wrong(row: Row[Any], name: str, keys: Federations, last: int) -> Iterator[str]:
    try:
        header = keys.verify(str(row.header), ReportHeader).statement
    except PeerError as error:
        yield str(error)
        return
    for column, found, signed in (  # (5)
        ("spec", row.spec, header.spec),
        ("reporter", row.reporter, header.reporter),
        ("aggregator", name, header.aggregator),
        ("report_id", row.report_id, header.report_id),
        ("kind", row.kind, header.kind.value),
        ("length", row.length, header.length),
        ("digest", row.digest, header.digest),
    ):
        if found != signed:
            yield f"{column} is {found!r}, its data owner signed {signed!r}"
    if row.token is None or header.reporter not in spec_of(row.token).cohort:  # (6)
        yield "it is for no granted round of this data owner"
    elif row.state == "granted":  # (7)
        yield "its round has no report by its state"
    elif not _in_place(row, last):  # (9)
        place = "no such place" if row.head_entries is None else row.head_entries
        yield f"receipt_entry is {row.receipt_entry!r}, its receipt says {place}"


def _in_place(row: Row[Any], last: int) -> bool:
    if not isinstance(row.receipt_entry, int):
        return False
    if row.head_entries is not None:
        return bool(row.receipt_entry == row.head_entries)
    return bool(row.granted_entry < row.receipt_entry <= last)


KIND: Final = Kind(
    name="aggregator store",
    metadata=Base.metadata,
    events=EventRow,
    migrations=MIGRATIONS,
    project=project,
    read=read,
    opened="opening",
    working=(Base.metadata.tables[ReportRow.__tablename__],),
    look=look,
)
