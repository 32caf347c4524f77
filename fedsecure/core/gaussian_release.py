"""Releases a sum with discrete Gaussian noise: what each aggregator adds, its own.

Each word of both sections gets one draw (`fedsecure.core.dp.sampler`), the tensor with
sigma, the scalars with sigma_s (`fedsecure.core.dp.sensitivity`), by keys of their own.

Guarantee: whoever holds all released sums and the other aggregator's noise learns of
one unit what `fedsecure.core.dp.accountant` says of the round's cost.
Assumption: this aggregator tells nobody of its seed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from fedsecure.core import domains
from fedsecure.core.buffers import Memory, carve
from fedsecure.core.dp.sampler import MEMORY_BYTES, Sampler, table
from fedsecure.core.dp.sensitivity import NoiseSteps
from fedsecure.core.layout import CHUNK, Buffer, Piece
from fedsecure.core.mask import KeyStream
from fedsecure.core.modulus import Words
from fedsecure.core.params import Params
from fedsecure.core.release import EXACT, Keys, Mechanism
from fedsecure.core.shares import AggregateShare


@dataclass(frozen=True, slots=True)
class GaussianRelease:
    """Adds one aggregator's noise to a sum, piece by piece.

    Args:
        params: The round's numbers.
        tensor: The noise of the tensor.
        scalars: That of the scalars.
    """

    params: Params
    tensor: NoiseSteps
    scalars: NoiseSteps

    is_exact: Final = False

    def warm_up(self) -> None:
        """Make both tables, which are kept: some seconds each, the first time."""
        table(self.scalars.sigma)
        if self.params.dimension:
            table(self.tensor.sigma)

    def records(self, total: AggregateShare, keys: Keys) -> Iterator[Buffer]:
        """Yield the bytes of the sum and the noise."""
        layout = self.params.layout
        size = min(CHUNK, layout.plaintext_bytes)
        memory, *buffers = carve(MEMORY_BYTES, size, size)
        scalars = self._noisy_scalars(total.scalars, keys, memory)
        sampler = None
        if self.params.dimension:  # no table for what an evaluation does not have
            key = KeyStream(keys(domains.NOISE_TENSOR))
            sampler = Sampler(key, self.tensor.sigma)
        for piece in layout.pieces():
            buffer = buffers[piece.index % 2][: piece.size]  # seal looks one ahead
            _fill(buffer, piece, total.tensor, scalars)
            if sampler is not None:
                words, _ = piece.split(buffer.data)
                sampler.add_to(words, piece.tensor.start, memory)
            yield buffer.data

    def _noisy_scalars(self, scalars: Words, keys: Keys, memory: Memory) -> Words:
        noisy = scalars.copy()
        key = KeyStream(keys(domains.NOISE_SCALARS))
        Sampler(key, self.scalars.sigma).add_to(noisy, 0, memory)
        return noisy


def mechanism_of(params: Params) -> Mechanism:
    """Return what is released of a round's sum: noise, if the round is to have it."""
    tensor, scalars = params.noise_steps, params.scalar_noise_steps
    if tensor is None or scalars is None:
        return EXACT
    return GaussianRelease(params, tensor, scalars)


def _fill(buffer: Memory, piece: Piece, tensor: Words, scalars: Words) -> None:
    """Copy a piece of both sections."""
    words, rest = piece.split(buffer.data)
    np.copyto(words, tensor[piece.tensor])
    rest[:] = scalars.tobytes()[piece.scalars]
