"""Layers and their arrays as one linear model, x W + b, and a last activation.

Scalings before, between and behind Dense layers are folded into W and b, and so are
products of Dense layers: nothing but the last layer may be other than linear. All of it
is float64, from the float32 that was trained.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import NDArray

from fedsecure.errors import OperatorError
from fedsecure.study.lowering.description import ActivationName
from fedsecure.study.lowering.layers import (
    TRAINING_ONLY,
    LayerForm,
    Shape,
    loss_takes_logits,
    read_layers,
)

Numbers: TypeAlias = NDArray[np.float64]

LAST: Final = get_args(ActivationName)
_NORMALIZATION_EPSILON: Final = 1e-7  # Keras' own, under the root
_CHANGES_NOTHING: Final = TRAINING_ONLY | {"InputLayer", "Flatten", "Reshape"}


@dataclass(frozen=True, slots=True)
class Scaling:
    """One layer that scales each number: x * scale + shift, both of shape (width,)."""

    name: str
    scale: Numbers = field(repr=False)
    shift: Numbers = field(repr=False)

    @property
    def width(self) -> int:
        """How many numbers go in."""
        return len(self.scale)

    def apply(self, rows: Numbers) -> Numbers:
        """Return what the layer makes of rows, shape (rows, width), float64."""
        return rows * self.scale + self.shift


@dataclass(frozen=True, slots=True)
class Product:
    """One Dense layer without its activation: x kernel + bias."""

    name: str
    kernel: Numbers = field(repr=False)  # shape (width, units)
    bias: Numbers = field(repr=False)  # shape (units,)

    @property
    def width(self) -> int:
        """How many numbers go in."""
        return len(self.kernel)

    def apply(self, rows: Numbers) -> Numbers:
        """Return what the layer makes of rows, shape (rows, width), float64."""
        return rows @ self.kernel + self.bias


Step: TypeAlias = Scaling | Product


@dataclass(frozen=True, slots=True)
class LinearModel:
    """A model whose logits are x W + b.

    Args:
        weights: W, shape (features, outputs), float64.
        bias: b, shape (outputs,), float64.
        activation: What makes scores of logits; whoever receives these applies it.
        steps: The layers that W and b were folded of.
    """

    weights: Numbers = field(repr=False)
    bias: Numbers = field(repr=False)
    activation: ActivationName
    steps: tuple[Step, ...] = field(repr=False)

    @property
    def features(self) -> int:
        """How many numbers a row has."""
        return len(self.weights)

    @property
    def outputs(self) -> int:
        """How many logits a row gets."""
        return len(self.bias)

    def logits(self, rows: Numbers) -> Numbers:
        """Return what the model itself says of rows, layer by layer, in float64.

        It knows nothing of W and b, so that these can be compared with it.

        Args:
            rows: Shape (rows, features), float64.

        Returns:
            Shape (rows, outputs), float64.
        """
        for step in self.steps:
            rows = step.apply(rows)
        return rows


def array_shapes(text: str) -> list[Shape]:
    """Return the shapes of a model's arrays, in the order of `model.get_weights()`.

    Raises:
        OperatorError: FS-221 as `read_layers`.
    """
    return [shape for form in read_layers(text) for shape in form.arrays]


def lower(text: str, arrays: Sequence[NDArray[Any]]) -> LinearModel:
    """Return a trained model as W, b and an activation. Run by the model owner.

    The activation is the last layer's, or that of a loss from logits.

    Args:
        text: What `model.to_json()` returns, or config.json of a .keras file.
        arrays: What `model.get_weights()` returns, each of its layer's shape; float32,
            or another dtype of numbers.

    Raises:
        OperatorError: FS-221 naming a layer that cannot be served, or one whose arrays
            have other shapes; FS-222 naming an activation; FS-220 for weights that are
            not finite.
    """
    forms, rest = read_layers(text), list(arrays)
    steps: list[Step] = []
    activation: ActivationName = "linear"
    for form in forms:
        own, rest = rest[: len(form.arrays)], rest[len(form.arrays) :]
        _require_arrays(form, own)
        if form.kind in _CHANGES_NOTHING:
            continue
        if activation != "linear":
            raise OperatorError(
                "FS-222",
                f"layer {form.name!r} comes after {activation}, which has to be last",
            )
        if form.kind in _STEPS:
            steps.append(_STEPS[form.kind](form, own))
        activation = _activation(form)
    if rest:
        raise OperatorError("FS-221", f"the model has {len(rest)} arrays too many")
    weights, bias = _folded(steps)
    if activation == "linear" and loss_takes_logits(text):
        activation = "sigmoid" if len(bias) == 1 else "softmax"
    return LinearModel(weights, bias, activation, tuple(steps))


def _require_arrays(form: LayerForm, arrays: Sequence[NDArray[Any]]) -> None:
    found = tuple(array.shape for array in arrays)
    if found != form.arrays:
        form.refuse(f"has arrays of the shapes {found}, and not {form.arrays}")
    if not all(np.isfinite(array).all() for array in arrays):
        raise OperatorError(
            "FS-220", f"layer {form.name!r} has weights that are not finite"
        )


def _activation(form: LayerForm) -> ActivationName:
    """Return what a layer makes of its result.

    Raises:
        OperatorError: FS-222 for anything that a client cannot apply to logits.
    """
    if form.kind == "Softmax":
        name: object = "softmax" if form.config.get("axis", -1) == -1 else "an axis"
    elif form.kind in ("Dense", "Activation"):
        name = form.config.get("activation") or "linear"
    else:
        return "linear"
    if name in LAST:
        return cast(ActivationName, name)
    said = name if isinstance(name, str) else "one with a configuration of its own"
    raise OperatorError(
        "FS-222",
        f"layer {form.name!r} has the activation {said}; taken are {', '.join(LAST)}, "
        "the last two at the end alone",
    )


def _dense(form: LayerForm, arrays: Sequence[NDArray[Any]]) -> Step:
    kernel = arrays[0].astype(np.float64)
    bias = arrays[1].astype(np.float64) if len(arrays) > 1 else np.zeros(1)
    return Product(form.name, kernel, np.broadcast_to(bias, kernel.shape[1:]))


def _batch_normalization(form: LayerForm, arrays: Sequence[NDArray[Any]]) -> Step:
    named = [array.astype(np.float64) for array in arrays]
    gamma = named.pop(0) if form.config.get("scale", True) else np.ones(1)
    beta = named.pop(0) if form.config.get("center", True) else np.zeros(1)
    mean, variance = named
    scale = gamma / np.sqrt(variance + form.config.get("epsilon", 1e-3))
    return _scaling(form, scale, beta - mean * scale)


def _normalization(form: LayerForm, arrays: Sequence[NDArray[Any]]) -> Step:
    stored = arrays[:2] or (form.config["mean"], form.config["variance"])
    mean, variance = (np.asarray(one, np.float64).reshape(-1) for one in stored)
    scale = 1 / np.maximum(np.sqrt(variance), _NORMALIZATION_EPSILON)
    return _scaling(form, scale, -mean * scale)


def _rescaling(form: LayerForm, _: Sequence[NDArray[Any]]) -> Step:
    scale, offset = form.config["scale"], form.config.get("offset", 0.0)
    return _scaling(form, np.asarray(scale, np.float64), np.asarray(offset, np.float64))


def _scaling(form: LayerForm, scale: Numbers, shift: Numbers) -> Step:
    """Spread a factor and a shift along the last axis over all numbers of a row."""
    try:
        both = [np.broadcast_to(one, form.shape).ravel() for one in (scale, shift)]
    except ValueError:
        form.refuse(f"scales by {scale.shape}, and its rows have {form.shape}")
    return Scaling(form.name, *both)


def _folded(steps: Sequence[Step]) -> tuple[Numbers, Numbers]:
    """Return W and b of all steps together.

    Until the first Dense layer W is a diagonal, kept as a vector.
    """
    if not any(isinstance(step, Product) for step in steps):
        raise OperatorError("FS-221", "the model has no Dense layer")
    width = steps[0].width
    weights, bias = np.ones(width), np.zeros(width)
    for step in steps:
        bias = step.apply(bias)
        if isinstance(step, Scaling):
            weights = weights * step.scale
        elif weights.ndim == 1:
            weights = weights[:, None] * step.kernel
        else:
            weights = weights @ step.kernel
    return weights, bias


_Maker: TypeAlias = Callable[[LayerForm, Sequence[NDArray[Any]]], Step]
_STEPS: Final[Mapping[str, _Maker]] = {
    "Dense": _dense,
    "BatchNormalization": _batch_normalization,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
}
