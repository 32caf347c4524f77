"""Rounds with noise at a pair of aggregators: seeds, shares, and power cuts."""

import hashlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from fedsecure.core import scheme
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.core.gaussian_release import mechanism_of
from fedsecure.core.release import ReleaseContext, keys_of
from fedsecure.protocol.signing import Signed, verify
from fedsecure.protocol.statements import Inclusion, Opening, PrivacyField, RoundGrant
from fedsecure.system.crash_points import Point
from fedsecure_aggregator.rounds import reads
from tests.unit.aggregator.conftest import Pair, with_policy
from tests.unit.aggregator.test_release import (
    Receipts,
    crash,
    fail_to_seal,
    noisy,
    refused,
    seed_file,
    shares,
)
from tests.unit.aggregator.world import CLIP, HOSPITALS, Round

PRIVACY = PrivacyField(
    unit=Unit.DATA_OWNER,
    unit_clip=CLIP,
    noise=1.5,
    scalar_noise=1.0,
    evaluation_noise=1.0,
    every_round=True,
    epsilon=50.0,
    delta=1e-5,
)
STUDY = "5" * 64
OF_AN_OPENING = [
    Point.ADDED_UP,
    Point.SHARE_ON_DISK,
    Point.OPENING_COMMITTED,
    Point.SCRUBBED,
]


def collected(
    pair: Pair, dimension: int = 1000, **changes: Any
) -> tuple[Round, Receipts, Signed[Opening]]:
    asked = pair.world.propose(
        privacy=PRIVACY, study=STUDY, dimension=dimension, **changes
    )
    receipts = pair.collect(asked, *HOSPITALS)
    return asked, receipts, pair.world.opening(asked, receipts)


def noise_of(
    pair: Pair, asked: Round, both: list[scheme.AggregateShare]
) -> NDArray[np.float64]:
    """What was opened minus the exact sum of the encoded updates, in steps."""
    opened = (both[0].tensor + both[1].tensor).view(np.int32)
    scale = asked.params.scale
    exact = sum(
        np.rint(pair.world.update(name, asked.params.dimension) * np.float64(scale))
        for name in HOSPITALS
    )
    return opened - np.asarray(exact, np.float64)


def test_a_grant_binds_an_aggregator_to_its_noise(pair: Pair) -> None:
    asked = pair.world.propose(privacy=PRIVACY, study=STUDY)
    tokens = [server.grant(asked) for server in pair.servers.values()]
    said = [
        verify(token, RoundGrant, pair.world.federation).statement.noise
        for token in tokens
    ]
    assert (
        said[0] == hashlib.sha256(seed_file(pair, asked).read_bytes()[:32]).hexdigest()
    )
    assert said[0] != said[1]
    assert pair.north.grant(asked) == tokens[0]


def test_a_grant_of_a_round_without_noise_names_none(pair: Pair) -> None:
    asked = pair.world.propose()
    token = pair.north.grant(asked)
    assert verify(token, RoundGrant, pair.world.federation).statement.noise is None
    assert not seed_file(pair, asked).exists()


def test_what_is_opened_is_the_exact_sum_and_the_noise_of_both(pair: Pair) -> None:
    asked, _, opening = collected(pair, dimension=20_000)
    steps = asked.params.noise_steps
    assert steps is not None
    found = noise_of(pair, asked, shares(pair, asked, opening))
    square = float((found**2).sum() / (2 * steps.sigma**2))
    assert 1e-4 < chi2.sf(square, found.size) < 1 - 1e-4


@pytest.mark.parametrize("point", OF_AN_OPENING)
def test_a_power_cut_at_any_point_of_an_opening_draws_no_second_noise(
    pair: Pair, point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, _, opening = collected(pair)
    fail_to_seal(pair, asked, opening, monkeypatch)  # a draw that nobody got
    # What leaves is the draw of the seed that the grant named, and no other one.
    seed = seed_file(pair, asked).read_bytes()[:32]
    opened = ReleaseContext(bytes.fromhex(asked.digest), bytes.fromhex(opening.digest))
    total = pair.north.context.accumulator.total(asked.digest)
    records = mechanism_of(asked.params).records(total, keys_of(seed, opened))
    wanted = b"".join(bytes(record) for record in records)
    crash(pair, asked, opening, point, monkeypatch)
    for _ in range(2):
        pair.restart("north")
        share = pair.world.unseal(asked, opening, pair.north.open(asked, opening))
        assert share.tensor.tobytes() + share.scalars.tobytes() == wanted


def test_an_aggregator_whose_seed_is_gone_opens_nothing(pair: Pair) -> None:
    asked, _, opening = collected(pair)
    content = bytearray(seed_file(pair, asked).read_bytes())
    content[0] ^= 1
    seed_file(pair, asked).write_bytes(content)
    assert refused(lambda: pair.north.open(asked, opening)) == "FS-308"
    seed_file(pair, asked).unlink()
    assert refused(lambda: pair.north.open(asked, opening)) == "FS-308"


def test_an_inclusion_says_what_the_opening_cost(pair: Pair) -> None:
    asked, _, opening = collected(pair)
    shares(pair, asked, opening)
    token = reads.inclusion(pair.north.context, asked.digest, HOSPITALS[0])
    said = verify(token, Inclusion, pair.world.federation).statement
    assert said.included
    assert said.charged == asked.params.cost
    assert said.charged > 0


def test_tables_are_made_for_a_round_that_is_granted_and_no_other(pair: Pair) -> None:
    noise = noisy(pair.north)
    proposed = pair.world.propose(privacy=PRIVACY, study=STUDY, min_cohort=2)
    with_policy(pair.north, min_cohort=5)
    assert refused(lambda: pair.north.grant(proposed)) == "FS-400"
    assert noise.warmed_up == 0
    with_policy(pair.north, min_cohort=3)
    pair.north.grant(proposed)
    assert noise.warmed_up == 1
