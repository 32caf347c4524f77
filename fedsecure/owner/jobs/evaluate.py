"""A round that measures the model as it is: metrics alone, and no step."""

from collections.abc import Mapping

from fedsecure.owner.run.participants import Agent, Assignment
from fedsecure.protocol.statements import Purpose
from fedsecure.study.round_task import GlobalModel, RoundTask
from fedsecure.study.task import ROUND, ConfigValue


def evaluation(
    number: int,
    config: Mapping[str, ConfigValue],
    model: GlobalModel,
    agents: Mapping[str, Agent],
) -> Assignment:
    """Ask everybody who can be asked to evaluate a model.

    Args:
        number: Of the round.
        config: What every app sees.
        model: The global model.
        agents: Who can be asked.
    """
    seen = {**config, ROUND: number}
    task = RoundTask(Purpose.EVALUATE, model.layers, seen, model.weights)
    return Assignment(task, frozenset(agents))
