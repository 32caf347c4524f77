"""The scheme's stages in one place, without keys and network; and a slow reference.

`add` and `run` call what ships. `Whole` is what a reader would write from
`fedsecure.core.layout` alone: whole shares in memory, no pieces. Both must agree.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fedsecure.core import scheme
from fedsecure.core.buffers import carve
from fedsecure.core.layout import Buffer, cut
from fedsecure.core.mask import SPEC_DIGEST_BYTES, SPILL, KeyStream, Mask
from fedsecure.core.params import Params
from fedsecure.core.scheme import AggregateShare, Mean, Measurement, ReportContext

SPEC = bytes(SPEC_DIGEST_BYTES)


def prepared(
    params: Params, context: ReportContext, kind: str, plaintext: Buffer
) -> Iterator[Buffer]:
    """Begin to give an output share's pieces, as an aggregator makes them."""
    (memory,) = carve(scheme.EXPANSION_BYTES)
    return scheme.prepare(params, context, kind, cut(plaintext), memory)


def add(
    params: Params,
    accumulator: AggregateShare,
    context: ReportContext,
    kind: str,
    plaintext: Buffer,
) -> None:
    """Prepare one input share and add it, as an aggregator does."""
    share = partial(prepared, params, context, kind, plaintext)
    scheme.aggregate(params, accumulator, share)


def run(
    params: Params, measurements: Sequence[Measurement], rands: Sequence[bytes]
) -> Mean:
    """Run all four stages that ship, over one measurement of each data owner."""
    first, second = AggregateShare.empty(params), AggregateShare.empty(params)
    for number, (measurement, rand) in enumerate(zip(measurements, rands, strict=True)):
        sharding = scheme.shard(params, SPEC, f"{number}", measurement, rand)
        context = ReportContext(SPEC, sharding.report_id, f"{number}")
        vector = b"".join(map(bytes, sharding.vector))
        seeds, vectors = (first, second) if sharding.seed_to_first else (second, first)
        add(params, seeds, context, "seed", sharding.seed)
        add(params, vectors, context, "vector", vector)
    return scheme.unshard(params, first, second)


@dataclass(frozen=True)
class Whole:
    """An output share, whole: words of the tensor, and scalars."""

    tensor: NDArray[np.unsignedinteger]
    scalars: NDArray[np.uint64]

    @classmethod
    def of(
        cls, params: Params, context: ReportContext, kind: str, plaintext: Buffer
    ) -> "Whole":
        """Prepare an input share by the book."""
        if kind == "vector":
            half = 4 * params.dimension
            data = bytes(plaintext)
            return cls(
                np.frombuffer(data[:half], "<u4"), np.frombuffer(data[half:], "<u8")
            )
        mask = Mask.expand(plaintext, context)
        return cls(
            np.frombuffer(_stream(mask.tensor, 4 * params.dimension), "<u4"),
            np.frombuffer(_stream(mask.scalars, 8 * params.scalar_count), "<u8"),
        )

    def added_to(self, share: AggregateShare) -> AggregateShare:
        """Return the sum; the share is left as it is."""
        return AggregateShare(
            share.tensor + self.tensor, share.scalars + self.scalars, share.count + 1
        )


def _stream(stream: KeyStream, size: int) -> bytes:
    memory = bytearray(size + SPILL)
    stream.write(size, memoryview(memory))
    return bytes(memory[:size])
