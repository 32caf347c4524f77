"""A round with honest parties, and with answers that get lost."""

from dataclasses import replace
from fractions import Fraction

import httpx
import numpy as np
import pytest

from fedsecure.owner.rounds.receipts import pairs
from fedsecure.owner.store.records import RoundVoided
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import RoundSpec
from tests.protocol.federation import (
    DIMENSION,
    HOSPITALS,
    Handler,
    MemoryFederation,
    NoLog,
    measurement_of,
    refused,
    update_of,
)


def exact_mean(weights: dict[str, int]) -> list[Fraction]:
    total = sum(weights.values())
    updates = {name: update_of(name) for name in weights}
    return [
        sum(Fraction(float(updates[name][i])) * w for name, w in weights.items())
        / total
        for i in range(DIMENSION)
    ]


def test_opened_mean_is_the_exact_weighted_mean_within_the_guarantee(
    memory: MemoryFederation,
) -> None:
    proposal = memory.owner.propose(memory.request())
    weights = dict(zip(HOSPITALS, (16, 128, 512, 64), strict=True))
    receipts = {
        name: memory.hospitals[name].answer(proposal, measurement_of(name, weight))
        for name, weight in weights.items()
    }
    opened = memory.owner.open(proposal, receipts)
    total = sum(Fraction(w, 1000) for w in weights.values())
    bound = len(weights) * Fraction(1, 2) / Fraction(proposal.params.scale) / total
    worst = max(
        abs(Fraction(float(got)) - exact)
        for got, exact in zip(opened.mean.update, exact_mean(weights), strict=True)
    )
    assert 0 < worst <= bound * Fraction(11, 10)
    assert opened.mean.total_weight == sum(weights.values())


def test_receipts_lost_on_the_way_to_the_owner_are_asked_for_again(
    memory: MemoryFederation,
) -> None:
    proposal = memory.owner.propose(memory.request())
    for name in HOSPITALS:
        memory.hospitals[name].answer(proposal, measurement_of(name))
    standing = pairs(memory.owner.held(proposal))
    assert sorted(standing) == sorted(HOSPITALS)
    assert memory.owner.open(proposal, standing).mean.count == len(HOSPITALS)


def test_a_data_owner_with_one_receipt_only_is_not_in_the_set(
    memory: MemoryFederation,
) -> None:
    proposal = memory.owner.propose(memory.request())
    memory.wires["south"].fault = unreachable
    with refused("FS-551"):
        memory.hospitals["basel"].answer(proposal, measurement_of("basel"))
    memory.wires["south"].fault = None
    for name in HOSPITALS[1:]:
        memory.hospitals[name].answer(proposal, measurement_of(name))
    assert sorted(pairs(memory.owner.held(proposal))) == sorted(HOSPITALS[1:])


def test_an_agent_that_crashed_sends_the_same_bytes_and_never_shards_again(
    memory: MemoryFederation,
) -> None:
    bodies: list[bytes] = []

    def lose_the_answer(request: httpx.Request, deliver: Handler) -> httpx.Response:
        bodies.append(request.read())
        deliver(request)
        return unreachable(request, deliver)

    def record(request: httpx.Request, deliver: Handler) -> httpx.Response:
        bodies.append(request.read())
        return deliver(request)

    proposal = memory.owner.propose(memory.request())
    memory.wires["south"].fault = lose_the_answer
    with refused("FS-551"):
        memory.hospitals["basel"].answer(proposal, measurement_of("basel"))
    memory.wires["south"].fault = record
    again = memory.hospital("basel")
    receipts = again.answer(proposal, measurement_of("bern"))
    assert sorted(receipts) == ["north", "south"]
    assert len(set(bodies)) == 1
    with refused("FS-348"):
        again.contributor.contribute(again.accept(proposal), measurement_of("basel"))


def test_an_opening_whose_answer_was_lost_is_asked_for_again(
    memory: MemoryFederation,
) -> None:
    proposal = memory.owner.propose(memory.request())
    receipts = {
        name: memory.hospitals[name].answer(proposal, measurement_of(name))
        for name in HOSPITALS
    }
    openings = []
    memory.wires["north"].fault = lambda request, deliver: (
        openings.append(request.read()),
        deliver(request),
        unreachable(request, deliver),
    )[2]
    with refused("FS-551"):
        memory.owner.open(proposal, receipts)
    memory.wires["north"].fault = None
    (kept,) = memory.store.open_rounds("run-1")
    assert kept.opening is not None
    assert kept.opening.encode() == openings[0]


def test_a_void_round_opens_nothing_and_a_new_attempt_goes_on(
    memory: MemoryFederation,
) -> None:
    first = memory.owner.propose(memory.request())
    receipts = {
        name: memory.hospitals[name].answer(first, measurement_of(name))
        for name in HOSPITALS
    }
    confirmed = memory.owner.void(first.spec, "a test").confirmations
    assert sorted(confirmed) == ["north", "south"]
    memory.store.void_round(RoundVoided(first.spec.digest, "a test"))
    forgetful = replace(memory.owner, log=NoLog())
    with refused("FS-305"):
        forgetful.open(first, receipts)
    second = memory.owner.propose(memory.request(attempt=2))
    for name in HOSPITALS:
        memory.hospitals[name].answer(second, measurement_of(name))
    assert len(pairs(memory.owner.held(second))) == len(HOSPITALS)


def test_a_round_that_one_aggregator_never_granted_is_void_at_the_other(
    memory: MemoryFederation,
) -> None:
    specs: list[Signed[RoundSpec]] = []
    memory.wires["south"].fault = unreachable

    class Remember(NoLog):
        def propose(self, spec: Signed[RoundSpec]) -> None:
            specs.append(spec)

    with refused("FS-551"):
        replace(memory.owner, log=Remember()).propose(memory.request())
    memory.wires["south"].fault = None
    voided = memory.owner.void(specs[0], "south was away")
    assert (sorted(voided.confirmations), voided.opened) == (["north"], [])
    memory.owner.propose(memory.request(attempt=2))


def test_fewer_than_min_cohort_are_never_opened(memory: MemoryFederation) -> None:
    proposal = memory.owner.propose(memory.request())
    receipts = {
        name: memory.hospitals[name].answer(proposal, measurement_of(name))
        for name in HOSPITALS[:2]
    }
    with refused("FS-353"):
        memory.owner.open(proposal, receipts)


@pytest.mark.parametrize("unmeasured", [("genf",), ("chur", "genf"), HOSPITALS])
def test_who_measured_nothing_is_counted_and_not_in_the_mean(
    memory: MemoryFederation, unmeasured: tuple[str, ...]
) -> None:
    proposal = memory.owner.propose(memory.request())
    receipts = {}
    for name in HOSPITALS:
        measurement = measurement_of(name)
        if name in unmeasured:
            measurement = type(measurement)(update_of(name), 128, {"loss": np.nan})
        receipts[name] = memory.hospitals[name].answer(proposal, measurement)
    opened = memory.owner.open(proposal, receipts)
    assert (opened.mean.undefined, opened.mean.clamped) == (len(unmeasured), 0)
    measured = [0.25 * len(name) for name in HOSPITALS if name not in unmeasured]
    if len(measured) < proposal.spec.statement.min_cohort:
        assert opened.mean.scalars == {"loss": None}
    else:
        expected = sum(measured) / len(measured)
        assert opened.mean.scalars["loss"] == pytest.approx(expected, abs=1e-6)


def unreachable(request: httpx.Request, _deliver: Handler) -> httpx.Response:
    msg = "cut by the test"
    raise httpx.ConnectError(msg, request=request)
