"""The scheme, its keys and what is random about them."""

import hashlib
from collections import Counter
from types import ModuleType

import pytest
from hypothesis import given, settings, strategies as st

from fedsecure.core import domains
from fedsecure.core.homomorphic import gmp, keys, paillier
from fedsecure.core.homomorphic.draws import Draws
from fedsecure.core.homomorphic.keys import Prime, SecretKey
from fedsecure.errors import OperatorError, PeerError

BITS = 2048


def seed(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


@pytest.fixture(scope="module")
def key() -> SecretKey:
    return keys.generate(BITS, seed("key"))


def draws(name: str) -> Draws:
    return Draws(seed(name), domains.PAILLIER_ROWS)


def test_the_textbook_example() -> None:
    n = 35
    assert [paillier.encrypted(n, 5, r) for r in (2, 4)] == [718, 674]
    assert 718 * 674 % n**2 == 57 == paillier.encrypted(n, 10, 8)
    assert 718**2 % n**2 == 1024 == paillier.encrypted(n, 10, 4)
    joint = paillier.Joint(5, 7)
    for ciphertext, plain in ((718, 5), (674, 5), (57, 10), (1024, 10)):
        remainders = (
            paillier.decrypted_modulo(5, 7, ciphertext),
            paillier.decrypted_modulo(7, 5, ciphertext),
        )
        assert joint.number(*remainders) == plain


def test_every_small_ciphertext_opens_to_what_was_encrypted() -> None:
    p, q = 11, 23
    joint = paillier.Joint(p, q)
    for plain in range(p * q):
        ciphertext = paillier.encrypted(p * q, plain, 2 + plain % 8)
        first = paillier.decrypted_modulo(p, q, ciphertext)
        second = paillier.decrypted_modulo(q, p, ciphertext)
        assert joint.number(first, second) == plain


@pytest.mark.parametrize("bits", [2048, 3072])
def test_a_key_has_exactly_the_bits_that_were_asked_for(bits: int) -> None:
    made = keys.generate(bits, seed(f"{bits}"))
    p, q = made.first.value, made.second.value
    assert made.n == p * q
    assert made.n.bit_length() == bits
    assert p.bit_length() == q.bit_length() == bits // 2
    assert gmp.is_prime(p)
    assert gmp.is_prime(q)
    assert abs(p - q).bit_length() > bits // 2 - 100


def test_a_key_follows_from_its_seed(key: SecretKey) -> None:
    assert keys.generate(BITS, seed("key")).n == key.n
    assert keys.generate(BITS, seed("another")).n != key.n


def test_generators_generate(key: SecretKey) -> None:
    """The order of the group is 2 a p': no quotient by a prime factor gives 1."""
    for prime in (key.first, key.second):
        order, rest = prime.value - 1, prime.value - 1
        factors = [f for f in range(2, 2000) if gmp.is_prime(f) and order % f == 0]
        for factor in factors:
            while rest % factor == 0:
                rest //= factor
        factors += [rest] if gmp.is_prime(rest) else []
        assert 2 in factors
        for factor in factors:
            assert gmp.power(prime.generator, order // factor, prime.value) != 1


def test_zeros_are_each_nth_power_and_nothing_else() -> None:
    """All 110 n-th powers mod 143**2 come, each about as often as any other."""
    p, q, times = 11, 13, 400
    made = SecretKey(Prime(gmp.integer(p), 2), Prime(gmp.integer(q), 2))
    n, source = p * q, draws("zeros")
    powers = {pow(r, n, n * n) for r in range(1, n) if r % p and r % q}
    found = Counter(int(made.encrypt(0, source)) for _ in range(times * len(powers)))
    assert found.keys() == powers
    freedom = len(powers) - 1
    chi = sum((count - times) ** 2 / times for count in found.values())
    assert chi < freedom + 5 * (2 * freedom) ** 0.5


@settings(deadline=None, max_examples=20)
@given(number=st.integers(-(2**1900), 2**1900) | st.sampled_from([0, 1, -1]))
def test_what_is_encrypted_comes_back(key: SecretKey, number: int) -> None:
    assert key.decrypt(key.encrypt(number, draws("any"))) == number % key.n


def test_one_number_is_encrypted_differently_each_time(key: SecretKey) -> None:
    source = draws("fresh")
    assert len({int(key.encrypt(7, source)) for _ in range(5)}) == 5


def test_a_key_pair_does_not_print_its_primes(key: SecretKey) -> None:
    assert repr(key) == "SecretKey()"
    assert repr(key.first) == "Prime()"


@pytest.mark.parametrize("bits", [0, 1024, 2047, 2049, 2080, 4160, 8192])
def test_no_key_has_another_length(bits: int) -> None:
    with pytest.raises(PeerError, match=f"FS-223.*{bits} bits"):
        keys.generate(bits, bytes(32))


def test_a_seed_has_32_bytes() -> None:
    with pytest.raises(PeerError, match="FS-726"):
        keys.generate(BITS, bytes(31))


def test_draws_are_uniform_and_in_an_order() -> None:
    source = draws("order")
    first = [int(source.below(10**40)) for _ in range(3)]
    again = draws("order")
    assert [int(again.below(10**40)) for _ in range(3)] == first
    assert len(set(first)) == 3
    found = Counter(int(source.between(5, 8)) for _ in range(3000))
    assert found.keys() == {5, 6, 7}
    assert all(abs(count - 1000) < 5 * 26 for count in found.values())


def test_without_gmpy2_it_is_said_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> ModuleType:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(gmp, "import_module", absent)
    gmp.library.cache_clear()
    try:
        with pytest.raises(OperatorError, match="FS-563") as refused:
            keys.generate(BITS, bytes(32))
    finally:
        gmp.library.cache_clear()
    assert "pip install 'fedsecure[paillier]'" in refused.value.problem.remedy
