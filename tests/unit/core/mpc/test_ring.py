"""Numbers and words: rounding, bounds, bytes."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from fedsecure.core.mpc import ring
from fedsecure.errors import OperatorError, PeerError


@given(
    st.lists(st.floats(-1000, 1000), min_size=1, max_size=6),
    st.integers(0, 40),
)
def test_numbers_come_back_within_half_a_step(numbers: list[float], bits: int) -> None:
    values = np.array([numbers])
    back = ring.decode(ring.encode(values, bits, 1000.0), bits)
    assert np.all(np.abs(back - values) <= 2.0 ** -(bits + 1))


def test_a_word_is_rounded_to_nearest_and_ties_to_even() -> None:
    values = np.array([[0.5, 1.5, 2.5, -0.5, -1.5, 0.75]])
    words = ring.encode(values, 0, 10.0)
    assert words.view(np.int64).tolist() == [[0, 2, 2, 0, -2, 1]]


@pytest.mark.parametrize(
    "wrong", [float("nan"), float("inf"), float("-inf"), 2.5000001, -2.5000001]
)
def test_a_number_outside_its_bound_is_named_by_row_and_column(wrong: float) -> None:
    values = np.zeros((3, 4))
    values[1, 2] = wrong
    with pytest.raises(OperatorError, match=r"FS-224.*row 2, column 3.*-2\.5 to 2\.5"):
        ring.encode(values, 16, 2.5)


def test_a_refused_number_is_not_told() -> None:
    with pytest.raises(OperatorError) as refused:
        ring.encode(np.array([[123.456]]), 16, 2.5)
    assert "123" not in str(refused.value)


def test_only_rows_and_columns_are_encoded() -> None:
    with pytest.raises(OperatorError, match="FS-223"):
        ring.encode(np.zeros(3), 16, 1.0)


@given(st.floats(0, 2.0**40, exclude_min=True), st.integers(0, 20))
def test_the_largest_word_is_the_bounds_own(bound: float, bits: int) -> None:
    (word,) = ring.encode(np.array([[bound]]), bits, bound)[0].tolist()
    assert ring.largest_word(bound, bits) == word


def test_words_travel_row_by_row_little_endian() -> None:
    words = np.array([[1, 2], [3, 2**64 - 1]], np.uint64)
    data = ring.to_bytes(words)
    assert data.hex(" ", 8) == (
        "0100000000000000 0200000000000000 0300000000000000 ffffffffffffffff"
    )
    assert np.array_equal(ring.from_bytes(data, (2, 2)), words)
    assert ring.to_bytes(np.asfortranarray(words)) == data


@pytest.mark.parametrize("size", [0, 31, 33, 40])
def test_bytes_of_another_length_are_no_words(size: int) -> None:
    with pytest.raises(PeerError, match=rf"FS-730.*{size} bytes, 2 x 2 words take 32"):
        ring.from_bytes(bytes(size), (2, 2))
