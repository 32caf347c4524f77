"""A Keras model as data, and back.

The model owner turns its compiled model into two JSON texts; a data owner's agent
checks them against the allow-list (module `allowlist`) and only then has Keras build
the model, in safe mode. No Python travels. Keras is imported when first needed.

The compilation is the optimizer and the loss. Metrics of `compile` do not travel: what
a study shares is declared in study.toml (module `metrics`).
"""

import json
import re
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fedsecure.errors import FedsecureError, OperatorError, PeerError
from fedsecure.study.keras.allowlist import MalformedError, parse_allowed
from fedsecure.study.keras.statistics import statistics_in
from fedsecure.study.model_data import ModelData
from fedsecure.study.schema.extremes import extremes
from fedsecure.study.schema.features import AnySchema
from fedsecure.study.task import Layer

if TYPE_CHECKING:
    import keras

MODEL: Final = "the model"
COMPILATION: Final = "the compilation"
MODELS: Final = frozenset({"Functional", "Sequential"})
SPARSE: Final = frozenset(
    {"SparseCategoricalCrossentropy", "sparse_categorical_crossentropy"}
)
PROBED: Final = 32  # random rows
MAX_WHY: Final = 300  # characters of what TensorFlow says
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m|\{\{.*?\}\}")  # and its names of nodes


def model_to_data(model: "keras.Model") -> ModelData:
    """Turn a compiled model into data; run by the model owner.

    The model is built from its data once, as every data owner will: the names of the
    layers are those of that second model, the same everywhere.

    Raises:
        OperatorError: FS-420 or FS-434, data owners would refuse it; FS-422, not
            all its weights are float32; FS-424, Keras cannot build it from its data;
            FS-234, there is nothing to train; FS-842, it is not compiled.
    """
    if not (model.built and getattr(model, "optimizer", None) and model.loss):
        raise OperatorError("FS-842", f"{model.name} is not built and compiled")
    content = _dump(_without_compilations(json.loads(model.to_json())))
    compilation = _compilation_of(model)
    try:
        _require_float32(model)
        rebuilt = model_from_data(content, compilation)
    except MalformedError as error:
        # There is no other version here: the owner's own model.py says so.
        raise OperatorError("FS-434", error.detail) from error
    except PeerError as error:
        raise OperatorError(error.code, error.detail) from error
    layers = layers_of(rebuilt)
    shapes = [array.shape for array in model.get_weights()]
    if [layer.shape for layer in layers] != shapes:
        raise OperatorError("FS-424", f"{model.name} has other weights than its data")
    statistics = statistics_in(rebuilt)
    if all(statistics):
        raise OperatorError(
            "FS-234", f"of the {len(statistics)} arrays of {model.name}"
        )
    return ModelData(content, compilation, layers, statistics)


def _compilation_of(model: "keras.Model") -> str:
    import keras  # noqa: PLC0415, slow: loaded when needed

    optimizer = keras.optimizers.serialize(model.optimizer)
    return _dump({"optimizer": optimizer, "loss": model.get_compile_config()["loss"]})


def model_from_data(model: str, compilation: str) -> "keras.Model":
    """Build and compile a model that came as data; run by a data owner.

    The steps, in order:
        (1) every class and function is on the allow-list, before Keras sees it;
        (2) Keras builds the model in safe mode;
        (3) all its weights are float32;
        (4) it is compiled, with nothing left to the model owner's metrics.

    Raises:
        PeerError: FS-420 or FS-421, the allow-list; FS-422, weights that are not
            float32; FS-424, Keras cannot build it.
    """
    import keras  # noqa: PLC0415, slow: loaded when needed

    content, settings = _parse(model, compilation)  # (1)
    loss = settings["loss"]
    try:
        built = keras.saving.deserialize_keras_object(content, safe_mode=True)  # (2)
        _require_float32(built)  # (3)
        built.compile(  # (4)
            optimizer=keras.optimizers.deserialize(settings["optimizer"]),
            loss=loss if isinstance(loss, str) else keras.losses.deserialize(loss),
            jit_compile=False,
        )
        built.optimizer.build(built.trainable_variables)
    except FedsecureError:
        raise
    except Exception as error:  # whatever Keras raises on a config it cannot use
        raise PeerError("FS-424", f"Keras: {type(error).__name__}") from error
    return built


def layers_of(model: "keras.Model") -> tuple[Layer, ...]:
    """Return names and shapes of what `model.get_weights()` returns, in order."""
    return tuple(
        Layer(variable.path, tuple(map(int, variable.shape)))
        for variable in model.weights
    )


def flat_weights(model: "keras.Model") -> NDArray[np.float32]:
    """Return the weights as one vector, float32, shape (sum of layers' sizes,)."""
    arrays = [array.reshape(-1) for array in model.get_weights()]
    return np.concatenate(arrays, dtype=np.float32)


class MisfitError(PeerError):
    """A model takes or returns other shapes than the schema gives or has: FS-424."""


def require_fit(model: "keras.Model", features: AnySchema) -> None:
    """Check that a model takes the schema's features and scores its classes.

    Run by model owner and data owner.

    Raises:
        MisfitError: FS-424, with both shapes.
        PeerError: FS-425, a loss for another output.
    """
    classes = len(features.class_names)
    given, wanted = _shape(model.input_shape), (None, *features.shape)
    if given != wanted:
        raise MisfitError(
            "FS-424", f"the model takes {given}, the schema gives {wanted}"
        )
    scores = _shape(model.output_shape)
    if scores not in {(None, classes), (None, 1 if classes == 2 else classes)}:
        raise MisfitError(
            "FS-424", f"the model returns {scores}, the schema has {classes} classes"
        )
    _require_loss(model, 1 if scores == (None, 1) else classes)


def _require_loss(model: "keras.Model", outputs: int) -> None:
    """Check the loss: labels are class numbers, so another would compare nonsense."""
    loss = _loss_name(model)
    if (loss in SPARSE) != (outputs > 1):
        kind = "one output" if outputs == 1 else f"{outputs} outputs, one a class"
        raise PeerError("FS-425", f"{loss} for {kind}")


def _loss_name(model: "keras.Model") -> str:
    loss = model.get_compile_config()["loss"]
    return str(loss["class_name"] if isinstance(loss, dict) else loss)


def require_probabilities(model: "keras.Model", rand: "np.random.Generator") -> None:
    """Check that the outputs are what the loss takes them for.

    Run by the model owner on the untrained model: a last layer without a sigmoid or
    softmax trains badly, and nothing else says so.

    Raises:
        OperatorError: FS-845, a crossentropy of outputs that are no probabilities, or
            one from logits of outputs that are, or one output that is always 1.
    """
    if "crossentropy" not in _loss_name(model).lower():
        return
    rows = rand.random((PROBED, *model.input_shape[1:]), dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras', of what is refused here
        outputs = np.asarray(model(rows, training=False))
    inside = bool(((outputs >= 0) & (outputs <= 1)).all())
    many = outputs.shape[1] > 1
    if not many and (outputs == 1).all():
        raise OperatorError("FS-845", "a softmax over one output is 1 for every row")
    if many:
        inside = inside and np.allclose(outputs.sum(axis=1), 1, atol=1e-3)
    if from_logits(model):
        if many and inside:
            raise OperatorError("FS-845", "from_logits=True of probabilities")
    elif not inside:
        raise OperatorError("FS-845", "from_logits=False of other numbers")


def require_range(model: "keras.Model", features: AnySchema) -> None:
    """Check that a model takes every value that the schema allows.

    Run by the model owner on the untrained model, at the ends of all ranges.

    Raises:
        OperatorError: FS-433, it raises there, or what it returns is no number.
    """
    try:
        outputs = np.asarray(model(extremes(features), training=False))
    except Exception as error:  # whatever TensorFlow raises over a value
        why = " ".join(_COLOUR.sub("", str(error)).split())
        detail = f"{type(error).__name__}: {why}"[:MAX_WHY]
        raise OperatorError("FS-433", f"{model.name} raises {detail}") from error
    if not np.isfinite(outputs).all():
        raise OperatorError("FS-433", f"{model.name} returns NaN or infinity")


def from_logits(model: "keras.Model") -> bool:
    """Tell whether the loss takes logits, so that scores need a sigmoid or softmax."""
    loss = model.get_compile_config()["loss"]
    return isinstance(loss, dict) and loss["config"].get("from_logits", False) is True


def _parse(model: str, compilation: str) -> tuple[dict[str, Any], dict[str, Any]]:
    content = parse_allowed(model, MODEL)
    if content.get("class_name") not in MODELS:
        raise PeerError("FS-420", f"{MODEL} is not Sequential or Functional")
    settings = parse_allowed(compilation, COMPILATION)
    if settings.keys() != {"optimizer", "loss"}:
        raise MalformedError(
            "FS-421", f"{COMPILATION} is not one optimizer and one loss"
        )
    return content, settings


def _without_compilations(value: Any) -> Any:
    """Drop what a nested model was compiled with: only the whole is trained."""
    if isinstance(value, list):
        return [_without_compilations(item) for item in value]
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key != "compile_config"}
        return {key: _without_compilations(item) for key, item in kept.items()}
    return value


def _dump(content: object) -> str:
    return json.dumps(content, sort_keys=False, separators=(",", ":"))


def _require_float32(model: "keras.Model") -> None:
    for variable in model.weights:
        if variable.dtype != "float32":
            raise PeerError("FS-422", f"{variable.path} is {variable.dtype}")


def _shape(shape: object) -> tuple[int | None, ...] | None:
    """Return the shape of one tensor, None for anything else."""
    flat = isinstance(shape, tuple) and all(
        entry is None or isinstance(entry, int) for entry in shape
    )
    return shape if flat else None  # type: ignore[return-value]
