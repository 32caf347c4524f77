"""The statements that the model owner writes in a round, before they are signed."""

from collections.abc import Iterable, Mapping
from typing import Final

from fedsecure.core.params import Params
from fedsecure.core.sealing import sealing_key
from fedsecure.errors import OperatorError
from fedsecure.owner.rounds.proposal import Proposal, ReceiptPair, RoundRequest
from fedsecure.owner.rounds.receipts import members
from fedsecure.protocol.encodings import base64url
from fedsecure.protocol.parameters import planned_params
from fedsecure.protocol.statements import Fold, Opening, Purpose, Read, RoundSpec
from fedsecure.study.terms import SUITE

TICKET_SECONDS: Final = 300


def spec_of(
    request: RoundRequest, federation: str, key: sealing_key.SealingKey, now: float
) -> RoundSpec:
    """Return the spec of a round.

    Args:
        request: What the model owner wants to know.
        federation: Digest of the federation.
        key: The round's own.
        now: Seconds since 1970.

    Raises:
        OperatorError: FS-2xx when the numbers do not fit.
    """
    if (request.purpose is Purpose.TRAIN) != (request.dimension > 0):
        raise OperatorError(
            "FS-200", f"{request.dimension} parameters to {request.purpose}"
        )
    params = params_for(request)
    return RoundSpec(
        federation=federation,
        run=request.run,
        round=request.round,
        purpose=request.purpose,
        attempt=request.attempt,
        task=request.task,
        model=request.model,
        dimension=request.dimension,
        scalars=list(request.scalars),
        suite=SUITE,
        fraction_bits=params.fraction_bits,
        clip=request.clip,
        statistics=request.statistics,
        privacy=request.privacy,
        study=request.study,
        weight_cap=request.weight_cap,
        weighting=request.weighting,
        cohort=sorted(request.cohort),
        min_cohort=request.min_cohort,
        deadline=int(now + request.seconds),
        sealing_key=base64url(key.public_bytes),
    )


def params_for(request: RoundRequest) -> Params:
    """Return the numbers of a round before there is a spec of it.

    Raises:
        OperatorError: FS-2xx when they do not fit.
    """
    asked = len(request.cohort)
    return planned_params(request, request.purpose, request.dimension, asked)


def fold_of(proposal: Proposal, receipts: Mapping[str, ReceiptPair]) -> Fold:
    """Return what has both aggregators add up exactly these reporters' shares."""
    return Fold(
        federation=proposal.spec.statement.federation,
        spec=proposal.spec.digest,
        set=members(receipts),
    )


def opening_of(
    proposal: Proposal, receipts: Mapping[str, ReceiptPair], aggregators: Iterable[str]
) -> Opening:
    """Return the opening of exactly these reporters' sum."""
    names = sorted(receipts)
    return Opening(
        federation=proposal.spec.statement.federation,
        spec=proposal.spec.digest,
        set=members(receipts),
        receipts={
            server: [receipts[name][server].token for name in names]
            for server in sorted(aggregators)
        },
    )


def ticket_for(proposal: Proposal, aggregator: str, reader: str, now: float) -> Read:
    """Return a ticket to read how a round stands at one aggregator."""
    return Read(
        federation=proposal.spec.statement.federation,
        aggregator=aggregator,
        reader=reader,
        method="GET",
        path=f"/v1/rounds/{proposal.spec.digest}",
        expires=int(now) + TICKET_SECONDS,
    )
