"""Why a server may believe that a client's n is a Paillier key.

    challenge i = SHAKE-256(label || 0x00 || n || i) mod n, of as many bytes as n has,
                  and 16 more; i = 0 .. 10, one byte; n big-endian
    root i      = the number whose n-th power is challenge i, mod n

Roots of 11 numbers that nobody chose exist only if taking n-th powers loses nothing:
for every prime factor that n shares with the order of its group, only one number in so
many has a root, and factors below 6370 are excluded beforehand (6370**11 > 2**138).
So n and that order are coprime, each ciphertext is (1 + m n) r**n in one way only, and
a fresh n-th power hides all of it but m.

With any other n, r**n would hide less: a client could choose one that answers with the
model's words. [GRSB19] Goldberg, Reyzin, Sagga, Baldimtsi: Efficient noninteractive
certification of RSA moduli and beyond, Asiacrypt 2019, section 3.2.
"""

from functools import cache, lru_cache
from math import gcd, prod
from typing import Final

from fedsecure.core import domains
from fedsecure.core.homomorphic import gmp
from fedsecure.core.homomorphic.draws import hashed
from fedsecure.core.homomorphic.paillier import Joint
from fedsecure.errors import PeerError

ROOTS: Final = 11
SMALLEST_FACTOR: Final = 6370

_KEPT: Final = 256  # keys that were checked; one takes a tenth of a second


def prove(p: int, q: int) -> tuple[int, ...]:
    """Return the roots of all challenges. Run by the client, once for each key.

    Args:
        p: One of the key's primes.
        q: The other.
    """
    n, join = p * q, Joint(p, q)
    return tuple(
        join.number(_root(number, n, p), _root(number, n, q))
        for number in _challenges(n)
    )


def _root(number: int, n: int, prime: int) -> int:
    exponent = gmp.inverse(n, prime - 1)
    return gmp.secret_power(number % prime, exponent, prime)


@lru_cache(maxsize=_KEPT)
def require_proof(n: int, roots: tuple[int, ...]) -> None:
    """Check a client's key. Run by each server before it computes under it.

    Raises:
        PeerError: FS-731 when n has small factors, or a root is none.
    """
    if gcd(int(n), _small_primes()) != 1:
        raise PeerError("FS-731", f"the key has a prime factor below {SMALLEST_FACTOR}")
    for place, number in enumerate(_challenges(n)):
        if gmp.power(roots[place], n, n) != number:
            raise PeerError("FS-731", f"root {place} does not prove that n is a key")


def _challenges(n: int) -> tuple[int, ...]:
    facts = b"".join(
        (domains.PAILLIER_PROOF, b"\0", gmp.to_bytes(n, -(-n.bit_length() // 8)))
    )
    return tuple(hashed(facts + bytes([place]), n) for place in range(ROOTS))


@cache
def _small_primes() -> int:
    """Return the product of all primes below SMALLEST_FACTOR."""
    return prod(
        number
        for number in range(2, SMALLEST_FACTOR)
        if all(number % factor for factor in range(2, int(number**0.5) + 1))
    )
