"""What leaves a data owner's machine in a study, in plain words, from its terms."""

from collections.abc import Iterator, Mapping
from typing import Final

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.statements import ScalarField, Weighting
from fedsecure.study.terms import Terms

TOLD: Final[Mapping[Weighting, str]] = {
    Weighting.EQUAL: "Everybody weighs the same: weights tell nothing about your "
    "number of rows.",
    Weighting.ROUNDED: "Your weight is your number of training rows, rounded to a "
    "power of two, at most {cap:,}. Sums of weights are opened: two that differ by you "
    "alone tell your number within a factor of about 1.5.",
    Weighting.EXACT: "Your weight is your number of training rows, at most {cap:,}. "
    "Sums of weights are opened: two that differ by you alone tell your number.",
}
COUNTED: Final[Mapping[Unit | None, str]] = {
    None: "Sums also say how many updates were clipped, how many values were out of "
    "range, and how many data owners could not measure a model.",
    Unit.ROW: "Sums also say, with noise, how many rows all of you trained on and "
    "held out, and how many updates were clipped.",
    Unit.DATA_OWNER: "Sums also say, with noise, how many updates were clipped, and "
    "how many data owners could measure a model.",
}


def what_leaves(terms: Terms, federation: Federation) -> Iterator[str]:
    """Say what leaves this data owner's machine, one sentence each."""
    a, b = (party.name for party in federation.pair)
    yield (
        f"Each round's numbers leave as two shares, one to {a} and one to {b}; "
        "either alone tells nothing."
    )
    yield (
        f"{federation.model_owner.name} opens one sum a round, over at least "
        f"{terms.min_cohort} data owners"
        + (f"; {a} and {b} each add noise to it before." if terms.privacy else ".")
    )
    yield (
        "Train rounds: the change of the model's weights, clipped to a length of "
        f"{terms.clip:g}{_statistics(terms)}."
    )
    metrics = ", ".join(map(_metric, terms.scalars)) or "none"
    seldom = terms.privacy is not None and not terms.privacy.every_round
    when = "Evaluation rounds alone" if seldom else "Every round"
    yield f"{when}: metrics on your held-out rows: {metrics}."
    yield TOLD[terms.weighting].format(cap=terms.weight_cap)
    counted = COUNTED[terms.privacy.unit if terms.privacy else None]
    yield f"{counted} Who took part, and when, is not hidden."


def _metric(scalar: ScalarField) -> str:
    if scalar.low is None or scalar.high is None:
        return f"{scalar.name} (a count)"
    many = f"{scalar.size} bins, " if scalar.size > 1 else ""
    return f"{scalar.name} ({many}{scalar.low:g} to {scalar.high:g})"


def _statistics(terms: Terms) -> str:
    if terms.statistics is None:
        return ""
    size = sum(end - start for start, end in terms.statistics.ranges)
    return (
        f"; and of {size:,} statistics that training updates, such as moving averages, "
        f"to a length of {terms.statistics.clip:g}"
    )
