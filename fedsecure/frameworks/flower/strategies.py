"""The Flower strategy that a study names."""

import inspect
from collections.abc import Mapping

import flwr.serverapp.strategy
from flwr.serverapp.strategy import Strategy

from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower.linear import LINEAR, require_linear
from fedsecure.study.config import AnyStudy, load_own
from fedsecure.system.wording import suggestion


def build_strategy(study: AnyStudy) -> Strategy:
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
