"""What is strange about an opened round, and what to do about it.

The figures of a round are right, and can mislead all the same: a loss that stands at
the end of its range, a mean of cut updates. Whatever shows a round says so, in these
words: `fedsecure train`, `rounds list` and `rounds show`, the console and the report.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

MANY: Final = 0.5  # of the updates of a round that were cut; of rounds with many


@dataclass(frozen=True, slots=True)
class Figures:
    """An opened round in numbers. Rates are parts of the set; None: there is none."""

    train: bool
    in_set: int
    clip_rate: float | None
    statistics_clip_rate: float | None
    clamped: int
    undefined: int
    moved: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that may be strange.

    Args:
        text: What is so, of a single round, filled from its figures.
        many: The same of several rounds.
        advice: What to do.
        holds: Whether it is so.
        usual: Whether it means nothing unless it is so in most rounds.
    """

    text: str
    many: str
    advice: str
    holds: Callable[[Figures], bool]
    usual: bool = False


KINDS: Final = (
    Kind(
        "{undefined} of {in_set} data owners got no number from the model: the metrics "
        "are of the others",
        "data owners got no number from the model",
        "look at the loss before, and lower the learning rate in model.py or that of "
        "the strategy",
        lambda one: one.undefined > 0,
    ),
    Kind(
        "the mean update is zero: the round moved nothing",
        "the round moved nothing",
        "look in model.py for layers that are frozen and for a learning rate of 0",
        lambda one: one.train and not one.moved,
    ),
    Kind(
        "{clamped} numbers lay outside their range and count as its end",
        "numbers lay outside their range and count as its end",
        "the true loss may be worse than what is shown: widen `loss` in [metrics] of "
        "study.toml",
        lambda one: one.clamped > 0,
    ),
    Kind(
        "{clip_rate:.0%} of the updates were cut to the clip",
        "more than half of the updates were cut to the clip",
        "usual in first rounds; if it stays so, double `clip` in study.toml, or lower "
        "the learning rate or `local_epochs`",
        lambda one: (one.clip_rate or 0.0) > MANY,
        usual=True,
    ),
    Kind(
        "{statistics_clip_rate:.0%} of the updates had statistics cut to their clip",
        "more than half of the updates had statistics cut to their clip",
        "give the columns a `scale` in schema.toml that brings them near 1, or raise "
        "`statistics_clip` in study.toml",
        lambda one: (one.statistics_clip_rate or 0.0) > MANY,
        usual=True,
    ),
)


def remarks(figures: Figures) -> Iterator[tuple[Kind, str]]:
    """Yield what is strange about one opened round, with the words for it."""
    numbers = {name: getattr(figures, name) for name in figures.__slots__}
    for kind in KINDS:
        if kind.holds(figures):
            yield kind, kind.text.format(**numbers)


def over_all(rounds: Iterable[Figures]) -> Iterator[str]:
    """Yield sentences on what is strange about a run, from its opened rounds."""
    opened = list(rounds)
    for kind in KINDS:
        among = [one for one in opened if one.train] if kind.usual else opened
        times = sum(map(kind.holds, among))
        if times > (MANY * len(among) if kind.usual else 0):
            noun = "round" if len(among) == 1 else "rounds"
            yield (f"In {times} of {len(among)} {noun} {kind.many}: {kind.advice}.")
