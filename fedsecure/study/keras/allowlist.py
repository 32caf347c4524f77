"""Which parts of Keras a model that arrives as data may be made of.

Run on the parsed JSON before Keras sees any of it, and without importing Keras. The
rule is a list of classes by name, never a prefix such as `keras.*`: layers that run
foreign code or read files (Lambda, TFSMLayer, StringLookup, ...) are Keras' own, and
safe mode has let them through more than once (CVE-2024-3660, CVE-2025-1550,
CVE-2025-8747, CVE-2025-12058).

A JSON object that has `class_name`, `module` or `registered_name` names a class, and
must be exactly one of `CLASSES`. A string under a key that Keras looks up by name
(`activation`, `kernel_initializer`, `loss`, ...) must be one of `FUNCTIONS` or the
name of an allowed class. What stands under `layers` names a class each: a bare name
there would take Keras' old way of reading models, which knows no safe mode. Everything
else is plain data within limits.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, NoReturn

from fedsecure.errors import PeerError

MAX_TEXT: Final = 2 * 2**20  # characters
MAX_DEPTH: Final = 64  # objects and lists within each other
MAX_NODES: Final = 500_000  # values in one model
MAX_STRING: Final = 500  # characters of one string
MAX_INTEGER: Final = 2**31
_LARGEST: Final = 1e300  # that a float can be made of, with room


def _split(names: str) -> frozenset[str]:
    return frozenset(names.split())


LAYERS: Final = _split(
    "Activation Add AdditiveAttention Attention Average AveragePooling1D "
    "AveragePooling2D AveragePooling3D BatchNormalization Bidirectional CenterCrop "
    "Concatenate Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D "
    "Conv3DTranspose Cropping1D Cropping2D Cropping3D Dense DepthwiseConv1D "
    "DepthwiseConv2D Dot Dropout ELU Embedding Flatten GRU GaussianDropout "
    "GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D "
    "GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D "
    "GlobalMaxPooling3D GroupNormalization Identity InputLayer LSTM "
    "LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D MaxPooling3D "
    "Maximum Minimum MultiHeadAttention Multiply PReLU Permute RMSNormalization "
    "RandomBrightness RandomContrast RandomFlip RandomRotation RandomTranslation "
    "RandomZoom ReLU RepeatVector Rescaling Reshape Resizing SeparableConv1D "
    "SeparableConv2D SimpleRNN Softmax SpatialDropout1D SpatialDropout2D "
    "SpatialDropout3D Subtract TimeDistributed UnitNormalization UpSampling1D "
    "UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D"
)
INITIALIZERS: Final = _split(
    "Constant GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal "
    "LecunUniform Ones Orthogonal RandomNormal RandomUniform TruncatedNormal "
    "VarianceScaling Zeros"
)
REGULARIZERS: Final = _split("L1 L1L2 L2")
CONSTRAINTS: Final = _split("MaxNorm MinMaxNorm NonNeg UnitNorm")
OPTIMIZERS: Final = _split("Adadelta Adagrad Adam AdamW Adamax Lion Nadam RMSprop SGD")
SCHEDULES: Final = _split(
    "CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay "
    "PiecewiseConstantDecay PolynomialDecay"
)
LOSSES: Final = _split(
    "BinaryCrossentropy BinaryFocalCrossentropy Hinge Huber LogCosh "
    "MeanAbsoluteError MeanSquaredError SparseCategoricalCrossentropy "
    "SquaredHinge"
)
_MODULES: Final = {
    "keras": frozenset({"DTypePolicy", "Sequential"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    "keras.layers": LAYERS,
    "keras.initializers": INITIALIZERS,
    "keras.regularizers": REGULARIZERS,
    "keras.constraints": CONSTRAINTS,
    "keras.optimizers": OPTIMIZERS,
    "keras.optimizers.schedules": SCHEDULES,
    "keras.losses": LOSSES,
}
CLASSES: Final = frozenset(
    (module, name) for module, names in _MODULES.items() for name in names
)
FUNCTIONS: Final = _split(
    "elu exponential gelu hard_sigmoid leaky_relu linear log_softmax mish relu relu6 "
    "selu sigmoid silu softmax softplus softsign swish tanh "
    "binary_crossentropy binary_focal_crossentropy hinge huber log_cosh "
    "mean_absolute_error mean_squared_error mae mse "
    "sparse_categorical_crossentropy squared_hinge "
    "constant glorot_normal glorot_uniform he_normal he_uniform lecun_normal "
    "lecun_uniform ones orthogonal random_normal random_uniform truncated_normal "
    "zeros l1 l2 l1_l2 sgd adam adamw adagrad adadelta adamax nadam rmsprop"
)
_NAMES: Final = FUNCTIONS | INITIALIZERS | REGULARIZERS | CONSTRAINTS | LOSSES
_LOOKED_UP: Final = (
    "activation",
    "initializer",
    "regularizer",
    "constraint",
    "optimizer",
    "loss",
    "layer",
    "cell",
    "learning_rate",
    "metrics",
    "quantization_config",
    "function",
    "fn",
)
_ALL_NAMED: Final = "layers"  # key of a list, every item of which names its class
_IDENTITY: Final = frozenset({"class_name", "module", "registered_name"})
_IDENTITY_KEYS: Final = _IDENTITY | {
    "config",
    "build_config",
    "compile_config",
    "name",
    "inbound_nodes",
}
_DTYPES: Final = frozenset({"float32", "int32", "bool"})


def parse_allowed(text: str, what: str) -> dict[str, Any]:
    """Return the parsed JSON of a model, or of its compilation; run by a data owner.

    The model owner runs it too, so that a model which data owners would refuse is
    refused before the first round.

    Args:
        text: Keras' own JSON.
        what: What the text is, for the error.

    Raises:
        PeerError: FS-420, it names something that is not on the list; FS-421, it is
            not JSON within the limits.
    """
    if not len(text) <= MAX_TEXT:
        _malformed(what, f"{len(text)} characters, at most {MAX_TEXT}")
    try:
        value = json.loads(
            text, object_pairs_hook=_distinct, parse_constant=_not_a_number
        )
    except (ValueError, RecursionError) as error:
        _malformed(what, f"not JSON ({type(error).__name__})")
    if not isinstance(value, dict):
        _malformed(what, "not a JSON object")
    _Walk(what).visit(value, key="", depth=0)
    return value


def layers_in(value: object) -> Iterator[dict[str, Any]]:
    """Yield every layer of a parsed model in order, also within other layers."""
    if isinstance(value, dict):
        if value.get("module") == "keras.layers":
            yield value
        for inner in value.values():
            yield from layers_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from layers_in(inner)


def _distinct(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    pairs = list(pairs)
    found = dict(pairs)
    if len(found) != len(pairs):
        msg = "a key stands twice"
        raise ValueError(msg)
    return found


def _not_a_number(text: str) -> NoReturn:
    msg = f"{text} is not a number"
    raise ValueError(msg)


class _Walk:
    """One pass over a parsed model."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._nodes = 0

    def visit(self, value: object, key: str, depth: int) -> None:
        self._count(depth)
        match value:
            case dict():
                self._visit_object(value, key, depth)
            case list():
                for item in value:
                    self.visit(item, key, depth + 1)
            case str() if key == _ALL_NAMED:
                self._refuse(f"a bare name under {key!r}")
            case str():
                self._visit_string(value, key)
            case int() | float():
                # Written so that NaN and infinity fail.
                if not -MAX_INTEGER <= value <= MAX_INTEGER:
                    limit = f"beyond {MAX_INTEGER:,} either way"
                    _malformed(self._what, f"{key} is {_number(value)}, {limit}")

    def _count(self, depth: int) -> None:
        self._nodes += 1
        if depth > MAX_DEPTH:
            _malformed(self._what, f"nested deeper than {MAX_DEPTH}")
        if self._nodes > MAX_NODES:
            _malformed(self._what, f"more than {MAX_NODES} values")

    def _visit_object(self, value: dict[str, Any], key: str, depth: int) -> None:
        if value.keys() & _IDENTITY:
            self._require_class(value)
        elif _is_looked_up(key) or key == _ALL_NAMED:
            self._refuse(f"an unnamed object under {key!r}")
        for inner_key, inner in value.items():
            if inner_key not in _IDENTITY or not isinstance(inner, str | None):
                self.visit(inner, inner_key, depth + 1)

    def _require_class(self, value: dict[str, Any]) -> None:
        name, module = value.get("class_name"), value.get("module")
        if name == "__keras_tensor__":
            return self._require_keys(value, frozenset({"class_name", "config"}))
        named = isinstance(name, str) and isinstance(module, str)
        if not named or (module, name) not in CLASSES:
            self._refuse(f"{_short(module)}.{_short(name)}")
        if value.get("registered_name") not in (None, name):
            self._refuse(f"{name}, registered as {_short(value['registered_name'])}")
        if not isinstance(value.get("config"), dict):
            self._refuse(f"{name} without a config")
        if value.get("compile_config"):
            self._refuse(f"a compilation inside {name}")
        if name == "DTypePolicy" and value["config"] != {"name": "float32"}:
            self._refuse("a DTypePolicy other than float32")
        return self._require_keys(value, _IDENTITY_KEYS)

    def _require_keys(self, value: dict[str, Any], known: frozenset[str]) -> None:
        if unknown := value.keys() - known:
            self._refuse(f"{value['class_name']} with {_short(min(unknown))}")

    def _visit_string(self, value: str, key: str) -> None:
        if len(value) > MAX_STRING:
            _malformed(self._what, f"a string of {len(value)} characters")
        if key == "dtype" and value not in _DTYPES:
            self._refuse(f"dtype {_short(value)}")
        if _is_looked_up(key) and value not in _NAMES:
            self._refuse(f"{key} {_short(value)}")

    def _refuse(self, name: str) -> NoReturn:
        raise PeerError("FS-420", f"{self._what} uses {name}")


class MalformedError(PeerError):
    """What came as a model's data is none: FS-421."""


def _is_looked_up(key: str) -> bool:
    return key.endswith(_LOOKED_UP)


def _malformed(what: str, reason: str) -> NoReturn:
    raise MalformedError("FS-421", f"{what}: {reason}")


def _number(value: float) -> str:
    return f"{value:g}" if abs(value) < _LARGEST else "too large to be written"


def _short(value: object) -> str:
    """Return a peer's string as it may stand in an error."""
    return repr(value)[:80]
