"""When a set may be opened: pure, the checks that protect data owners from the owner.

Sums can be subtracted from each other. So a set is refused that is too small, and one
that is too close to a set opened before for the same task; and each of its members must
have a receipt of both aggregators, or the two would add up different sets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aggregator.policy import require_data_owner
from fedsecure.errors import PeerError, RoundStateError
from fedsecure.identity import Federation
from fedsecure.signing import Signed, verify
from fedsecure.statements import Member, Opening, Receipt, RoundSpec


@dataclass(frozen=True, slots=True)
class Facts:
    """What this aggregator knows itself when a set is to be opened.

    `digests` are those of the stored reports, by reporter and report id; `opened` the
    members of every set that was opened for the same task.
    """

    name: str
    federation: Federation
    spec: RoundSpec
    least: int
    digests: Mapping[tuple[str, str], str]
    opened: Sequence[frozenset[str]]


def require_openable(opening: Opening, facts: Facts) -> None:
    """Check a set before it is committed; pure. Its order and author were checked.

    The steps, in order:
        (1) it has as many members as this aggregator and the spec ask for;
        (2) each is in the spec's cohort, and a data owner on the roster;
        (3) of each, the very report is stored here;
        (4) of each, both aggregators gave a receipt for that report;
        (5) it is not too close to a set that was opened for the same task.

    Raises:
        PeerError: FS-320, FS-321, FS-323 or FS-324; FS-7xx for a receipt.
        RoundStateError: FS-322.
    """
    members = opening.set
    if not len(members) >= facts.least:  # (1)
        raise PeerError("FS-320", f"{len(members)} members, at least {facts.least}")
    for member in members:  # (2)
        if member.reporter not in facts.spec.cohort:
            raise PeerError("FS-321", f"{member.reporter} is not in the cohort")
        require_data_owner(facts.federation, member.reporter)
    for member in members:  # (3)
        if (member.reporter, member.report_id) not in facts.digests:
            raise RoundStateError("FS-322", f"{member.reporter} {member.report_id}")
    require_receipts(opening, facts)  # (4)
    require_distance({m.reporter for m in members}, facts)  # (5)


def require_receipts(opening: Opening, facts: Facts) -> None:
    """Check one receipt of each aggregator for every member, in the set's order.

    Raises:
        PeerError: FS-323; FS-7xx for a receipt that is not what it seems.
    """
    names = {party.name for party in facts.federation.pair}
    if set(opening.receipts) != names:
        raise PeerError("FS-323", f"of {sorted(opening.receipts)}, not {sorted(names)}")
    for name, tokens in opening.receipts.items():
        if len(tokens) != len(opening.set):
            raise PeerError(
                "FS-323", f"{len(tokens)} of {name} for {len(opening.set)} members"
            )
        for member, token in zip(opening.set, tokens, strict=True):
            receipt = verify(token, Receipt, facts.federation)
            _require_receipt(opening, member, name, receipt, facts)


def require_distance(members: set[str], facts: Facts) -> None:
    """Check that no difference with an earlier sum tells about a few data owners.

    Raises:
        PeerError: FS-324.
    """
    for earlier in facts.opened:
        apart = len(members ^ earlier)
        if 1 <= apart < facts.least:
            raise PeerError(
                "FS-324", f"{apart} members apart, at least {facts.least} or none"
            )


def _require_receipt(
    opening: Opening,
    member: Member,
    name: str,
    receipt: Signed[Receipt],
    facts: Facts,
) -> None:
    said = receipt.statement
    expected = (opening.spec, name, member.reporter, member.report_id)
    if (said.spec, said.aggregator, said.reporter, said.report_id) != expected:
        raise PeerError(
            "FS-323", f"one of {name} is not for {member.reporter}'s report"
        )
    stored = facts.digests[member.reporter, member.report_id]
    if name == facts.name and said.digest != stored:
        raise PeerError("FS-323", f"one of {name} is for other bytes than are stored")
