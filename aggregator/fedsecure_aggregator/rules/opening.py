"""When a set may be opened: pure, the checks that protect data owners from the owner.

Sums can be subtracted from each other. So a set is refused that is too small, and one
that would tell a few data owners apart together with sets opened before; and each of
its members must have a receipt of both aggregators, or the two would add up different
sets. And what openings tell in all is bounded by budgets (`budgets`).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from fedsecure.errors import PeerError, RoundStateError
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Signed, verify
from fedsecure.protocol.statements import Member, Opening, Receipt, RoundSpec
from fedsecure_aggregator.rules.budgets import (
    OwnBudget,
    Spent,
    charge_of,
    require_room,
)
from fedsecure_aggregator.rules.policy import require_data_owner


@dataclass(frozen=True, slots=True)
class OpeningContext:
    """What this aggregator knows itself when a set is to be opened.

    `digests` are those of the stored reports, by reporter and report id; `opened` the
    members of every set that this one is compared with (`Policy.compare_sets`), each
    with the fewest members that its rounds asked for. `spent` is what openings have
    cost data owners so far, and `own` what this aggregator allows in all.
    """

    name: str
    federation: Federation
    spec: RoundSpec
    least: int
    digests: Mapping[tuple[str, str], str]
    opened: Mapping[frozenset[str], int]
    spent: Mapping[str, Spent] = field(default_factory=dict)
    own: OwnBudget | None = None


def require_openable(opening: Opening, context: OpeningContext) -> None:
    """Check a set before it is committed; pure. Its order and author were checked.

    The steps, in order:
        (1) it has as many members as this aggregator and the spec ask for;
        (2) each is in the spec's cohort, and a data owner on the roster;
        (3) of each, the very report is stored here;
        (4) of each, both aggregators gave a receipt for that report;
        (5) together with sets opened before it tells no small group apart;
        (6) each member has room for what it costs, in the study's budget and in this
            aggregator's own.

    Raises:
        PeerError: FS-320, FS-321, FS-323, FS-324 or FS-325; FS-7xx for a receipt.
        RoundStateError: FS-322.
    """
    members = opening.set
    if not len(members) >= context.least:  # (1)
        raise PeerError("FS-320", f"{len(members)} members, at least {context.least}")
    for member in members:  # (2)
        if member.reporter not in context.spec.cohort:
            raise PeerError("FS-321", f"{member.reporter} is not in the cohort")
        require_data_owner(context.federation, member.reporter)
    for member in members:  # (3)
        if (member.reporter, member.report_id) not in context.digests:
            raise RoundStateError("FS-322", f"{member.reporter} {member.report_id}")
    require_receipts(opening, context)  # (4)
    names = [member.reporter for member in members]
    require_groups(frozenset(names), context)  # (5)
    cost = charge_of(context.spec)
    require_room("FS-325", cost, names, context.spent, context.own)  # (6)


def require_receipts(opening: Opening, context: OpeningContext) -> None:
    """Check one receipt of each aggregator for every member, in the set's order.

    Raises:
        PeerError: FS-323; FS-7xx for a receipt that is not what it seems.
    """
    names = {party.name for party in context.federation.pair}
    if set(opening.receipts) != names:
        raise PeerError("FS-323", f"of {sorted(opening.receipts)}, not {sorted(names)}")
    for name, tokens in opening.receipts.items():
        if len(tokens) != len(opening.set):
            raise PeerError(
                "FS-323", f"{len(tokens)} of {name} for {len(opening.set)} members"
            )
        for member, token in zip(opening.set, tokens, strict=True):
            receipt = verify(token, Receipt, context.federation)
            _require_receipt(opening, member, name, receipt, context)


def require_groups(members: frozenset[str], context: OpeningContext) -> None:
    """Check that sums over these sets tell nothing about too few data owners.

    Data owners who are in the same ones of these sets form a group. Whatever is
    computed from the sums is a combination of the groups' sums, so it tells about
    whole groups alone. A group must be as large as the strictest of its sets asked
    for: a later round with a lower minimum undoes no promise of an earlier one.

    Guarantee: no combination of sums, of two sets or of many, is about a data owner
    together with fewer others than a round it took part in was granted for.

    Raises:
        PeerError: FS-324 with the size of a group and what it must be.
    """
    sets = {
        **context.opened,
        members: max(context.least, context.opened.get(members, 0)),
    }
    groups = Counter(
        frozenset(one for one in sets if name in one)
        for name in frozenset().union(*sets)
    )
    lacking = [
        (size, least)
        for group, size in groups.items()
        if not size >= (least := max(sets[one] for one in group))
    ]
    if lacking:
        size, least = min(lacking)
        raise PeerError("FS-324", f"it tells {size} members apart, at least {least}")


def _require_receipt(
    opening: Opening,
    member: Member,
    name: str,
    receipt: Signed[Receipt],
    context: OpeningContext,
) -> None:
    statement = receipt.statement
    expected = (opening.spec, name, member.reporter, member.report_id)
    if (
        statement.spec,
        statement.aggregator,
        statement.reporter,
        statement.report_id,
    ) != expected:
        raise PeerError(
            "FS-323", f"one of {name} is not for {member.reporter}'s report"
        )
    stored = context.digests[member.reporter, member.report_id]
    if name == context.name and statement.digest != stored:
        raise PeerError("FS-323", f"one of {name} is for other bytes than are stored")
