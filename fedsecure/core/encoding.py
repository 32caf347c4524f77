"""Clip and fixed point: what an update becomes before it is shared, and its mean.

    update   u (float32)  -> x = rint(((w / W) * c * S) * u), c = min(1, C / ||u||_2)
    its statistics s      -> the same with C' for C in c, times C / C'

Sums of these integers are what is opened. `(w / W) * c * S` is one float64 number, and
the product is taken and rounded half-even in float64: in float32, |x| could exceed
C * S by more than the margin of 1 that `Params` leaves, and the sum could wrap.
The float64 error of x before rounding is below 2**-9, nearly all of it the norm's.

The weights, counts and metrics beside it are encoded by `fedsecure.core.scalars`.
"""

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedsecure.core.buffers import Memory, carve
from fedsecure.core.layout import CHUNK
from fedsecure.core.modulus import Words
from fedsecure.core.params import Params, Range
from fedsecure.errors import OperatorError, PeerError

Update: TypeAlias = NDArray[np.float32]  # shape (dimension,), model units
MeanUpdate: TypeAlias = NDArray[np.float64]  # shape (dimension,), model units

_STEP: Final = 2**18  # numbers widened to float64 at a time; fewer were slower
_ROW: Final = 2**13  # in one dot product: exact to 2**-40, too short for BLAS threads


class TensorEncoder:
    """Clips one update and writes its integers, any range at a time.

    Holds a data owner's update and its norm: nothing of it is printed.

    Args:
        params: The round's numbers.
        update: Shape (dimension,), float32, model units; read again by `write`.
        weight: 1 to W.
        scratch: `scratch_bytes` of memory, used until the last `write`.

    Raises:
        OperatorError: FS-210 for an update that is not finite.
    """

    __slots__ = (
        "_factor",
        "_modulus",
        "_scratch",
        "_statistics",
        "_statistics_factor",
        "_update",
        "clipped",
        "statistics_clipped",
    )

    def __init__(
        self, params: Params, update: Update, weight: int, scratch: Memory
    ) -> None:
        self._update, self._modulus = update, params.modulus
        self._scratch = scratch.view(np.float64)
        self._statistics = apart = params.statistics
        share, self._statistics_factor, self.statistics_clipped = (
            weight / params.weight_cap,
            0.0,
            False,
        )
        trained: Iterable[Range] = [(0, update.size)]
        if apart is not None:
            trained = apart.others(update.size)
            shrink = self._shrink(apart.ranges, apart.clip)
            self.statistics_clipped = shrink < 1.0
            self._statistics_factor = (
                share * shrink * params.scale / params.statistics_unit
            )
        shrink = self._shrink(trained, params.clip)
        self.clipped = shrink < 1.0
        self._factor = share * shrink * params.scale

    def _shrink(self, ranges: Iterable[Range], clip: float) -> float:
        """Return min(1, clip / the L2 norm of these coordinates)."""
        length = norm_of(self._update, ranges, self._scratch)
        if not math.isfinite(length):
            raise OperatorError("FS-210", "the update holds NaN or infinity")
        return 1.0 if length <= clip else clip / length

    @staticmethod
    def scratch_bytes(params: Params) -> int:
        """Return how much working memory an encoder needs."""
        return 8 * min(_STEP, params.dimension)

    def write(self, start: int, out: Words) -> None:
        """Write the integers of some coordinates. Run by the data owner.

        Args:
            start: The first coordinate.
            out: Shape (coordinates,), the modulus' dtype; overwritten.
        """
        signed = out.view(self._modulus.signed_dtype)
        for done in range(0, out.size, _STEP):
            target = signed[done : done + _STEP]
            first = start + done
            wide = self._scratch[: target.size]
            # Widened first: numpy takes a product of two types in small buffers.
            np.copyto(wide, self._update[first : first + target.size])
            self._scale(wide, first)
            np.rint(wide, out=wide)
            np.copyto(target, wide, casting="unsafe")

    def _scale(self, wide: NDArray[np.float64], first: int) -> None:
        """Multiply a piece of the update, from coordinate `first` on, in place."""
        if self._statistics is None:
            np.multiply(wide, self._factor, out=wide)
            return
        done = 0
        for place in self._statistics.within(first, wide.size):
            wide[done : place.start] *= self._factor
            wide[place] *= self._statistics_factor
            done = place.stop
        wide[done:] *= self._factor


def norm(update: Update, scratch: NDArray[np.float64]) -> float:
    """Return the L2 norm, accumulated in float64; not finite if the update is not.

    Its relative error is below 2**-40.

    Args:
        update: Shape (dimension,), float32, model units.
        scratch: Shape (any,), float64: so many numbers are squared at a time.
            Overwritten.
    """
    return norm_of(update, [(0, update.size)], scratch)


def norm_of(
    update: Update, ranges: Iterable[Range], scratch: NDArray[np.float64]
) -> float:
    """Return the L2 norm of some coordinates, as `norm`.

    Args:
        update: Shape (dimension,), float32, model units.
        ranges: Which coordinates.
        scratch: Shape (any,), float64; overwritten.
    """
    return math.sqrt(sum(_squares(update[begin:end], scratch) for begin, end in ranges))


def _squares(update: Update, scratch: NDArray[np.float64]) -> float:
    squares = 0.0
    for start in range(0, update.size, scratch.size or 1):
        piece = update[start : start + scratch.size]
        wide = scratch[: piece.size]
        with np.errstate(invalid="ignore"):  # NaN is the caller's to refuse
            np.copyto(wide, piece)
            squares += _sum_of_squares(wide)
    return squares


def _sum_of_squares(numbers: NDArray[np.float64]) -> float:
    whole = numbers.size // _ROW * _ROW
    rows, rest = numbers[:whole].reshape(-1, _ROW), numbers[whole:]
    return float(np.vecdot(rows, rows).sum() + np.dot(rest, rest))


def decode_tensor(
    params: Params, a: Words, b: Words, total_weight: int, count: int
) -> MeanUpdate:
    """Add two aggregate shares and divide once. Run by the model owner.

    Args:
        params: The round's numbers.
        a: Shape (dimension,), the modulus' dtype: one aggregator's sum.
        b: The other's, alike.
        total_weight: The sum of the weights.
        count: The number of reports.

    Returns:
        The mean update, shape (dimension,), float64, model units.

    Raises:
        PeerError: FS-725 for a sum that `count` clipped updates, and noise, cannot
            have.
    """
    share = Fraction(total_weight, params.weight_cap)
    most = _most_steps(params, share, count)
    divisor = float(Fraction(params.scale) * share)
    squares = 0.0
    step = CHUNK // params.modulus.word_bytes
    (memory,) = carve(min(CHUNK, params.layout.tensor_bytes))
    scratch = memory.view(params.modulus.dtype)
    update = np.empty(params.dimension, np.float64)
    for start in range(0, params.dimension, step):
        piece = update[start : start + step]
        total = scratch[: piece.size]
        np.add(a[start : start + step], b[start : start + step], out=total)
        signed = total.view(params.modulus.signed_dtype)
        if not (-most <= int(signed.min()) and int(signed.max()) <= most):
            raise PeerError("FS-725", "the sum of the updates exceeds all clips")
        np.copyto(piece, signed)
        if params.noise is not None:
            squares += _sum_of_squares(piece)
        np.divide(piece, divisor, out=piece)
        if params.statistics is not None:
            for place in params.statistics.within(start, piece.size):
                piece[place] *= params.statistics_unit
    _require_length(params, math.sqrt(squares), count)
    return update


def _most_steps(params: Params, share: Fraction, count: int) -> int:
    """Return the most that one coordinate of a sum can be, in steps."""
    if params.noise is not None:  # its length is looked at instead
        return params.modulus.half
    return math.floor(Fraction(params.clip) * Fraction(params.scale) * share) + count


def _require_length(params: Params, length: float, count: int) -> None:
    """Check the L2 norm of a sum with both aggregators' noise, in steps.

    n (C S + sqrt(d)) is the most without noise, and the noise alone is longer than
    sqrt(2) sigma (sqrt(d) + 20) once in 2**250 rounds.
    """
    noise = params.noise_steps
    if noise is None:
        return
    parts = math.sqrt(2) if params.statistics else 1.0
    root = math.sqrt(params.dimension)
    most = count * (parts * params.clip * params.scale + root)
    most += math.sqrt(2) * noise.sigma * (root + 20)
    if not length <= most:
        raise PeerError("FS-725", "the sum of the updates exceeds all clips and noise")
