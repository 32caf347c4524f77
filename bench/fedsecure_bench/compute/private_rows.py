"""`fedsecure bench compute`: a linear model answers rows that nobody else sees.

CPU time of this process, in milliseconds; of the whole product, what its caller waits.
AES-256-GCM's time for a parameter of 4 bytes says how fast this machine is.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from fedsecure_bench import plain_work
from fedsecure_bench.compute import encrypted_rows, service, shared_rows
from fedsecure_bench.peers import Absent
from fedsecure_bench.progress import Progress
from fedsecure_bench.results import (
    Result,
    Turns,
    compare,
    cpu_seconds,
    in_turn,
    median_and_spread,
)
from fedsecure_bench.servers.federation import warn_without_memory

NAME: Final = "compute"
MS: Final = "ms"
CIPHER: Final = "AES-256-GCM"
CIPHER_SIZE: Final = 10**6  # parameters
PRODUCT: Final = "whole product"
ON_DISK: Final = "whole product, disk"
FEW: Final = 5  # turns of what takes long

Work = Callable[[], object]
T = TypeVar("T", str, int)


def run(repeats: int, queries: int, disk: Path, progress: Progress) -> list[Result]:
    """Measure everything; `queries` of each size to real aggregators."""
    warn_without_memory(progress)
    lines = [*_cipher(repeats, progress), *_encrypted(repeats, progress)]
    ckks = _there(shared_rows.by_ckks, progress)
    for rows in shared_rows.ROWS:
        other = {shared_rows.CKKS: ckks[rows]} if rows in ckks else {}
        lines += _shared(rows, repeats, other, progress)
        lines += _asked(rows, queries, disk, other, progress)
    return lines


def _cipher(repeats: int, progress: Progress) -> Iterator[Result]:
    progress.stage(CIPHER)
    work = plain_work.cipher(np.zeros(CIPHER_SIZE, np.float32))
    turns = in_turn({CIPHER: _timed(work)}, repeats, progress.step)
    found = [seconds * 1e9 / CIPHER_SIZE for seconds in turns[CIPHER]]
    size = encrypted_rows.FEATURES  # of the lines that it stands beside
    yield Result(NAME, CIPHER, size, 1, "ns/parameter", *median_and_spread(found))


def _encrypted(repeats: int, progress: Progress) -> Iterator[Result]:
    progress.stage("one encrypted row")
    steps = {**encrypted_rows.ours(), **_there(encrypted_rows.by_phe, progress)}
    slow = {name: steps.pop(name) for name in encrypted_rows.SLOW if name in steps}
    turns = {**_turns(steps, repeats, progress), **_turns(slow, FEW, progress)}
    return _lines(turns, encrypted_rows.FEATURES, 1, encrypted_rows.COMPARED)


def _shared(
    rows: int, repeats: int, other: Mapping[str, Work], progress: Progress
) -> Iterator[Result]:
    progress.stage(f"{rows} shared row(s)")
    steps = {**shared_rows.ours(rows), **other}
    turns = _turns(steps, repeats if rows == 1 else FEW, progress)
    return _lines(turns, shared_rows.FEATURES, rows, shared_rows.COMPARED)


def _asked(
    rows: int, queries: int, disk: Path, other: Mapping[str, Work], progress: Progress
) -> Iterator[Result]:
    ckks = other.get(shared_rows.CKKS)
    for name, place in ((PRODUCT, None), (ON_DISK, disk)):
        progress.stage(f"{name}, {rows} row(s)")
        found = service.waits(rows, queries, place, ckks, progress.step)
        line = partial(Result, NAME, d=shared_rows.FEATURES, threads=rows, unit=MS)
        yield line(
            step=f"{name}: p50",
            median=found.middle,
            ratio_to=shared_rows.CKKS if ckks else None,
            ratio=found.by_other,
        )
        yield line(step=f"{name}: p90", median=found.slow)
        yield line(step=f"{name}: CPU of the clinic", median=found.clinic)
        yield line(step=f"{name}: CPU of both servers", median=found.servers)


def _there(
    load: Callable[[], Mapping[T, Work]], progress: Progress
) -> Mapping[T, Work]:
    """Return a peer's steps; none, and a word to people, where it is missing."""
    try:
        return load()
    except Absent as missing:
        progress.skipped(str(missing))
        return {}


def _turns(steps: Mapping[str, Work], repeats: int, progress: Progress) -> Turns:
    timed = {name: _timed(work) for name, work in steps.items()}
    return in_turn(timed, repeats, progress.step)


def _timed(work: Work) -> Callable[[], float]:
    return lambda: cpu_seconds(work)


def _lines(
    turns: Turns, size: int, width: int, compared: Mapping[str, str]
) -> Iterator[Result]:
    for name, seconds in turns.items():
        other = compared.get(name)
        there = [other] if other is not None and other in turns else []
        median, spread = median_and_spread([one * 1e3 for one in seconds])
        ratio_to, ratio = " + ".join(there) or None, compare(turns, name, there)
        yield Result(NAME, name, size, width, MS, median, spread, ratio_to, ratio)
