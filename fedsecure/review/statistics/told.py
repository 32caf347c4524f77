"""What a round of statistics told, with what has to be known about the round."""

from dataclasses import dataclass

from fedsecure.study.statistics.reading import StudyStatistics


@dataclass(frozen=True, slots=True)
class Told:
    """What was told, and by which round.

    Args:
        run: Its name in the round store.
        study: The digest that data owners agreed to.
        title: What people call it.
        epsilon: What the round may tell, for who knows the noise of one aggregator; at
            `delta`. None: there was no noise.
        delta: The probability that is left to chance.
        statistics: What it told.
    """

    run: str
    study: str
    title: str
    epsilon: float | None
    delta: float | None
    statistics: StudyStatistics
