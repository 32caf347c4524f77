"""A data owner's own evidence: checks (17) to (20) of `fedsecure.audit`.

For each round that it answered, a data owner keeps two headers that it signed, the
receipts of both aggregators, and what both said became of the report. That is enough to
see, offline, that the report was counted or its round is void, as far as signatures
prove it. Against an aggregator's store or export it is seen in its ledger, too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from fedsecure.audit.checks.receipts_in_ledgers import contradicted_head, contradictions
from fedsecure.audit.checks.restores import lost_with, tell
from fedsecure.audit.findings import Finding, Report
from fedsecure.audit.stores.receipts import Kept, Proof
from fedsecure.contributor.settlement import Fate
from fedsecure.errors import PeerError
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.statements import Inclusion, Receipt, ReportHeader


@dataclass(frozen=True, slots=True)
class Reader:
    """Checks a data owner's evidence.

    Args:
        name: The data owner.
        keys: Of everybody.
        report: Takes what is found.
        ledgers: Aggregators' stores that were walked, for (19) and (20).
    """

    name: str
    keys: Federations
    report: Report
    ledgers: Mapping[str, Connection]
    lost: dict[tuple[str, int], tuple[Any, list[str]]] = field(
        default_factory=dict, init=False
    )

    def check(self, kept: Iterable[Kept]) -> None:
        """Check every report, in the order of rounds' digests and aggregators."""
        fates: dict[str, int] = {}
        for _, rows in groupby(kept, key=lambda one: one.spec):
            proofs = [proof for row in rows for proof in self._proof(row)]
            fate = self._together(proofs)
            fates[fate] = fates.get(fate, 0) + 1
            for proof in proofs:
                if proof.kept.aggregator in self.ledgers:
                    self._in_ledger(proof, self.ledgers[proof.kept.aggregator])
        for (aggregator, _), (row, missed) in self.lost.items():
            tell(self.report, aggregator, row, missed)
        for fate, number in sorted(fates.items()):
            self.report.notes.append(f"{number} reports: {fate}")

    def _add(self, check: int, code: str, kept: Kept, what: str) -> None:
        self.report.add(Finding(check, code, self.name, kept.where, what))

    def _proof(self, kept: Kept) -> Iterator[Proof]:
        """Check one report's statements by themselves: (17), (18)."""
        self.report.look(17)
        try:
            header = self.keys.verify(str(kept.header), ReportHeader).statement
            receipt = _signed(self.keys, kept.receipt, Receipt)
            inclusion = _signed(self.keys, kept.inclusion, Inclusion)
            _require_header(kept, header, self.name)
            _require_receipt(kept, header, receipt)
            _require_inclusion(kept, header, receipt, inclusion)
            self._require_versions(header, receipt, inclusion)
        except PeerError as error:
            self._add(17, "FS-641", kept, str(error))
        else:
            yield Proof(kept, header, receipt, inclusion)

    def _require_versions(
        self, header: ReportHeader, receipt: Receipt | None, inclusion: Inclusion | None
    ) -> None:
        """Refuse what a key signed that was replaced before the report was made.

        A receipt is of the report's own version of the federation; what became of the
        report may be said under a later one.
        """
        if receipt is not None:
            _require("receipt's federation", receipt.federation, header.federation)
        if inclusion is not None:
            included = self.keys.find(inclusion.federation).number
            made = self.keys.find(header.federation).number
            if not included >= made:
                raise PeerError(
                    "FS-637", f"an inclusion of version {included}, a report of {made}"
                )

    def _together(self, proofs: Sequence[Proof]) -> str:
        """Check that both aggregators say the same, and return what it is."""
        if len(proofs) != len(self.keys.pair):
            for proof in proofs[:1]:
                self._add(17, "FS-641", proof.kept, "its other share is not there")
            return "without proof"
        first, second = proofs
        if (first.header.report_id, {first.header.kind, second.header.kind}) != (
            second.header.report_id,
            {"seed", "vector"},
        ):
            self._add(17, "FS-641", first.kept, "its shares are of two reports")
        if first.receipt is None or second.receipt is None:
            return "not received by both"
        self.report.look(18)
        return self._fate_of(first, second)

    def _fate_of(self, first: Proof, second: Proof) -> str:
        outcomes = {_outcome(proof.inclusion) for proof in (first, second)}
        fates = {first.kept.fate, second.kept.fate}
        if None in outcomes:
            if fates != {None}:
                self._add(18, "FS-641", first.kept, "it has a fate without proof")
            return "not decided yet"
        if len(outcomes) > 1:
            self._add(18, "FS-643", first.kept, "they speak of different openings")
            return Fate.DISPUTED.value
        said = [one.inclusion.charged for one in (first, second) if one.inclusion]
        if len(set(said)) > 1:
            what = f"they charged it differently: {said[0]} and {said[1]} of rho"
            self._add(18, "FS-643", first.kept, what)
        fate = _fate(first.inclusion)
        if fates != {fate.value}:
            what = f"its fate is {fate}, kept is {', '.join(map(str, fates))}"
            self._add(18, "FS-641", first.kept, what)
        if fate is Fate.LEFT_OUT:
            self._add(18, "FS-642", first.kept, "both aggregators had stored it")
        return fate.value

    def _in_ledger(self, proof: Proof, ledger: Connection) -> None:
        """Check a report against its aggregator's ledger: (19, 20)."""
        kept = proof.kept
        if self._was_lost(proof, ledger):
            return
        self.report.look(19)
        for what in contradictions(proof, ledger, self.name):
            self._add(19, "FS-644", kept, what)
        for statement in (proof.receipt, proof.inclusion):
            if statement is not None:
                self.report.look(20)
                for code, what in contradicted_head(
                    statement.head, ledger, statement.typ
                ):
                    self._add(20, code, kept, what)

    def _was_lost(self, proof: Proof, ledger: Connection) -> bool:
        """Look whether the aggregator's store lost the report when it was put back."""
        statements = (proof.receipt, proof.inclusion)
        rows = [lost_with(ledger, one.head) for one in statements if one is not None]
        found = [row for row in rows if row is not None]
        for row in found[:1]:
            _, missed = self.lost.setdefault(
                (proof.kept.aggregator, row.entry), (row, [])
            )
            missed.append(proof.kept.where)
        return bool(found)


def _signed(keys: Federations, token: str | None, kind: type[Any]) -> Any:
    return None if token is None else keys.verify(str(token), kind).statement


def _require(what: str, found: object, signed: object) -> None:
    if found != signed:
        raise PeerError("FS-637", f"{what} is {found!r}, signed was {signed!r}")


def _require_header(kept: Kept, header: ReportHeader, name: str) -> None:
    _require("reporter", header.reporter, name)
    _require("spec", kept.spec, header.spec)
    _require("aggregator", kept.aggregator, header.aggregator)
    _require("kind", kept.kind, header.kind.value)
    _require("length", kept.length, header.length)


def _require_receipt(kept: Kept, header: ReportHeader, receipt: Receipt | None) -> None:
    if receipt is None:
        return
    _require("receipt's aggregator", receipt.aggregator, kept.aggregator)
    _require("receipt's round", receipt.spec, kept.spec)
    _require("receipt's reporter", receipt.reporter, header.reporter)
    _require("receipt's report", receipt.report_id, header.report_id)
    _require("receipt's digest", receipt.digest, header.digest)


def _require_inclusion(
    kept: Kept,
    header: ReportHeader,
    receipt: Receipt | None,
    inclusion: Inclusion | None,
) -> None:
    if inclusion is None:
        return
    _require("inclusion's aggregator", inclusion.aggregator, kept.aggregator)
    _require("inclusion's round", inclusion.spec, kept.spec)
    _require("inclusion's reporter", inclusion.reporter, header.reporter)
    _require("inclusion's report", inclusion.report, header.digest)
    if receipt is None:
        raise PeerError("FS-637", "an inclusion without a receipt")


def _outcome(inclusion: Inclusion | None) -> tuple[object, ...] | None:
    if inclusion is None:
        return None
    return inclusion.included, inclusion.opening, inclusion.set, inclusion.count


def _fate(inclusion: Inclusion | None) -> Fate:
    if inclusion is None or inclusion.opening is None:
        return Fate.VOID
    return Fate.INCLUDED if inclusion.included else Fate.LEFT_OUT
