"""A data owner's examples: read, checked by the study's schema, split in two.

Runs at the data owner. Each kind of data has a module of its own: `cells` (tables),
`arrays`, `images`.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedsecure.errors import OperatorError
from fedsecure.study.schema.features import AnySchema
from fedsecure_clients.data.arrays import inspect_arrays
from fedsecure_clients.data.cells import inspect_table
from fedsecure_clients.data.examples import Dataset, Inspection, Note, Problem, stop
from fedsecure_clients.data.images import inspect_images

__all__ = [
    "Dataset",
    "Inspection",
    "Problem",
    "inspect",
    "load",
    "revision",
    "split",
    "split_by_row",
]

MIN_ROWS: Final = 2  # one to train on, one held out
SPLIT_DOMAIN: Final = b"fedsecure v1 held-out rows"
ROW_SPLIT_DOMAIN: Final = b"fedsecure v1 row held out"


def load(path: Path, schema: AnySchema, fewest: int = MIN_ROWS) -> Dataset:
    """Read all of a data owner's examples; run by a data owner.

    Args:
        path: A file, or a folder of images.
        schema: What the study makes of it.
        fewest: How many examples there have to be.

    Raises:
        OperatorError: FS-1xx, with the file and the first place in it.
    """
    found = inspect(path, schema)
    if found.problems:
        first = found.problems[0]
        raise OperatorError(first.code, f"{path} {first}")
    if found.dataset is None or len(found.dataset) < fewest:
        empty = "FS-108" if schema.kind == "table" else "FS-127"
        code = "FS-110" if found.rows else empty
        raise OperatorError(code, f"{path} holds {found.rows} examples")
    return found.dataset


def inspect(path: Path, schema: AnySchema, note: Note = stop) -> Inspection:
    """Read a data owner's examples and list what does not fit; run by a data owner.

    Args:
        path: A file, or a folder of images.
        schema: What the study makes of it.
        note: Hears what is wrong with the data as a whole; by default that ends it.

    Raises:
        OperatorError: FS-1xx, what is there is not of the study's kind at all.
    """
    match schema.kind:
        case "table":
            return inspect_table(path, schema, note)
        case "arrays":
            return inspect_arrays(path, schema, note)
        case "images":
            return inspect_images(path, schema, note)


def revision(path: Path) -> str:
    """Return a text that changes when a file, or a folder of class folders, does.

    It is made of names, sizes and times of change, for reading everything again
    would take as long as loading it.

    Raises:
        OperatorError: FS-100, there is nothing that can be read.
    """
    digest = hashlib.sha256()
    try:
        for part in (path, *_within(path, depth=2)):
            state = part.stat()
            entry = (str(part), state.st_ino, state.st_size, state.st_mtime_ns)
            digest.update(repr(entry).encode())
    except OSError as error:
        raise OperatorError("FS-100", f"{path}: {error.strerror}") from error
    return digest.hexdigest()


def _within(path: Path, depth: int) -> Iterator[Path]:
    if depth and path.is_dir():
        for part in sorted(path.iterdir()):
            yield part
            yield from _within(part, depth - 1)


def split(dataset: Dataset, holdout: float, seed: int) -> tuple[Dataset, Dataset]:
    """Return the rows to train on and those held out; run by a data owner.

    Rows are ranked by a hash of seed and content, and of every class the lowest
    `holdout` are held out. So the same rows are held out in every run, whatever their
    order in the file; equal rows are never on both sides; a row that is added moves
    few others.

    Raises:
        OperatorError: FS-110, all rows are equal, so that one side would be empty.
    """
    ranks = _ranks(dataset, seed, SPLIT_DOMAIN)
    held_out = np.zeros(len(dataset), dtype=np.bool_)
    for number in np.unique(dataset.labels):
        of_class = np.flatnonzero(dataset.labels == number)
        held_out[of_class] = _lowest(ranks[of_class], holdout)
    if not held_out.any():
        held_out = ranks == ranks.min()
    if held_out.all():
        held_out = ranks != ranks.max()
    if not held_out.any():
        raise OperatorError("FS-110", f"all {len(dataset)} rows are equal")
    return _halves(dataset, held_out)


def split_by_row(
    dataset: Dataset, holdout: float, seed: int
) -> tuple[Dataset, Dataset]:
    """Return the rows to train on and those held out, each row by itself.

    A row is held out if the hash of seed and content, as a number below 2**64, is below
    holdout * 2**64. Run by a data owner in studies that protect single rows: in `split`
    a row that comes or goes moves others over the line, and so tells about itself.

    Guarantee: which side a row is on depends on the seed, its features and its label,
    and on nothing else. Equal rows are on one side, all of them. The parts differ from
    `holdout` by chance, for each class too, and either side may be empty.
    """
    ranks = _ranks(dataset, seed, ROW_SPLIT_DOMAIN)
    return _halves(dataset, ranks < np.uint64(int(holdout * 2**64)))


def _halves(dataset: Dataset, held_out: NDArray[np.bool_]) -> tuple[Dataset, Dataset]:
    training, testing = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    return dataset.take(training), dataset.take(testing)


def _lowest(ranks: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    count = round(share * len(ranks))
    if count == 0:
        return np.zeros(len(ranks), dtype=np.bool_)
    highest: NDArray[np.bool_] = ranks <= np.partition(ranks, count - 1)[count - 1]
    return highest


def _ranks(dataset: Dataset, seed: int, domain: bytes) -> NDArray[np.uint64]:
    """Hash every example's content with the seed; shape (examples,)."""
    start = hashlib.sha256(domain + seed.to_bytes(8, "big"))
    ranks = np.empty(len(dataset), dtype=np.uint64)
    for row, label in enumerate(dataset.labels.tolist()):
        digest = start.copy()
        digest.update(np.ascontiguousarray(dataset.features[row], dtype="<f4").data)
        digest.update(label.to_bytes(4, "little"))
        ranks[row] = int.from_bytes(digest.digest()[:8], "big")
    return ranks
