"""Who of the roster is missing in a round, as far as a model owner knows, and why.

The reason of a data owner stays with it. But it makes a difference for what a person
does next whether it answered, was silent until the deadline, or was never asked.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from fedsecure.owner.store.records import Participation, Status

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


def silent(missing: Iterable[Participation]) -> list[str]:
    """Return those who did not answer at all."""
    return [one.name for one in missing if one.status is Status.OFFLINE]
