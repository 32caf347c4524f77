"""Which models have a gradient of their own for every single row.

With the step "gradient" a data owner sends the sum of its rows' gradients, each cut by
itself, and that bounds what one row adds. It means what people take it for only where
the model makes the same of a row whatever other rows there are, every time:

    mixes    a layer that looks at other rows of its batch, or keeps moving averages of
             them: BatchNormalization; a recurrent layer that is `stateful`
    draws    a layer that draws at random while training: Dropout, noise, augmentation;
             any layer with a `dropout` above 0

Both are refused, before Keras sees the model: with an average that no row moves any
more, or a draw that nobody meant to be the same for all rows, it would train, and be
another model than the one that was written. What a layer does along one row, such as
LayerNormalization or GroupNormalization, is its own business.

That rows cannot mix does not hang on this list: the agent's own step
(`keras_app.row_steps`) runs the model on one row at a time, as a batch of one.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fedsecure.errors import PeerError
from fedsecure.study.keras.allowlist import layers_in, parse_allowed

MIXING: Final = frozenset({"BatchNormalization"})
DRAWING: Final = frozenset(
    {
        *("Dropout", "GaussianDropout", "GaussianNoise"),
        *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
        *("RandomBrightness", "RandomContrast", "RandomFlip"),
        *("RandomRotation", "RandomTranslation", "RandomZoom"),
    }
)
_DRAWN_BY: Final = ("dropout", "recurrent_dropout")  # keys of layers that may draw


def require_single_rows(model: str) -> None:
    """Check that a model makes the same of a row whatever the others are.

    Run by model owner and data owner.

    Args:
        model: Keras' own JSON.

    Raises:
        PeerError: FS-432 naming the layers; FS-420 or FS-421 as `parse_allowed`.
    """
    found = sorted(set(_unfit(model)))
    if found:
        raise PeerError("FS-432", f"the model has {', '.join(found)}")


def _unfit(model: str) -> Iterator[str]:
    for layer in layers_in(parse_allowed(model, "the model")):
        kind, config = layer["class_name"], layer["config"]
        if kind in MIXING:
            yield f"{kind}, which mixes rows"
        elif config.get("stateful"):
            yield f"{kind} with stateful, which mixes rows"
        elif kind in DRAWING:
            yield f"{kind}, which draws at random"
        elif drawn := _drawn(config):
            yield f"{kind} with {drawn}, which draws at random"


def _drawn(config: Mapping[str, Any]) -> str | None:
    return next((key for key in _DRAWN_BY if config.get(key)), None)
