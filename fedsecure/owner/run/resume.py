"""What a run did before it was interrupted, read from the round store.

A strategy keeps its moments in memory alone. So a run that goes on hands each opened
mean to a fresh strategy again, in order, and gets the very model that was recorded;
then it takes up the round that was left undecided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedsecure.core.encoding import MeanUpdate
from fedsecure.core.scalars import MeanScalars
from fedsecure.errors import OperatorError
from fedsecure.owner.run.soundness import Measured
from fedsecure.owner.store.files import load_array
from fedsecure.owner.store.records import RoundRecord, StoredModel
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.owner.store.states import UNDECIDED, RoundState
from fedsecure.protocol.statements import Opening, Purpose, RoundSpec
from fedsecure.protocol.stored_statements import stored

RoundKey: TypeAlias = tuple[int, Purpose]


@dataclass(frozen=True, slots=True)
class OpenedRound:
    """A train round that was opened and recorded. Arrays are read when asked for."""

    spec: RoundSpec
    included: int  # members of the set
    scalars: MeanScalars
    folder: Path
    mean_file: StoredModel
    model_file: StoredModel

    def mean(self) -> MeanUpdate:
        """Read the opened mean update."""
        mean: MeanUpdate = load_array(self.folder, self.mean_file)
        return mean

    def model(self) -> NDArray[np.float32]:
        """Read the global model after the round, flat."""
        return load_array(self.folder, self.model_file)


@dataclass(frozen=True, slots=True)
class Past:
    """A run's rounds so far; empty for one that begins.

    Args:
        opened: The opened train rounds, in order.
        left: A round that is neither opened nor void.
        attempts: The last attempt at each round.
        decided: Rounds that need no more attempts: opened, or burnt.
        measured: What the opened rounds, evaluations too, told about their models.
    """

    opened: Sequence[OpenedRound] = ()
    left: RoundRecord | None = None
    attempts: Mapping[RoundKey, int] = field(default_factory=dict)
    decided: frozenset[RoundKey] = frozenset()
    measured: Sequence[Measured] = ()

    def left_in(self, key: RoundKey) -> RoundRecord | None:
        """Return the undecided round, if it is this one."""
        found = self.left is not None and (self.left.round, self.left.purpose) == key
        return self.left if found else None


NOTHING: Final = Past()


def read_past(store: RoundStore, folder: Path, run: str) -> Past:
    """Read a run's rounds.

    Args:
        store: The round store.
        folder: Of the store's files.
        run: The run.

    Raises:
        OperatorError: FS-604, FS-605 or FS-606 from the store and its files.
    """
    records = store.rounds(run)
    left = [one for one in records if one.state in UNDECIDED]
    return Past(
        opened=[
            _opened(one, folder)
            for one in sorted(records, key=lambda one: one.round)
            if one.state is RoundState.OPENED and one.purpose is Purpose.TRAIN
        ],
        left=left[-1] if left else None,
        attempts={(one.round, one.purpose): one.attempt for one in records},
        decided=frozenset(
            (one.round, one.purpose)
            for one in records
            if one.state is RoundState.OPENED or one.burnt
        ),
        measured=[
            Measured(one.round, one.purpose, _included(one), one.undefined or 0)
            for one in records
            if one.state is RoundState.OPENED
        ],
    )


def _included(record: RoundRecord) -> int:
    if record.opening is None:
        raise OperatorError("FS-605", f"round {record.round} has no opening")
    return len(stored(record.opening, Opening).statement.set)


def _opened(record: RoundRecord, folder: Path) -> OpenedRound:
    if record.mean is None or record.model is None or record.opening is None:
        raise OperatorError("FS-605", f"round {record.round} has no mean or model")
    spec = stored(record.spec, RoundSpec).statement
    ranged = {one.name for one in spec.scalars if one.low is not None}
    return OpenedRound(
        spec=spec,
        included=_included(record),
        # JSON does not tell 1.0 from 1.
        scalars={
            name: _floats(value) if name in ranged else value
            for name, value in record.scalars.items()
        },
        folder=folder,
        mean_file=record.mean,
        model_file=record.model,
    )


def _floats(
    value: int | float | list[int] | list[float] | None,
) -> float | list[float] | None:
    if value is None:
        return None
    if isinstance(value, list):
        return [float(one) for one in value]
    return float(value)
