"""Whose report lies at both aggregators: what the model owner believes of receipts."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from fedsecure.errors import PeerError
from fedsecure.owner.rounds.proposal import ReceiptPair
from fedsecure.protocol import signing
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Member, Opening, Receipt


def require_pair(
    tokens: Sequence[str],
    spec: str,
    reporter: str,
    federation: Federation,
    aggregators: Collection[str],
) -> dict[str, Signed[Receipt]]:
    """Check the receipts that one data owner replied with; run by the model owner.

    Args:
        tokens: The receipts.
        spec: Digest of the round's spec.
        reporter: The data owner.
        federation: Whose keys are believed.
        aggregators: Names of both.

    Raises:
        PeerError: FS-352 unless they are one receipt of each aggregator, for one
            report of this data owner in this round; FS-7xx for signatures.
    """
    receipts = {
        signed.signer: signed
        for signed in (signing.verify(token, Receipt, federation) for token in tokens)
    }
    statements = [signed.statement for signed in receipts.values()]
    if (
        set(receipts) != set(aggregators)
        or {receipt.spec for receipt in statements} != {spec}
        or {receipt.reporter for receipt in statements} != {reporter}
        or len({receipt.report_id for receipt in statements}) != 1
    ):
        raise PeerError("FS-352", f"{reporter} sent receipts that do not match")
    return receipts


def by_reporter(
    tokens: Iterable[str], spec: str, aggregator: str, federation: Federation
) -> dict[str, Signed[Receipt]]:
    """Return, for each data owner, the receipt that an aggregator holds for it now.

    What is of another round, or signed by somebody else, is left out.
    """
    receipts = (signing.verify(token, Receipt, federation) for token in tokens)
    return {
        signed.statement.reporter: signed
        for signed in receipts
        if (signed.signer, signed.statement.spec) == (aggregator, spec)
    }


def pairs(
    held: Mapping[str, Mapping[str, Signed[Receipt]]],
) -> dict[str, dict[str, Signed[Receipt]]]:
    """Return, for each data owner that both aggregators hold the report of, both.

    Receipts for two different reports of one data owner make no pair.
    """
    reporters = set.intersection(*(set(found) for found in held.values()))
    found = {
        reporter: {name: receipts[reporter] for name, receipts in held.items()}
        for reporter in sorted(reporters)
    }
    return {
        reporter: pair
        for reporter, pair in found.items()
        if len({signed.statement.report_id for signed in pair.values()}) == 1
    }


def receipts_in(opening: Opening, federation: Federation) -> dict[str, ReceiptPair]:
    """Return, for each member of an opened set, the receipts of both aggregators."""
    statements = {
        server: [signing.verify(token, Receipt, federation) for token in tokens]
        for server, tokens in opening.receipts.items()
    }
    return {
        member.reporter: {server: statements[server][place] for server in statements}
        for place, member in enumerate(opening.set)
    }


def members(receipts: Mapping[str, ReceiptPair]) -> list[Member]:
    """Return the set that these receipts are of, in ascending order of names."""
    return [
        Member(reporter=name, report_id=_report_id(receipts[name]))
        for name in sorted(receipts)
    ]


def _report_id(receipts: ReceiptPair) -> str:
    return next(iter(receipts.values())).statement.report_id
