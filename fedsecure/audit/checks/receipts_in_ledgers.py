"""An aggregator's ledger against a data owner's receipts: checks (19) and (20)."""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, text

from fedsecure.audit.stores.receipts import Proof
from fedsecure.protocol.statements import Inclusion, LedgerHead

_SPEC: Final = text("SELECT * FROM audit_specs WHERE spec = :spec")
_DEED: Final = text(
    "SELECT content, number FROM audit_deeds "
    "WHERE kind = :kind AND spec = :spec AND reporter = :reporter"
)
_REPORT: Final = text(
    "SELECT digest, receipt_entry FROM reports "
    "WHERE spec = :spec AND reporter = :reporter"
)
_HASH: Final = text("SELECT hash FROM events WHERE entry = :entry")
_LAST: Final = text("SELECT max(entry) FROM events")


def contradictions(proof: Proof, ledger: Connection, name: str) -> Iterator[str]:
    """Yield what a ledger says otherwise than its aggregator did: check (19).

    Args:
        proof: What the data owner holds of one report.
        ledger: The aggregator's store, walked.
        name: The data owner.
    """
    kept = proof.kept
    spec = ledger.execute(_SPEC, {"spec": kept.spec}).first()
    if spec is None:
        yield "it never granted the round"
        return
    for column in ("run", "round", "purpose", "attempt", "deadline"):
        if getattr(kept, column) != getattr(spec, column):
            here, there = getattr(kept, column), getattr(spec, column)
            yield f"{column} is {here!r} here and {there!r} there"
    stored = ledger.execute(_REPORT, {"spec": kept.spec, "reporter": name}).first()
    if proof.receipt is not None and (
        stored is None
        or (stored.digest, stored.receipt_entry)
        != (proof.header.digest, proof.receipt.head.entries)
    ):
        there = "no report" if stored is None else f"report {stored.digest[:12]}"
        yield (
            f"its receipt is for report {proof.header.digest[:12]} after entry "
            f"{proof.receipt.head.entries}, it has {there}"
        )
    if proof.inclusion is not None:
        yield from _fate_there(proof.inclusion, ledger, name)


def _fate_there(inclusion: Inclusion, ledger: Connection, name: str) -> Iterator[str]:
    def deed(kind: str, reporter: str = "") -> Any:
        values = {"kind": kind, "spec": inclusion.spec, "reporter": reporter}
        return ledger.execute(_DEED, values).first()

    opening, member, void = deed("opening"), deed("member", name), deed("void")
    if (opening and opening.content) != inclusion.opening:
        there = opening.content[:12] if opening else "none"
        claimed = (inclusion.opening or "none")[:12]
        yield f"it spoke of the opening {claimed}, its ledger has {there}"
    if inclusion.included != (member is not None and member[0] == inclusion.report):
        there = f"report {member[0][:12]}" if member else "none of this data owner"
        claimed = "counted" if inclusion.included else "not counted"
        yield f"it said {claimed} of {inclusion.report[:12]}, its ledger has {there}"
    charged = deed("charged") if member is not None else None
    if inclusion.charged != (charged.number if charged else 0):
        there = charged.number if charged else 0
        yield f"it said it charged {inclusion.charged} of rho, its ledger has {there}"
    if inclusion.opening is None and void is None:
        yield "it said void, and the round is not"


def contradicted_head(
    head: LedgerHead, ledger: Connection, typ: str
) -> Iterator[tuple[str, str]]:
    """Yield code and words if a head is not in its author's chain: check (20).

    Args:
        head: As the aggregator signed it.
        ledger: The aggregator's store, walked.
        typ: Of the statement that holds the head.
    """
    if head.entries == 0:
        return
    found = ledger.execute(_HASH, {"entry": head.entries}).scalar()
    if found is None:
        last = ledger.execute(_LAST).scalar() or 0
        yield "FS-630", f"its {typ} was given after {head.entries} entries, of {last}"
    elif found != head.hash:
        yield (
            "FS-629",
            f"its {typ} has hash {head.hash[:12]} of entry {head.entries}, its ledger "
            f"{found[:12]}",
        )
