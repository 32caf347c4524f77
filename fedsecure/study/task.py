"""What a data owner is asked to do, and the digest that names it.

The task is everything that the data owner's ClientApp can see. An agent refuses a
round whose task is not the one that the signed spec names by digest: otherwise a model
owner could give all data owners but one a model that cannot learn, and read that one's
update from the sum [PFA22].

[PFA22] Pasquini, Francati, Ateniese, "Eluding secure aggregation in federated learning
via model inconsistency", CCS 2022.
"""

import hashlib
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from fedsecure.errors import PeerError
from fedsecure.study.metrics import Metrics, ScalarDeclaration, declare
from fedsecure.study.schema.features import FeatureSchema
from fedsecure.study.strict import Strict, canonical
from fedsecure.system.toml_file import explain

MODEL_DOMAIN: Final = b"fedsecure v1 model digest"
DOMAIN: Final = b"fedsecure v1 task digest"
STUDY: Final = "study"  # the config value that holds the text of a task
ROUND: Final = "server-round"
PROXIMAL_MU: Final = "proximal-mu"
KERAS_CONFIG: Final = frozenset({STUDY, ROUND, PROXIMAL_MU})
MAX_TASK: Final = 8 * 2**20  # characters of one task's text
MAX_EPOCHS: Final = 1000
MAX_BATCH: Final = 2**16  # rows
MAX_SEED: Final = 2**53 - 1  # the largest integer that canonical JSON carries

Scalar = str | bytes | bool | int | float
ConfigValue = Scalar | Sequence[Scalar]
Step: TypeAlias = Literal["epochs", "gradient"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One array of weights: its name in the model and its shape, always float32."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many parameters the array holds."""
        return math.prod(self.shape)


class Task(Strict):
    """All that a data owner needs to train and evaluate, but for the weights.

    Travels as one canonical JSON text, the config value `study`. `model` and
    `compilation` are Keras' own JSON (module `architecture`).

    `step` is what a data owner does to the global model in a train round: "epochs" is
    `local_epochs` of the compiled optimizer's steps; "gradient" one step of length 1
    down the mean gradient of its rows, without the optimizer. With `unit_clip` it
    answers with an update instead of weights: minus the SUM of its rows' gradients,
    each cut to that L2 norm first (model units), so that one row moves it by no more.
    """

    study: str
    model: str
    compilation: str
    features: FeatureSchema
    local_epochs: Annotated[int, Field(ge=1, le=MAX_EPOCHS)]
    batch_size: Annotated[int, Field(ge=1, le=MAX_BATCH)]
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)]
    holdout: Annotated[float, Field(gt=0, lt=1)]
    metrics: Metrics
    step: Step = "epochs"
    unit_clip: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _of_one_step(self) -> Self:
        if self.step == "gradient" and self.local_epochs != 1:
            msg = f'step "gradient" is one pass, not {self.local_epochs} local epochs'
            raise ValueError(msg)
        if self.step == "epochs" and self.unit_clip is not None:
            msg = 'unit_clip cuts gradients of rows; that needs step "gradient"'
            raise ValueError(msg)
        return self

    @property
    def text(self) -> str:
        """The canonical JSON text."""
        return canonical(self)

    @property
    def scalars(self) -> tuple[ScalarDeclaration, ...]:
        """The metrics that a data owner reports."""
        return declare(self.metrics, len(self.features.class_names))


def parse_task(text: str) -> Task:
    """Read a task that came over the network; run by a data owner.

    Raises:
        PeerError: FS-421, it is not one canonical text of a task.
    """
    if not len(text) <= MAX_TASK:
        raise PeerError("FS-421", f"{len(text)} characters, at most {MAX_TASK}")
    try:
        task = Task.model_validate_json(text)
    except ValidationError as error:
        raise PeerError("FS-421", f"the task: {explain(error)}") from error
    # A duplicate key or another spelling parses, but does not come out as it went in.
    if task.text != text:
        raise PeerError("FS-421", "the task is not in canonical JSON")
    return task


def model_digest(layers: Sequence[Layer], weights: NDArray[np.float32]) -> bytes:
    """Return the 32-byte name of a global model, whatever is done with it.

    Sums over one model can be subtracted from each other, in whatever round and with
    whatever config; so aggregators compare sets of rounds that name the same model.

    Guarantee: two models have the same digest only if their layers' names and shapes
    and the weights' bytes are the same (SHA-256 over an encoding in which every part
    bears its type and length).

    Args:
        layers: Names and shapes of the weights, in order.
        weights: Shape (sum of the layers' sizes,), float32.

    Raises:
        PeerError: FS-424, weights do not fill the layers.
    """
    size = sum(layer.size for layer in layers)
    if any(length < 0 for layer in layers for length in layer.shape):
        raise PeerError("FS-424", "a layer has a negative length")
    if weights.shape != (size,) or weights.dtype != np.float32:
        raise PeerError(
            "FS-424",
            f"weights are {weights.dtype} {weights.shape}, "
            f"layers need float32 ({size},)",
        )
    digest = hashlib.sha256(b"".join(_encode_layers(layers)))
    digest.update(np.ascontiguousarray(weights, dtype="<f4").data)
    return digest.digest()


def task_digest(purpose: str, model: bytes, config: Mapping[str, ConfigValue]) -> bytes:
    """Return the 32-byte name of a task; run by model owner and data owner alike.

    Guarantee: two tasks have the same digest only if purpose, model, and every config
    value with its type are the same (see `model_digest`). The order of `config` is
    nothing.

    Args:
        purpose: Why the round is held, such as `train`.
        model: The digest of the global model.
        config: What Flower's ConfigRecord holds for the ClientApp.

    Raises:
        PeerError: FS-421, a config value of a type that a ConfigRecord does not have.
    """
    return hashlib.sha256(b"".join(_encode(purpose, model, config))).digest()


def _encode_layers(layers: Sequence[Layer]) -> Iterator[bytes]:
    yield from encode_value(MODEL_DOMAIN)
    yield _length(len(layers))
    for layer in layers:
        yield from encode_value(layer.name)
        yield from encode_value(list(layer.shape))


def _encode(
    purpose: str, model: bytes, config: Mapping[str, ConfigValue]
) -> Iterator[bytes]:
    yield from encode_value(DOMAIN)
    yield from encode_value(purpose)
    yield from encode_value(model)
    yield from encode_config(config)


def encode_config(config: Mapping[str, ConfigValue]) -> Iterator[bytes]:
    """Yield the one encoding of config values, whatever their order.

    Raises:
        PeerError: FS-421, a value of a type that a ConfigRecord does not have.
    """
    yield _length(len(config))
    for key in sorted(config):
        yield from encode_value(key)
        yield from encode_value(config[key])


def encode_value(value: ConfigValue) -> Iterator[bytes]:
    """Encode as type (1 byte), length (8 bytes, big-endian), content."""
    match value:
        case bool():  # before int, which it also is
            yield _tagged(b"b", bytes([value]))
        case int():
            yield _tagged(b"i", str(value).encode())
        case float():
            yield _tagged(b"f", struct.pack(">d", value))
        case str():
            yield _tagged(b"s", value.encode())
        case bytes():
            yield _tagged(b"y", value)
        case list() | tuple():
            yield b"l" + _length(len(value))
            for item in value:
                yield from encode_value(item)
        case _:
            kind = type(value).__name__
            raise PeerError("FS-421", f"a config value is a {kind}")


def _tagged(tag: bytes, content: bytes) -> bytes:
    return tag + _length(len(content)) + content


def _length(count: int) -> bytes:
    return struct.pack(">Q", count)
