"""Two-server secure mean of model updates.

A distributed aggregation function in the sense of draft-irtf-cfrg-vdaf, section 4,
whose stage names it keeps. Nothing is proved about the updates yet, so `prepare` has
one round and `verify` none:

    shard      data owner   one update            -> two input shares
    prepare    aggregator   one input share       -> one output share
    aggregate  aggregator   many output shares    -> one aggregate share
    unshard    model owner  two aggregate shares  -> the mean update

An input share is a 32-byte seed, or the vector: the encoded update and its scalars
minus the mask that the seed expands to. Either alone is independent of the update;
their sum is the encoded update. Which aggregator gets which is drawn for every report.

A vector is made, and an output share is added, 2**20 bytes at a time
(`fedsecure.core.layout`), so that an update of any size costs a few MiB at a data
owner, and an aggregator its sum and a few MiB.

Guarantee: the opened mean differs from the exact weighted mean of the clipped updates
by at most `n * 0.5 / S / sum(w_i / W)` per coordinate, float64 rounding apart (less
than a hundredth of it); of statistics, at C' / C times that. Counts are opened exactly,
and no sum can wrap.
Assumption: both aggregators added the shares that they were sent, and nothing else.

In a round with noise (`fedsecure.core.dp.sensitivity`) each aggregator adds its own
before it lets go of its share (`fedsecure.core.release`); the mean is an estimate.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np

from fedsecure.core import noisy_scalars
from fedsecure.core.buffers import Memory, carve
from fedsecure.core.encoding import TensorEncoder, Update, decode_tensor
from fedsecure.core.layout import CHUNK, Buffer
from fedsecure.core.mask import (
    REPORT_ID_BYTES,
    SEED_BYTES,
    SPILL,
    KeyStream,
    Mask,
    ReportContext,
)
from fedsecure.core.modulus import SCALARS, Words
from fedsecure.core.params import Params
from fedsecure.core.scalars import (
    clamp_weight,
    decode_scalars,
    encode_scalars,
    read_totals,
)
from fedsecure.core.sealing.sealing_key import CONTENT_KEY_BYTES
from fedsecure.core.shares import AggregateShare, Mean, Measurement, Sharding
from fedsecure.errors import OperatorError, PeerError

__all__ = [
    "EXPANSION_BYTES",
    "RAND_BYTES",
    "AggregateShare",
    "Mean",
    "Measurement",
    "ReportContext",
    "Sharding",
    "aggregate",
    "input_share_bytes",
    "prepare",
    "shard",
    "unshard",
]

EXPANSION_BYTES: Final = CHUNK + SPILL  # of memory that `prepare` works in
RAND_BYTES: Final = SEED_BYTES + REPORT_ID_BYTES + 1 + 2 * CONTENT_KEY_BYTES


def shard(
    params: Params,
    spec_digest: bytes,
    reporter: str,
    measurement: Measurement,
    rand: bytes,
) -> Sharding:
    """Split one measurement into two input shares. Run by the data owner, once.

    Args:
        params: The round's numbers.
        spec_digest: SHA-256 of the round's signed spec.
        reporter: The data owner's name.
        measurement: The update, its weight and its metrics.
        rand: RAND_BYTES uniform bytes, used for nothing else.

    Raises:
        OperatorError: FS-210 for an update that is not finite, in a round without
            noise; FS-211 for one of the wrong shape or type, FS-212 for other metrics
            than the declared.
    """
    seed, report_id, coin, *content_keys = _cut_rand(rand)
    update = _require_update(params, measurement.update)
    scratch, *buffers = _working_memory(params)
    if params.noise is None:
        weight = clamp_weight(params, measurement.weight)
        encoder = TensorEncoder(params, update, weight, scratch)
        scalars = encode_scalars(
            params,
            measurement.weight,
            (encoder.clipped, encoder.statistics_clipped),
            measurement.metrics,
        )
    else:
        found = noisy_scalars.measured(update, measurement)
        update = found.update
        encoder = TensorEncoder(params, update, params.weight_cap, scratch)
        scalars = noisy_scalars.encode(params, found, clipped=encoder.clipped)
    mask = Mask.expand(seed, ReportContext(spec_digest, report_id, reporter))
    scalars -= _scalars_mask(params, mask)
    return Sharding(
        report_id=report_id,
        seed=seed,
        vector=_vector(params, encoder, mask.tensor, scalars, buffers),
        seed_to_first=bool(coin[0] & 1),
        content_keys=(content_keys[0], content_keys[1]),
        clipped=encoder.clipped,
    )


def input_share_bytes(params: Params, kind: str) -> int:
    """Return the length of an input share's plaintext: kind "seed" or "vector"."""
    return {"seed": SEED_BYTES, "vector": params.layout.plaintext_bytes}[kind]


def prepare(
    params: Params,
    context: ReportContext,
    kind: str,
    opened: Iterable[Buffer],
    memory: Memory,
) -> Iterator[Buffer]:
    """Turn one opened input share into an output share. Run by an aggregator.

    Args:
        params: The round's numbers.
        context: What the report's masks are bound to.
        kind: "seed" or "vector".
        opened: What the payload held, record by record: `input_share_bytes` bytes.
        memory: Shape (EXPANSION_BYTES,), uint8: a seed is expanded in it.

    Returns:
        The output share's pieces. Each is there until the next is asked for.

    Raises:
        PeerError: FS-723 when a seed has the wrong length; what `opened` raises.
    """
    if kind == "vector":  # it is its own output share
        yield from opened
        return
    seed = b"".join(bytes(part) for part in opened)
    if len(seed) != SEED_BYTES:
        raise PeerError("FS-723", f"a seed has {len(seed)} bytes, not {SEED_BYTES}")
    mask = Mask.expand(seed, context)
    scalars = _scalars_mask(params, mask).tobytes()
    for piece in params.layout.pieces():
        buffer = memory[: piece.size + SPILL].data
        mask.tensor.write_chunk(piece.index, buffer[: piece.tensor_bytes + SPILL])
        buffer[piece.tensor_bytes : piece.size] = scalars[piece.scalars]
        yield buffer[: piece.size]


def aggregate(
    params: Params, accumulator: AggregateShare, share: Callable[[], Iterable[Buffer]]
) -> None:
    """Add one output share in place: all of it, or nothing. Run by an aggregator.

    Each piece is added while it is in the processor's cache. A share whose last record
    does not open must leave no trace although its first ones were added: they opened
    once and open again, and are taken back.

    Args:
        params: The round's numbers.
        accumulator: The sum: a tensor of shape (dimension,), the modulus' dtype, and
            scalars of shape (scalar_count,), uint64.
        share: Begins to give the share's pieces, each as many bytes as the layout says;
            called again for taking them back.

    Raises:
        PeerError: What the pieces raised, or FS-723 when they have other sizes; the
            sum is as it was before.
        OperatorError: FS-524 when what was added cannot be taken back; it is not.
    """
    added, scalars = 0, bytearray()
    try:
        for data, piece in zip(share(), params.layout.pieces(), strict=True):
            words, rest = piece.split(data)
            part = accumulator.tensor[piece.tensor]
            np.add(part, words, out=part)
            scalars += rest
            added += 1
    except PeerError:
        _take_back(params, accumulator, share, added)
        raise
    accumulator.scalars += np.frombuffer(scalars, SCALARS.dtype)
    accumulator.count += 1


def unshard(params: Params, a: AggregateShare, b: AggregateShare) -> Mean:
    """Combine both aggregate shares into the mean update. Run by the model owner.

    Raises:
        PeerError: FS-723 for a share of another shape, FS-724 for shares over different
            numbers of reports, FS-725 for a sum that no such reports can have.
    """
    # (1) Both have this round's shape.
    shape = (params.dimension, params.scalar_count)
    for share in (a, b):
        if (share.tensor.size, share.scalars.size) != shape:
            raise PeerError("FS-723", "an aggregate share has another round's shape")
    # (2) Over the same number of reports, at most the cohort's.
    if not (a.count == b.count and 1 <= a.count <= params.max_reports):
        raise PeerError(
            "FS-724",
            f"the shares hold {a.count} and {b.count} of {params.max_reports} reports",
        )
    # (3) The sums are such as that many reports can have.
    scalars = a.scalars + b.scalars
    if params.noise is not None:
        opened = noisy_scalars.decode(params, scalars, a.count)
        update = decode_tensor(params, a.tensor, b.tensor, opened.divisor, a.count)
        return noisy_scalars.mean(params, update, opened, a.count)
    totals = read_totals(params, scalars, a.count)
    return Mean(
        update=decode_tensor(params, a.tensor, b.tensor, totals.weight, a.count),
        scalars=decode_scalars(params, totals),
        count=a.count,
        total_weight=totals.weight,
        clipped=totals.clipped,
        statistics_clipped=totals.statistics_clipped,
        clamped=totals.clamped,
        undefined=totals.undefined,
    )


def _take_back(
    params: Params,
    accumulator: AggregateShare,
    share: Callable[[], Iterable[Buffer]],
    added: int,
) -> None:
    if not added:
        return
    pieces = islice(params.layout.pieces(), added)
    try:
        for piece, data in zip(pieces, share(), strict=False):
            part = accumulator.tensor[piece.tensor]
            np.subtract(part, piece.split(data)[0], out=part)
    except PeerError as error:
        raise OperatorError("FS-524", f"read otherwise: {error.detail}") from error


def _scalars_mask(params: Params, mask: Mask) -> Words:
    """Return the mask of the scalars section, shape (scalar_count,), uint64."""
    size = params.layout.scalars_bytes
    memory = bytearray(size + SPILL)
    mask.scalars.write(size, memoryview(memory))
    return np.frombuffer(memory, SCALARS.dtype, params.scalar_count)


def _cut_rand(rand: bytes) -> tuple[bytes, ...]:
    if len(rand) != RAND_BYTES:
        msg = f"rand has {len(rand)} bytes, shard needs {RAND_BYTES}"
        raise ValueError(msg)
    sizes = (SEED_BYTES, REPORT_ID_BYTES, 1, CONTENT_KEY_BYTES, CONTENT_KEY_BYTES)
    ends = np.cumsum(sizes).tolist()
    return tuple(rand[end - size : end] for size, end in zip(sizes, ends, strict=True))


def _require_update(params: Params, update: Update | None) -> Update:
    if update is None:
        update = np.empty(0, np.float32)
    if update.shape != (params.dimension,) or update.dtype != np.float32:
        raise OperatorError(
            "FS-211",
            f"the update is {update.dtype} of shape {update.shape}, the round needs "
            f"float32 of shape ({params.dimension},)",
        )
    return update


def _working_memory(params: Params) -> tuple[Memory, ...]:
    """Return the encoder's scratch, a piece of key stream, and two pieces."""
    layout = params.layout
    piece = min(CHUNK, layout.plaintext_bytes)
    return carve(
        TensorEncoder.scratch_bytes(params),
        min(CHUNK, layout.tensor_bytes) + SPILL,
        piece,
        piece if layout.plaintext_bytes > CHUNK else 0,
    )


def _vector(
    params: Params,
    encoder: TensorEncoder,
    stream: KeyStream,
    scalars: Words,
    buffers: Sequence[Memory],
) -> Iterator[memoryview]:
    """Encode and mask piece by piece; `scalars` are masked already."""
    key_stream, *memories = buffers
    section = scalars.tobytes()
    for piece in params.layout.pieces():
        buffer = memories[piece.index % 2][: piece.size].data  # seal looks one ahead
        masked, rest = piece.split(buffer)
        encoder.write(piece.tensor.start, masked)
        stream.write_chunk(piece.index, key_stream[: masked.nbytes + SPILL].data)
        masked -= key_stream[: masked.nbytes].view(masked.dtype)
        rest[:] = section[piece.scalars]
        yield buffer
