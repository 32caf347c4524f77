"""What goes from stage to stage of the scheme; secret fields are never printed.

A plaintext holds two sections: `dimension` words of the update, then `scalar_count`
words of 8 bytes, both little-endian. An output share reads them where they lie.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from fedsecure.core.buffers import carve
from fedsecure.core.encoding import MeanScalars, MeanUpdate, Metrics, Update
from fedsecure.core.mask import Buffer
from fedsecure.core.modulus import SCALARS, Words
from fedsecure.core.params import CHUNK, Params
from fedsecure.errors import PeerError


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one data owner brings to a round. Nothing of it is printed.

    Args:
        update: Shape (dimension,), float32, model units; None if dimension is 0.
        weight: The data owner's weight; counted within 1..W.
        metrics: For each declared scalar a number, or `size` of them.
    """

    update: Update | None = field(repr=False)
    weight: int = field(repr=False)
    metrics: Metrics = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sharding:
    """Both input shares of one report, and what sealing them needs.

    Args:
        report_id: Public; the same at both aggregators.
        seed: One input share.
        vector: The other, as buffers of CHUNK bytes but the last. It can be read once;
            a buffer stays as it is until the next but one is asked for. The update
            must not change before the end.
        seed_to_first: Whether the first aggregator gets the seed.
        content_keys: For the first and the second aggregator's payload.
        clipped: Whether the update was longer than the clip.
    """

    report_id: bytes
    seed: bytes = field(repr=False)
    vector: Iterator[memoryview] = field(repr=False)
    seed_to_first: bool = field(repr=False)
    content_keys: tuple[bytes, bytes] = field(repr=False)
    clipped: bool = field(repr=False)


@dataclass(frozen=True, slots=True)
class OutputShare:
    """One addend of one encoded update: both sections, in the caller's memory."""

    memory: memoryview = field(repr=False)
    tensor: Words = field(repr=False)
    scalars: Words = field(repr=False)

    @classmethod
    def over(cls, params: Params, memory: Buffer) -> "OutputShare":
        """Read a plaintext's bytes as an output share, without a copy.

        Raises:
            PeerError: FS-723 unless there are exactly `plaintext_bytes`.
        """
        view = memoryview(memory).cast("B")
        if len(view) != params.plaintext_bytes:
            raise PeerError(
                "FS-723",
                f"a share has {len(view)} bytes, the round needs "
                f"{params.plaintext_bytes}",
            )
        tensor = np.frombuffer(view, params.modulus.dtype, params.dimension)
        return cls(view, tensor, np.frombuffer(view[tensor.nbytes :], SCALARS.dtype))

    @classmethod
    def allocate(cls, params: Params) -> "OutputShare":
        """Make the scratch of one fold worker, to be used for every report."""
        return cls.over(params, carve(params.plaintext_bytes)[0].data)


@dataclass(slots=True)
class AggregateShare:
    """One aggregator's share of a round's sum, and how many reports it holds."""

    tensor: Words = field(repr=False)
    scalars: Words = field(repr=False)
    count: int

    @classmethod
    def empty(cls, params: Params) -> "AggregateShare":
        """Return the share of the sum over nobody."""
        return cls(
            np.zeros(params.dimension, params.modulus.dtype),
            np.zeros(params.scalar_count, SCALARS.dtype),
            count=0,
        )

    @classmethod
    def from_plaintext(
        cls, params: Params, plaintext: Buffer, count: int
    ) -> "AggregateShare":
        """Read an opened aggregate share, without a copy. Run by the model owner.

        Raises:
            PeerError: FS-723 for the wrong number of bytes.
        """
        sections = OutputShare.over(params, plaintext)
        return cls(sections.tensor, sections.scalars, count)

    def to_records(self) -> Iterator[memoryview]:
        """Return the share's bytes, in pieces of CHUNK but the last, for sealing."""
        tensor = self.tensor.view(np.uint8).data
        whole = len(tensor) // CHUNK * CHUNK
        yield from cut(tensor[:whole])
        yield from cut(bytes(tensor[whole:]) + self.scalars.tobytes())


@dataclass(frozen=True, slots=True)
class Mean:
    """What the model owner learns of one round, and all of it.

    Args:
        update: Weighted mean of the clipped updates, shape (dimension,), float64.
        scalars: By declared name: exact sums of counts, weighted means of metrics.
        count: n, the reports in the sum.
        total_weight: sum(w_i).
        clipped: How many updates were longer than the clip.
        clamped: How many numbers were out of their range.
    """

    update: MeanUpdate = field(repr=False)
    scalars: MeanScalars
    count: int
    total_weight: int
    clipped: int
    clamped: int


def cut(data: Buffer) -> Iterator[memoryview]:
    """Cut bytes into pieces of CHUNK; the last may be shorter."""
    view = memoryview(data)
    for start in range(0, len(view), CHUNK):
        yield view[start : start + CHUNK]
