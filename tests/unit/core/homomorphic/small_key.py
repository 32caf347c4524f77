"""A key of 640 bits: too short for anybody, long enough for small programs."""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from fedsecure.core.homomorphic import gmp


def seed(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


class SmallKey:
    """Encrypts and opens by the formulas of the paper, which the code does not use."""

    @cached_property
    def primes(self) -> tuple[int, int]:
        return self.prime("p"), self.prime("q")

    @cached_property
    def n(self) -> int:
        p, q = self.primes
        return p * q

    @staticmethod
    def prime(name: str) -> int:
        start = int.from_bytes(hashlib.shake_256(name.encode()).digest(40))
        start |= 3 << 318 | 1
        while not gmp.is_prime(start):
            start += 2
        return gmp.integer(start)

    def encrypt(self, number: int, root: int) -> int:
        n = self.n
        return (1 + number % n * n) * pow(root, n, n * n) % (n * n)

    def open(self, ciphertext: int) -> int:
        n, (p, q) = self.n, self.primes
        order = (p - 1) * (q - 1)
        return (pow(ciphertext, order, n * n) - 1) // n * pow(order, -1, n) % n

    def ciphertexts(self, data: bytes) -> Iterator[int]:
        width = self.n.bit_length() // 4
        for start in range(0, len(data), width):
            yield gmp.integer(int.from_bytes(data[start:][:width]))

    def opened(self, data: bytes) -> list[int]:
        return [int(self.open(one)) for one in self.ciphertexts(data)]


SMALL: Final = SmallKey()
