"""Rounds with noise: what one unit moves, what is opened, and how noisy it is."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2, kstest, norm

from fedsecure.core import noisy_scalars, scheme
from fedsecure.core.dp.sensitivity import Noise, Unit
from fedsecure.core.gaussian_release import mechanism_of
from fedsecure.core.mask import ReportContext
from fedsecure.core.params import COUNTS, Params, Scalar
from fedsecure.core.release import EXACT, ReleaseContext, keys_of, release
from fedsecure.core.scheme import AggregateShare, Mean, Measurement
from fedsecure.errors import PeerError

SPEC, OPENING = b"s" * 32, b"o" * 32
LOSS, BINS = Scalar("loss", -1.0, 3.0), Scalar("bins", 0.0, 1.0, 4)
ROWS, CELLS = Scalar("rows"), Scalar("cells", size=3)
OWNERS = ("basel", "bern", "chur", "genf")


def params_of(
    unit: Unit,
    dimension: int = 20,
    scalars: tuple[Scalar, ...] = (LOSS, BINS),
    z: float = 1.0,
    scalar_z: float = 1.0,
) -> Params:
    noise = Noise(unit, 1.0, z, scalar_z, equal_weights=True)
    return Params.derive(dimension, scalars, len(OWNERS), 1.0, 1, noise=noise)


def aggregated(
    params: Params, measurements: list[Measurement]
) -> tuple[AggregateShare, AggregateShare]:
    """Both aggregators' sums, as they are before anything is released."""
    sums = AggregateShare.empty(params), AggregateShare.empty(params)
    memory = np.empty(scheme.EXPANSION_BYTES, np.uint8)
    for number, (name, measurement) in enumerate(
        zip(OWNERS, measurements, strict=False)
    ):
        rand = bytes([number]) * scheme.RAND_BYTES
        sharding = scheme.shard(params, SPEC, name, measurement, rand)
        context = ReportContext(SPEC, sharding.report_id, name)
        vector = b"".join(sharding.vector)
        for total, kind, content in zip(
            sums, ("seed", "vector"), (sharding.seed, vector), strict=True
        ):
            scheme.aggregate(
                params,
                total,
                lambda kind=kind, content=content, context=context: scheme.prepare(  # type: ignore[misc]
                    params, context, kind, pieces(kind, content), memory
                ),
            )
    return sums


def pieces(kind: str, content: bytes) -> list[bytes]:
    if kind == "seed":
        return [content]
    return [content[i : i + 2**20] for i in range(0, len(content), 2**20)]


def exact(params: Params, measurements: list[Measurement]) -> NDArray[np.int64]:
    """All numbers of the sum without noise: tensor, then scalars, in steps."""
    a, b = aggregated(params, measurements)
    tensor = (a.tensor + b.tensor).view(np.int32).astype(np.int64)
    return np.concatenate([tensor, (a.scalars + b.scalars).view(np.int64)])


def released(params: Params, total: AggregateShare, seed: int) -> AggregateShare:
    keys = keys_of(bytes([seed]) * 32, ReleaseContext(SPEC, OPENING))
    records = release(params, total, mechanism_of(params), keys)
    plaintext = b"".join(bytes(record) for record in records)
    return AggregateShare.from_plaintext(params, plaintext, total.count)


def opened(params: Params, measurements: list[Measurement], honest: int = 2) -> Mean:
    """What the model owner sees where so many aggregators add their noise."""
    shares = [
        released(params, total, seed) if seed < honest else total
        for seed, total in enumerate(aggregated(params, measurements))
    ]
    return scheme.unshard(params, *shares)


def of_owner(rand: np.random.Generator, dimension: int = 20) -> Measurement:
    update = rand.normal(0, 0.3, dimension).astype(np.float32)
    bins = rand.dirichlet(np.ones(4)).tolist()
    metrics = {"loss": float(rand.uniform(-2, 4)), "bins": bins}
    return Measurement(update, 1, metrics)


owners = st.integers(min_value=0, max_value=2**32).map(
    lambda seed: of_owner(np.random.default_rng(seed))
)


@settings(deadline=None, max_examples=40)
@given(owners, st.lists(owners, min_size=1, max_size=3))
def test_one_data_owner_moves_a_sum_by_no_more_than_both_sensitivities(
    one: Measurement, others: list[Measurement]
) -> None:
    params = params_of(Unit.DATA_OWNER)
    moved = exact(params, [*others, one]) - exact(params, others)
    tensor, scalars = params.noise_steps, params.scalar_noise_steps
    assert tensor is not None
    assert scalars is not None
    assert np.linalg.norm(moved[: params.dimension]) <= tensor.sensitivity
    assert np.linalg.norm(moved[params.dimension :]) <= scalars.sensitivity


class Table:
    """The rows of one data owner: some trained on, some held out."""

    def __init__(self, rand: np.random.Generator, rows: int) -> None:
        gradients = rand.normal(0, 1, (rows, 20))
        lengths = np.linalg.norm(gradients, axis=1, keepdims=True)
        self.gradients = gradients / np.maximum(1, lengths)
        self.losses = rand.uniform(-1, 3, rows)
        self.bins = np.eye(4)[rand.integers(0, 4, rows)]
        self.held_out = rand.random(rows) < 0.3

    def without(self, row: int) -> "Table":
        less = object.__new__(Table)
        for name, values in vars(self).items():
            setattr(less, name, np.delete(values, row, axis=0))
        return less

    def measurement(self) -> Measurement:
        out = self.held_out
        update = -self.gradients[~out].sum(axis=0)
        held = int(out.sum())
        metrics: dict[str, Any] = {
            "loss": float(self.losses[out].mean()) if held else 0.0,
            "bins": (self.bins[out].mean(axis=0) if held else np.zeros(4)).tolist(),
        }
        return Measurement(
            update.astype(np.float32), int((~out).sum()), metrics, measured=held
        )


@settings(deadline=None, max_examples=40)
@given(st.integers(min_value=0, max_value=2**32), st.integers(1, 60))
def test_one_row_moves_a_sum_by_no_more_than_both_sensitivities(
    seed: int, rows: int
) -> None:
    rand = np.random.default_rng(seed)
    params, table = params_of(Unit.ROW), Table(rand, rows)
    less = table.without(int(rand.integers(rows)))
    moved = exact(params, [table.measurement()])
    moved -= exact(params, [less.measurement()])
    tensor, scalars = params.noise_steps, params.scalar_noise_steps
    assert tensor is not None
    assert scalars is not None
    assert np.linalg.norm(moved[: params.dimension]) <= tensor.sensitivity
    assert np.linalg.norm(moved[params.dimension :]) <= scalars.sensitivity


def test_opened_minus_exact_is_the_noise_of_two_aggregators() -> None:
    params = params_of(Unit.DATA_OWNER, dimension=2**17 + 5000, z=3.0)
    rand = np.random.default_rng(7)
    measurements = [of_owner(rand, params.dimension) for _ in OWNERS]
    a, b = aggregated(params, measurements)
    both = [released(params, total, seed) for seed, total in enumerate((a, b))]
    noise = (both[0].tensor + both[1].tensor - a.tensor - b.tensor).view(np.int32)
    steps = params.noise_steps
    assert steps is not None
    deviation = math.sqrt(2) * steps.sigma
    square = float((noise.astype(np.float64) ** 2).sum() / deviation**2)
    assert 1e-4 < chi2.sf(square, noise.size) < 1 - 1e-4
    # Steps are so fine that the sum of two discrete Gaussians is a Gaussian to see.
    assert kstest(noise, norm(0, deviation).cdf).pvalue > 1e-4
    neighbours = np.corrcoef(noise[:-1], noise[1:])[0, 1] * math.sqrt(noise.size)
    assert abs(neighbours) < 4


def test_one_aggregator_that_adds_none_leaves_the_noise_of_the_other() -> None:
    params = params_of(Unit.DATA_OWNER, dimension=20_000, z=3.0)
    rand = np.random.default_rng(8)
    measurements = [of_owner(rand, params.dimension) for _ in OWNERS]
    a, _ = aggregated(params, measurements)
    noise = (released(params, a, 0).tensor - a.tensor).view(np.int32)
    steps = params.noise_steps
    assert steps is not None
    square = float((noise.astype(np.float64) ** 2).sum() / steps.sigma**2)
    assert 1e-4 < chi2.sf(square, noise.size) < 1 - 1e-4
    # What the promise counts: D^2 / (2 sigma^2) is within what the round is charged.
    scalars = params.scalar_noise_steps
    assert scalars is not None
    assert params.cost is not None
    alone = sum(
        one.sensitivity**2 / (2 * one.sigma**2) * 1e12 for one in (steps, scalars)
    )
    assert alone <= params.cost <= alone + 2


def test_what_is_opened_of_data_owners_is_near_the_mean_of_what_they_measured() -> None:
    # So little noise that only the arithmetic is left to be seen.
    params = params_of(Unit.DATA_OWNER, z=0.02, scalar_z=0.02)
    rand = np.random.default_rng(9)
    measurements = [of_owner(rand) for _ in OWNERS]
    mean = opened(params, measurements)
    wanted = np.mean(
        [
            one.update / max(1.0, float(np.linalg.norm(one.update)))
            for one in measurements
            if one.update is not None
        ],
        axis=0,
    )
    assert np.abs(mean.update - wanted).max() < 0.05
    losses = [min(max(float(one.metrics["loss"]), -1), 3) for one in measurements]  # type: ignore[arg-type]
    assert mean.scalars["loss"] == pytest.approx(np.mean(losses), abs=0.3)
    assert (mean.count, mean.total_weight, mean.undefined, mean.clamped) == (4, 4, 0, 0)
    longer = [
        np.linalg.norm(one.update) > 1 for one in measurements if one.update is not None
    ]
    assert mean.clipped == sum(longer)


def test_what_is_opened_of_rows_is_divided_by_their_noisy_number() -> None:
    params = params_of(Unit.ROW, scalars=(LOSS, ROWS, CELLS), scalar_z=0.05)
    given_ = {"loss": 1.0, "rows": 50, "cells": [10, 0, 40]}
    update = np.zeros(20, np.float32)
    mean = opened(params, [Measurement(update, 150, given_, measured=50)] * 4)
    assert mean.deviations is not None
    assert mean.deviations.weight == pytest.approx(
        math.sqrt(2) * 0.05 * math.sqrt(5), rel=0.01
    )
    assert abs(mean.total_weight - 600) <= 5 * mean.deviations.weight + 1
    assert mean.scalars["loss"] == pytest.approx(1.0, abs=0.02)
    rows, cells = mean.scalars["rows"], mean.scalars["cells"]
    assert isinstance(rows, int)
    assert abs(rows - 200) <= 2
    assert np.abs(np.subtract(cells, [40, 0, 160])).max() <= 2  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", list(Unit))
@pytest.mark.parametrize("harm", ["update", "loss", "bins"])
def test_what_is_not_finite_becomes_zeros_and_is_reported(
    unit: Unit, harm: str
) -> None:
    params = params_of(unit)
    update = np.full(20, 0.1, np.float32)
    metrics: dict[str, Any] = {"loss": 1.0, "bins": [0.25] * 4}
    good = exact(params, [Measurement(update, 100, metrics, measured=20)])
    if harm == "update":
        update = np.where(np.arange(20) == 3, np.float32(np.nan), update)
    else:
        metrics |= {harm: math.inf if harm == "loss" else [math.nan, 0, 0, 0]}
    found = exact(params, [Measurement(update, 100, metrics, measured=20)])
    words = [*range(20), *(20 + COUNTS.index(name) for name in ("weight", "clipped"))]
    of_update = np.isin(np.arange(found.size), words)
    zeros = of_update if harm == "update" else ~of_update
    assert not found[zeros].any()
    # A row that was held out moves nothing of what was trained, and the other way.
    assert np.array_equal(found[~zeros], good[~zeros])


@pytest.mark.parametrize("unit", list(Unit))
def test_the_other_words_of_core_tell_nothing_in_a_round_with_noise(unit: Unit) -> None:
    params = params_of(unit)
    rand = np.random.default_rng(3)
    words = exact(params, [of_owner(rand)])[params.dimension :]
    told = {"clipped", "measured"} | ({"weight"} if unit is Unit.ROW else set())
    for name, word in zip(COUNTS, words.tolist(), strict=False):
        assert word == 0 or name in told


def test_a_longer_vector_of_one_data_owner_is_brought_to_length_one() -> None:
    params = params_of(Unit.DATA_OWNER, scalars=(BINS,))
    metrics = {"bins": [1.0, 1.0, 1.0, 1.0]}
    words = exact(params, [Measurement(np.zeros(20, np.float32), 1, metrics)])
    assert words[-4:].tolist() == [params.metric_steps // 2] * 4


def test_sums_that_no_reports_and_noise_can_have_are_refused() -> None:
    params = params_of(Unit.DATA_OWNER)
    a, b = aggregated(params, [of_owner(np.random.default_rng(1))] * 4)
    a.tensor[0] += np.uint32(2**30)
    with pytest.raises(PeerError, match="FS-725"):
        scheme.unshard(params, a, b)
    a, b = aggregated(params, [of_owner(np.random.default_rng(1))] * 4)
    a.scalars[0] += np.uint64(2**40)
    with pytest.raises(PeerError, match="FS-725"):
        scheme.unshard(params, a, b)


def test_metrics_that_noise_drowns_are_no_numbers() -> None:
    params = params_of(Unit.ROW, scalar_z=40.0)
    section = np.zeros(params.scalar_count, np.uint64)
    totals = noisy_scalars.decode(params, section, 4)
    mean = noisy_scalars.mean(params, np.zeros(20), totals, 4)
    assert mean.scalars == {"loss": None, "bins": None}
    assert mean.total_weight == 1


def test_a_round_without_noise_releases_the_very_sum() -> None:
    params = Params.derive(20, (LOSS,), 4, 1.0, 1)
    assert mechanism_of(params) is EXACT
