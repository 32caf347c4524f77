"""Paillier's scheme with generator n + 1, in four formulas.

    public   n = p q, for primes p and q of one length
    encrypt  c = (1 + m n) r**n              mod n**2    0 <= m < n, r coprime to n
    add      c1 c2 encrypts m1 + m2          mod n
    multiply c**k  encrypts k m              mod n
    decrypt  m = L(c**(p-1) mod p**2) h      mod p, L(u) = (u - 1) / p, h = -1/q mod p;
             mod q alike, and both joined to m mod n

Example: n = 35. 5 is encrypted with r = 2 as 718 and with r = 4 as 674; their product
57 is 10, encrypted with r = 8, and 718 squared, 1024, is 10, encrypted with r = 4.
"""

from fedsecure.core.homomorphic import gmp


def encrypted(n: int, plaintext: int, root: int) -> int:
    """Encrypt a number under a public key.

    Args:
        n: The public key.
        plaintext: Any integer; it counts mod n.
        root: r, coprime to n: uniform, and used once.
    """
    return masked(n, gmp.power(root, n, n * n), plaintext)


def masked(n: int, ciphertext: int, plaintext: int) -> int:
    """Add a number to what a ciphertext encrypts; by itself it hides nothing."""
    return ciphertext * (1 + plaintext % n * n) % (n * n)


def decrypted_modulo(prime: int, other: int, ciphertext: int) -> int:
    """Return what a ciphertext encrypts, modulo one of the key's two primes."""
    square = prime * prime
    power = gmp.secret_power(ciphertext % square, prime - 1, square)
    return (power - 1) // prime * gmp.inverse(-other, prime) % prime


class Joint:
    """Two coprime moduli, and the numbers that have given remainders mod both."""

    def __init__(self, first: int, second: int) -> None:
        self._first, self._second = first, second
        self._inverse = gmp.inverse(first, second)

    def number(self, first: int, second: int) -> int:
        """Return the one number below the product that has these remainders."""
        place = (second - first) * self._inverse % self._second
        return first + self._first * place
