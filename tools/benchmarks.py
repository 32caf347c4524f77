"""Write docs/benchmarks.md from docs/benchmarks.json, which `fedsecure bench` wrote.

    python tools/benchmarks.py           write it anew
    python tools/benchmarks.py --check   fail where the page differs

Everything on the page comes from here: a number that is no measurement cannot get in.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import ge, le
from pathlib import Path
from typing import Any, Final

from fedsecure_bench import core, peers
from fedsecure_bench.compute import encrypted_rows, private_rows, shared_rows
from fedsecure_bench.progress import headline, number
from fedsecure_bench.results import Result, load
from fedsecure_bench.servers import service

PAGE: Final = Path(__file__).parents[1] / "docs" / "benchmarks.md"
FILE: Final = PAGE.with_suffix(".json")

INTRODUCTION: Final = """\
# Benchmarks

What protection costs, and what one would use instead. Written from
[benchmarks.json](benchmarks.json) by `python tools/benchmarks.py`. On your own machine

```
make bench
```

prints the same tables with fewer repeats in about ten minutes; `fedsecure bench all`
takes twenty. What is compared took turns within one run; a ratio is the median of
the turns' ratios. Absolute numbers hold for this machine and hour. **Spread** is how
far apart the middle half of the repeats lies, by the median.
"""

TARGETS: Final = """\
## Targets

**Missed** stands where a target was not met in this run.
"""

PARTS: Final = {
    "core": """\
## Core: the arithmetic

One process, no network, no disk. On one thread: CPU time; on two: time until both are
done, each with data of its own. Steps of less than 50 ms are run twice in each turn,
and the second counts, with caches that are warm. `cipher`, `decrypt` and `key stream`
are one pass of AES-256-GCM over the update's bytes, `sum` is numpy's `accumulator +=
update`, what an unprotected server does. `Flower FedAvg` is Flower's own aggregation of
four replies, for each of them. `SecAgg+: client` is what `secaggplus_mod` computes with
three neighbours. CKKS (TenSEAL, degree 8192) and Paillier (phe, 2048 bits, one number
in a ciphertext) are measured on {ckks:,} and {paillier} numbers: each costs the same.
""",
    "service": """\
## Service: uploads over TLS

To real aggregator processes on loopback; whoever loads them shares their processors.
`unopened` is what one would write with Starlette and uvicorn to store the same bytes;
`unopened, streamed` stores them, too, but takes them off the wire as an aggregator does
(`http.body_stream`), so that what is left between both is the protection alone.
Reports are stored in memory (a file system in memory), beside `disk`. `At once`: data
owners that upload at the same time. Latencies are of the uploads that hold a vector.
""",
    "round": """\
## Round: four agents on Flower's runtime

No training; a model of ten layers. Plain FedAvg, `SecureAggregation(FedAvg)` and
SecAgg+ (Flower's legacy API) took turns, over TLS, with agents that are one process
each and look for messages as often. Peers run on Flower's SuperLink as it ships, ours
on the one that `fedsecure train` starts, which needs less time for a request; for what
the protection alone costs, plain FedAvg is measured on that one, too. Stock Flower
starts a process for every message.
`Through Flower`: bytes that the SuperLink read and wrote, for each round.
""",
    "compute": """\
## Compute: rows that a linear model answers unseen

In milliseconds: CPU time of one process; of `whole product` what the clinic waits, from
numbers to logits, for two real aggregator processes on the same processors: TLS,
signatures, sealing, both databases (in memory, beside `disk`). Paillier: a row of 30
numbers, one logit, weights shared between the servers; `client` encrypts the row and
opens both answers. phe does the same arithmetic. Shares: a logistic model of 784
features. CKKS (TenSEAL, degree 8192) encrypts each row, multiplies by weights that its
server knows, and decrypts, in one process without any network; it took turns with the
whole product, too. `AES-256-GCM` is one pass over a million parameters of 4 bytes: 0.3
ns where the targets were set.
""",
    "scale": """\
## Scale: many data owners

One round: shards made by a worker process for each processor, streamed to both
servers, opened, and the mean compared with the exact one. `At once` is the number of
data owners.
""",
}


class Lines:
    """The results of one report, to look up."""

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = results

    def one(
        self,
        step: str,
        size: int,
        width: int,
        ratio_to: str | None = None,
    ) -> Result | None:
        """Return a line; with `ratio_to`, the one that compares with that."""
        for line in self._results:
            same = (line.step, line.d, line.threads) == (step, size, width)
            if same and (ratio_to is None or line.ratio_to == ratio_to):
                return line
        return None

    def value(self, step: str, size: int, width: int) -> float | None:
        """Return what was measured."""
        line = self.one(step, size, width)
        return None if line is None else line.median

    def ratio(self, step: str, size: int, width: int, to: str) -> float | None:
        """Return how a step compares."""
        line = self.one(step, size, width, to)
        return None if line is None else line.ratio

    def quotient(self, steps: tuple[str, str], size: int, width: int) -> float | None:
        """Return one step's median by another's."""
        above, below = (self.value(step, size, width) for step in steps)
        return None if above is None or not below else above / below


Look = Callable[[Lines], float | None]
MILLION: Final = 10**6
TEN_MILLION: Final = 10**7


@dataclass(frozen=True, slots=True)
class Target:
    """What is to hold: a number from the report, and its limit.

    `wanted` None: it is shown beside another, and has no limit of its own.
    """

    what: str
    where: str
    look: Look
    wanted: float | None
    unit: str = ""
    holds: Callable[[float, float], bool] = le

    def row(self, lines: Lines) -> str:
        """Return its row."""
        sign = "<=" if self.holds is le else ">="
        unit = f" {self.unit}" if self.unit else ""
        limit = "" if self.wanted is None else f"{sign} {self.wanted:,g}{unit}"
        value = self.look(lines)
        if value is None:
            return f"| {self.what} | {self.where} | {limit} | not measured | |"
        verdict = ""
        if self.wanted is not None:
            verdict = "met" if self.holds(value, self.wanted) else "**missed**"
        shown = f"{number(value)}{unit}"
        return f"| {self.what} | {self.where} | {limit} | {shown} | {verdict} |"


def targets() -> Iterator[Target]:
    """Yield every target of the design, in its order."""
    yield from core_targets()
    yield from service_targets()
    yield from round_targets()
    yield from scale_targets()
    yield from compute_targets()
    yield from peer_targets()


def core_targets() -> Iterator[Target]:
    """Yield what one thread is to cost."""
    for size in (MILLION, TEN_MILLION):
        where, at = f"{size:,}", (size, 1)
        yield Target(
            "data owner, all steps",
            where,
            lambda lines, at=at: lines.value(core.DATA_OWNER, *at),
            2.5,
            "ns/parameter",
        )
        yield Target(
            "the same / (one cipher pass + one key stream pass)",
            where,
            lambda lines, at=at: lines.ratio(
                core.DATA_OWNER, *at, f"{core.CIPHER} + {core.STREAM}"
            ),
            3.5,
        )
        yield Target(
            "data owner, extra memory",
            where,
            lambda lines, at=at: lines.value(core.EXTRA_MEMORY, *at),
            16,
            "MiB",
        )
        for kind in (core.VECTOR, core.SEED):
            yield Target(
                kind,
                where,
                lambda lines, at=at, kind=kind: lines.value(kind, *at),
                0.6,
                "ns/parameter",
            )
        yield Target(
            f"{core.VECTOR} / (decrypt + sum)",
            where,
            lambda lines, at=at: lines.ratio(
                core.VECTOR, *at, f"{core.DECRYPT} + {core.SUM}"
            ),
            1.5,
        )
        yield Target(
            "both aggregators / Flower's own aggregation",
            where,
            lambda lines, at=at: lines.ratio(core.BOTH, *at, peers.FEDAVG),
            1.0,
        )
    yield Target(
        "upload / float32 update",
        f"{MILLION:,}",
        lambda lines: lines.value(core.UPLOAD, MILLION, 1),
        1.01,
    )


def service_targets() -> Iterator[Target]:
    """Yield what uploads are to cost a server."""
    one = service.ONE
    for width in (8, 32):
        where, at = f"40 MB, {width} at once", (TEN_MILLION, width)
        for other, most in ((service.UNOPENED, 1.2), (service.STREAMED, None)):
            yield Target(
                f"server CPU of an upload / {other}",
                where,
                lambda lines, at=at, other=other: lines.ratio(
                    f"{one}: {service.CPU}", *at, f"{other}: {service.CPU}"
                ),
                most,
            )
        for place in (one, service.DISK):
            yield Target(
                f"ingest, {place}",
                where,
                lambda lines, at=at, place=place: lines.value(
                    f"{place}: {service.RATE}", *at
                ),
                0.8 if place == one else None,
                "GB/s",
                ge,
            )
        yield Target(
            "server CPU",
            where,
            lambda lines, at=at: lines.value(f"{one}: {service.CPU}", *at),
            1.3,
            "s/GB",
        )
        yield Target(
            "p99 / p50",
            where,
            lambda lines, at=at: lines.ratio(
                f"{one}: {service.P99}", *at, f"{one}: {service.P50}"
            ),
            1.5,
        )
        yield Target(
            "server memory: 100 MB + 8 bytes a parameter + 3 MB an upload",
            where,
            lambda lines, at=at: lines.value(f"{one}: {service.PEAK}", *at),
            100 + 80 + 3 * width,
            "MB",
        )
    yield Target(
        "first byte to opened mean, uploads prepared",
        "10 x 1,000,000",
        lambda lines: lines.value(service.TO_MEAN, MILLION, 10),
        200,
        "ms",
    )


def round_targets() -> Iterator[Target]:
    """Yield how a whole round is to compare."""
    secure, plain = "SecureAggregation(FedAvg)", "plain FedAvg"
    for size, limit in ((10**5, 0.5), (MILLION, 0.5), (TEN_MILLION, 0.7)):
        for other, most in (
            (plain, limit),
            (f"{plain}, our SuperLink", None),
            ("SecAgg+", 0.25),
            ("stock Flower FedAvg", 0.3),
        ):
            yield Target(
                f"whole round / {other}",
                f"{size:,}",
                lambda lines, size=size, other=other: lines.ratio(
                    secure, size, 4, other
                ),
                most,
            )


def scale_targets() -> Iterator[Target]:
    """Yield what many data owners are to cost."""
    for place, most in (("memory", 20), ("disk", None)):
        yield Target(
            f"everything on this machine, {place}",
            "100 x 10,000,000",
            lambda lines, place=place: lines.value(
                f"all of the round, {place}", TEN_MILLION, 100
            ),
            most,
            "s",
        )
    for owners in (1_000, 10_000):
        where, at = f"{owners:,} x 100,000", (10**5, owners)
        yield Target(
            "reports of both servers",
            where,
            lambda lines, at=at: lines.value("reports of the pair, memory", *at),
            150,
            "1/s",
            ge,
        )
        steps = [f"memory of a server at {share}%, memory" for share in (100, 10)]
        yield Target(
            "server memory at the last report / at the first tenth",
            where,
            lambda lines, at=at, steps=steps: lines.quotient((steps[0], steps[1]), *at),
            1.05,
        )


def compute_targets() -> Iterator[Target]:
    """Yield what rows that are answered unseen are to cost."""
    ours, row = encrypted_rows.CLIENT, (encrypted_rows.FEATURES, 1)
    yield Target(ours, "30 features", lambda lines: lines.value(ours, *row), 120, "ms")
    yield Target(
        f"{encrypted_rows.PHE_CLIENT} / ours",
        "30 features",
        lambda lines: lines.ratio(encrypted_rows.PHE_CLIENT, *row, ours),
        5,
        holds=ge,
    )
    for rows, most in ((1, 6), (100, 20)):
        where, at = f"784 features, {rows} at once", (shared_rows.FEATURES, rows)
        step = f"{private_rows.PRODUCT}: p50"
        yield Target(
            f"logistic by shares, {step}",
            where,
            lambda lines, at=at, step=step: lines.value(step, *at),
            most,
            "ms",
        )
        yield Target(
            f"the same / {shared_rows.CKKS}",
            where,
            lambda lines, at=at, step=step: lines.ratio(step, *at, shared_rows.CKKS),
            1,
        )


def peer_targets() -> Iterator[Target]:
    """Yield how many times less than homomorphic encryption."""
    for step, to, least in (
        ("CKKS 8192: server", core.BOTH, 50),
        ("CKKS 8192: client", core.DATA_OWNER, 300),
        ("Paillier 2048: client", core.DATA_OWNER, 10**5),
    ):
        yield Target(
            f"{step} / {to}",
            f"{MILLION:,}",
            lambda lines, step=step, to=to: lines.ratio(step, MILLION, 1, to),
            least,
            holds=ge,
        )


def page(file: Path = FILE) -> str:
    """Return docs/benchmarks.md for a report."""
    report, results = load(file)
    lines = Lines(results)
    rows = [target.row(lines) for target in targets()]
    head = ["| | parameters | target | measured | |", "|---|---|---|---|---|"]
    parts = [
        *(INTRODUCTION, about(report)),
        *(TARGETS, "\n".join([*head, *rows]) + "\n"),
    ]
    counts = {"ckks": peers.CKKS_PART, "paillier": peers.PAILLIER_PART}
    for name, found in groupby(results, lambda line: line.bench):
        parts += [PARTS[name].format(**counts), *tables(found)]
    return "\n".join(parts)


def about(report: dict[str, Any]) -> str:
    """Return on what it was measured; some benches may have been, apart, later."""
    machine, versions = report["machine"], dict(report["versions"])
    commit, date = versions.pop("commit"), report["measured"]["date"]
    packages = ", ".join(f"{name} {number}" for name, number in versions.items())
    apart = "".join(f" ({b}: `{at}`)" for b, at in report.get("apart", {}).items())
    return (
        f"Measured on {date} at commit `{commit}`{apart}: {machine['cores']} cores of "
        f"{machine['processor']} ({machine['architecture']}), "
        f"{machine['memory_gib']} GiB, {machine['system']}, load before "
        f"{machine['load_before']}; {packages}.\n"
    )


def tables(results: Iterable[Result]) -> Iterator[str]:
    """Return a table for each size and width."""
    for common, lines in groupby(results, lambda one: (one.d, one.threads, one.bench)):
        yield f"### {headline(*common)}\n"
        head = "| step | median | spread | ratio |\n|---|---|---|---|\n"
        yield head + "\n".join(row(line) for line in lines) + "\n"


def row(line: Result) -> str:
    """Return a result's row."""
    spread = f"{line.spread:.0%}" if line.spread else ""
    ratio = "" if line.ratio is None else f"{number(line.ratio)} x {line.ratio_to}"
    return f"| {line.step} | {number(line.median)} {line.unit} | {spread} | {ratio} |"


def main() -> int:
    """Write the page, or say whether it is as it would be written."""
    text = page()
    if "--check" in sys.argv[1:]:
        return int(PAGE.read_text("utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
