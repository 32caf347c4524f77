"""Whole rounds on Flower's real runtime: four agents, no training.

    plain FedAvg               Flower's own strategy; agents answer with their arrays
    SecureAggregation(FedAvg)  the same over secret shares: two aggregators, the users'
                               own agents, a round store
    the same, with noise       both aggregators add noise to what they release
    SecAgg+                    Flower's, by its legacy API

take turns, with agents that are one process each and look for messages as often, and a
SuperLink that keeps its state in memory, over TLS. Ours is the one that `fedsecure
train` starts, which takes less time for a request; the others' is as Flower ships it.
Beside them, for what the protection alone costs,

    plain FedAvg, our SuperLink

and, as what one gets by installing Flower,

    stock Flower FedAvg        a process for every message

Everything that a party writes lies in memory.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from fedsecure.errors import OperatorError
from fedsecure_bench.progress import Progress
from fedsecure_bench.results import Result, compare, median_and_spread
from fedsecure_bench.rounds.model import NODES
from fedsecure_bench.rounds.parties import parties
from fedsecure_bench.rounds.round_kinds import Kinds, Measured
from fedsecure_bench.rounds.stock_flower import stock_rounds
from fedsecure_bench.servers.federation import warn_without_memory

NAME: Final = "round"
PLAIN: Final = "plain FedAvg"
PLAIN_HERE: Final = "plain FedAvg, our SuperLink"
SECURE: Final = "SecureAggregation(FedAvg)"
NOISY: Final = "SecureAggregation(FedAvg), with noise"
SECAGG: Final = "SecAgg+"
STOCK: Final = "stock Flower FedAvg"
SIZES: Final = (10**5, 10**6, 10**7)
TRIES: Final = 3  # of a run in which Flower has lost a reply


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    Args:
        rounds: In one run.
        turns: Runs of each kind.
        stock: Whether stock Flower is measured, too.
    """

    rounds: int = 3
    turns: int = 3
    stock: bool = True


def run(sizes: Sequence[int], effort: Effort, progress: Progress) -> list[Result]:
    """Measure every size."""
    warn_without_memory(progress)
    results: list[Result] = []
    for size in sizes:
        progress.stage(f"{size:,} parameters: starting thirteen processes")
        with parties(progress) as present:
            of = Kinds(present, count())
            kinds = {
                PLAIN: of.plain,
                PLAIN_HERE: of.plain_here,
                SECURE: of.secure,
                NOISY: of.noisy,
                SECAGG: of.secagg,
            }
            runs: dict[str, list[Measured]] = {name: [] for name in kinds}
            for turn in range(effort.turns):
                for name, rounds_of in kinds.items():
                    progress.stage(f"{size:,} parameters, turn {turn + 1}: {name}")
                    runs[name].append(_tried(rounds_of, size, effort.rounds, progress))
                    progress.step()
        if effort.stock:
            progress.stage(f"{size:,} parameters: {STOCK}")
            runs[STOCK] = [Measured(stock_rounds(size, effort.rounds))]
            progress.step()
        results += _lines(size, runs)
    return results


def _tried(
    rounds_of: Callable[[int, int], Measured],
    size: int,
    rounds: int,
    progress: Progress,
) -> Measured:
    """Run rounds; once more if a reply was lost, which Flower does under load."""
    for _ in range(TRIES - 1):
        try:
            return rounds_of(size, rounds)
        except OperatorError as error:
            progress.skipped(
                f"a run of {rounds} rounds: {error.detail}; it is run again"
            )
    return rounds_of(size, rounds)


def _lines(size: int, runs: Mapping[str, Sequence[Measured]]) -> list[Result]:
    lines = []
    for name, found in runs.items():
        seconds = [one for measured in found for one in measured.rounds]
        lines.append(_line(size, name, seconds, "s"))
        for stage in found[0].stages:
            each = [one for measured in found for one in measured.stages[stage]]
            lines.append(_line(size, f"{name}: {stage}", each, "s"))
        for way in found[0].megabytes:
            each = [measured.megabytes[way] for measured in found]
            lines.append(_line(size, f"{name}: {way}", each, "MB"))
    others = [name for name in runs if name not in {SECURE, NOISY}]
    lines += [_ratio(size, runs, SECURE, other) for other in others]
    return [*lines, _ratio(size, runs, NOISY, SECURE)]


def _line(size: int, step: str, values: Sequence[float], unit: str) -> Result:
    return Result(NAME, step, size, NODES, unit, *median_and_spread(values))


def _ratio(
    size: int, runs: Mapping[str, Sequence[Measured]], ours: str, other: str
) -> Result:
    """Compare our rounds with another kind's: turn by turn, if it took turns."""
    pooled = {
        name: [one for measured in found for one in measured.rounds]
        for name, found in runs.items()
    }
    median, spread = median_and_spread(pooled[ours])
    if len(runs[other]) == len(runs[ours]):
        turns = {
            name: [median_and_spread(one.rounds)[0] for one in found]
            for name, found in runs.items()
        }
        ratio = compare(turns, ours, [other])
    else:
        ratio = median / median_and_spread(pooled[other])[0]
    return Result(NAME, ours, size, NODES, "s", median, spread, other, ratio)
