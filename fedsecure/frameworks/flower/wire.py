"""What travels between model owner and agents inside Flower's messages.

    task    config     ConfigRecord  all that the ClientApp will see but the model
            fedsecure  ConfigRecord  layers (JSON), spec, both grants, and the first
                                     4 MiB of the model's weights
            weights-1  ConfigRecord  the next 4 MiB, and so on
    reply   fedsecure  ConfigRecord  two receipts; no array, metric or count

Flower pays an HTTP request per record and hop, and three more per array: hence bytes
(float32, little-endian, the layers one after the other) instead of arrays, and as few
records as may be. Both sides compute the task digest from what this module packs and
unpacks, so that nothing outside the digest can reach a ClientApp.

An agent measures all records before it copies, parses or hashes any of them.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Annotated, Final

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from pydantic import Field, TypeAdapter, ValidationError

from fedsecure.contributor.contribution import Offer
from fedsecure.errors import PeerError
from fedsecure.protocol.statement_fields import MAX_DIMENSION
from fedsecure.protocol.statements import Purpose
from fedsecure.study.round_task import (
    GlobalModel,
    RoundTask,
    Weights,
    joined,
    laid_out,
)
from fedsecure.study.task import (
    MAX_TASK,
    ConfigValue,
    Layer,
)
from fedsecure.system.toml_file import explain

CONFIG: Final = "config"
OURS: Final = "fedsecure"
ARRAYS: Final = "arrays"  # the name under which apps and strategies know the model
WEIGHTS: Final = "weights"
PIECE: Final = 4 * 2**20  # bytes of weights in one record

MAX_CONFIG: Final = MAX_TASK + 2**20  # characters or bytes of all config values
MAX_VALUES: Final = 10_000  # config values, each item of a list counted
MAX_OURS: Final = 12 * 2**20  # of layers, spec and grants; the spec may have 4 MiB
MAX_LAYERS: Final = 4096  # arrays of one model
MAX_AXES: Final = 16
MAX_GRANTS: Final = 2

Length = Annotated[int, Field(ge=0, le=MAX_DIMENSION)]

KINDS: Final[Mapping[Purpose, str]] = {
    Purpose.TRAIN: "train",
    Purpose.EVALUATE: "evaluate",
    Purpose.STATISTICS: "query.statistics",
}
"""The type of message in which each purpose travels; Flower has three, and actions."""

_purposes: Final = {kind: purpose for purpose, kind in KINDS.items()}
_layers = TypeAdapter(
    Annotated[
        list[tuple[str, Annotated[list[Length], Field(max_length=MAX_AXES)]]],
        Field(max_length=MAX_LAYERS),
    ]
)
_tokens = TypeAdapter(list[str])
_grants = TypeAdapter(Annotated[list[str], Field(max_length=MAX_GRANTS)])


def flatten(arrays: ArrayRecord) -> tuple[tuple[Layer, ...], Weights]:
    """Lay the layers of a model one after the other.

    Raises:
        PeerError: FS-361 naming the first layer that is not float32.
    """
    model = model_of(arrays)
    return model.layers, model.weights


def model_of(arrays: ArrayRecord) -> GlobalModel:
    """Return Flower's arrays, float32, as a global model.

    Raises:
        PeerError: FS-361 naming the first layer that is not float32.
    """
    return joined((name, array.numpy()) for name, array in arrays.items())


def as_float32(arrays: ArrayRecord) -> ArrayRecord:
    """Bring a strategy's result back to the model's type; Adam's comes as float64."""
    return ArrayRecord(
        {
            name: Array(array.numpy().astype(np.float32))
            for name, array in arrays.items()
        }
    )


def restore(layers: Sequence[Layer], flat: Weights) -> ArrayRecord:
    """Cut a flat model into its layers again.

    Raises:
        PeerError: FS-362 when the lengths do not agree.
    """
    arrays = laid_out(layers, flat).arrays()
    names = [layer.name for layer in layers]
    return ArrayRecord(
        {name: Array(array) for name, array in zip(names, arrays, strict=True)}
    )


def pack_task(task: RoundTask, offer: Offer) -> RecordDict:
    """Build the content of a task message. Run by the model owner."""
    layers = [(layer.name, list(layer.shape)) for layer in task.layers]
    first, *others = _pieces(task.weights)
    ours: dict[str, ConfigValue] = {
        "layers": json.dumps(layers, separators=(",", ":")),
        "spec": offer.spec,
        "grants": list(offer.grants),
        WEIGHTS: first,
    }
    records = {CONFIG: dict(task.config), OURS: ours}
    records |= {
        _piece_name(number): {WEIGHTS: piece} for number, piece in enumerate(others, 1)
    }
    return RecordDict({name: ConfigRecord(held) for name, held in records.items()})


def asked_for(message: Message) -> str:
    """Return the purpose that a message says, or its type if that is none of ours."""
    kind = message.metadata.message_type
    return _purposes[kind].value if kind in _purposes else kind


def unpack_task(message: Message) -> tuple[RoundTask, Offer]:
    """Read a task message. Run by an agent; nothing in it is believed yet.

    Raises:
        PeerError: FS-363 when the message has another form, or is too large; FS-362
            when the weights do not fill the layers.
    """
    content = message.content
    kind = message.metadata.message_type
    more = [_piece_name(number) for number in range(1, len(content) - 1)]
    if set(content) != {CONFIG, OURS, *more} or kind not in _purposes:
        raise PeerError("FS-363", f"a {kind[:20]!r} message with {_named(content)}")
    records = content.config_records
    if len(records) != len(content):
        raise PeerError("FS-363", f"{_named(content)}: not all are ConfigRecords")
    config, ours = records[CONFIG], records[OURS]
    if set(ours) != {"layers", "spec", "grants", WEIGHTS}:
        raise PeerError("FS-363", f"{OURS} holds {_named(ours)}")
    pieces = [_piece(name, records[name]) for name in (OURS, *more)]
    _require_size(CONFIG, config, MAX_CONFIG)
    _require_size(OURS, ours, MAX_OURS + len(pieces[0]))
    try:
        layers = tuple(
            Layer(name, tuple(shape))
            for name, shape in _layers.validate_json(str(ours["layers"]))
        )
        grants = _grants.validate_python(ours["grants"], strict=True)
    except ValidationError as error:
        raise PeerError("FS-363", f"{OURS}: {explain(error)}") from error
    task = RoundTask(_purposes[kind], layers, dict(config), _joined(pieces, layers))
    return task, Offer(str(ours["spec"]), grants)


def _pieces(weights: Weights) -> list[bytes]:
    """Cut weights into pieces of PIECE bytes but the last; one piece at least."""
    data = np.ascontiguousarray(weights, "<f4").view(np.uint8).data
    starts = range(0, max(len(data), 1), PIECE)
    return [bytes(data[start : start + PIECE]) for start in starts]


def _piece(name: str, record: ConfigRecord) -> bytes:
    piece = record.get(WEIGHTS)
    if not isinstance(piece, bytes) or len(piece) > PIECE:
        raise PeerError("FS-363", f"{name} holds no {WEIGHTS} of at most {PIECE} bytes")
    if name != OURS and len(record) > 1:
        raise PeerError("FS-363", f"{name} holds {_named(record)}")
    return piece


def _piece_name(number: int) -> str:
    return f"{WEIGHTS}-{number}"


def _joined(pieces: Sequence[bytes], layers: Sequence[Layer]) -> Weights:
    """Return the weights, not to be written to; a single piece is not copied."""
    size, held = sum(layer.size for layer in layers), sum(map(len, pieces))
    if held != 4 * size:
        raise PeerError("FS-362", f"layers of {size} weights, model of {held} bytes")
    whole = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return np.frombuffer(whole, "<f4")


def _require_size(name: str, record: ConfigRecord, most: int) -> None:
    """Refuse a record that is too large, without copying any of it.

    Raises:
        PeerError: FS-363 with both numbers.
    """
    values = sum(len(v) if isinstance(v, list) else 1 for v in record.values())
    if not values <= MAX_VALUES:
        raise PeerError("FS-363", f"{name} has {values:,} values")
    size = sum(map(_size, record)) + sum(map(_size, record.values()))
    if not size <= most:
        raise PeerError("FS-363", f"{name} has {size:,} bytes, at most {most:,}")


def _named(record: Collection[str]) -> str:
    """Return the first names of a record, as they may stand in an error."""
    few = [name[:40] for name in islice(record, 5)]
    return f"{len(record)}: {sorted(few)!a}"


def _size(value: object) -> int:
    if isinstance(value, list):
        return sum(map(_size, value))
    return len(value) if isinstance(value, str | bytes) else 8


def pack_receipts(tokens: Sequence[str]) -> RecordDict:
    """Build the content of a reply. Run by an agent: receipts, and nothing else."""
    return RecordDict({OURS: ConfigRecord({"receipts": list(tokens)})})


def unpack_receipts(message: Message) -> list[str]:
    """Read a reply. Run by the model owner.

    Raises:
        PeerError: FS-364 when the agent did not report or the reply is malformed.
    """
    if message.has_error():
        raise PeerError("FS-364", "not_reported")
    ours = message.content.config_records.get(OURS, ConfigRecord())
    try:
        return _tokens.validate_python(ours.get("receipts"), strict=True)
    except ValidationError as error:
        raise PeerError("FS-364", "a reply without receipts") from error
