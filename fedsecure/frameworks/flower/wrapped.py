"""The wrapped strategy: what it is asked, and what it is told.

It chooses nodes and writes its settings (`configure`), and gets replies that all hold
the same arrays, global model plus mean update, and the mean metrics (the step). It
never sees who is online beyond those that may be asked, nor a single update.

It never sees statistics either, such as the moving averages of a batch normalization:
a server's optimizer takes steps of its own size, and so led a variance below zero. They
are averaged, and no more. What a layer declares about its weights holds for the model
after the step too (`keep`), as it does after every step at a data owner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import Final

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import Strategy

from fedsecure.core.encoding import MeanUpdate
from fedsecure.core.scalars import MeanScalars
from fedsecure.errors import OperatorError, PeerError
from fedsecure.frameworks.flower import wire
from fedsecure.owner.jobs.model_source import WHOLE, Parts
from fedsecure.owner.run.participants import Agent, Assignment
from fedsecure.protocol.statements import Purpose
from fedsecure.study.round_task import GlobalModel, RoundTask
from fedsecure.study.task import ConfigValue
from fedsecure.study.terms import studied

EXAMPLES: Final = "num-examples"
MOST_LOOKS: Final = 3  # Flower's strategies look twice when there are enough nodes


class _Sample:
    """Stands in for Flower's Grid while a strategy chooses nodes."""

    def __init__(self, agents: Mapping[str, Agent]) -> None:
        self._ids = [agent.address for agent in agents.values()]
        self._looks = 0

    def get_node_ids(self) -> list[int]:
        """Return the nodes that may be asked.

        Raises:
            PeerError: FS-372 when a strategy keeps looking for more of them: it would
                wait for ever, for who is asked was decided before.
        """
        self._looks += 1
        if self._looks > MOST_LOOKS:
            raise PeerError("FS-372", f"{len(self._ids)} can be asked")
        return self._ids


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A linear strategy, and what every ClientApp sees beside its settings.

    Args:
        strategy: Gets all arrays that are not statistics.
        config: What every ClientApp sees.
        parts: Of the model.
    """

    strategy: Strategy
    config: Mapping[str, ConfigValue]
    parts: Parts = WHOLE

    def configure(
        self, number: int, model: GlobalModel, agents: Mapping[str, Agent]
    ) -> Assignment:
        """Return what a round asks of those that the strategy chooses.

        Raises:
            OperatorError: FS-368 when it sends more than one model and one config, or
                a config of which data owners were not told.
            PeerError: FS-372 when it wants more nodes than there are.
        """
        arrays = wire.restore(model.layers, model.weights)
        config = ConfigRecord(dict(self.config))
        chosen = list(
            self.strategy.configure_train(
                number, self._trained(arrays), config, _Sample(agents)
            )
        )
        messages = self._completed(chosen, arrays)
        task = _task_in(messages)
        _require_told(task.config, self.config)
        addresses = {message.metadata.dst_node_id for message in messages}
        asked = {name for name, one in agents.items() if one.address in addresses}
        return Assignment(task, asked, partial(self._step, number, task, messages))

    def _step(
        self,
        number: int,
        task: RoundTask,
        messages: Sequence[Message],
        included: int,
        update: MeanUpdate,
        scalars: MeanScalars,
    ) -> GlobalModel:
        """Hand the strategy the average, as each of `included` members' reply.

        `update` is of shape (dimension,), float64. A replay may have had more members
        than the strategy chooses today: their replies are alike.

        Raises:
            OperatorError: FS-371 when it returns no arrays.
        """
        average = (task.weights.astype(np.float64) + update).astype(np.float32)
        averages = wire.restore(task.layers, average)
        content = RecordDict(
            {wire.ARRAYS: self._trained(averages), "metrics": _metrics(scalars)}
        )
        replies = [
            Message(content, reply_to=message)
            for message in islice(cycle(messages), included)
        ]
        arrays, _ = self.strategy.aggregate_train(number, replies)
        if arrays is None:
            raise OperatorError("FS-371", f"{type(self.strategy).__name__}")
        stepped = _merged(averages, wire.as_float32(arrays))
        return self.parts.keep(wire.model_of(stepped))

    def _trained(self, arrays: ArrayRecord) -> ArrayRecord:
        if not self.parts.statistics:
            return arrays
        return ArrayRecord(
            {
                name: array
                for name, array in arrays.items()
                if name not in self.parts.statistics
            }
        )

    def _completed(self, messages: list[Message], arrays: ArrayRecord) -> list[Message]:
        """Give the statistics back to the model that a strategy sends."""
        if not self.parts.statistics:
            return messages
        whole: dict[int, RecordDict] = {}  # strategies send one content to everybody
        for message in messages:
            sent = message.content
            if id(sent) not in whole:
                whole[id(sent)] = _with_statistics(sent, arrays)
        return [
            Message(
                whole[id(message.content)],
                dst_node_id=message.metadata.dst_node_id,
                message_type=message.metadata.message_type,
            )
            for message in messages
        ]


def _metrics(scalars: MeanScalars) -> MetricRecord:
    metrics: dict[str, int | float | list[float]] = {
        name: list(value) if isinstance(value, Sequence) else value
        for name, value in scalars.items()
        if value is not None  # nobody could measure it
    }
    return MetricRecord({**metrics, EXAMPLES: 1})


def _with_statistics(sent: RecordDict, arrays: ArrayRecord) -> RecordDict:
    return RecordDict(
        {
            name: _merged(arrays, record) if isinstance(record, ArrayRecord) else record
            for name, record in sent.items()
        }
    )


def _merged(whole: ArrayRecord, part: ArrayRecord) -> ArrayRecord:
    """Return the arrays of `whole`, in its order, with those of `part` instead."""
    return ArrayRecord({name: part.get(name, array) for name, array in whole.items()})


def _require_told(
    sent: Mapping[str, ConfigValue], told: Mapping[str, ConfigValue]
) -> None:
    """Check that a strategy's own settings are part of the study, as FedProx' mu.

    Else rounds would be of another study than the one that people approved.

    Raises:
        OperatorError: FS-368 naming the first setting that is not.
    """
    asked, known = studied(sent), studied(told)
    for name in sorted(asked.keys() | known.keys()):
        if asked.get(name) != known.get(name):
            raise OperatorError(
                "FS-368",
                f"it sets {name} = {asked.get(name)!r}, which data owners are not told "
                "of: say the same in study.toml, section [app.config]",
            )


def _task_in(messages: Sequence[Message]) -> RoundTask:
    """Read the one model and the one ConfigRecord that a strategy sends.

    Raises:
        OperatorError: FS-368 when it sends more.
    """
    content = messages[0].content
    arrays, configs = content.array_records, content.config_records
    if len(arrays) != 1 or len(configs) != 1:
        raise OperatorError(
            "FS-368", "it sends more than one ArrayRecord and one ConfigRecord"
        )
    layers, weights = wire.flatten(next(iter(arrays.values())))
    config = dict(next(iter(configs.values())))
    return RoundTask(Purpose.TRAIN, layers, config, weights)
