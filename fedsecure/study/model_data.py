"""A model as it travels to data owners, and where its statistics lie in an update."""

from collections.abc import Sequence
from dataclasses import dataclass

from fedsecure.protocol.statements import StatisticsField
from fedsecure.study.task import Layer


@dataclass(frozen=True, slots=True)
class ModelData:
    """A model without its weights, as it travels."""

    model: str
    compilation: str
    layers: tuple[Layer, ...]
    statistics: tuple[bool, ...]  # which of the layers are not trained

    @property
    def size(self) -> int:
        """How many parameters the model has."""
        return sum(layer.size for layer in self.layers)


def statistics_field(
    layers: Sequence[Layer], statistics: Sequence[bool], clip: float
) -> StatisticsField | None:
    """Return where statistics lie in a flat update, and their clip; None: nowhere."""
    ranges: list[list[int]] = []
    start = 0
    for layer, apart in zip(layers, statistics, strict=True):
        end = start + layer.size
        if apart and ranges and ranges[-1][1] == start:
            ranges[-1][1] = end
        elif apart and layer.size:
            ranges.append([start, end])
        start = end
    return StatisticsField(clip=clip, ranges=ranges) if ranges else None
