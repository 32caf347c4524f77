"""A key proves that n-th powers hide all but the plaintext; other numbers cannot."""

import hashlib
import math

import pytest

from fedsecure.core.homomorphic import gmp, key_proof, keys
from fedsecure.core.homomorphic.keys import SecretKey
from fedsecure.errors import PeerError


def prime_after(start: int) -> int:
    while not gmp.is_prime(start):
        start += 1
    return gmp.integer(start)


def prime_with_factor(factor: int) -> int:
    """Return a prime q with q = 1 mod `factor`."""
    step = 2
    while not gmp.is_prime(step * factor + 1):
        step += 2
    return gmp.integer(step * factor + 1)


def roots_as_far_as_there_are(p: int, q: int) -> tuple[int, ...]:
    """What a cheat can do who knows the factors: roots mod q, and guesses mod p."""
    n, found = p * q, []
    for number in key_proof._challenges(n):
        exponent = (
            pow(int(n), -1, int(p - 1)) if math.gcd(int(n), int(p - 1)) == 1 else 1
        )
        found.append(gmp.power(number % p, exponent, p))
    return tuple(found)


@pytest.fixture(scope="module")
def key() -> SecretKey:
    return keys.generate(2048, hashlib.sha256(b"key").digest())


def test_a_key_is_proved_by_eleven_roots(key: SecretKey) -> None:
    assert len(key.proof) == 11
    key_proof.require_proof(key.n, key.proof)


@pytest.mark.parametrize("place", range(11))
def test_every_root_is_checked(key: SecretKey, place: int) -> None:
    roots = [*key.proof]
    roots[place] = (roots[place] + 1) % key.n
    with pytest.raises(PeerError, match=f"FS-731.*root {place} "):
        key_proof.require_proof(key.n, tuple(roots))


def test_a_proof_is_of_one_key(key: SecretKey) -> None:
    other = keys.generate(2048, hashlib.sha256(b"other").digest())
    with pytest.raises(PeerError, match="FS-731"):
        key_proof.require_proof(other.n, key.proof)


@pytest.mark.parametrize("factor", [3, 5, 6367])
def test_a_key_with_a_small_factor_is_refused(key: SecretKey, factor: int) -> None:
    n = key.first.value * factor
    with pytest.raises(PeerError, match=r"FS-731.*prime factor below 6370"):
        key_proof.require_proof(n, key.proof)


def test_a_key_whose_order_shares_a_factor_with_it_has_no_proof() -> None:
    """With p a factor of q - 1 an answer would tell sums of weights mod p."""
    p = prime_after(2**200)
    q = prime_with_factor(int(p))
    with pytest.raises(PeerError, match=r"FS-731.*root"):
        key_proof.require_proof(p * q, roots_as_far_as_there_are(p, q))


def test_a_square_has_no_proof() -> None:
    p = prime_after(2**300)
    with pytest.raises(PeerError, match=r"FS-731.*root"):
        key_proof.require_proof(p * p, roots_as_far_as_there_are(p, p))


def test_almost_no_number_has_a_root_where_a_factor_is_shared() -> None:
    """The reason for 11 roots: counted on small numbers, where all can be tried."""
    p, q = 7, 29  # 7 divides 28
    n = p * q
    units = {r for r in range(1, n) if math.gcd(r, n) == 1}
    assert len({pow(r, n, n) for r in units}) * p == len(units)
    assert 6370**key_proof.ROOTS > 2**138
