"""Discrete Gaussian noise: its exact probabilities, its ties, and who can repeat it."""

from collections import Counter
from decimal import Decimal, localcontext
from itertools import islice, pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from fedsecure.core import domains
from fedsecure.core.dp import sampler as noise
from fedsecure.core.dp.sampler import BLOCK, MEMORY_BYTES, Sampler, table
from fedsecure.core.layout import CHUNK
from fedsecure.core.mask import SPILL, KeyStream
from fedsecure.core.modulus import SCALARS, SUM32, Modulus
from fedsecure.core.release import ReleaseContext, keys_of
from fedsecure.errors import PeerError

SEED = bytes(range(32))
CONTEXT = ReleaseContext(b"s" * 32, b"o" * 32)
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")

BEYOND = Decimal("3.553e-33")  # erfc(12 / sqrt(2)), about 2**-107.8


def sampler(
    sigma: int,
    seed: bytes = SEED,
    context: ReleaseContext = CONTEXT,
    label: bytes = domains.NOISE_TENSOR,
) -> Sampler:
    return Sampler(KeyStream(keys_of(seed, context)(label)), sigma)


def draws(source: Sampler, size: int) -> NDArray[np.int64]:
    words = np.zeros(size, np.uint64)
    source.add_to(words, 0, np.empty(MEMORY_BYTES, np.uint8))
    return words.view(np.int64)


def weights(sigma: int, last: int) -> list[int]:
    """2**200 exp(-k**2 / (2 sigma**2)), each by a series of its own."""
    one = 1 << 220
    found = []
    for k in range(last + 1):
        # exp(x) by its series, and its inverse: no term is negative.
        term = total = one
        for count in range(1, 700):
            term = term * k * k // (2 * sigma * sigma * count)
            total += term
        found.append((one * one // total) >> 20)
    return found


def chi_square_p(observed: list[int], expected: list[float]) -> float:
    statistic = sum(
        (seen - due) ** 2 / due for seen, due in zip(observed, expected, strict=True)
    )
    return float(chi2.sf(statistic, len(observed) - 1))


@pytest.mark.parametrize("sigma", [1, 2, 5])
def test_a_million_draws_have_the_exact_probability_of_every_integer(
    sigma: int,
) -> None:
    size = 2**20 + 1000
    drawn = Counter(draws(sampler(sigma), size).tolist())
    one_side = weights(sigma, 12 * sigma)
    total = 2 * sum(one_side) - one_side[0]
    reach = max(k for k, weight in enumerate(one_side) if size * weight / total >= 10)
    middle = range(-reach, reach + 1)
    expected = [size * one_side[abs(k)] / total for k in middle]
    observed = [drawn[k] for k in middle]
    beyond = size - sum(expected), size - sum(observed)
    p = chi_square_p([*observed, int(beyond[1])], [*expected, beyond[0]])
    assert 1e-4 < p < 1 - 1e-4


def test_a_large_sigma_has_the_exact_probability_of_every_interval() -> None:
    sigma, size, width = 300, 2**20, 60
    drawn = draws(sampler(sigma), size)
    one_side = weights(sigma, 5 * sigma)
    last = 4 * sigma // width
    ends = [width * i + width // 2 for i in range(-last, last)]
    # Of all: what lies beyond 5 sigma is below 6e-7, less than a draw here.
    total = 2 * sum(one_side) - one_side[0]
    edges = [-5 * sigma, *ends, 5 * sigma + 1]
    between = list(pairwise(edges))
    expected = [
        size * sum(one_side[abs(k)] for k in range(low, high)) / total
        for low, high in between
    ]
    bounded = np.clip(drawn, -5 * sigma, 5 * sigma)
    observed = [
        int(((bounded >= low) & (bounded < high)).sum()) for low, high in between
    ]
    assert sum(observed) == size
    assert 1e-4 < chi_square_p(observed, expected) < 1 - 1e-4


@pytest.mark.parametrize("sigma", [3, 1000, 2**16])
def test_both_aggregators_noise_together_has_variance_two_sigma_squared(
    sigma: int,
) -> None:
    size = 2**20
    a = draws(sampler(sigma), size).astype(float)
    b = draws(sampler(sigma, seed=b"b" * 32), size).astype(float)
    scaled = size * float(np.mean((a + b) ** 2)) / (2 * sigma**2)
    assert 1e-4 < chi2.cdf(scaled, size) < 1 - 1e-4
    assert abs(float(np.mean(a * b))) < 5 * sigma**2 / size**0.5


def test_noise_is_symmetric() -> None:
    drawn = draws(sampler(50), 2**20)
    above, below = int((drawn > 0).sum()), int((drawn < 0).sum())
    assert (above - below) ** 2 < 16 * (above + below)
    for power in (1, 3):
        moment = np.mean((drawn / 50) ** power)
        assert abs(moment) < 4 * (1, 15**0.5)[power == 3] / 2**10


@pytest.mark.parametrize("sigma", [2**16, 2**16 + 1])
def test_a_large_table_holds_probabilities_to_its_last_bits(sigma: int) -> None:
    found = table(sigma)

    def entry(k: int) -> int:
        return int(found.leading[k]) << 64 | int(found.trailing[k])

    with localcontext() as context:
        context.prec = 80
        # Poisson's summation: all weights together are sigma sqrt(2 pi), but for far
        # less than 2**-128; what lies beyond 12 sigma is not in the table.
        whole = Decimal(sigma) * (2 * PI).sqrt() * (1 - BEYOND)
        assert abs(entry(0) - 2**128 / whole) < 2
        for k in (1, 2, sigma, 3 * sigma, 9 * sigma, 12 * sigma - 1):
            due = 2 * 2**128 * (-Decimal(k * k) / (2 * sigma * sigma)).exp() / whole
            assert abs(entry(k) - entry(k - 1) - due) < 2
    assert found.leading.size == found.trailing.size == 12 * sigma
    assert (np.diff(found.leading.astype(object)) >= 0).all()


class Chosen(KeyStream):
    """A key stream of the test's own: the same half words for every draw."""

    __slots__ = ("asked", "halves")

    def __init__(self, leading: int, trailing: int, signs: int = 0) -> None:
        super().__init__(bytes(32))
        self.halves = leading, trailing, signs
        self.asked: list[int] = []

    def write_chunk(self, index: int, out: memoryview) -> None:
        self.asked.append(index)
        size = len(out) - SPILL
        word = self.halves[index % 3].to_bytes(8, "little")
        out[:size] = (word * (size // 8 + 1))[:size]


@pytest.mark.parametrize("k", [0, 1, 5, 20, 35])
def test_a_tie_of_the_leading_half_is_resolved_by_the_trailing_one(k: int) -> None:
    found = table(3)
    leading, trailing = int(found.leading[k]), int(found.trailing[k])
    after = draws(Sampler(Chosen(leading, trailing), 3), 70)
    before = draws(Sampler(Chosen(leading, trailing - 1), 3), 70)
    assert set(after.tolist()) == {k + 1}
    assert set(before.tolist()) == {k}


def test_the_trailing_half_is_read_only_where_the_leading_one_ties() -> None:
    leading = int(table(3).leading[2])
    streams = Chosen(leading, 0), Chosen(leading + 1, 0), Chosen(leading - 1, 0)
    drawn = [set(draws(Sampler(stream, 3), 10).tolist()) for stream in streams]
    assert drawn == [{2}, {3}, {2}]
    assert [stream.asked for stream in streams] == [[0, 1, 2], [0, 2], [0, 2]]


def test_entries_that_share_their_leading_half_are_told_apart() -> None:
    found = table(3)
    tied = np.flatnonzero(found.leading == np.uint64(2**64 - 1)).tolist()
    assert len(tied) > 3
    for k in tied:
        source = Sampler(Chosen(2**64 - 1, int(found.trailing[k])), 3)
        assert set(draws(source, 3).tolist()) == {k + 1}


def test_the_extremes_of_the_key_stream_give_the_extremes_of_the_noise() -> None:
    everything = 2**64 - 1
    assert set(draws(Sampler(Chosen(0, 0), 7), 20).tolist()) == {0}
    assert set(draws(Sampler(Chosen(everything, everything), 7), 20).tolist()) == {84}
    negative = Sampler(Chosen(everything, everything, everything), 7)
    assert set(draws(negative, 20).tolist()) == {-84}


def test_each_draw_has_a_sign_of_its_own() -> None:
    signs = int.from_bytes(bytes([0b00000001, 0b10000000, 0, 0, 0, 0, 0, 0]), "little")
    drawn = draws(Sampler(Chosen(2**64 - 1, 2**64 - 1, signs), 1), 16).tolist()
    assert [at for at, one in enumerate(drawn) if one < 0] == [0, 15]
    assert {abs(one) for one in drawn} == {12}


def test_the_same_seed_and_opening_give_the_same_noise() -> None:
    assert (draws(sampler(9), 1000) == draws(sampler(9), 1000)).all()


def test_another_seed_spec_opening_or_section_gives_independent_noise() -> None:
    size = 2**16
    others = [
        sampler(100),
        sampler(100, seed=b"x" * 32),
        sampler(100, context=ReleaseContext(b"t" * 32, b"o" * 32)),
        sampler(100, context=ReleaseContext(b"s" * 32, b"p" * 32)),
        sampler(100, label=domains.NOISE_SCALARS),
    ]
    drawn = np.array([draws(one, size) for one in others], float)
    correlated = np.corrcoef(drawn) - np.eye(len(others))
    assert np.abs(correlated).max() < 5 / size**0.5


@pytest.mark.parametrize("size", [1, 7, 8, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 9])
def test_noise_does_not_depend_on_how_many_words_get_it(size: int) -> None:
    assert (draws(sampler(4), size) == draws(sampler(4), 3 * BLOCK)[:size]).all()


@pytest.mark.parametrize("modulus", [SUM32, SCALARS])
def test_pieces_of_a_section_get_what_the_section_gets_at_once(
    modulus: Modulus,
) -> None:
    memory = np.empty(MEMORY_BYTES, np.uint8)
    words = CHUNK // modulus.word_bytes  # of a piece
    whole, parts = (np.full(2 * words + 5, 3, modulus.dtype) for _ in range(2))
    sampler(10**4).add_to(whole, 0, memory)
    for start in (2 * words, 0, words):
        sampler(10**4).add_to(parts[start : start + words], start, memory)
    assert (whole == parts).all()
    exact = draws(sampler(10**4), whole.size) + 3
    assert (whole.view(modulus.signed_dtype) == exact).all()


def test_noise_wraps_as_the_ring_does() -> None:
    words = np.array([2**32 - 1, 0], np.uint32)
    everything = 2**64 - 1
    memory = np.empty(MEMORY_BYTES, np.uint8)
    Sampler(Chosen(everything, everything, 2), 1).add_to(words, 0, memory)
    assert words.tolist() == [11, 2**32 - 12]


def test_noise_that_begins_within_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="word 5, not at a multiple of 131072"):
        sampler(3).add_to(np.zeros(4, np.uint32), 5, np.empty(MEMORY_BYTES, np.uint8))


def test_a_table_is_made_once_for_a_sigma() -> None:
    assert table(77) is table(77)


def test_no_secret_of_the_noise_prints() -> None:
    printed = repr(sampler(3)) + repr(table(3))
    assert "array" not in printed
    assert SEED.hex() not in printed


@pytest.mark.parametrize(("spec", "opening"), [(31, 32), (33, 32), (32, 31), (32, 0)])
def test_a_context_of_the_wrong_size_is_refused(spec: int, opening: int) -> None:
    with pytest.raises(PeerError, match=rf"FS-726.*{spec} and {opening} bytes"):
        ReleaseContext(bytes(spec), bytes(opening))


def test_the_weights_of_a_table_end_at_twelve_sigma() -> None:
    assert len(list(noise._weights(2))) == 25
    first, second = islice(noise._weights(10**5), 2)
    assert first == 2**256
    assert 2**257 - 2**223 < second < 2**257 - 2**222  # 1 - 5e-11 of twice the first
