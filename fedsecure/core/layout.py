"""Where the numbers of a round lie in bytes: the one codec of its shares.

    plaintext = tensor section || scalars section
    tensor    = d words of the suite's modulus, little-endian
    scalars   = k words mod 2**64, little-endian

So reads what a vector input share holds, an output share and an aggregate share. None
of them is ever made, sealed, opened or added up whole, but in **pieces** of 2**20
bytes, the last one shorter: a piece is the plaintext of one sealed record, and its
words of the tensor are masked by one chunk of key stream. The tensor's last words may
share a piece with scalars, and a scalar may lie across two pieces.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from fedsecure.core.modulus import SCALARS, Modulus, Words
from fedsecure.errors import PeerError

CHUNK: Final = 2**20  # bytes of a piece, a sealed record, a chunk of key stream

Buffer: TypeAlias = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a plaintext, and what of the two sections lies in it.

    Args:
        index: Its place among the pieces.
        tensor: The words of the tensor that it holds.
        scalars: The bytes of the scalars section that it holds, behind the words.
        modulus: Of the words.
    """

    index: int
    tensor: slice
    scalars: slice
    modulus: Modulus

    @property
    def tensor_bytes(self) -> int:
        """Bytes of the words of the tensor."""
        return int(self.tensor.stop - self.tensor.start) * self.modulus.word_bytes

    @property
    def size(self) -> int:
        """Bytes of the whole piece."""
        return self.tensor_bytes + int(self.scalars.stop - self.scalars.start)

    def split(self, data: Buffer) -> tuple[Words, memoryview]:
        """Read the piece's bytes in place: words of the tensor, bytes of scalars.

        Args:
            data: The piece, `size` bytes.

        Returns:
            The tensor's words, shape (tensor.stop - tensor.start,), the modulus' dtype,
            and the bytes of scalars behind them; both are `data` itself.

        Raises:
            PeerError: FS-723 unless there are exactly `size` bytes.
        """
        view = memoryview(data).cast("B")
        _require_size(len(view), self.size)
        size = self.tensor_bytes
        return np.frombuffer(view[:size], self.modulus.dtype), view[size:]


@dataclass(frozen=True, slots=True)
class Layout:
    """The sizes that one round's plaintexts have.

    Args:
        dimension: d, words of the tensor; 0 in evaluation rounds.
        scalar_count: k, words of the scalars section.
        modulus: Of the tensor's words.
    """

    dimension: int
    scalar_count: int
    modulus: Modulus

    @property
    def tensor_bytes(self) -> int:
        """Bytes of the tensor section."""
        return self.dimension * self.modulus.word_bytes

    @property
    def scalars_bytes(self) -> int:
        """Bytes of the scalars section."""
        return self.scalar_count * SCALARS.word_bytes

    @property
    def plaintext_bytes(self) -> int:
        """Bytes of both sections."""
        return self.tensor_bytes + self.scalars_bytes

    def pieces(self) -> Iterator[Piece]:
        """Return the pieces of a plaintext in their order."""
        tensor, word = self.tensor_bytes, self.modulus.word_bytes
        for index, start in enumerate(range(0, self.plaintext_bytes, CHUNK)):
            end = min(start + CHUNK, self.plaintext_bytes)
            yield Piece(
                index,
                slice(min(start, tensor) // word, min(end, tensor) // word),
                slice(max(start - tensor, 0), max(end - tensor, 0)),
                self.modulus,
            )

    def read(self, plaintext: Buffer) -> tuple[Words, Words]:
        """Read both sections in place.

        Returns:
            The tensor, shape (dimension,), words of the modulus; the scalars, shape
            (scalar_count,), uint64.

        Raises:
            PeerError: FS-723 unless there are exactly `plaintext_bytes`.
        """
        view = memoryview(plaintext).cast("B")
        _require_size(len(view), self.plaintext_bytes)
        tensor = np.frombuffer(view, self.modulus.dtype, self.dimension)
        return tensor, np.frombuffer(view[tensor.nbytes :], SCALARS.dtype)


def write(tensor: Words, scalars: Words) -> Iterator[memoryview]:
    """Return the bytes of two sections, piece by piece; most of them are not copied.

    Args:
        tensor: Shape (dimension,), words of the suite's modulus.
        scalars: Shape (scalar_count,), uint64.
    """
    words = tensor.view(np.uint8).data
    whole = len(words) // CHUNK * CHUNK
    yield from cut(words[:whole])
    yield from cut(bytes(words[whole:]) + scalars.tobytes())


def cut(data: Buffer) -> Iterator[memoryview]:
    """Cut bytes into pieces of CHUNK; the last may be shorter."""
    view = memoryview(data)
    for start in range(0, len(view), CHUNK):
        yield view[start : start + CHUNK]


def _require_size(found: int, wanted: int) -> None:
    if found != wanted:
        raise PeerError(
            "FS-723", f"a share has {found} bytes, the round needs {wanted}"
        )
