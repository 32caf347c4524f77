import hmac
from dataclasses import dataclass, field

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from fedsecure.core import release
from fedsecure.core.modulus import SCALARS
from fedsecure.core.release import EXACT, SEED_BYTES, Rand
from fedsecure.core.release_context import ReleaseContext
from fedsecure.core.shares import AggregateShare

SEED = bytes(range(SEED_BYTES))
SPEC, OPENING = b"\1" * 32, b"\2" * 32


@dataclass
class Noise:
    """Adds what it draws, in place, as a mechanism may."""

    is_exact: bool = False
    drawn: list[bytes] = field(default_factory=list)

    def apply(self, total: AggregateShare, rand: Rand) -> AggregateShare:
        self.drawn.append(rand(total.tensor.nbytes))
        total.tensor += np.frombuffer(self.drawn[-1], total.tensor.dtype)
        total.scalars += np.frombuffer(rand(total.scalars.nbytes), SCALARS.dtype)
        return total


def a_sum() -> AggregateShare:
    tensor = np.arange(5, dtype=np.uint32)
    return AggregateShare(tensor, np.arange(3, dtype=SCALARS.dtype), count=4)


def the_rand() -> Rand:
    return release.randomness(SEED, ReleaseContext(SPEC, OPENING))


def test_a_sum_is_released_exactly_without_a_copy_or_a_draw() -> None:
    def never(_: int) -> bytes:
        raise AssertionError

    total = a_sum()
    assert release.release(total, EXACT, never) is total


def test_a_mechanism_changes_a_copy_and_the_sum_stays() -> None:
    total, mechanism = a_sum(), Noise()
    released = release.release(total, mechanism, the_rand())
    assert not np.array_equal(released.tensor, total.tensor)
    assert not np.array_equal(released.scalars, total.scalars)
    assert np.array_equal(total.tensor, a_sum().tensor)
    assert np.array_equal(total.scalars, a_sum().scalars)
    assert released.count == total.count


def test_the_same_opening_releases_the_same_however_often_it_is_made() -> None:
    mechanism = Noise()
    one, two = (release.release(a_sum(), mechanism, the_rand()) for _ in range(2))
    assert np.array_equal(one.tensor, two.tensor)
    assert np.array_equal(one.scalars, two.scalars)


@pytest.mark.parametrize(
    ("seed", "spec", "opening"),
    [
        (bytes(SEED_BYTES), SPEC, OPENING),
        (SEED, OPENING, OPENING),
        (SEED, SPEC, SPEC),
        (SEED, OPENING, SPEC),
    ],
)
def test_another_seed_round_or_opening_draws_otherwise(
    seed: bytes, spec: bytes, opening: bytes
) -> None:
    assert release.randomness(seed, ReleaseContext(spec, opening))(32) != the_rand()(32)


def test_the_stream_goes_on_and_does_not_repeat() -> None:
    rand, whole = the_rand(), the_rand()(100)
    assert rand(33) + rand(0) + rand(67) == whole
    assert len({whole[start : start + 16] for start in range(0, 96, 16)}) == 6


def test_the_stream_is_hkdf_and_counter_mode_as_it_is_described() -> None:
    info = b"fedsecure v1 release\0" + SPEC + OPENING
    secret = hmac.digest(bytes(32), SEED, "sha256")
    key = hmac.digest(secret, info + b"\1", "sha256")
    blocks = b"".join(number.to_bytes(16) for number in range(4))
    by_block = Cipher(AES(key), ECB())  # noqa: S305 - of counters, not of a message
    assert the_rand()(64) == by_block.encryptor().update(blocks)


@pytest.mark.parametrize("harm", ["longer", "wider", "counted"])
def test_what_has_another_form_than_the_sum_is_not_released(harm: str) -> None:
    class Odd(Noise):
        def apply(self, total: AggregateShare, rand: Rand) -> AggregateShare:
            rand(1)
            if harm == "longer":
                total.tensor = np.append(total.tensor, total.tensor)
            elif harm == "wider":
                total.tensor = total.tensor.astype(np.uint64)
            else:
                total.count += 1
            return total

    with pytest.raises(ValueError, match="a mechanism releases"):
        release.release(a_sum(), Odd(), the_rand())
