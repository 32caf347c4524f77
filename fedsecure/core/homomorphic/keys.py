"""A client's key pair: made for one run, held in memory alone.

Each prime is p = 2 a p' + 1 for a prime p' only some bits shorter. So the order of the
group mod p has a prime factor that no method against smooth orders can take, and all
its factors are known: a number can be tested for being a generator. Powers of one, with
uniform exponents, are exactly uniform n-th powers, and a table of powers makes them ten
times faster than r**n for a fresh r.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from fedsecure.core import domains
from fedsecure.core.homomorphic import gmp
from fedsecure.core.homomorphic.draws import Draws
from fedsecure.core.homomorphic.key_proof import prove
from fedsecure.core.homomorphic.paillier import Joint, decrypted_modulo, masked
from fedsecure.core.layout import Buffer
from fedsecure.errors import PeerError

DEFAULT_BITS: Final = 3072
SMALLEST_BITS: Final = 2048
LARGEST_BITS: Final = 4096

_STEP: Final = 64  # bits: keys' lengths are multiples of it
_COFACTOR_BITS: Final = 20  # of a, in p = 2 a p' + 1
_APART: Final = 100  # |p - q| has at most so many bits less than p (FIPS 186-5, A.1.3)
_WINDOW: Final = 6  # bits of an exponent for which the table holds powers


@dataclass(frozen=True, slots=True)
class Prime:
    """One of a key's primes, with a generator of the numbers coprime to it."""

    value: int = field(repr=False)
    generator: int = field(repr=False)


@dataclass(frozen=True)
class SecretKey:
    """A key pair; `n` is public, the primes are secret."""

    first: Prime = field(repr=False)
    second: Prime = field(repr=False)

    @cached_property
    def n(self) -> int:
        """The public key."""
        return self.first.value * self.second.value

    @cached_property
    def proof(self) -> tuple[int, ...]:
        """The roots that prove the public key, as `key_proof` says."""
        return prove(self.first.value, self.second.value)

    @cached_property
    def _zeros(self) -> "_Zeros":
        return _Zeros(self.first, self.second)

    def encrypt(self, plaintext: int, draws: Draws) -> int:
        """Encrypt a number; it counts mod n. Run by the client."""
        return masked(self.n, self._zeros.draw(draws), plaintext)

    def decrypt(self, ciphertext: int) -> int:
        """Return the number from 0 to n - 1. Run by the client.

        Args:
            ciphertext: Coprime to n, from 1 to n**2 - 1.
        """
        p, q = self.first.value, self.second.value
        return Joint(p, q).number(
            decrypted_modulo(p, q, ciphertext), decrypted_modulo(q, p, ciphertext)
        )


class _Zeros:
    """Uniform encryptions of zero: n-th powers mod n**2."""

    def __init__(self, first: Prime, second: Prime) -> None:
        self._sides = _Residues(first), _Residues(second)
        self._joint = Joint(first.value**2, second.value**2)

    def draw(self, draws: Draws) -> int:
        first, second = self._sides
        return self._joint.number(first.draw(draws), second.draw(draws))


class _Residues:
    """Uniform n-th powers mod p**2, by a table of powers of one generator."""

    def __init__(self, prime: Prime) -> None:
        self._modulus = prime.value**2
        self._order = prime.value - 1
        self._rows: list[list[int]] = []
        # The p-th power of a generator mod p generates the n-th powers mod p**2.
        base = gmp.power(prime.generator, prime.value, self._modulus)
        for _ in range(-(-self._order.bit_length() // _WINDOW)):
            row = [gmp.integer(1)]
            for _ in range(2**_WINDOW):
                row.append(row[-1] * base % self._modulus)
            base = row.pop()
            self._rows.append(row)

    def draw(self, draws: Draws) -> int:
        exponent, found = int(draws.below(self._order)), gmp.integer(1)
        for row in self._rows:
            found = found * row[exponent % 2**_WINDOW] % self._modulus
            exponent >>= _WINDOW
        return found


def require_bits(bits: int) -> None:
    """Check the length of keys that a program asks for. Run by everybody.

    Raises:
        PeerError: FS-223 for one that is too short, too long or between two steps.
    """
    if not SMALLEST_BITS <= bits <= LARGEST_BITS or bits % _STEP:
        raise PeerError(
            "FS-223",
            f"keys would have {bits} bits; use {SMALLEST_BITS} to {LARGEST_BITS}, a "
            f"multiple of {_STEP}",
        )


def generate(bits: int, rand: Buffer) -> SecretKey:
    """Make a key pair whose n has exactly so many bits. Run by the client.

    Args:
        bits: As the program says.
        rand: 32 uniform bytes, used for nothing else.

    Raises:
        PeerError: FS-223 for a length that no key may have.
        OperatorError: FS-563 when the extra `paillier` is not installed.
    """
    require_bits(bits)
    draws, half = Draws(rand, domains.PAILLIER_KEY), bits // 2
    first = _prime(half, draws)
    second = _prime(half, draws)
    while abs(first.value - second.value).bit_length() <= half - _APART:
        second = _prime(half, draws)
    return SecretKey(first, second)


def _prime(bits: int, draws: Draws) -> Prime:
    """Return a prime of that length whose two highest bits are set."""
    low, high = 3 << (bits - 2), 1 << bits
    small = _drawn_prime(1 << (bits - 1 - _COFACTOR_BITS), draws)
    while True:
        cofactor = draws.between(low // (2 * small) + 1, high // (2 * small))
        value = 2 * cofactor * small + 1
        if gmp.is_prime(value):
            return Prime(value, _generator(value, (small, *_factors(cofactor)), draws))


def _drawn_prime(limit: int, draws: Draws) -> int:
    while True:
        candidate = draws.between(limit // 2, limit) | 1
        if gmp.is_prime(candidate):
            return candidate


def _factors(number: int) -> list[int]:
    """Return the prime factors of a small even number, or of twice an odd one."""
    found, rest, factor = [2], int(number), 2
    while rest > 1:
        if rest % factor == 0:
            found.append(factor)
            rest //= factor
        else:
            factor = factor + 1 if factor * factor <= rest else rest
    return found


def _generator(prime: int, factors: tuple[int, ...], draws: Draws) -> int:
    """Return a generator mod a prime, where `factors` are those of prime - 1."""
    while True:
        found = draws.between(2, prime - 1)
        powers = (gmp.power(found, (prime - 1) // factor, prime) for factor in factors)
        if all(power != 1 for power in powers):
            return found
