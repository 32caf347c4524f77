"""One round with many data owners: shards made here, streamed to two real servers.

Worker processes, one for each processor, play the data owners one after the other:
shard, seal, send, forget. Nothing is prepared before. The servers keep reports in
memory (a file system in memory) or on the disk; their own memory is watched meanwhile.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from fedsecure_bench.progress import Progress
from fedsecure_bench.results import Result, free_memory
from fedsecure_bench.servers import load_workers
from fedsecure_bench.servers.federation import (
    Many,
    in_memory,
    many,
    request,
    require_mean,
    serving,
    warn_without_memory,
)
from fedsecure_bench.usage import Usage

NAME: Final = "scale"
PORTION: Final = 20  # data owners that a worker is given at a time, at most
MARKS: Final = (0.1, 0.25, 0.5, 0.75, 1.0)  # of all reports


@dataclass(frozen=True, slots=True)
class Scene:
    """So many data owners, updates of so many parameters, and where servers store."""

    owners: int
    size: int
    on_disk: bool = False

    @property
    def spool_bytes(self) -> int:
        """What both servers store until the round is opened."""
        return self.owners * self.size * 4


QUICK_SCENES: Final = (
    Scene(1_000, 10**5),
    Scene(100, 10**7),
    Scene(100, 10**7, on_disk=True),
)
SCENES: Final = (*QUICK_SCENES, Scene(10_000, 10**5))


def run(scenes: Sequence[Scene], disk: Path, progress: Progress) -> list[Result]:
    """Run one round of each scene.

    Args:
        scenes: What is run.
        disk: A folder on a disk, for the scenes that store there.
        progress: Hears how it goes.
    """
    warn_without_memory(progress)
    results: list[Result] = []
    for scene in scenes:
        if not scene.on_disk and free_memory() < 2 * scene.spool_bytes:
            progress.skipped(
                f"{scene.owners} x {scene.size:,} in memory: too little of it"
            )
            continue
        progress.stage(f"{scene.owners:,} data owners x {scene.size:,}: making keys")
        with many(scene.owners, disk if scene.on_disk else None) as everybody:
            results += _round(scene, everybody, progress)
        progress.step()
    return results


def _round(scene: Scene, everybody: Many, progress: Progress) -> list[Result]:
    with ExitStack() as stack:
        servers = stack.enter_context(serving(everybody))
        clients = everybody.clients()
        for client in clients.values():
            stack.callback(client.close)
        owner = everybody.owner(clients)
        proposal = owner.propose(request(everybody.reporters, scene.size))
        outboxes = stack.enter_context(in_memory())
        script = load_workers.Script.of(everybody, proposal, outboxes)
        pool = stack.enter_context(_workers(script))
        watch = Watch(servers)
        began = time.perf_counter()
        receipts = _report_all(scene, everybody, pool, watch, progress)
        reported = time.perf_counter()
        progress.stage(f"{scene.owners:,} data owners x {scene.size:,}: opening")
        pairs = {
            name: owner.collect(proposal, name, tokens)
            for name, tokens in receipts.items()
        }
        opened = owner.open(proposal, pairs)
        ended = time.perf_counter()
        require_mean(opened.mean.update, proposal)
        return _lines(scene, watch, (reported - began, ended - reported))


class Watch:
    """Looks at both servers while they work."""

    def __init__(self, servers: Mapping[str, Usage]) -> None:
        self._servers = list(servers.values())
        self._before = sum(server.cpu_seconds() for server in self._servers)
        self.memory: dict[float, float] = {}  # MB of the larger, by share of reports
        for server in self._servers:
            server.forget_peak()

    def look(self, share: float) -> None:
        """Note how much memory they hold, once so many of the reports are there."""
        passed = [mark for mark in MARKS if mark <= share]
        for mark in passed:
            if mark not in self.memory:
                self.memory[mark] = max(one.memory() for one in self._servers)

    def cpu_seconds(self) -> float:
        """Return the CPU time of both since the beginning."""
        return sum(one.cpu_seconds() for one in self._servers) - self._before

    def peak(self) -> float:
        """Return the most memory that either held, in MB."""
        return max(one.peak_memory() for one in self._servers)


def _report_all(
    scene: Scene,
    everybody: Many,
    pool: ProcessPoolExecutor,
    watch: Watch,
    progress: Progress,
) -> load_workers.Receipts:
    names, receipts = everybody.reporters, dict[str, list[str]]()
    portion = min(PORTION, -(-len(names) // (2 * _processors())))
    portions = [names[i : i + portion] for i in range(0, len(names), portion)]
    waiting = {pool.submit(load_workers.play, one) for one in portions}
    while waiting:
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            receipts |= future.result()
        progress.stage(
            f"{len(receipts):,} of {scene.owners:,} x {scene.size:,} reported"
        )
        watch.look(len(receipts) / scene.owners)
    return receipts


@contextmanager
def _workers(script: load_workers.Script) -> Iterator[ProcessPoolExecutor]:
    """Start a worker for each processor; all have read the script when it yields."""
    number = _processors()
    with ProcessPoolExecutor(
        number,
        mp_context=get_context("spawn"),
        initializer=load_workers.begin,
        initargs=(script,),
    ) as pool:
        list(pool.map(load_workers.ready, range(number)))
        yield pool


def _processors() -> int:
    return len(os.sched_getaffinity(0))


def _lines(scene: Scene, watch: Watch, seconds: Sequence[float]) -> list[Result]:
    reporting, opening = seconds
    place = "disk" if scene.on_disk else "memory"
    measured = {
        "all of the round": ("s", reporting + opening),
        "reporting": ("s", reporting),
        "opening": ("s", opening),
        "reports of the pair": ("1/s", scene.owners / reporting),
        "CPU of both servers": ("s", watch.cpu_seconds()),
        **{
            f"memory of a server at {mark:.0%}": ("MB", memory)
            for mark, memory in watch.memory.items()
        },
        "peak memory of a server": ("MB", watch.peak()),
    }
    return [
        Result(NAME, f"{what}, {place}", scene.size, scene.owners, unit, value)
        for what, (unit, value) in measured.items()
    ]
