"""Measurements: steps taken in turn, one line for each, and the file they go to."""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = (
    *("fedsecure", "numpy", "cryptography", "flwr", "uvicorn", "uvloop"),
    *("phe", "gmpy2", "tenseal"),
)


@dataclass(frozen=True, slots=True)
class Result:
    """One line of a bench.

    Args:
        bench: "core", "service", "round", "compute" or "scale".
        step: What was measured.
        d: Parameters of one update; numbers of a row.
        threads: At work at once, or uploads at once; rows of one query.
        unit: Of `median`.
        median: Of the repeats.
        spread: How far apart the middle half of the repeats lies, by the median.
        ratio_to: The steps, joined by " + ", whose sum `ratio` compares with.
        ratio: Median over the turns of this step's value by theirs.
    """

    bench: str
    step: str
    d: int
    threads: int
    unit: str
    median: float
    spread: float = 0.0
    ratio_to: str | None = None
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Something to time.

    Args:
        name: What it is.
        run: Does it once.
        parameters: Of how many parameters of an update.
        compared_with: The steps whose sum it is compared with.
    """

    name: str
    run: Callable[[], object]
    parameters: int
    compared_with: tuple[str, ...] = ()


Turns = Mapping[str, Sequence[float]]  # by step, one value for each turn


def in_turn(
    steps: Mapping[str, Callable[[], float]],
    repeats: int,
    progress: Callable[[], None] = lambda: None,
) -> Turns:
    """Run every step once in each turn, so that a disturbance hits all of them.

    Args:
        steps: Each does its work and returns the value measured.
        repeats: How many turns.
        progress: Called after each step.
    """
    values: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, run in steps.items():
            values[name].append(run())
            progress()
    return values


def compare(turns: Turns, step: str, others: Iterable[str]) -> float | None:
    """Return the median over the turns of a step's value by the sum of others'."""
    bases = [sum(of_turn) for of_turn in zip(*(turns[o] for o in others), strict=True)]
    if not bases:
        return None
    pairs = zip(turns[step], bases, strict=True)
    ratios: list[float] = [value / base for value, base in pairs if base]
    return statistics.median(ratios) if ratios else None


def median_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the median, and by it how far apart the middle half of the values is."""
    median = statistics.median(values)
    if len(values) < 2 or not median:
        return median, 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return median, (high - low) / median


def cpu_seconds(run: Callable[[], object]) -> float:
    """Return the CPU time of this process, all of its threads, that a call took."""
    start = time.process_time()
    run()
    return time.process_time() - start


def wall_seconds(run: Callable[[], object]) -> float:
    """Return how long a call took."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def save(file: Path, about: Mapping[str, Any], results: Sequence[Result]) -> None:
    """Write machine and versions, from `describe_machine`, and results."""
    report = {**about, "results": [asdict(line) for line in results]}
    file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def load(file: Path) -> tuple[dict[str, Any], list[Result]]:
    """Read what `save` wrote: the whole report, and its results."""
    report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return report, [Result(**line) for line in report["results"]]


def describe_machine() -> dict[str, dict[str, str | int | float | None]]:
    """Return what a reader needs to judge the numbers; asked before measuring."""
    return {
        "machine": {
            "system": f"{platform.system()} {platform.release()}",
            "architecture": platform.machine(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(total_memory() / 2**30, 1),
            "load_before": round(os.getloadavg()[0], 2),
        },
        "versions": {
            "commit": _commit(),
            "python": platform.python_version(),
            **{name: found for name in PACKAGES if (found := _version(name))},
        },
        "measured": {"date": time.strftime("%Y-%m-%d", time.gmtime())},
    }


def total_memory() -> int:
    """Return this machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def free_memory() -> int:
    """Return how many bytes can be taken without pushing others out."""
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return total_memory() // 2  # not Linux


def _processor() -> str:
    lines = _lines("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return []


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit that is checked out here; marked if files were changed."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or None
