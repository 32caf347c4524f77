"""What a data owner agrees to, checked by its own agent before any training."""

from typing import Annotated

from pydantic import Field

from fedsecure import settings
from fedsecure.errors import PeerError
from fedsecure.statements import Purpose, RoundSpec, Weighting


class Policy(settings.Settings):
    """The section `[policy]` of `agent.toml`; the defaults give least away."""

    min_cohort: Annotated[int, Field(ge=2)] = 3
    max_rounds: Annotated[int, Field(ge=1)] = 1000
    max_clip: Annotated[float, Field(gt=0)] = 100.0
    weightings: frozenset[Annotated[Weighting, Field(strict=False)]] = Field(
        default=frozenset({Weighting.EQUAL, Weighting.ROUNDED}), strict=False
    )
    purposes: frozenset[Annotated[Purpose, Field(strict=False)]] = Field(
        default=frozenset({Purpose.TRAIN, Purpose.EVALUATE}), strict=False
    )

    def require(self, spec: RoundSpec) -> None:
        """Refuse a round that this data owner did not agree to.

        Raises:
            PeerError: FS-410 to FS-414 with both sides' values.
        """
        if not spec.min_cohort >= self.min_cohort:
            raise PeerError(
                "FS-410", f"sums of {spec.min_cohort}, policy says {self.min_cohort}"
            )
        if not spec.round <= self.max_rounds:
            raise PeerError(
                "FS-411", f"round {spec.round}, policy allows {self.max_rounds}"
            )
        if not spec.clip <= self.max_clip:
            raise PeerError("FS-412", f"clip {spec.clip}, policy says {self.max_clip}")
        if spec.weighting not in self.weightings:
            raise PeerError("FS-413", f"weighting {spec.weighting.value!r}")
        if spec.purpose not in self.purposes:
            raise PeerError("FS-414", f"purpose {spec.purpose.value!r}")
