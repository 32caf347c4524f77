"""Exact products, against Python's integers."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fedsecure.core.mpc import matmul
from fedsecure.core.mpc.ring import Words

EDGES = [0, 1, 2**21 - 1, 2**21, 2**22, 2**43, 2**63 - 1, 2**63, 2**64 - 1]


def python_product(left: Words, right: Words) -> list[list[int]]:
    columns = right.T.tolist()
    return [
        [
            sum(a * b for a, b in zip(row, column, strict=True)) % 2**64
            for column in columns
        ]
        for row in left.tolist()
    ]


def words(seed: int, rows: int, columns: int) -> Words:
    return np.random.default_rng(seed).integers(0, 2**64, (rows, columns), np.uint64)


@pytest.mark.parametrize("inner", [1, 2047, 2048, 2049, 4097])
def test_float_products_are_exact_around_the_block(inner: int) -> None:
    left, right = words(1, 3, inner), words(2, inner, 4)
    assert matmul.float_product(left, right).tolist() == python_product(left, right)


@pytest.mark.parametrize("inner", [2047, 2048, 2049])
def test_the_largest_digits_do_not_leave_float64(inner: int) -> None:
    largest = np.uint64(2**64 - 2**21 * (1 + 2**22 + 2**44 // 4))
    left, right = np.full((2, inner), largest), np.full((inner, 2), largest)
    left[:, 0] += np.uint64(1)
    assert matmul.float_product(left, right).tolist() == python_product(left, right)


@given(st.integers(0, 2**64 - 1) | st.sampled_from(EDGES))
def test_digits_are_balanced_and_make_the_word(word: int) -> None:
    found = [int(digit[0]) for digit in matmul.digits(np.array([word], np.uint64))]
    assert all(-(2**21) <= digit <= 2**21 for digit in found)
    assert sum(digit * 2 ** (22 * i) for i, digit in enumerate(found)) % 2**64 == word


@settings(deadline=None, max_examples=30)
@given(st.data(), st.integers(1, 4), st.integers(1, 5), st.integers(1, 4))
def test_products_of_any_words_are_exact(
    data: st.DataObject, rows: int, inner: int, columns: int
) -> None:
    word = st.integers(0, 2**64 - 1) | st.sampled_from(EDGES)

    def drawn(height: int, width: int) -> Words:
        size = height * width
        values = data.draw(st.lists(word, min_size=size, max_size=size))
        return np.array(values, np.uint64).reshape(height, width)

    left, right = drawn(rows, inner), drawn(inner, columns)
    expected = python_product(left, right)
    assert matmul.product(left, right).tolist() == expected
    assert matmul.float_product(left, right).tolist() == expected


@pytest.mark.parametrize("shape", [(60, 784, 10), (1, 3000, 100), (100, 3000, 1)])
def test_every_way_gives_the_same_words(shape: tuple[int, int, int]) -> None:
    left, right = words(1, *shape[:2]), words(2, *shape[1:])
    assert np.array_equal(matmul.product(left, right), left @ right)


def test_this_machine_multiplies_exactly() -> None:
    assert matmul.require_exact() == "float64"


@pytest.mark.parametrize("rounding", [np.float32, np.float16])
def test_a_machine_that_rounds_computes_with_integers(
    monkeypatch: pytest.MonkeyPatch, rounding: type[np.floating]
) -> None:
    """Arithmetic of fewer bits stands in for a BLAS that is not exact."""
    exact = matmul._integers

    def rounded(numbers: np.ndarray) -> Words:
        with np.errstate(over="ignore", invalid="ignore"):
            return exact(np.nan_to_num(numbers.astype(rounding).astype(np.float64)))

    monkeypatch.setattr(matmul, "_integers", rounded)
    matmul.require_exact.cache_clear()
    try:
        assert matmul.require_exact() == "integer"
        left, right = words(1, 60, 784), words(2, 784, 10)
        assert np.array_equal(matmul.product(left, right), left @ right)
    finally:
        matmul.require_exact.cache_clear()


def test_a_single_lost_bit_in_one_sum_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = matmul._block_product

    def off_by_one(a: matmul.Digits, b: matmul.Digits) -> Words:
        found = exact(a, b)
        found[-1, -1] += np.uint64(1)
        return found

    monkeypatch.setattr(matmul, "_block_product", off_by_one)
    matmul.require_exact.cache_clear()
    try:
        assert matmul.require_exact() == "integer"
    finally:
        matmul.require_exact.cache_clear()
