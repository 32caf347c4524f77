"""The arithmetic, in this process: no network, no disk, no start-up cost.

One thread: CPU time of the whole process, so that nothing hides in another thread.
Several: each has data of its own, and what counts is the time until all are done.
Compared is with plain work of the same size, measured in the same turn:

    cipher      AES-256-GCM over the update's bytes, 1 MiB at a time
    key stream  as many bytes of the mask's key stream
    decrypt     the same records opened into one buffer
    sum         `accumulator += update` in numpy: what an unprotected server does

and with the peers of `peers`, as far as they are installed.
"""

import secrets
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import numpy as np

from fedsecure.core import buffers, scheme
from fedsecure.core.buffers import carve
from fedsecure.core.dp.sampler import MEMORY_BYTES, MOST_SIGMA, Sampler
from fedsecure.core.layout import Buffer
from fedsecure.core.mask import KeyStream
from fedsecure.core.params import Params
from fedsecure.core.sealing import seal, seal_info, sealing_key
from fedsecure_bench import plain_work
from fedsecure_bench.peers import PEERS, Absent, Peer
from fedsecure_bench.progress import Progress
from fedsecure_bench.results import (
    Result,
    Step,
    Turns,
    compare,
    cpu_seconds,
    free_memory,
    in_turn,
    median_and_spread,
    wall_seconds,
)

NAME: Final = "core"
NS: Final = "ns/parameter"
DATA_OWNER: Final = "data owner"
VECTOR: Final = "aggregator vector"
SEED: Final = "aggregator seed"
BOTH: Final = "both aggregators"
NOISE: Final = "noise"
OWNER: Final = "owner"
CIPHER: Final = "cipher"
STREAM: Final = "key stream"
DECRYPT: Final = "decrypt"
SUM: Final = "sum"
EXTRA_MEMORY: Final = "data owner: extra memory"
UPLOAD: Final = "upload / float32 update"
SIZES: Final = (10**4, 10**5, 10**6, 10**7, 10**8)
SHORT: Final = 0.05  # seconds
QUICK_SIZES: Final = (10**5, 10**6, 10**7)
BYTES_PER_PARAMETER: Final = 64  # of memory that one thread's steps hold at most

COMPARED: Final = {
    DATA_OWNER: (CIPHER, STREAM),
    VECTOR: (DECRYPT, SUM),
    SEED: (STREAM, SUM),
    BOTH: ("Flower FedAvg",),
    NOISE: (STREAM,),
    OWNER: (SUM,),
}

_SPEC: Final = bytes(32)
_REPORTER: Final = "data-owner"


def run(
    sizes: Sequence[int], threads: Sequence[int], repeats: int, progress: Progress
) -> list[Result]:
    """Measure every step at every size and number of threads."""
    results: list[Result] = []
    found = list(_installed(progress))
    for size in sizes:
        for number in threads:
            if free_memory() < BYTES_PER_PARAMETER * size * number:
                progress.skipped(f"{size:,} parameters, {number} thread(s): no memory")
                continue
            progress.stage(f"{size:,} parameters, {number} thread(s)")
            results += measure(size, number, _fewer(repeats, size), found, progress)
    return results


def measure(
    size: int, threads: int, repeats: int, others: Sequence[Peer], progress: Progress
) -> list[Result]:
    """Measure every step at one size; the peers too, on one thread."""
    works = [Workload(size) for _ in range(threads)]
    steps = list(zip(*(work.steps() for work in works), strict=True))
    if threads == 1:
        steps += [(step,) for one in others if one.fits(size) for step in one(size)]
    with ThreadPoolExecutor(threads) as pool:
        timed = {same[0].name: partial(_ns, same, pool) for same in steps}
        for once in timed.values():
            once()  # memory is touched, caches are warm
        turns = dict(in_turn(timed, repeats, progress.step))
    pairs = zip(turns[VECTOR], turns[SEED], strict=True)
    turns[BOTH] = [vector + seed for vector, seed in pairs]
    theirs = {step.name: step.compared_with for (step, *_) in steps}
    lines = [
        _line(turns, name, size, threads, theirs.get(name, ()) or COMPARED.get(name))
        for name in turns
    ]
    return lines + ([_memory(works[0]), _upload(works[0])] if threads == 1 else [])


class Workload:
    """One update of `size` parameters, and each party's work on it."""

    def __init__(self, size: int) -> None:
        self.params = Params.derive(size, (), max_reports=100, clip=1.0, weight_cap=1)
        self.update = np.random.default_rng(0).standard_normal(size, np.float32)
        self.key = sealing_key.SealingKey.from_seed(
            secrets.token_bytes(sealing_key.SEED_BYTES)
        )
        self.records = seal.Pieces.allocate()
        (self.expansion,) = carve(scheme.EXPANSION_BYTES)
        self.payloads: dict[str, bytes] = {}
        self.report_id = self._report()
        self.sums = self._empty_sums()
        self.opened = self._empty_sums()
        for kind, share in self.opened.items():
            self.add(kind, share)

    def steps(self) -> list[Step]:
        """Return all steps; plain work first."""
        size = self.params.dimension
        return [Step(name, run, size) for name, run in self._work().items()]

    def _work(self) -> dict[str, Callable[[], object]]:
        return {
            CIPHER: plain_work.cipher(self.update),
            STREAM: plain_work.key_stream(self.update),
            DECRYPT: plain_work.decrypt(self.update),
            SUM: plain_work.add(self.update),
            DATA_OWNER: self.protect,
            SEED: partial(self.add, "seed", self.sums["seed"]),
            VECTOR: partial(self.add, "vector", self.sums["vector"]),
            NOISE: self._noise(),
            OWNER: self.unshard,
        }

    def protect(self) -> None:
        """Shard one update and seal both input shares, thrown away as they come."""
        sharding = self._shard()
        for kind, chunks in _input_shares(sharding):
            self._seal(sharding, kind, chunks, len)

    def add(self, kind: str, share: scheme.AggregateShare) -> None:
        """Open one payload from memory and add it to `share`."""
        scheme.aggregate(self.params, share, partial(self._output_share, kind))

    def _output_share(self, kind: str) -> Iterator[Buffer]:
        payload, size = self.payloads[kind], scheme.input_share_bytes(self.params, kind)
        info = _info(self.report_id, kind)
        opened = self.records.of(self.key, info, payload, len(payload), size)
        context = scheme.ReportContext(_SPEC, self.report_id, _REPORTER)
        return scheme.prepare(self.params, context, kind, opened, self.expansion)

    def unshard(self) -> None:
        """Combine both aggregate shares of one report."""
        scheme.unshard(self.params, *self.opened.values())

    def _noise(self) -> Callable[[], object]:
        """Return the work of adding one aggregator's noise, of the largest sigma."""
        sampler = Sampler(KeyStream(bytes(32)), MOST_SIGMA)
        words, (memory,) = self.sums["seed"].tensor, carve(MEMORY_BYTES)
        return partial(sampler.add_to, words, 0, memory)

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


def _installed(progress: Progress) -> Iterable[Peer]:
    for load in PEERS:
        try:
            yield load()
        except Absent as missing:
            progress.skipped(str(missing))


def _ns(same: Sequence[Step], pool: ThreadPoolExecutor) -> float:
    """Run one step, on every thread's own data, and return ns for each parameter.

    A short step is run twice, and the second time counts: the first one finds in the
    caches what another step has left there.
    """

    def seconds() -> float:
        if len(same) == 1:
            return cpu_seconds(same[0].run)
        return wall_seconds(lambda: list(pool.map(lambda step: step.run(), same)))

    found = seconds()
    if found < SHORT:
        found = seconds()
    return found * 1e9 / sum(step.parameters for step in same)


def _line(
    turns: Turns, name: str, size: int, threads: int, others: Sequence[str] | None
) -> Result:
    there = others if others and all(other in turns for other in others) else ()
    median, spread = median_and_spread(turns[name])
    ratio_to = " + ".join(there) or None
    ratio = compare(turns, name, there)
    return Result(NAME, name, size, threads, NS, median, spread, ratio_to, ratio)


def _fewer(repeats: int, size: int) -> int:
    """Return how often to repeat: steps of a second each are steady enough."""
    return max(2, repeats * 10**7 // size) if size > 10**7 else repeats


def _memory(work: Workload) -> Result:
    """Measure the most memory that `protect` takes beside the update itself."""
    buffers.forget()  # or what earlier work left would not be counted
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    work.protect()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    extra = (peak - before) / 2**20
    return Result(NAME, EXTRA_MEMORY, work.params.dimension, 1, "MiB", extra)


def _upload(work: Workload) -> Result:
    """Count what a data owner sends, both payloads, by the update's own bytes."""
    sent = sum(len(payload) for payload in work.payloads.values())
    plain = work.params.layout.tensor_bytes
    return Result(NAME, UPLOAD, work.params.dimension, 1, "ratio", sent / plain)


def _info(report_id: bytes, kind: str) -> seal_info.SealInfo:
    return seal_info.report_info(
        bytes(32), _SPEC, _REPORTER, "aggregator", report_id, kind
    )


def _input_shares(
    sharding: scheme.Sharding,
) -> tuple[tuple[str, Iterable[bytes | memoryview]], ...]:
    return ("seed", [sharding.seed]), ("vector", sharding.vector)
