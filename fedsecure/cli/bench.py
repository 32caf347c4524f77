"""`fedsecure bench core`: what protecting one update costs on this machine.

Every step runs in this process on one thread, with steps taken in turn so that a
disturbance hits all of them. Times are CPU time of the whole process, so that nothing
hides in another thread. Absolute numbers hold for this machine and hour; the ratios, to
plain work of the same size measured in the same turn, hold elsewhere too:

    cipher   one AES-256-GCM pass over the update's bytes, 1 MiB at a time
    sum      `accumulator += update` in numpy, what an unprotected server does
"""

import json
import os
import platform
import secrets
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from fedsecure.core import scheme, seal
from fedsecure.core.params import CHUNK, Params

CIPHER: Final = "cipher"
SUM: Final = "sum"
NS: Final = "ns/parameter"
MIB: Final = "MiB"

_SPEC: Final = bytes(32)
_REPORTER: Final = "data-owner"

app = typer.Typer(no_args_is_help=True, help="Measure what protection costs here.")


@dataclass(frozen=True, slots=True)
class Result:
    """One line: the median of a step, and its ratio to plain work of the same size.

    `spread` is (largest - smallest) / median of the repeats.
    """

    bench: str
    step: str
    d: int
    threads: int
    unit: str
    median: float
    spread: float
    ratio_to: str | None = None
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Something to time, and the names of the plain work that it is compared with."""

    name: str
    run: Callable[[], object]
    compared_with: tuple[str, ...] = ()


@app.callback()
def bench() -> None:
    """Measure what protection costs on this machine."""


@app.command("core")
def bench_core(
    dimension: Annotated[
        list[int], typer.Option(help="Parameters of the update; repeat for several.")
    ] = [100_000, 1_000_000, 10_000_000],  # noqa: B006 (typer reads it, nobody writes)
    repeats: Annotated[int, typer.Option(min=1, help="Of each step.")] = 7,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the results here, too.")
    ] = None,
) -> None:
    """Time clip, shard, seal, open, add and unshard, with no network and no disk.

    Example: fedsecure bench core --dimension 1000000
    """
    console = Console()
    results: list[Result] = []
    with Progress(console=console, transient=True) as progress:
        for size in progress.track(dimension, description="Measuring"):
            results += measure(size, repeats)
    console.print(_table(results))
    if json_file is not None:
        report = {**describe_machine(), "results": [asdict(line) for line in results]}
        json_file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def measure(dimension: int, repeats: int) -> list[Result]:
    """Time every step at one size, and the memory that a data owner needs."""
    work = Workload(dimension)
    steps = work.steps()
    times: dict[str, list[float]] = {step.name: [] for step in steps}
    for step in steps:
        step.run()  # memory is touched, caches are warm
    for _ in range(repeats):
        for step in steps:
            times[step.name].append(_cpu_ns(step.run) / dimension)
    return [*(_result(step, dimension, times) for step in steps), _memory(work)]


class Workload:
    """One update of `dimension` parameters, and each party's work on it."""

    def __init__(self, dimension: int) -> None:
        self.params = Params.derive(
            dimension, (), max_reports=100, clip=1.0, weight_cap=1
        )
        self.update = np.random.default_rng(0).standard_normal(dimension, np.float32)
        self.key = seal.SealingKey.from_seed(secrets.token_bytes(seal.SEED_BYTES))
        self.scratch = scheme.OutputShare.allocate(self.params)
        self.payloads: dict[str, bytes] = {}
        self.report_id = self._report()
        self.sums = self._empty_sums()
        self.opened = self._empty_sums()
        for kind, share in self.opened.items():
            self.add(kind, share)

    def steps(self) -> list[Step]:
        """Return all steps; plain work first."""
        server = (CIPHER, SUM)
        return [
            Step(CIPHER, self._cipher_pass()),
            Step(SUM, self._plain_sum()),
            Step("data owner: protect", self.protect, (CIPHER,)),
            *(
                Step(f"aggregator: {name}", partial(self.add, kind, share), server)
                for name, (kind, share) in zip(
                    ("seed", "vector"),
                    self.sums.items(),
                    strict=True,
                )
            ),
            Step("owner: unshard", self.unshard, (SUM,)),
        ]

    def protect(self) -> None:
        """Shard one update and seal both input shares, thrown away as they come."""
        sharding = self._shard()
        for kind, chunks in _input_shares(sharding):
            self._seal(sharding, kind, chunks, len)

    def add(self, kind: str, share: scheme.AggregateShare) -> None:
        """Open one payload from memory and add it to `share`."""
        payload = self.payloads[kind]
        size = scheme.input_share_bytes(self.params, kind)
        plaintext = self.scratch.memory if kind == "vector" else bytearray(size)
        seal.open_sealed(
            self.key,
            _info(self.report_id, kind),
            payload,
            len(payload),
            memoryview(plaintext),
        )
        context = scheme.ReportContext(_SPEC, self.report_id, _REPORTER)
        scheme.aggregate(
            share, scheme.prepare(self.params, context, kind, plaintext, self.scratch)
        )

    def unshard(self) -> None:
        """Combine both aggregate shares of one report."""
        scheme.unshard(self.params, *self.opened.values())

    def _empty_sums(self) -> dict[str, scheme.AggregateShare]:
        kinds = ("seed", "vector")
        return {kind: scheme.AggregateShare.empty(self.params) for kind in kinds}

    def _report(self) -> bytes:
        sharding = self._shard()
        for kind, chunks in _input_shares(sharding):
            payload = bytearray()
            self._seal(sharding, kind, chunks, payload.extend)
            self.payloads[kind] = bytes(payload)
        return sharding.report_id

    def _shard(self) -> scheme.Sharding:
        measurement = scheme.Measurement(self.update, weight=1, metrics={})
        rand = secrets.token_bytes(scheme.RAND_BYTES)
        return scheme.shard(self.params, _SPEC, _REPORTER, measurement, rand)

    def _seal(
        self,
        sharding: scheme.Sharding,
        kind: str,
        chunks: Iterable[bytes | memoryview],
        write: Callable[[memoryview], object],
    ) -> None:
        info = _info(sharding.report_id, kind)
        key = sharding.content_keys[kind == "vector"]
        seal.seal(self.key.public_bytes, info, key, chunks, write)

    def _cipher_pass(self) -> Callable[[], object]:
        cipher, nonce = AESGCM(bytes(32)), bytes(12)
        size, zeros, out = self.params.tensor_bytes, bytes(CHUNK), bytearray(CHUNK + 16)
        pieces = [min(CHUNK, size - start) for start in range(0, size, CHUNK)]

        def run() -> None:
            for piece in pieces:
                view = memoryview(out)[: piece + 16]
                cipher.encrypt_into(nonce, memoryview(zeros)[:piece], None, view)

        return run

    def _plain_sum(self) -> Callable[[], object]:
        accumulator = np.zeros_like(self.update)
        return lambda: np.add(accumulator, self.update, out=accumulator)


def describe_machine() -> dict[str, dict[str, str | int | None]]:
    """Return what a reader needs to judge the numbers."""
    return {
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "processor": _processor(),
            "cores": os.cpu_count(),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("fedsecure", "numpy", "cryptography")},
        },
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


def _cpu_ns(run: Callable[[], object]) -> int:
    start = time.process_time_ns()
    run()
    return time.process_time_ns() - start


def _info(report_id: bytes, kind: str) -> seal.SealInfo:
    return seal.report_info(bytes(32), _SPEC, _REPORTER, "aggregator", report_id, kind)


def _input_shares(
    sharding: scheme.Sharding,
) -> tuple[tuple[str, Iterable[bytes | memoryview]], ...]:
    return ("seed", [sharding.seed]), ("vector", sharding.vector)


def _result(step: Step, dimension: int, times: dict[str, list[float]]) -> Result:
    values = times[step.name]
    median = statistics.median(values)
    base = sum(statistics.median(times[name]) for name in step.compared_with)
    return Result(
        "core",
        step.name,
        dimension,
        threads=1,
        unit=NS,
        median=median,
        spread=(max(values) - min(values)) / median,
        ratio_to=" + ".join(step.compared_with) or None,
        ratio=median / base if base else None,
    )


def _memory(work: Workload) -> Result:
    """Measure the most memory that `protect` takes beside the update itself."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    work.protect()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    extra = (peak - before) / 2**20
    return Result(
        "core", "data owner: memory", work.update.size, 1, MIB, extra, spread=0.0
    )


def _table(results: Sequence[Result]) -> Table:
    table = Table(
        title="Protecting one update, on one thread",
        caption="ns: CPU nanoseconds per parameter, median and spread\n"
        "cipher: one AES-256-GCM pass; sum: numpy's plain `acc += update`",
    )
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("step", no_wrap=True)
    table.add_column("ns", justify="right", no_wrap=True)
    table.add_column("spread", justify="right", no_wrap=True)
    table.add_column("ratio", no_wrap=True)
    for line in results:
        unit = "" if line.unit == NS else f" {line.unit}"
        table.add_row(
            f"{line.d:,}",
            line.step,
            f"{line.median:.2f}{unit}",
            f"{line.spread:.0%}" if line.unit == NS else "",
            "" if line.ratio is None else f"{line.ratio:.2f} x {line.ratio_to}",
            end_section=line.unit == MIB,
        )
    return table
