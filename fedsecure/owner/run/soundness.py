"""Whether a run's newest model can be measured, and which one could be last.

The metrics of a train round are of the model that the round started from. So a round
tells about the model of the round before it, and the evaluation at the end about the
last one. A model is sound when the data owners that could measure it are a majority of
the set, and enough for a mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fedsecure.core.encoding import MeanUpdate
from fedsecure.errors import OperatorError
from fedsecure.protocol.statements import Purpose
from fedsecure.study.round_task import GlobalModel

LARGEST: Final = 2.0**60  # of a weight; squares of few such are infinite in float32


class DivergedError(OperatorError):
    """FS-232: the model left the numbers. `sound`: the last round whose had not."""

    def __init__(self, detail: str, sound: int | None) -> None:
        super().__init__("FS-232", detail)
        self.sound = sound


@dataclass(frozen=True, slots=True)
class Measured:
    """An opened round, and how many of its set could not measure the model."""

    round: int
    purpose: Purpose
    included: int
    undefined: int


@dataclass(slots=True)
class Soundness:
    """Follows a run; every opened round is noted once, in order.

    Args:
        min_cohort: Fewest data owners in a mean.
        sound: The last round whose model was measured; 0 is the first model's, None
            says that none was.
        newest: The round that made the newest model.
        wrong: What is wrong with the newest model that was looked at; empty: nothing.
        opened: How many train rounds were opened.
        moved: How many of their means had a coordinate that is not zero.
    """

    min_cohort: int
    sound: int | None = None
    newest: int = 0
    wrong: str = ""
    opened: int = 0
    moved: int = 0

    def note(self, measured: Measured) -> None:
        """Take the word of a round's set about the model that it started from."""
        able = measured.included - measured.undefined
        if able < self.min_cohort or able < measured.undefined:
            self.wrong = (
                f"{measured.undefined} of {measured.included} data owners got no "
                f"number from {_model_of(self.newest)}"
            )
        else:
            self.sound, self.wrong = self.newest, ""
        if measured.purpose is Purpose.TRAIN:
            self.newest = measured.round

    def note_all(self, past: Sequence[Measured]) -> None:
        """Note the rounds of a run that goes on."""
        for measured in past:
            self.note(measured)

    def note_mean(self, mean: MeanUpdate) -> None:
        """Look whether a train round had anything to say."""
        self.opened += 1
        self.moved += bool(mean.any())

    def require_moved(self) -> None:
        """Refuse to call a training done in which nobody learnt anything.

        Raises:
            OperatorError: FS-235, every opened mean was zero in every coordinate.
        """
        if self.opened and not self.moved:
            raise OperatorError("FS-235", f"all {self.opened} opened means are zero")

    def require_finite(self, model: GlobalModel) -> None:
        """Refuse a model that no data owner can train: nobody would report why.

        Raises:
            DivergedError: FS-232, a weight is NaN or beyond `LARGEST`.
        """
        weights = model.weights
        # NaN is neither: it spreads to both ends.
        if weights.size and not -LARGEST <= weights.min() <= weights.max() <= LARGEST:
            self.wrong = f"{_model_of(self.newest)} holds NaN or huge numbers"
            self.require()

    def require(self) -> None:
        """Refuse to go on from a model that is not sound, or to hand it over.

        Raises:
            DivergedError: FS-232, with the last round whose model was sound.
        """
        if self.wrong:
            last = "none before it was sound"
            if self.sound is not None:
                last = f"the last sound one is {_model_of(self.sound)}"
            raise DivergedError(f"{self.wrong}; {last}", self.sound)


def _model_of(number: int) -> str:
    return f"the model of round {number}" if number else "the first model"
