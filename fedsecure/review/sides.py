"""What both aggregators signed about a round, next to each other.

From the model owner's own store: grants, receipts, aggregate shares, confirmations of
a void round. Signatures were checked when they came; an audit checks them again.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.orm import Session

from fedsecure.owner.store.models import Round
from fedsecure.protocol.encodings import from_base64url
from fedsecure.protocol.statements import (
    AggregateShareHeader,
    Opening,
    RoundGrant,
    Statement,
    Void,
)
from fedsecure.protocol.stored_statements import stored
from fedsecure.terminal.values import SHORT

S = TypeVar("S", bound=Statement)


@dataclass(frozen=True, slots=True)
class Side:
    """One aggregator's part of a round; None: not yet, or not at all."""

    aggregator: str
    grant: RoundGrant | None = None
    receipts: int | None = None
    share: AggregateShareHeader | None = None
    void: Void | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing that both say.

    Args:
        what: What it is.
        values: What each aggregator says; `-`: nothing.
        agree: Whether both say what they must: the same, or different keys. None
            where nothing has to agree.
    """

    what: str
    values: tuple[str, ...]
    agree: bool | None = None


@dataclass(frozen=True, slots=True)
class Sides:
    """Both aggregators in the order of their names, the first being A."""

    names: tuple[str, ...]
    facts: Sequence[Compared]

    @property
    def differ(self) -> list[str]:
        """What they do not agree on."""
        return [one.what for one in self.facts if one.agree is False]


def read_sides(session: Session, spec_digest: str) -> Sides:
    """Read what both aggregators signed about a round.

    Raises:
        PeerError: FS-701 when a stored statement was changed.
    """
    row = session.get_one(Round, spec_digest)
    both = list(_sides(row))
    return Sides(tuple(one.aggregator for one in both), list(_facts(both, row)))


def _sides(row: Round) -> Iterator[Side]:
    shares = [stored(one, AggregateShareHeader).statement for one in row.shares]
    receipts = {}
    if row.opening is not None:
        receipts = stored(row.opening, Opening).statement.receipts
    for name in sorted({*row.grants, *receipts, *row.voids}):
        yield Side(
            aggregator=name,
            grant=_one(row.grants.get(name), RoundGrant),
            receipts=len(receipts[name]) if name in receipts else None,
            share=next((one for one in shares if one.aggregator == name), None),
            void=_one(row.voids.get(name), Void),
        )


def _one(token: str | None, kind: type[S]) -> S | None:
    return None if token is None else stored(token, kind).statement


def _facts(both: Sequence[Side], row: Round) -> Iterator[Compared]:
    grants = [one.grant for one in both if one.grant is not None]
    shares = [one.share for one in both if one.share is not None]
    if len(grants) == len(both) > 0:
        specs = [one.spec for one in grants]
        keys = [_short_digest(one.sealing_key) for one in grants]
        yield _same("granted this spec", specs, row.spec_digest)
        yield Compared(
            "sealing key of this round", tuple(keys), len({*keys}) == len(keys)
        )
        yield _any(
            "ledger when granted", [_entries(one.head.entries) for one in grants]
        )
    if any(one.receipts is not None for one in both):
        counts = [str(one.receipts) for one in both]
        yield _same("receipts of the set", counts, str(row.set_size))
    if len(shares) == len(both) > 0:
        opened = [one.opening for one in shares]
        yield _same("added up for the opening", opened, row.opening_digest)
        yield _same("set", [one.set for one in shares], row.set_digest)
        counts = [str(one.count) for one in shares]
        yield _same("reports in the sum", counts, str(row.set_size))
        yield _any("aggregate share (SHA-256)", [one.digest[:SHORT] for one in shares])
        yield _any("size of the share", [f"{one.length:,} B" for one in shares])
        yield _any(
            "ledger when added up", [_entries(one.head.entries) for one in shares]
        )
    if row.state == "void":
        voids = ["confirmed" if one.void else "-" for one in both]
        yield _any("void", voids)


def _same(what: str, values: Sequence[str], expected: str | None) -> Compared:
    """Compare with what the model owner's own statements say."""
    agree = all(one == expected for one in values)
    return Compared(what, tuple(one[:SHORT] for one in values), agree)


def _any(what: str, values: Sequence[str]) -> Compared:
    return Compared(what, tuple(values))


def _entries(number: int) -> str:
    return f"{number:,} entries"


def _short_digest(key: str) -> str:
    return hashlib.sha256(from_base64url(key)).hexdigest()[:SHORT]
