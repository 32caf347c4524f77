"""What a run's noise protects and what its openings have cost, in words for people.

Two epsilons are told, by who looks: whoever knows the noise of one aggregator ("one
server corrupt"), and an outsider. The budget is the study's, over all its runs.
"""

from typing import Final

from fedsecure.review.records import RunRow

UNITS: Final = {"row": "single rows", "data-owner": "whole data owners"}
BARE: Final = (
    "Rounds of training carry no metrics: with noise each would cost privacy. The "
    "evaluation at the end has them, with the standard deviation of the noise."
)


def spent(run: RunRow) -> str | None:
    """Return what the study's runs have cost of its budget; None: there is no noise."""
    if run.epsilon_budget is None:
        return None
    return f"epsilon {run.study_epsilon or 0.0:.2f} of {run.epsilon_budget:g}"


def briefly(run: RunRow) -> str | None:
    """Return the same as `told` in one line of a picture."""
    whole = spent(run)
    if whole is None:
        return None
    units = UNITS.get(run.unit or "", "units")
    return f"{whole} spent by the study, at delta {run.delta:g}, to protect {units}"


def told(run: RunRow) -> str | None:
    """Return all there is to say of a run's privacy; None: there is no noise."""
    whole = spent(run)
    if whole is None:
        return None
    return (
        f"noise protects {UNITS.get(run.unit or '', 'units')}: {whole} spent, at delta "
        f"{run.delta:g}, over all runs of the study; this run {run.epsilon or 0.0:.2f} "
        f"if one server is corrupt, {run.epsilon_outsider or 0.0:.2f} for outsiders"
    )
