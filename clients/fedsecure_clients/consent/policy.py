"""What a data owner agrees to, checked by its own agent before any training.

Here stand the rules of `agent.toml` alone, each for itself. Which studies a person
approved, and the order of all checks, is the business of module `consent`.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from fedsecure.errors import PeerError
from fedsecure.membership.jobs_policy import JobsPolicy
from fedsecure.protocol.statements import (
    PrivacyField,
    Purpose,
    RoundSpec,
    Weighting,
)
from fedsecure.system import toml_file
from fedsecure_clients.consent.hours import Hours, Zone
from fedsecure_clients.consent.privacy_policy import PrivacyPolicy

SHOWN: Final = 5  # columns that an error names


class Policy(toml_file.Settings):
    """The section `[policy]` of `agent.toml`; the defaults give least away.

    `studies`: whether a person here approves each study before its first round.
    `max_rounds`: of one study in all runs together, train and evaluate each for
    itself. `max_dimension` counts parameters, `max_layers` the layers of a Keras model,
    those within others too. `roster`: whether an approval holds for data owners and
    keys that came in after it. `columns`: what this site offers, columns of a table,
    arrays of a file, or folders of images; None is whatever a study reads. `hours`
    are those of `timezone`, or of this machine's. `privacy` is what must be protected;
    None: whatever a study says. `jobs` is what may be made of numbers that this site
    shares, each time after a person's yes; None: it shares none.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    studies: Literal["approved", "any"] = "approved"
    roster: Literal["approved", "any"] = "any"
    min_cohort: Annotated[int, Field(ge=2)] = 3
    max_rounds: Annotated[int, Field(ge=1)] = 1000
    max_clip: Annotated[float, Field(gt=0)] = 100.0
    max_dimension: Annotated[int, Field(ge=1)] = 100_000_000
    max_layers: Annotated[int, Field(ge=1)] = 1000
    weightings: frozenset[Annotated[Weighting, Field(strict=False)]] = Field(
        default=frozenset({Weighting.EQUAL, Weighting.ROUNDED}), strict=False
    )
    purposes: frozenset[Annotated[Purpose, Field(strict=False)]] = Field(
        default=frozenset({Purpose.TRAIN, Purpose.EVALUATE}), strict=False
    )
    columns: frozenset[str] | None = Field(default=None, strict=False)
    hours: Hours | None = None
    timezone: Zone | None = None
    privacy: PrivacyPolicy | None = None
    jobs: JobsPolicy | None = None

    def require(self, spec: RoundSpec) -> None:
        """Refuse a round whose numbers this data owner did not agree to.

        Raises:
            PeerError: FS-410 to FS-414, FS-417 or FS-430 with both sides' values.
        """
        self.require_cohort(spec.min_cohort)
        if not spec.round <= self.max_rounds:
            raise PeerError(
                "FS-411", f"round {spec.round}, policy allows {self.max_rounds}"
            )
        self.require_clip(spec.clip)
        if spec.statistics is not None:
            self.require_clip(spec.statistics.clip)
        self.require_weighting(spec.weighting)
        self.require_purpose(spec.purpose)
        self.require_dimension(spec.dimension)
        self.require_privacy(spec.privacy)

    def require_privacy(self, asked: PrivacyField | None) -> None:
        """Refuse a study that protects less than this data owner asks for.

        Raises:
            PeerError: FS-430 with both sides' values.
        """
        if self.privacy is not None:
            self.privacy.require(asked)

    def require_cohort(self, min_cohort: int) -> None:
        """Refuse sums over fewer data owners than this one allows.

        Raises:
            PeerError: FS-410 with both numbers.
        """
        if not min_cohort >= self.min_cohort:
            raise PeerError(
                "FS-410", f"sums of {min_cohort}, policy says {self.min_cohort}"
            )

    def require_clip(self, clip: float) -> None:
        """Refuse a clip that bounds too little.

        Raises:
            PeerError: FS-412 with both numbers.
        """
        if not clip <= self.max_clip:
            raise PeerError("FS-412", f"clip {clip}, policy says {self.max_clip}")

    def require_weighting(self, weighting: Weighting) -> None:
        """Refuse weights that tell more than this data owner allows.

        Raises:
            PeerError: FS-413 with the weighting.
        """
        if weighting not in self.weightings:
            raise PeerError("FS-413", f"weighting {weighting.value!r}")

    def require_purpose(self, purpose: Purpose) -> None:
        """Refuse rounds of another purpose than allowed.

        Raises:
            PeerError: FS-414 with the purpose.
        """
        if purpose not in self.purposes:
            allowed = [one for one in Purpose if one in {*self.purposes, purpose}]
            line = ", ".join(f'"{one.value}"' for one in allowed)
            raise PeerError(
                "FS-414", f"purpose {purpose.value!r}; to allow it: purposes = [{line}]"
            )

    def require_dimension(self, dimension: int) -> None:
        """Refuse a model of more parameters than this data owner trains.

        Raises:
            PeerError: FS-417 with both numbers.
        """
        if not dimension <= self.max_dimension:
            raise PeerError(
                "FS-417",
                f"{dimension:,} parameters, policy allows {self.max_dimension:,}",
            )

    def require_layers(self, count: int) -> None:
        """Refuse a model of more layers than this data owner builds.

        Raises:
            PeerError: FS-417 with both numbers.
        """
        if not count <= self.max_layers:
            raise PeerError(
                "FS-417", f"{count:,} layers, policy allows {self.max_layers:,}"
            )

    def require_rounds_left(self, answered: int, purpose: Purpose) -> None:
        """Refuse another round of a study that had its number of them.

        Args:
            answered: How many this data owner has answered, in all runs.
            purpose: What they were for.

        Raises:
            PeerError: FS-411 with both numbers.
        """
        if not answered < self.max_rounds:
            raise PeerError(
                "FS-411",
                f"{answered} {purpose.value} rounds of this study were answered, "
                f"policy allows {self.max_rounds}",
            )

    def require_offered(self, read: Sequence[str] | None) -> None:
        """Refuse a study that reads what this site does not offer.

        Args:
            read: Names of columns, arrays or folders; None: the task does not say.

        Raises:
            PeerError: FS-416 naming them.
        """
        if self.columns is None:
            return
        if read is None:
            raise PeerError("FS-416", "the task does not say what it reads")
        if others := [name for name in read if name not in self.columns]:
            raise PeerError("FS-416", f"it reads {few(others)}")

    def require_hour(self, now: float) -> None:
        """Refuse a round outside this data owner's hours.

        Args:
            now: Seconds since 1970.

        Raises:
            PeerError: FS-415 with the local time and the hours.
        """
        if self.hours is None:
            return
        local = datetime.fromtimestamp(now, UTC).astimezone(self.timezone)
        if not any(window.holds(local) for window in self.hours):
            allowed = ", ".join(window.text for window in self.hours)
            raise PeerError("FS-415", f"it is {local:%a %H:%M}, policy says {allowed}")


def few(names: Collection[str]) -> str:
    """Return the first of some names, and how many are left."""
    shown = ", ".join(list(names)[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown
