"""Where the seconds of rounds went, and how much was sent: by stage, of some rounds."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from fedsecure.owner.store.models import Round
from fedsecure.review.records import RoundRow


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its seconds in a round on average, and its part of the whole."""

    name: str
    seconds: float
    part: float  # 0 to 1


@dataclass(frozen=True, slots=True)
class Spent:
    """What some rounds cost.

    Args:
        rounds: How many of them are opened.
        stages: The longest first; of opened rounds.
        seconds: From proposal to decision, on average.
        bytes_up: From a round's set to both aggregators together, on average.
    """

    rounds: int
    stages: Sequence[Stage]
    seconds: float
    bytes_up: float


def spent(session: Session, rounds: Sequence[RoundRow]) -> Spent:
    """Add up what opened rounds cost."""
    opened = [row for row in rounds if row.state == "opened"]
    number = len(opened) or 1
    wanted = [row.spec_digest for row in opened]
    query = select(Round.stage_seconds).where(Round.spec_digest.in_(wanted))
    sums: dict[str, float] = defaultdict(float)
    for laps in session.scalars(query):
        for name, seconds in laps.items():
            sums[name] += seconds
    whole = sum(sums.values()) or 1.0
    longest = sorted(sums.items(), key=lambda stage: -stage[1])
    return Spent(
        rounds=len(opened),
        stages=[Stage(name, one / number, one / whole) for name, one in longest],
        seconds=sum(row.seconds or 0.0 for row in opened) / number,
        bytes_up=sum(row.bytes_up or 0 for row in opened) / number,
    )
