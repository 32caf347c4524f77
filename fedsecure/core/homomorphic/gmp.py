"""Integers of thousands of bits, by GMP: several times faster than Python's own.

They are typed as `int`, and behave as such.
"""

from functools import cache
from importlib import import_module
from types import ModuleType

from fedsecure.errors import OperatorError


@cache
def library() -> ModuleType:
    """Load gmpy2, which only those need who encrypt rows or answer encrypted ones.

    Raises:
        OperatorError: FS-563 when it is not installed.
    """
    try:
        return import_module("gmpy2")
    except ImportError as error:
        raise OperatorError("FS-563", "gmpy2 is not installed here") from error


def integer(number: int) -> int:
    """Return the same number as GMP computes with it."""
    found: int = library().mpz(number)
    return found


def power(base: int, exponent: int, modulus: int) -> int:
    """Return the power mod `modulus`. Its time tells of the exponent: public ones."""
    found: int = library().powmod(base, exponent, modulus)
    return found


def secret_power(base: int, exponent: int, modulus: int) -> int:
    """Return the power mod an odd modulus, in a time that tells no exponent.

    It depends on how many machine words the exponent has, and on nothing else of it
    (`mpz_powm_sec`). Exponents are at least 1.
    """
    found: int = library().powmod_sec(base, exponent, modulus)
    return found


def inverse(number: int, modulus: int) -> int:
    """Return the inverse mod `modulus` of a number that has one."""
    found: int = library().invert(number, modulus)
    return found


def is_prime(number: int) -> bool:
    """Say whether a number is prime; wrong less often than once in 2**100."""
    return bool(library().is_prime(number, 50))


def to_bytes(number: int, length: int) -> bytes:
    """Return a number as so many bytes, big-endian."""
    return int(number).to_bytes(length)
