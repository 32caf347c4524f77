"""The Flower strategy of a study, and what its server's step leaves alone."""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING

import flwr.serverapp.strategy
from flwr.app import Array, ArrayRecord
from flwr.serverapp.strategy import Strategy

from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower.linear import LINEAR, require_linear
from fedsecure.frameworks.flower.wrapped import Parts
from fedsecure.study.config import Study, load_own
from fedsecure.study.keras.architecture import ModelData
from fedsecure.study.keras.statistics import as_declared
from fedsecure.system.wording import suggestion

if TYPE_CHECKING:
    import keras


def build_strategy(study: Study) -> Strategy:
    """Make the Flower strategy that a study names.

    Raises:
        OperatorError: FS-368 for a strategy that is not linear, FS-823 when it is no
            strategy or refuses its options, FS-841 when the study's file fails.
    """
    aggregation = study.aggregation
    if ":" in aggregation.strategy:
        kind = load_own(study, aggregation.strategy)
    else:
        kind = getattr(flwr.serverapp.strategy, aggregation.strategy, None)
    if not (isinstance(kind, type) and issubclass(kind, Strategy)):
        known = suggestion(aggregation.strategy, [one.__name__ for one in LINEAR])
        raise OperatorError(
            "FS-823", f"{aggregation.strategy} is no Flower strategy{known}"
        )
    require_linear(kind, declared=aggregation.linear)
    ours = {
        "fraction_evaluate": 0.0,  # the received model is evaluated in train rounds
        "min_train_nodes": aggregation.min_cohort,
        "min_available_nodes": aggregation.min_cohort,
    }
    _require_options(kind, aggregation.options)
    try:
        built: Strategy = kind(**{**aggregation.options, **ours})
    except (TypeError, ValueError) as error:
        raise OperatorError("FS-823", f"{aggregation.strategy}: {error}") from error
    return built


def _require_options(kind: type[Strategy], options: Mapping[str, object]) -> None:
    parameters = inspect.signature(kind).parameters
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return
    for name in options:
        if name not in parameters:
            known = suggestion(name, parameters)
            raise OperatorError("FS-823", f"{kind.__name__} has no {name!r}{known}")


def parts_of(model: "keras.Model", data: ModelData) -> Parts:
    """Tell the server's step what it leaves alone, by the names of a model's arrays."""
    names = [name for name, apart in enumerate(data.statistics) if apart]

    def keep(arrays: ArrayRecord) -> ArrayRecord:
        kept = as_declared(model, arrays.to_numpy_ndarrays())
        return ArrayRecord(
            {name: Array(a) for name, a in zip(arrays, kept, strict=True)}
        )

    return Parts(frozenset(map(str, names)), keep)
