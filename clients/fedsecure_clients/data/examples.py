"""A data owner's examples as a model sees them, and what is wrong with those it has.

Runs at the data owner. Errors name where something stands (row and column, array and
index, file) and what kind of thing it is, never a value. They are for the data owner's
own screen: no error text leaves the agent.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedsecure.errors import OperatorError

MAX_PLACES: Final = 1000  # that are listed one by one
MAX_BYTES: Final = 4 * 2**30  # of all features together, as float32

Features = NDArray[np.float32]  # shape (examples, *schema.shape)
Labels = NDArray[np.int32]  # shape (examples,), class numbers in the schema's order


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data owner's examples as a model sees them; its repr holds none."""

    features: Features = field(repr=False)
    labels: Labels = field(repr=False)
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.labels)

    def take(self, rows: NDArray[np.intp]) -> "Dataset":
        """Return some of the examples: `rows` has shape (n,), dtype intp."""
        return Dataset(self.features[rows], self.labels[rows], self.class_names)

    @property
    def absent_classes(self) -> tuple[str, ...]:
        """The classes of the study that this data owner has no example of.

        Training works without them; the AUC over these examples alone is undefined.
        """
        present = set(np.unique(self.labels).tolist())
        names = enumerate(self.class_names)
        return tuple(name for number, name in names if number not in present)


@dataclass(frozen=True, slots=True)
class Problem:
    """What does not fit the study: the first place, and how many there are like it."""

    code: str
    where: str
    reason: str
    count: int = 1

    def __str__(self) -> str:
        """Return where and what, and how many more."""
        others = f" (and {self.count - 1} more)" if self.count > 1 else ""
        return f"{self.where}: {self.reason}{others}"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a data owner should know about its data before it joins a study.

    `rows` counts the examples. `missing` counts the missing cells of every column of a
    table that may have some; `ignored` names the columns or arrays that the study does
    not read. `problems` are in the order of the data, one of each kind; `every` lists
    the single places, at most `MAX_PLACES`. `dataset` is None when there are any.
    """

    path: Path
    rows: int
    problems: tuple[Problem, ...]
    dataset: Dataset | None = field(repr=False)
    missing: dict[str, int] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    every: tuple[Problem, ...] = ()


Note = Callable[[OperatorError], None]
"""Hears what is wrong with the data as a whole; reading goes on if it returns."""


def stop(problem: OperatorError) -> None:
    """Read no further: what is wrong as a whole cannot be trained on.

    Raises:
        OperatorError: The problem itself.
    """
    raise problem


def merged(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield the first problem of each code, with how many there are of it."""
    first: dict[str, Problem] = {}
    for problem in problems:
        known = first.setdefault(problem.code, replace(problem, count=0))
        first[problem.code] = replace(known, count=known.count + problem.count)
    yield from first.values()


def require_memory(path: Path, rows: int, shape: tuple[int, ...]) -> None:
    """Refuse data before reading them if their features would fill the memory.

    Raises:
        OperatorError: FS-140, with both sizes.
    """
    size = rows * int(np.prod(shape, dtype=object)) * np.dtype(np.float32).itemsize
    if not size <= MAX_BYTES:
        raise OperatorError(
            "FS-140",
            f"{path} holds {rows} examples of shape {shape}: {size / 2**30:.1f} GiB as "
            f"float32, at most {MAX_BYTES / 2**30:g}",
        )
