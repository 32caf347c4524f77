"""Who of the roster is missing in a round, as far as a model owner knows, and why.

The reason of a data owner stays with it. But it makes a difference for what a person
does next whether it answered, was silent until the deadline, or was never asked.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from fedsecure.owner.store.records import Participation, Status
from fedsecure.study.round_task import Weights

LATE: Final = "no answer in time"
GONE: Final = "its agent went away"
DECLINED: Final = "it answered: not reported"

_DO: Final = {
    DECLINED: "answered `not reported`: `fedsecure agent status` there says why, and "
    "`fedsecure agent review` what waits for an approval",
    LATE: "did not answer before the deadline: look at the agent's log there, or raise "
    "`round_seconds` in owner.toml",
    GONE: "went away before the deadline: start `fedsecure agent` there",
}
_SEVERAL: Final = 2  # who decline one round, before a common cause is likely
_NOT_ASKED: Final = (
    "could not be asked: start `fedsecure agent` there, or look into its log"
)


def waited_for(missing: Sequence[Participation], not_asked: Iterable[str]) -> str:
    """Name everybody who is missing, each with the word for why."""
    reasons = [f"{one.name} ({one.reason})" for one in missing]
    return ", ".join(
        [*reasons, *(f"{name} (not online)" for name in sorted(not_asked))]
    )


def advice(missing: Sequence[Participation], not_asked: Iterable[str]) -> str:
    """Say of everybody who is missing what can be done about it, in one line."""
    reasons: dict[str, list[str]] = {}
    for one in missing:
        unusual = f"sent no two receipts ({one.reason})"
        what = _DO.get(one.reason or "", unusual)
        reasons.setdefault(what, []).append(one.name)
    if away := sorted(not_asked):
        reasons[_NOT_ASKED] = away
    return "; ".join(f"{', '.join(names)} {what}" for what, names in reasons.items())


def common_cause(
    missing: Sequence[Participation], number: int, weights: Weights
) -> str:
    """Say what several who declined one train round may all have met; or nothing.

    A model whose weights are finite can make every local training infinite. No data
    owner tells so, for that would tell of its data; but each of them declines. What is
    said here rests on who declined and on the model, which its owner knows.

    Args:
        missing: Who is missing, and why.
        number: Of the round.
        weights: The global model that it started from, shape (dimension,), float32.
    """
    if sum(one.reason == DECLINED for one in missing) < _SEVERAL:
        return ""
    largest = float(np.abs(weights).max(initial=0.0))
    again = "then start anew"
    if number > 1:
        again = "then start from an earlier one: `fedsecure train --from-round RUN:N`"
    return (
        "where several decline, training may not have stayed finite (FS-230 in "
        f"`fedsecure agent status` there): the largest weight before round {number} is "
        f"{largest:.3g}; if so, lower the learning rate in model.py, {again}"
    )


def silent(missing: Iterable[Participation]) -> list[str]:
    """Return those who did not answer at all."""
    return [one.name for one in missing if one.status is Status.OFFLINE]
