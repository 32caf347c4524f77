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

The vector's bytes are d words of the update, then k words of 8 bytes of scalars. They
are made 2**20 bytes at a time, so that an update of any size costs a few MiB.

Guarantee: the opened mean differs from the exact weighted mean of the clipped updates
by at most `n * 0.5 / S / sum(w_i / W)` per coordinate, float64 rounding apart (less
than a hundredth of it). Counts are opened exactly, and no sum can wrap.
Assumption: both aggregators added the shares that they were sent, and nothing else.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from fedsecure.core import encoding
from fedsecure.core.buffers import Memory, carve
from fedsecure.core.encoding import TensorEncoder, Update
from fedsecure.core.mask import (
    REPORT_ID_BYTES,
    SEED_BYTES,
    SPEC_DIGEST_BYTES,
    SPILL,
    Buffer,
    KeyStream,
    Mask,
    ReportContext,
)
from fedsecure.core.modulus import SCALARS, Words
from fedsecure.core.params import CHUNK, Params
from fedsecure.core.sealing_key import CONTENT_KEY_BYTES
from fedsecure.core.shares import (
    AggregateShare,
    Mean,
    Measurement,
    OutputShare,
    Sharding,
    cut,
)
from fedsecure.errors import OperatorError, PeerError

__all__ = [
    "RAND_BYTES",
    "AggregateShare",
    "Mean",
    "Measurement",
    "OutputShare",
    "ReportContext",
    "Sharding",
    "aggregate",
    "input_share_bytes",
    "prepare",
    "run_scheme",
    "shard",
    "unshard",
]

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
        OperatorError: FS-210 for an update that is not finite, FS-211 for one of the
            wrong shape or type, FS-212 for other metrics than the declared.
    """
    seed, report_id, coin, *content_keys = _cut_rand(rand)
    update = _require_update(params, measurement.update)
    weight = encoding.clamp_weight(params, measurement.weight)
    scratch, *buffers = _working_memory(params)
    encoder = TensorEncoder(params, update, weight, scratch)
    scalars = encoding.encode_scalars(
        params, measurement.weight, encoder.clipped, measurement.metrics
    )
    mask = Mask.expand(seed, ReportContext(spec_digest, report_id, reporter))
    scalars -= scalars_mask(params, mask)
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
    return {"seed": SEED_BYTES, "vector": params.plaintext_bytes}[kind]


def prepare(
    params: Params,
    context: ReportContext,
    kind: str,
    plaintext: Buffer,
    out: OutputShare,
) -> OutputShare:
    """Turn one opened input share into an output share. Run by an aggregator.

    Args:
        params: The round's numbers.
        context: What the report's masks are bound to.
        kind: "seed" or "vector".
        plaintext: What the payload held: `input_share_bytes` bytes.
        out: Scratch. A seed is expanded into it; of a vector, the output share is the
            plaintext itself, which may be `out.memory`.

    Raises:
        PeerError: FS-723 when the plaintext has the wrong length.
    """
    if kind == "vector":
        return OutputShare.over(params, plaintext)
    require_seed(plaintext)
    mask = Mask.expand(plaintext, context)
    # The spill lands in the scalars, at least 24 bytes, which are written next.
    mask.tensor.write(params.tensor_bytes, out.memory)
    out.scalars[:] = scalars_mask(params, mask)
    return out


def aggregate(accumulator: AggregateShare, share: OutputShare) -> None:
    """Add one output share to the accumulator, in place. Run by an aggregator."""
    np.add(accumulator.tensor, share.tensor, out=accumulator.tensor)
    np.add(accumulator.scalars, share.scalars, out=accumulator.scalars)
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
    totals = encoding.read_totals(params, a.scalars + b.scalars, a.count)
    return Mean(
        update=encoding.decode_tensor(
            params, a.tensor, b.tensor, totals.weight, a.count
        ),
        scalars=encoding.decode_scalars(params, totals),
        count=a.count,
        total_weight=totals.weight,
        clipped=totals.clipped,
        clamped=totals.clamped,
    )


def run_scheme(
    params: Params, measurements: Sequence[Measurement], rands: Sequence[bytes]
) -> Mean:
    """Run all four stages in one place: the protocol without keys and network.

    Args:
        params: The round's numbers.
        measurements: One of each data owner.
        rands: RAND_BYTES uniform bytes for each.
    """
    spec_digest = bytes(SPEC_DIGEST_BYTES)
    first, second = AggregateShare.empty(params), AggregateShare.empty(params)
    scratch = OutputShare.allocate(params)
    for reporter, (measurement, rand) in enumerate(
        zip(measurements, rands, strict=True)
    ):
        sharding = shard(params, spec_digest, f"{reporter}", measurement, rand)
        context = ReportContext(spec_digest, sharding.report_id, f"{reporter}")
        # The pieces come in two buffers by turns, so each is copied as it comes.
        vector = b"".join(bytes(piece) for piece in sharding.vector)
        seed = sharding.seed
        seeds, vectors = (first, second) if sharding.seed_to_first else (second, first)
        aggregate(seeds, prepare(params, context, "seed", seed, scratch))
        aggregate(vectors, prepare(params, context, "vector", vector, scratch))
    return unshard(params, first, second)


def require_seed(plaintext: Buffer) -> None:
    """Check that a seed is as long as all are.

    Raises:
        PeerError: FS-723.
    """
    if len(plaintext) != SEED_BYTES:
        raise PeerError(
            "FS-723", f"a seed has {len(plaintext)} bytes, not {SEED_BYTES}"
        )


def scalars_mask(params: Params, mask: Mask) -> Words:
    """Return the mask of the scalars section."""
    size = params.scalar_count * SCALARS.word_bytes
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
    """Return the encoder's scratch, a piece of key stream, and two chunks."""
    chunk, tensor = min(CHUNK, params.plaintext_bytes), params.tensor_bytes
    return carve(
        TensorEncoder.scratch_bytes(params),
        min(CHUNK, tensor) + SPILL,
        chunk,
        chunk if tensor > CHUNK else 0,
    )


def _vector(
    params: Params,
    encoder: TensorEncoder,
    stream: KeyStream,
    scalars: Words,
    buffers: Sequence[Memory],
) -> Iterator[memoryview]:
    """Encode and mask chunk by chunk; the last words share a record with scalars."""
    key_stream, *chunks = buffers
    modulus, section = params.modulus, scalars.tobytes()
    for index, start in enumerate(range(0, params.tensor_bytes, CHUNK)):
        buffer = chunks[index % 2]  # by turns: seal looks one chunk ahead
        size = min(CHUNK, params.tensor_bytes - start)
        masked = buffer[:size].view(modulus.dtype)
        encoder.write(start // modulus.word_bytes, masked)
        stream.write_chunk(index, key_stream[: size + SPILL].data)
        masked -= key_stream[:size].view(modulus.dtype)
        head, section = section[: CHUNK - size], section[CHUNK - size :]
        buffer[size : size + len(head)] = np.frombuffer(head, np.uint8)
        yield buffer[: size + len(head)].data
    yield from cut(section)
