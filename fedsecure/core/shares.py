"""What goes from stage to stage of the scheme; secret fields are never printed.

An output share is nowhere here: it only ever exists as pieces (`fedsecure.core.layout`)
between an aggregator's `prepare` and `aggregate`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from fedsecure.core import layout
from fedsecure.core.encoding import MeanUpdate, Update
from fedsecure.core.layout import Buffer
from fedsecure.core.modulus import SCALARS, Words
from fedsecure.core.params import Params
from fedsecure.core.scalars import MeanScalars, Metrics


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one data owner brings to a round. Nothing of it is printed.

    Args:
        update: Shape (dimension,), float32, model units; None if dimension is 0.
        weight: The data owner's weight; counted within 1..W. In a round whose noise
            protects rows: the rows that were trained on.
        metrics: For each declared scalar a number, or `size` of them.
        measured: The rows that the metrics are means of; only a round whose noise
            protects rows counts them.
    """

    update: Update | None = field(repr=False)
    weight: int = field(repr=False)
    metrics: Metrics = field(repr=False)
    measured: int = field(default=1, repr=False)


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


@dataclass(slots=True)
class AggregateShare:
    """One aggregator's share of a round's sum, and how many reports it holds.

    Args:
        tensor: Shape (dimension,), words of the suite's modulus.
        scalars: Shape (scalar_count,), uint64.
        count: Reports.
    """

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

        Args:
            params: The round's numbers.
            plaintext: The layout's `plaintext_bytes` bytes. The share's arrays are in
                them: shape (dimension,), the modulus' dtype, and (scalar_count,),
                uint64.
            count: How many reports it holds, as its signed header says.

        Raises:
            PeerError: FS-723 for the wrong number of bytes.
        """
        tensor, scalars = params.layout.read(plaintext)
        return cls(tensor, scalars, count)

    def to_records(self) -> Iterator[memoryview]:
        """Return the share's bytes, in pieces of CHUNK but the last, for sealing."""
        return layout.write(self.tensor, self.scalars)


@dataclass(frozen=True, slots=True)
class Deviations:
    """Standard deviations that both aggregators' noise gives to what was opened.

    Args:
        update: Of each coordinate of the mean update, in model units.
        weight: Of the total weight: rows.
        scalars: By declared name: of a metric's mean, or of a count.
    """

    update: float
    weight: float
    scalars: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Mean:
    """What the model owner learns of one round, and all of it.

    Args:
        update: Weighted mean of the clipped updates, shape (dimension,), float64.
        scalars: By declared name: exact sums of counts, weighted means of metrics, both
            over the reports that could measure; None: none could.
        count: n, the reports in the sum.
        total_weight: sum(w_i).
        clipped: How many updates were longer than the clip.
        statistics_clipped: How many had statistics longer than theirs.
        clamped: How many numbers were out of their range.
        undefined: How many reports held a number that is not finite, and so none.
        deviations: With noise, how far what was opened may be from what it was.

    With noise, weight and clipped are estimates, and the last three counts are 0: they
    are not told. A metric is None where noise leaves nothing to divide by.
    """

    update: MeanUpdate = field(repr=False)
    scalars: MeanScalars
    count: int
    total_weight: int
    clipped: int
    statistics_clipped: int
    clamped: int
    undefined: int
    deviations: Deviations | None = None

    def over_at_least(self, fewest: int) -> "Mean":
        """Return it without declared scalars that are over fewer reports.

        Run by the model owner, who could compute them all the same: so they are in no
        store, and on no screen.
        """
        if self.count - self.undefined >= fewest:
            return self
        return replace(self, scalars=dict.fromkeys(self.scalars))
