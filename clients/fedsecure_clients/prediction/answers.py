"""What comes of asking: a CSV with a line for each row, readable by this user alone.

    row or the columns that are kept, probability, label

`probability` is that of the second of two classes; of more classes each has a column of
its own. A model without a last activation has `output` instead.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedsecure.errors import OperatorError
from fedsecure.study.lowering.description import ServiceDescription
from fedsecure.system.durability import sync
from fedsecure.system.private_files import write_private
from fedsecure_clients.data.cells import Unlabelled

DIGITS: Final = 6  # of a score, behind the point


@dataclass(frozen=True, slots=True)
class Answers:
    """The scores of a table's rows.

    Args:
        table: The rows.
        description: Of the service.
        scores: Shape (rows, outputs), float64.
    """

    table: Unlabelled
    description: ServiceDescription
    scores: NDArray[np.float64] = field(repr=False)

    @property
    def labels(self) -> list[str]:
        """The class of each row."""
        names = self.description.labels
        return [names[n] for n in self.description.label_numbers(self.scores).tolist()]

    def counts(self) -> Mapping[str, int]:
        """Return how many rows are of each class, in the classes' order."""
        found = Counter(self.labels)
        return {name: found[name] for name in self.description.labels}

    def text(self) -> str:
        """Return the content of the file."""
        file = io.StringIO()
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow([*self._names(), *self._columns(), "label"])
        lines.writerows(self._lines())
        return file.getvalue()

    def _names(self) -> Sequence[str]:
        return list(self.table.kept) or ["row"]

    def _columns(self) -> Sequence[str]:
        what = "output" if self.description.activation == "linear" else "probability"
        if self._shown().shape[1] == 1:
            return [what]
        return [f"{what} {name}" for name in self.description.labels]

    def _shown(self) -> NDArray[np.float64]:
        two = len(self.description.labels) == 2
        return self.scores[:, 1:] if two and self.scores.shape[1] == 2 else self.scores

    def _lines(self) -> Iterator[Sequence[object]]:
        kept: list[Sequence[object]] = [*self.table.kept.values()] or [self.table.rows]
        for *names, numbers, label in zip(
            *kept, self._shown().tolist(), self.labels, strict=True
        ):
            yield [*names, *(f"{number:.{DIGITS}f}" for number in numbers), label]


def write_answers(path: Path, text: str) -> None:
    """Write the file, whole or not at all; readable by this user alone.

    Raises:
        OperatorError: FS-816 when it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write_private(part, text.encode())
        part.replace(path)
        sync(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OperatorError("FS-816", f"{path}: {error.strerror}") from error
    except OperatorError as error:
        raise OperatorError("FS-816", error.detail) from error
