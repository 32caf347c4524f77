"""The model owner's ledger: which statements its entries hold, and what they show.

Of each entry it is checked that
    (1) a spec and an opening were signed by the model owner itself;
    (2) a round was granted by both aggregators, for this spec;
    (3) an opening has, of both aggregators, one receipt for each member's report;
    (4) what was opened has both aggregate shares, of this very opening, set and count;
    (5) a confirmation of void is by the aggregator that it is noted under.

What stands in entries about jobs is checked by `owner_jobs`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from sqlalchemy.orm import Session

from fedsecure.audit.stores import owner_jobs
from fedsecure.audit.stores.evidence import Deed, Evidence, HeldStatement, Spec
from fedsecure.audit.stores.kinds import Kind, require
from fedsecure.owner.store.models import Base, Event as EventRow, Round
from fedsecure.owner.store.projection import project
from fedsecure.owner.store.rounds import MIGRATIONS
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.parameters import cost_of
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import (
    AggregateShareHeader,
    Event,
    Opening,
    Receipt,
    RoundGrant,
    RoundSpec,
    Void,
)


def read(session: Session, event: Event, keys: Federations) -> Iterator[Evidence]:
    """Check an entry's statements, and yield what they are evidence of.

    Raises:
        PeerError: FS-637 when one belongs elsewhere, FS-7xx for its signature.
    """
    reader = _READERS.get(event.kind)
    if reader is not None:
        yield from reader(session, event, keys)


def receipts_of(
    opening: Signed[Opening], keys: Federations
) -> Iterator[Signed[Receipt]]:
    """Check an opening's receipts, and yield them.

    Raises:
        PeerError: FS-637 unless there is one of each aggregator for each member's
            report; FS-7xx.
    """
    statement = opening.statement
    require(
        set(statement.receipts) == set(keys.pair),
        "receipts are not of both aggregators",
    )
    for name, tokens in statement.receipts.items():
        require(len(tokens) == len(statement.set), f"{len(tokens)} receipts of {name}")
        for member, token in zip(statement.set, tokens, strict=True):
            receipt = keys.verify(token, Receipt)
            got = receipt.statement
            require(
                (got.spec, receipt.signer, got.reporter, got.report_id)
                == (statement.spec, name, member.reporter, member.report_id),
                f"a receipt of {name} is not for {member.reporter}'s report",
            )
            yield receipt


def receipt_held(receipt: Signed[Receipt]) -> HeldStatement:
    """Return a receipt as evidence."""
    got = receipt.statement
    return HeldStatement(
        "receipt", receipt.signer, got.spec, got.reporter, got.digest, head=got.head
    )


def _proposed(_session: Session, event: Event, keys: Federations) -> Iterator[Evidence]:
    spec = keys.verify(event.body["spec"], RoundSpec)
    require(spec.signer == event.author, f"the spec is by {spec.signer}")
    yield Spec(spec.digest, spec.signer, spec.statement, spec.statement.min_cohort)
    yield Deed("proposed", spec.digest)
    # Computed anew: sigma and its cost, from what was signed alone.
    privacy, cost = spec.statement.privacy, cost_of(spec.statement)
    if privacy is not None and cost is not None:
        under = f"{privacy.unit} {spec.statement.study}"
        yield Deed("costs", spec.digest, content=under, number=cost)


def _granted(_session: Session, event: Event, keys: Federations) -> Iterator[Evidence]:
    digest, tokens = event.body["spec_digest"], event.body["grants"]
    require(set(tokens) == set(keys.pair), "grants are not of both aggregators")
    for name, token in tokens.items():
        grant = keys.verify(token, RoundGrant)
        statement = grant.statement
        require(
            (grant.signer, statement.spec) == (name, digest),
            f"the grant under {name} is not",
        )
        yield HeldStatement(
            "grant",
            name,
            digest,
            content=statement.sealing_key,
            number=statement.expires,
            head=statement.head,
        )
    yield Deed("granted", digest)


def _opening(_session: Session, event: Event, keys: Federations) -> Iterator[Evidence]:
    opening = keys.verify(event.body["opening"], Opening)
    statement = opening.statement
    require(opening.signer == event.author, f"the opening is by {opening.signer}")
    yield from map(receipt_held, receipts_of(opening, keys))
    yield Deed(
        "opening", statement.spec, content=opening.digest, number=len(statement.set)
    )
    for member in statement.set:
        yield Deed("member", statement.spec, member.reporter, member.report_id)


def _opened(session: Session, event: Event, keys: Federations) -> Iterator[Evidence]:
    digest = event.body["spec_digest"]
    row = session.get_one(Round, digest)
    headers = [keys.verify(one, AggregateShareHeader) for one in event.body["shares"]]
    require(
        sorted(one.signer for one in headers) == sorted(keys.pair),
        "aggregate shares are not of both aggregators",
    )
    for header in headers:
        statement = header.statement
        require(
            (statement.spec, statement.opening, statement.set, statement.count)
            == (digest, row.opening_digest, row.set_digest, row.set_size),
            f"the aggregate share of {header.signer} is of another opening",
        )
        yield HeldStatement(
            "share",
            header.signer,
            digest,
            content=statement.digest,
            number=statement.length,
            head=statement.head,
        )
    yield Deed("opened", digest)


def _void(_session: Session, event: Event, keys: Federations) -> Iterator[Evidence]:
    digest = event.body["spec_digest"]
    for name, token in event.body["confirmations"].items():
        void = keys.verify(token, Void)
        require(
            (void.signer, void.statement.spec) == (name, digest),
            f"the confirmation under {name} is not",
        )
        yield HeldStatement("void", name, digest)
    yield Deed("void", digest)


_READERS: Final[
    Mapping[str, Callable[[Session, Event, Federations], Iterator[Evidence]]]
] = {
    "round-proposed": _proposed,
    "round-granted": _granted,
    "round-opening": _opening,
    "round-opened": _opened,
    "round-void": _void,
    "job-proposed": owner_jobs.proposed,
    "job-result": owner_jobs.noted,
}

KIND: Final = Kind(
    name="round store",
    metadata=Base.metadata,
    events=EventRow,
    migrations=MIGRATIONS,
    project=project,
    read=read,
    opened="opened",  # an opening is what it asked for: aggregators may refuse it
)
