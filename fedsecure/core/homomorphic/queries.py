"""What a client sends, and how it reads what comes back.

    query  = n || the roots that prove it || ciphertexts, row by row
    answer = ciphertexts, row by row

n and each root have bits / 8 bytes, each ciphertext has bits / 4, big-endian.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import gcd

import numpy as np

from fedsecure.core import domains
from fedsecure.core.homomorphic import gmp, keys
from fedsecure.core.homomorphic.draws import Draws
from fedsecure.core.homomorphic.key_proof import ROOTS, require_proof
from fedsecure.core.homomorphic.keys import SecretKey
from fedsecure.core.layout import Buffer
from fedsecure.core.mpc.ring import Shape, Words
from fedsecure.errors import PeerError


@dataclass(frozen=True, slots=True)
class EncryptedRows:
    """A client's key, and its rows under it: whole numbers that mod n**2 are coprime.

    Args:
        n: The key.
        rows: For each row its ciphertexts.
    """

    n: int
    rows: tuple[tuple[int, ...], ...]


def query_bytes(bits: int, rows: int, features: int) -> int:
    """Return how many bytes a query has. Run by both ends."""
    return bits // 8 * (1 + ROOTS) + answer_bytes(bits, rows, features)


def answer_bytes(bits: int, rows: int, outputs: int) -> int:
    """Return how many bytes an answer has. Run by both ends."""
    return bits // 4 * rows * outputs


def encrypt(key: SecretKey, words: Words, rand: Buffer) -> bytes:
    """Encrypt rows. Run by the client.

    Args:
        key: The client's.
        words: Shape (rows, features), uint64, as `ring.encode` makes them.
        rand: 32 uniform bytes, used for nothing else.
    """
    draws, width = Draws(rand, domains.PAILLIER_ROWS), key.n.bit_length() // 8
    signed = words.view(np.int64).reshape(-1).tolist()
    ciphertexts = (key.encrypt(number, draws) for number in signed)
    head = _written((key.n, *key.proof), width)
    return head + _written(ciphertexts, 2 * width)


def read_query(payload: Buffer, bits: int, shape: Shape) -> EncryptedRows:
    """Read what a client sent, and check all of it. Run by each server.

    Args:
        payload: `query_bytes` bytes.
        bits: Of keys, as the program says.
        shape: Rows and features.

    Raises:
        PeerError: FS-731 for anything but a key of that length, its proof and so many
            ciphertexts under it; FS-223 for a length that no key may have.
        OperatorError: FS-563 when the extra `paillier` is not installed.
    """
    keys.require_bits(bits)
    view, head = memoryview(payload).cast("B"), bits // 8 * (1 + ROOTS)
    _require_size(view, query_bytes(bits, *shape))
    n, *roots = _read(view[:head], bits // 8)
    if n.bit_length() != bits or n % 2 == 0:
        raise PeerError(
            "FS-731",
            f"the key has {n.bit_length()} bits or is even, not {bits} and odd",
        )
    require_proof(n, tuple(roots))
    numbers = _ciphertexts(view[head:], n)
    rows, features = shape
    return EncryptedRows(
        n,
        tuple(
            tuple(numbers[row * features : (row + 1) * features]) for row in range(rows)
        ),
    )


def write_answer(n: int, numbers: Iterable[int]) -> bytes:
    """Write a server's ciphertexts, fixed bytes each."""
    return _written(numbers, n.bit_length() // 4)


def decrypt(key: SecretKey, answer: Buffer, shape: Shape) -> Words:
    """Open one server's answer. Run by the client.

    Args:
        key: The client's.
        answer: `answer_bytes` bytes.
        shape: Rows and outputs.

    Returns:
        Of that shape, uint64: this server's share of the logits' words.

    Raises:
        PeerError: FS-731 for anything but so many ciphertexts under this key.
    """
    view = memoryview(answer).cast("B")
    _require_size(view, answer_bytes(key.n.bit_length(), *shape))
    plain = [key.decrypt(number) % 2**64 for number in _ciphertexts(view, key.n)]
    return np.array([int(word) for word in plain], np.uint64).reshape(shape)


def _ciphertexts(data: memoryview, n: int) -> list[int]:
    numbers, square = list(_read(data, n.bit_length() // 4)), n * n
    for place, number in enumerate(numbers):
        if not 0 < number < square or gcd(int(number), int(n)) != 1:
            raise PeerError(
                "FS-731", f"ciphertext {place + 1} of {len(numbers)} is none mod n**2"
            )
    return numbers


def _require_size(data: memoryview, wanted: int) -> None:
    if len(data) != wanted:
        raise PeerError("FS-731", f"there are {len(data)} bytes, not {wanted}")


def _read(data: memoryview, width: int) -> Iterator[int]:
    for start in range(0, len(data), width):
        yield gmp.integer(int.from_bytes(data[start : start + width]))


def _written(numbers: Iterable[int], width: int) -> bytes:
    return b"".join(gmp.to_bytes(number, width) for number in numbers)
