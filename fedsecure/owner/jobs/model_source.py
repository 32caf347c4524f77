"""Where a study's model comes from, and what becomes of it: a framework's part.

The run loop, the recorder, `--resume`, `--from-round` and the round store know a model
as layers and one flat vector (`study.round_task.GlobalModel`). They never build or
evaluate one: it is read from the store's files, and evaluated by data owners. What is
left for a framework is here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from fedsecure.study.round_task import GlobalModel
from fedsecure.study.terms import StudyRequest

Keep: TypeAlias = Callable[[GlobalModel], GlobalModel]


def _as_it_is(model: GlobalModel) -> GlobalModel:
    return model


@dataclass(frozen=True, slots=True)
class Parts:
    """What the server's step must not touch, and what it must leave as declared.

    Args:
        statistics: Names of the layers that are averaged alone.
        keep: Brings a model back into what its layers declare.
    """

    statistics: frozenset[str] = frozenset()
    keep: Keep = _as_it_is


WHOLE: Final = Parts()  # of a model of which nothing is known


class ModelSource(Protocol):
    """A study's model, built by the model owner from the study's own files."""

    @property
    def request(self) -> StudyRequest:
        """What every data owner is asked to agree to."""

    @property
    def parts(self) -> Parts:
        """What a server's step on the model has to mind."""

    def initial(self) -> GlobalModel:
        """Return the model that a new run begins with."""

    def save(self, model: GlobalModel, folder: Path) -> Path:
        """Write the trained model in the framework's own form; whole or not at all.

        Returns:
            The file.

        Raises:
            OperatorError: FS-606 when it cannot be written.
        """
