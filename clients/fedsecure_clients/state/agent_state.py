"""What an agent must not forget: its outbox, its receipts, what it answered.

Sealed reports are stored before the first byte is sent, payloads as files and the
rest in SQLite. After a crash the agent finds here that it has answered a spec, and
sends the same bytes again; it never shards a second time.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sqlalchemy import func, select

from fedsecure.contributor.outbox import StoredReport
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Inclusion, Receipt, ReportHeader, RoundSpec
from fedsecure.system.durability import sync
from fedsecure_clients.state import privacy
from fedsecure_clients.state.outcomes import Answered, newest
from fedsecure_clients.state.privacy import PrivacyAccount
from fedsecure_clients.state.refusals import Refusals
from fedsecure_clients.state.storage import Storage, guarded
from fedsecure_clients.state.studies import Studies
from fedsecure_clients.state.tables import MembershipRow, ReplyRow, ReportRow

REPORTS: Final = 2  # of each round, one for each aggregator


class AgentState:
    """An open state folder; implements `contributor.Outbox`.

    Args:
        folder: Made if absent, readable by this user alone.
        federations: For checking stored statements when they are read again, each with
            the version that it names.
    """

    def __init__(self, folder: Path, federations: Federations) -> None:
        self._folder = folder
        self._federations = federations
        self._storage = Storage(folder)
        self.studies = Studies(self._storage)
        self.refusals = Refusals(self._storage)
        self.privacy = PrivacyAccount(self._storage)

    def __enter__(self) -> Self:
        """Return the state itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the database."""
        self._storage.close()

    def reports(self, spec: str) -> Sequence[StoredReport]:
        """Return the stored reports of a spec: none, or both."""
        with self._storage.writing() as session:
            rows = session.scalars(
                select(ReportRow)
                .where(ReportRow.spec == spec)
                .order_by(ReportRow.aggregator)
            ).all()
            return [self._report(row) for row in rows]

    def answered(self, spec: RoundSpec) -> str | None:
        """Return the digest of the spec answered for this very attempt, if any."""
        with self._storage.writing() as session:
            return session.scalars(
                select(ReportRow.spec)
                .where(
                    ReportRow.run == spec.run,
                    ReportRow.round == spec.round,
                    ReportRow.purpose == spec.purpose.value,
                    ReportRow.attempt == spec.attempt,
                )
                .limit(1)
            ).first()

    def payload_path(self, spec: str, aggregator: str) -> Path:
        """Return where to write a payload before `store`."""
        folder = self._folder / "outbox" / spec
        with guarded(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder / aggregator

    def store(
        self,
        spec: Signed[RoundSpec],
        study: str,
        cost: int | None,
        reports: Sequence[StoredReport],
    ) -> None:
        """Make both reports durable, and charge their round.

        The files come first, then both rows and the charge at once.
        """
        with guarded(self._folder):
            for report in reports:
                sync(report.payload)
            sync(self._folder / "outbox" / spec.digest)
        statement = spec.statement
        with self._storage.writing() as session:
            session.add_all(
                ReportRow(
                    spec=spec.digest,
                    aggregator=report.header.statement.aggregator,
                    study=study,
                    run=statement.run,
                    round=statement.round,
                    purpose=statement.purpose.value,
                    attempt=statement.attempt,
                    deadline=statement.deadline,
                    kind=report.header.statement.kind.value,
                    length=report.header.statement.length,
                    header=report.header.token,
                )
                for report in reports
            )
            privacy.charge(session, spec, study, cost)

    def receive(self, receipt: Signed[Receipt]) -> None:
        """Keep a receipt; with both, the payloads are not needed any more."""
        statement = receipt.statement
        with self._storage.writing() as session:
            rows = session.scalars(
                select(ReportRow).where(ReportRow.spec == statement.spec)
            ).all()
            for row in rows:
                if row.aggregator == statement.aggregator:
                    row.receipt = receipt.token
            complete = all(row.receipt for row in rows)
        if complete:
            shutil.rmtree(self._folder / "outbox" / statement.spec, ignore_errors=True)

    def tidy(self, before: float) -> None:
        """Delete sealed payloads that nobody takes any more.

        Those are of rounds whose deadline was before this time (seconds since 1970),
        and what a crash left before it was stored.
        """
        outbox = self._folder / "outbox"
        with guarded(outbox):
            outbox.mkdir(mode=0o700, exist_ok=True)
        with self._storage.writing() as session:
            wanted = set(
                session.scalars(
                    select(ReportRow.spec).where(ReportRow.deadline >= before)
                )
            )
        with guarded(outbox):
            for folder in outbox.iterdir():
                if folder.name not in wanted:
                    shutil.rmtree(folder)

    def unsettled(self) -> Sequence[str]:
        """Return the specs whose reports were received, but not yet decided."""
        with self._storage.writing() as session:
            rows = session.scalars(
                select(ReportRow.spec)
                .where(ReportRow.receipt.is_not(None), ReportRow.fate.is_(None))
                .group_by(ReportRow.spec)
                .having(func.count() == REPORTS)
                .order_by(func.min(ReportRow.round))
            )
            return list(rows)

    def undelivered(self, now: float) -> Sequence[str]:
        """Return the specs with a report that got no receipt and still can be sent.

        None of an earlier version of the federation: its rounds are void.
        """
        with self._storage.writing() as session:
            rows = session.scalars(
                select(ReportRow).where(
                    ReportRow.receipt.is_(None), ReportRow.deadline > now
                )
            )
            newest = self._federations.newest.digest
            found = {
                row.spec
                for row in rows
                if self._report(row).header.statement.federation == newest
            }
            return sorted(found)

    def settle(self, inclusions: Mapping[str, Signed[Inclusion]], fate: str) -> None:
        """Keep what both aggregators said about one round, in one step.

        What it cost is returned only if neither of them counted the report.
        """
        counted = any(signed.statement.included for signed in inclusions.values())
        with self._storage.writing() as session:
            for name, signed in inclusions.items():
                row = session.get_one(ReportRow, (signed.statement.spec, name))
                row.inclusion, row.fate = signed.token, fate
            for spec in {signed.statement.spec for signed in inclusions.values()}:
                privacy.settle(session, spec, counted=counted)

    def cost(self, spec: str) -> int:
        """Return what a round was charged with, in 1e-12 of rho; 0 without noise."""
        return self.privacy.cost(spec)

    def fates(self) -> dict[str, int]:
        """Return how many rounds ended how; for people to read."""
        with self._storage.writing() as session:
            rows = session.execute(
                select(
                    func.coalesce(ReportRow.fate, "not decided yet"),
                    func.count(ReportRow.spec.distinct()),
                )
                .where(ReportRow.receipt.is_not(None))
                .group_by(ReportRow.fate)
            ).all()
            return {str(fate): int(count) for fate, count in rows}

    def answered_rounds(self, number: int) -> Sequence[Answered]:
        """Return what became of so many rounds, the newest first; for people."""
        return newest(self._storage, number)

    def replied(self, outcome: str, length: int, at: float) -> None:
        """Count a reply that went to the model owner."""
        with self._storage.writing() as session:
            session.add(ReplyRow(at=at, outcome=outcome, length=length))

    def sent(self) -> dict[str, tuple[int, int]]:
        """Return messages and bytes sent so far, by receiver; for people to read."""
        with self._storage.writing() as session:
            rows = session.execute(
                select(
                    ReportRow.aggregator,
                    func.count(),
                    func.sum(ReportRow.length + func.length(ReportRow.header)),
                ).group_by(ReportRow.aggregator)
            ).all()
            replies = session.execute(
                select(func.count(), func.coalesce(func.sum(ReplyRow.length), 0))
            ).one()
        shares = {name: (int(count), int(total)) for name, count, total in rows}
        return {**shares, "model owner": (int(replies[0]), int(replies[1]))}

    def last_node(self, superlink: str) -> int | None:
        """Return the node id of the last membership in a SuperLink."""
        with self._storage.writing() as session:
            row = session.get(MembershipRow, superlink)
            return int(row.node) if row else None

    def joined(self, superlink: str, node: int) -> None:
        """Remember the node id of a membership."""
        with self._storage.writing() as session:
            session.merge(MembershipRow(superlink=superlink, node=str(node)))

    def _report(self, row: ReportRow) -> StoredReport:
        return StoredReport(
            self._federations.verify(row.header, ReportHeader),
            self._folder / "outbox" / row.spec / row.aggregator,
            self._federations.verify(row.receipt, Receipt) if row.receipt else None,
        )
