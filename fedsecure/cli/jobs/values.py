"""Numbers that a party gives to a job, from its files, and results into files."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fedsecure.core.mpc.ring import Numbers
from fedsecure.errors import OperatorError
from fedsecure.membership.files import replace
from fedsecure.system.private_files import write_private


def read_values(path: Path) -> Numbers:
    """Read a matrix of numbers from a .csv or .npy file.

    A CSV file may have a line of names first. One axis of an .npy file is a column.

    Returns:
        Shape (rows, columns), float64.

    Raises:
        OperatorError: FS-100 when it cannot be read, FS-103 with the place of what is
            no number, FS-108 when it is empty, FS-109 for another kind of file.
    """
    if path.suffix not in {".csv", ".npy"}:
        raise OperatorError("FS-109", f"{path}: numbers come in .csv or .npy")
    try:
        if path.suffix == ".npy":
            return _as_matrix(np.load(path, allow_pickle=False))
        return _table(path, path.read_text("utf-8-sig"))
    except OSError as error:
        raise OperatorError("FS-100", f"{path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise OperatorError("FS-100", f"{path} holds no matrix of numbers") from error


def _as_matrix(values: Any) -> Numbers:
    numbers = np.asarray(values, np.float64)
    return numbers.reshape(-1, 1) if numbers.ndim < 2 else numbers


def _table(path: Path, text: str) -> Numbers:
    lines = [line for line in csv.reader(io.StringIO(text)) if line]
    first = 1
    if lines and not any(map(_is_number, lines[0])):
        lines, first = lines[1:], 2  # names
    if not lines:
        raise OperatorError("FS-108", f"{path}")
    for row, line in enumerate(lines, first):
        for column, cell in enumerate(line, 1):
            if not _is_number(cell):
                raise OperatorError("FS-103", f"{path}: line {row}, column {column}")
    return np.array([[float(cell) for cell in line] for line in lines], np.float64)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def as_text(outputs: Mapping[str, Numbers], path: Path) -> str:
    """Return results as a file of that name holds them: .csv, or else JSON.

    Raises:
        OperatorError: FS-816 for a .csv file of several outputs.
    """
    if path.suffix != ".csv":
        content = {name: numbers.tolist() for name, numbers in outputs.items()}
        return json.dumps(content, indent=1) + "\n"
    if len(outputs) != 1:
        raise OperatorError("FS-816", f"{path}: {len(outputs)} outputs; take .json")
    (numbers,) = outputs.values()
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(numbers.tolist())
    return out.getvalue()


def write_results(path: Path, text: str) -> None:
    """Write results for this user alone; an older file stays until all is there.

    Raises:
        OperatorError: FS-743, FS-816, FS-523.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    write_private(part, text.encode())
    replace(part, path)
