"""The layers of a sequential Keras model, read from its JSON.

Keras builds nothing here, so whatever the JSON says runs no code. A layer whose meaning
is not known exactly is refused by its name.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias

from fedsecure.errors import OperatorError

Shape: TypeAlias = tuple[int, ...]  # of one row

TAKEN: Final = (
    "Dense, BatchNormalization, Normalization, Rescaling, Flatten, Reshape, Dropout "
    "and noise layers, and Activation or Softmax at the end"
)
TRAINING_ONLY: Final = frozenset(
    {
        *("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout"),
        *("GaussianNoise", "Identity", "SpatialDropout1D", "SpatialDropout2D"),
        *("SpatialDropout3D",),
    }
)
"""Layers that change nothing once a model is trained."""


@dataclass(frozen=True, slots=True)
class LayerForm:
    """One layer: what it is, what goes in, and which arrays it has.

    Args:
        name: As the model calls it.
        kind: Its class in Keras.
        config: Its configuration.
        shape: Of one row that goes in.
        arrays: Shapes of its arrays, in the order of `get_weights`.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    shape: Shape
    arrays: tuple[Shape, ...]

    def refuse(self, why: str) -> NoReturn:
        """Refuse the layer.

        Raises:
            OperatorError: FS-221.
        """
        raise OperatorError("FS-221", f"layer {self.name!r} {why}")


def read_layers(text: str) -> tuple[LayerForm, ...]:
    """Return the layers of a model in their order. Run by the model owner.

    Args:
        text: What `model.to_json()` returns, or config.json of a .keras file.

    Raises:
        OperatorError: FS-221 naming what cannot be computed on shares: another kind of
            model or of layer, or a layer over another shape.
    """
    model = _parsed(text)
    shape = _first_shape(model)
    forms = []
    for layer in _flat(model):
        form, shape = _form(layer, shape)
        forms.append(form)
    return tuple(forms)


def loss_takes_logits(text: str) -> bool:
    """Tell whether a model was compiled with a loss that applies the last activation.

    Raises:
        OperatorError: FS-221 as `read_layers`.
    """
    compiled = _parsed(text).get("compile_config") or {}
    loss = compiled.get("loss")
    return isinstance(loss, dict) and loss["config"].get("from_logits") is True


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        model = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OperatorError("FS-221", "the model is not Keras' JSON") from error
    content: dict[str, Any] = model if isinstance(model, dict) else {}
    kind = content.get("class_name")
    if kind != "Sequential":
        raise OperatorError("FS-221", f"the model is {kind}, and not Sequential")
    return content


def _flat(model: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the layers, also those of sequential models within the model."""
    for layer in model["config"]["layers"]:
        if layer["class_name"] == "Sequential":
            yield from _flat(layer)
        else:
            yield layer


def _first_shape(model: Mapping[str, Any]) -> Shape:
    """Return the shape of one row, which a model that was built has on record."""
    first = next(_flat(model), None)
    if first is not None and first["class_name"] == "InputLayer":
        shape = first["config"]["batch_shape"]
    else:
        shape = model["config"].get("build_input_shape")
    known = isinstance(shape, list) and all(type(side) is int for side in shape[1:])
    if not known or len(shape) < 2:
        raise OperatorError("FS-221", f"the model takes rows of the shape {shape}")
    return tuple(shape[1:])


def _form(layer: Mapping[str, Any], shape: Shape) -> tuple[LayerForm, Shape]:
    """Return one layer, and the shape of what comes out of it."""
    kind, config = layer["class_name"], layer["config"]
    form = LayerForm(config.get("name", kind), kind, config, shape, ())
    if kind in TRAINING_ONLY:
        return form, shape
    if kind not in _READERS or _is_custom(layer):
        form.refuse(f"is {_article(kind)}; taken are {TAKEN}")
    arrays, after = _READERS[kind](form)
    return LayerForm(form.name, kind, config, shape, tuple(arrays)), after


def _is_custom(layer: Mapping[str, Any]) -> bool:
    return layer.get("module") != "keras.layers"


def _article(kind: str) -> str:
    return f"{'an' if kind[:1] in 'AEIOU' else 'a'} {kind}"


def _dense(form: LayerForm) -> tuple[Sequence[Shape], Shape]:
    if len(form.shape) != 1:
        form.refuse(f"is a Dense over the shape {form.shape}: put a Flatten before it")
    units = form.config["units"]
    bias = [(units,)] if form.config.get("use_bias", True) else []
    return [(form.shape[0], units), *bias], (units,)


def _batch_normalization(form: LayerForm) -> tuple[Sequence[Shape], Shape]:
    """Return gamma and beta, if it has them, the moving mean and variance."""
    _require_last_axis(form)
    number = 2 + form.config.get("scale", True) + form.config.get("center", True)
    return [(form.shape[-1],)] * number, form.shape


def _normalization(form: LayerForm) -> tuple[Sequence[Shape], Shape]:
    """Return mean, variance and the count of rows, unless its JSON has them."""
    _require_last_axis(form)
    if form.config.get("invert"):
        form.refuse("is a Normalization with invert")
    if form.config.get("mean") is not None:
        return [], form.shape
    return [(form.shape[-1],), (form.shape[-1],), ()], form.shape


def _require_last_axis(form: LayerForm) -> None:
    axis = form.config.get("axis", -1)
    if isinstance(axis, list) and len(axis) == 1:
        axis = axis[0]
    if axis not in (-1, len(form.shape)):  # the batch is axis 0
        form.refuse(f"is {_article(form.kind)} along axis {axis}, and not the last one")


def _reshape(form: LayerForm) -> tuple[Sequence[Shape], Shape]:
    """Numbers keep their order, so only the shape changes."""
    size, target = math.prod(form.shape), list(form.config["target_shape"])
    if -1 in target:
        others = -math.prod(target)
        target[target.index(-1)] = size // others if others else 0
    if math.prod(target) != size:
        form.refuse(f"makes the shape {tuple(target)} of {form.shape}")
    return [], tuple(target)


def _flatten(form: LayerForm) -> tuple[Sequence[Shape], Shape]:
    return [], (math.prod(form.shape),)


def _as_it_is(form: LayerForm) -> tuple[Sequence[Shape], Shape]:
    return [], form.shape


_Reader: TypeAlias = Callable[[LayerForm], tuple[Sequence[Shape], Shape]]
_READERS: Final[Mapping[str, _Reader]] = {
    "InputLayer": _as_it_is,
    "Dense": _dense,
    "BatchNormalization": _batch_normalization,
    "Normalization": _normalization,
    "Rescaling": _as_it_is,
    "Activation": _as_it_is,
    "Softmax": _as_it_is,
    "Flatten": _flatten,
    "Reshape": _reshape,
}
