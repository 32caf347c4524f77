"""What the key's owner reads in one server's answer: a masked word, whatever it sent.

The answers are made by the code that ships, with fixed seeds, and opened with the key.
Each claim has its counterpart: with the mask left out, or too short, the same look at
the same answers finds the model.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from fedsecure.core.homomorphic import answers, gmp
from fedsecure.core.homomorphic.draws import Draws
from fedsecure.core.homomorphic.queries import EncryptedRows
from fedsecure.core.mpc.program import Linear
from tests.unit.core.homomorphic.small_key import SMALL, seed

TINY = Linear(2, 1, 8, 8, 64.0, 8.0, 8.0)
ANSWERS = 1500
BINS = 16
FREEDOM = BINS - 1
LIMIT = FREEDOM + 5 * math.sqrt(2 * FREEDOM)  # five standard deviations
X = (16_000, 15_990)
LOW, HIGH = (1, 2, 3), (2**64 - 1, 2**64 - 2, 2**64 - 3)

Look = Callable[[int], int]  # from a plaintext to one of BINS bins
Mask = Callable[[Linear, int, Iterator[int], Draws], int]


def row(*numbers: int) -> EncryptedRows:
    return EncryptedRows(
        SMALL.n,
        (tuple(SMALL.encrypt(x, 3 + place) for place, x in enumerate(numbers)),),
    )


def one_answer(words: tuple[int, ...], query: EncryptedRows, name: str) -> bytes:
    """Return a server's answer; its word of zero and its seed follow from a name."""
    zero = np.frombuffer(seed(f"zero {name}")[:8], "<u8")
    model = np.array(words, np.uint64).reshape(3, 1)
    return answers.answer(TINY, model, query, zero, seed(f"rand {name}"))


def plaintexts(words: tuple[int, ...], query: EncryptedRows, name: str) -> list[int]:
    return [
        SMALL.opened(one_answer(words, query, f"{name} {number}"))[0]
        for number in range(ANSWERS)
    ]


def carries(plain: int) -> int:
    """Look at what is above a word, from the lowest place that a sum reaches."""
    return (plain >> 64) % BINS


def word(plain: int) -> int:
    return (plain >> 60) % BINS


def height(plain: int) -> int:
    return int(plain * BINS // SMALL.n)


LOOKS: tuple[Look, ...] = (carries, word, height)


def differ(look: Look, one: list[int], other: list[int]) -> float:
    """Return chi-square of two samples: LIMIT is rarely passed if they are alike."""
    a, b = Counter(map(look, one)), Counter(map(look, other))
    return sum(
        (a[place] - b[place]) ** 2 / (a[place] + b[place])
        for place in range(BINS)
        if a[place] + b[place]
    )


def unlike_uniform(look: Look, found: list[int]) -> float:
    expected, counts = len(found) / BINS, Counter(map(look, found))
    return sum((counts[place] - expected) ** 2 / expected for place in range(BINS))


def test_one_plaintext_is_alike_for_any_two_shares_of_the_model() -> None:
    low, high = plaintexts(LOW, row(*X), "low"), plaintexts(HIGH, row(*X), "high")
    for look in LOOKS:
        assert differ(look, low, high) < LIMIT
        assert unlike_uniform(look, low) < LIMIT


def no_slack(program: Linear, _n: int, zeros: Iterator[int], _draws: Draws) -> int:
    """A mask of one word: nothing hides what is carried out of it."""
    return answers.margin(program) + next(zeros)


def short_slack(program: Linear, _n: int, zeros: Iterator[int], draws: Draws) -> int:
    """A mask 40 bits longer than the sums of honest rows."""
    least = answers.margin(program)
    return least + 2**64 * draws.below(least * 2**40 // 2**64) + next(zeros)


def test_without_noise_above_the_word_carries_tell_shares_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answers, "_mask", no_slack)
    low, high = plaintexts(LOW, row(*X), "low"), plaintexts(HIGH, row(*X), "high")
    assert differ(carries, low, high) > 10 * LIMIT


SHIFT = 300
GREEDY = (1 << SHIFT, 1 << SHIFT + 66)  # in place of numbers within the bound


def read_above_the_mask(plain: int) -> tuple[int, int]:
    return (plain >> SHIFT) % 2**64, (plain >> SHIFT + 66) % 2**64


@pytest.mark.parametrize(
    ("mask", "found"), [(None, False), (short_slack, True)], ids=["ours", "short"]
)
def test_a_client_that_sends_huge_numbers_reads_no_weights(
    monkeypatch: pytest.MonkeyPatch, mask: Mask | None, found: bool
) -> None:
    weights = (0x0123456789ABCDEF, 0xFEDCBA9876543210)
    if mask is not None:
        monkeypatch.setattr(answers, "_mask", mask)
    (plain,) = SMALL.opened(one_answer((*weights, 5), row(*GREEDY), "greedy"))
    assert (read_above_the_mask(plain) == weights) is found
    assert any(one in read_above_the_mask(plain) for one in weights) is found


def test_huge_numbers_give_plaintexts_alike_for_any_two_shares() -> None:
    low, high = (plaintexts(one, row(*GREEDY), "greedy") for one in (LOW, HIGH))
    for look in (word, height, lambda plain: read_above_the_mask(plain)[0] % BINS):
        assert differ(look, low, high) < LIMIT


def test_a_ciphertext_with_a_chosen_root_tells_no_weights_parity() -> None:
    """Its Jacobi symbol is -1, and so would be that of odd powers of it.

    A fresh n-th power of any number makes both symbols as likely; powers of one fixed
    square would leave them as they are.
    """
    jacobi = gmp.library().jacobi
    root = next(r for r in range(2, 100) if jacobi(r, SMALL.n) == -1)
    query = EncryptedRows(SMALL.n, ((SMALL.encrypt(0, root), SMALL.encrypt(0, 4)),))
    for weight in (2**63, 2**63 + 1):
        symbols = Counter(
            jacobi(next(SMALL.ciphertexts(data)), SMALL.n)
            for number in range(400)
            if (data := one_answer((weight, 8, 0), query, f"{weight} {number}"))
        )
        assert symbols.keys() == {1, -1}
        assert abs(symbols[1] - 200) < 5 * 10  # five standard deviations


def test_the_same_answer_is_never_given_in_the_same_bytes() -> None:
    query = row(*X)
    assert len({one_answer(LOW, query, f"{number}") for number in range(20)}) == 20
