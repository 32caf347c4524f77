"""Whether a model that was built from its data is the model that was meant.

Keras' serialised form leaves things out without a word: weights of the loss, what an
optimizer was told by a method. Data owners train what was serialised. So the model
owner compares it with the original before the first round:

    (1) what `compile` was given, and what optimizer and loss hold;
    (2) two steps of training on made-up rows, from the same weights.

The first names what is lost, the second finds what the first does not know of.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fedsecure.errors import OperatorError

if TYPE_CHECKING:
    import keras

ROWS: Final = 8  # made up
STEPS: Final = 2  # the second also tells what the optimizer keeps
SEED: Final = 20  # of the rows, and of random layers
CLOSE: Final = 1e-5  # of a weight: the same arithmetic twice, in float32

# What `compile` is given and no step depends on, or what is compared otherwise.
NO_MATTER: Final = frozenset(
    {
        *("optimizer", "loss", "metrics", "weighted_metrics"),
        *("jit_compile", "run_eagerly", "steps_per_execution", "auto_scale_loss"),
    }
)
PLAIN: Final = (bool, int, float, str, type(None))

Weights = list[NDArray[Any]]


def require_same(original: "keras.Model", rebuilt: "keras.Model") -> None:
    """Compare a compiled model with the one that data owners will build.

    Run by the model owner. `original` is left as it was.

    Raises:
        OperatorError: FS-236 with what differs.
    """
    original.optimizer.build(original.trainable_variables)  # as the other one is
    lost = [*_in_compile(original, rebuilt), *_in_parts(original, rebuilt)]
    if not lost:
        lost = list(_in_steps(original, rebuilt))
    if lost:
        raise OperatorError("FS-236", f"{original.name}: {'; '.join(lost)}")


def _in_compile(original: "keras.Model", rebuilt: "keras.Model") -> Iterator[str]:
    given, kept = original.get_compile_config(), rebuilt.get_compile_config()
    for name in sorted(given.keys() - NO_MATTER):
        if given[name] != kept.get(name):
            yield f"compile was given {name}={given[name]!r}"


def _in_parts(original: "keras.Model", rebuilt: "keras.Model") -> Iterator[str]:
    """Compare what optimizer and loss hold, whether or not their config has it."""
    for what, one, other in (
        ("the optimizer", original.optimizer, rebuilt.optimizer),
        ("the loss", original.loss, rebuilt.loss),
    ):
        if type(one) is not type(other):
            yield f"{what} is a {type(other).__name__}, not a {type(one).__name__}"
            continue
        kept = _plain(other)
        for name, value in _plain(one).items():
            if not _equal(value, kept.get(name)):
                yield f"{what} has {name.strip('_')}={value!r}"


def _plain(part: object) -> Mapping[str, object]:
    """Return the attributes that are numbers, texts, or lists of them; no names."""
    held = {
        name: value.pattern if isinstance(value, re.Pattern) else value
        for name, value in getattr(part, "__dict__", {}).items()
    }
    return {
        name: value
        for name, value in held.items()
        if name not in {"name", "_name", "_path", "built", "_lock"} and _is_plain(value)
    }


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple | set | frozenset):
        return all(isinstance(one, PLAIN) for one in value)
    return isinstance(value, PLAIN)


def _equal(one: object, other: object) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return [*one] == [*other]
    return one == other or (not one and not other)


def _in_steps(original: "keras.Model", rebuilt: "keras.Model") -> Iterator[str]:
    rand = np.random.default_rng(SEED)
    start = [_moved(rand, v.numpy(), v.trainable) for v in original.weights]
    rows = _rows(rand, original)
    pairs = zip(
        original.weights,
        _stepped(original, start, rows),
        _stepped(rebuilt, start, rows),
        strict=True,
    )
    for variable, one, other in pairs:
        if not np.allclose(one, other, rtol=CLOSE, atol=CLOSE, equal_nan=True):
            yield f"{STEPS} steps of training give other values of {variable.path}"
            return


def _moved(
    rand: "np.random.Generator", array: NDArray[Any], trained: bool
) -> NDArray[Any]:
    """Return weights that are not zero, where a decay for one would not show."""
    if not trained:
        return array
    moved: NDArray[Any] = array + rand.uniform(0.05, 0.15, array.shape)
    return moved.astype(array.dtype)


def _rows(
    rand: "np.random.Generator", model: "keras.Model"
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    features = rand.random((ROWS, *model.input_shape[1:]), dtype=np.float32)
    outputs = int(model.output_shape[-1])
    labels = rand.integers(max(outputs, 2), size=ROWS)
    return features, labels[:, None].astype(np.float32) if outputs == 1 else labels


def _stepped(
    model: "keras.Model",
    start: Weights,
    rows: tuple[NDArray[np.float32], NDArray[Any]],
) -> Weights:
    """Take steps as an agent does; return the weights, and put all back."""
    import tensorflow as tf  # noqa: PLC0415, slow: loaded when needed

    features, labels = rows
    held = [*model.variables, *model.optimizer.variables]
    before = [(variable, variable.numpy()) for variable in held]
    try:
        model.set_weights(start)
        for place, state in enumerate(_random_states(model)):
            state.assign(np.array([SEED, place], dtype=state.dtype))
        for _ in range(STEPS):
            with tf.GradientTape() as tape:
                outputs = model(features, training=True)
                loss = model.compute_loss(
                    x=features, y=labels, y_pred=outputs, training=True
                )
            gradients = tape.gradient(loss, model.trainable_variables)
            model.optimizer.apply(gradients, model.trainable_variables)
        return [variable.numpy() for variable in model.weights]
    finally:
        for variable, value in before:
            variable.assign(value)


def _random_states(model: "keras.Model") -> "list[keras.Variable]":
    return [v for v in model.variables if v.path.endswith("seed_generator_state")]
