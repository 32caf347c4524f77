"""A trained model as what can be served: W and b, a fixed point, what clients are told.

Nothing is sent here. What cannot be served is refused by the name of its layer.
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedsecure.errors import OperatorError
from fedsecure.owner.jobs.recorded_model import TrainedModel
from fedsecure.study.lowering.description import ServiceDescription
from fedsecure.study.lowering.linear import LinearModel, lower
from fedsecure.study.lowering.scales import FixedPoint, fit
from fedsecure.study.schema.extremes import ends
from fedsecure.study.schema.features import AnySchema

Rows: TypeAlias = NDArray[np.float64]  # shape (rows, features)

TRIED_SEED: Final = 19


def lowered(
    trained: TrainedModel, features: AnySchema
) -> tuple[LinearModel, FixedPoint]:
    """Return a model as W and b, and its fixed point for rows of a schema.

    Raises:
        OperatorError: FS-220 to FS-222; FS-843 for rows or classes of another number.
    """
    model = lower(trained.layers, trained.arrays)
    width, classes = int(np.prod(features.shape)), len(features.class_names)
    if model.features != width:
        raise OperatorError(
            "FS-843",
            f"the model takes {model.features} numbers, the schema has {width}",
        )
    if model.outputs not in {classes, 1 if classes == 2 else classes}:
        raise OperatorError(
            "FS-843", f"the model returns {model.outputs}, there are {classes} classes"
        )
    low, high = (end.reshape(-1).astype(np.float64) for end in ends(features))
    return model, fit(model, low, high)


def described(
    title: str, features: AnySchema, model: LinearModel
) -> ServiceDescription:
    """Return what clients are told of a service beside its program."""
    return ServiceDescription.model_validate(
        {
            "title": title,
            "schema": features,
            "activation": model.activation,
            "labels": features.class_names,
        }
    )


def trial_rows(features: AnySchema, count: int) -> Rows:
    """Return rows within a schema's ranges: the lowest, the highest, and random ones.

    Nobody's: they are the same for every model of the schema.

    Args:
        features: The schema.
        count: How many.

    Returns:
        Shape (count, features), float64.
    """
    low, high = (end.reshape(-1).astype(np.float64) for end in ends(features))
    rand = np.random.default_rng(TRIED_SEED)
    return np.vstack([low, high, rand.uniform(low, high, (count, len(low)))])[:count]
