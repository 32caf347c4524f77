"""The wrapped strategy: what it is asked, and what it is told.

It chooses nodes and writes its settings (`configure`), and gets replies that all hold
the same arrays, global model plus mean update, and the mean metrics (`apply`). It
never sees who is online beyond those that may be asked, nor a single update.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import Strategy

from fedsecure.core.encoding import MeanScalars, MeanUpdate
from fedsecure.errors import OperatorError, PeerError
from fedsecure.flower import wire
from fedsecure.flower.cohort import Node
from fedsecure.statements import Purpose
from fedsecure.study.task import ConfigValue

EXAMPLES: Final = "num-examples"
MOST_LOOKS: Final = 3  # Flower's strategies look twice when there are enough nodes


class _Sample:
    """Stands in for Flower's Grid while a strategy chooses nodes."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._ids = [node.node_id for node in nodes.values()]
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
    """A linear strategy, and what every ClientApp sees beside its settings."""

    strategy: Strategy
    config: Mapping[str, ConfigValue]

    def configure(
        self,
        number: int,
        purpose: Purpose,
        arrays: ArrayRecord,
        nodes: Mapping[str, Node],
    ) -> list[Message]:
        """Return a message for each node that is asked in a round."""
        config = ConfigRecord(dict(self.config))
        if purpose is Purpose.TRAIN:
            sample = _Sample(nodes)
            return list(self.strategy.configure_train(number, arrays, config, sample))
        config["server-round"] = number
        content = RecordDict({wire.ARRAYS: arrays, wire.CONFIG: config})
        return [
            Message(content, dst_node_id=node.node_id, message_type=purpose.value)
            for node in nodes.values()
        ]

    def apply(
        self,
        number: int,
        task: wire.Task,
        messages: Iterable[Message],
        included: int,
        mean: tuple[MeanUpdate, MeanScalars],
    ) -> ArrayRecord:
        """Hand the strategy the average, as each of `included` members' reply.

        Raises:
            OperatorError: FS-371 when it returns no arrays.
        """
        update, scalars = mean
        average = (task.weights.astype(np.float64) + update).astype(np.float32)
        metrics: dict[str, int | float | list[float]] = {
            name: list(value) if isinstance(value, Sequence) else value
            for name, value in scalars.items()
        }
        content = RecordDict(
            {
                wire.ARRAYS: wire.restore(task.layers, average),
                "metrics": MetricRecord({**metrics, EXAMPLES: 1}),
            }
        )
        replies = [
            Message(content, reply_to=message) for message in islice(messages, included)
        ]
        arrays, _ = self.strategy.aggregate_train(number, replies)
        if arrays is None:
            raise OperatorError("FS-371", f"{type(self.strategy).__name__}")
        return wire.as_float32(arrays)


def task_in(purpose: Purpose, messages: Sequence[Message]) -> wire.Task:
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
    return wire.Task(purpose, layers, dict(next(iter(configs.values()))), weights)
