"""What was told so far, study by study and over all, for who runs an agent."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.terminal.text_tables import Column, table
from fedsecure.terminal.values import SHORT, plain
from fedsecure_clients.consent.privacy_policy import PrivacyPolicy
from fedsecure_clients.consent.privacy_review import MANY, UNBOUNDED, shown
from fedsecure_clients.state.privacy import TOTAL_DELTA, Budget, PrivacyAccount, Total


@dataclass(frozen=True, slots=True)
class Told:
    """What one study told, or all of them.

    Args:
        study: Its digest; None: all studies together.
        unit: What is protected; None: there was no noise.
        rounds: That were answered, and not returned.
        held: Of those, how many are not decided yet.
        delta: Of both epsilons.
        epsilon: For who knows the noise of one aggregator; None: unbounded.
        epsilon_outsider: For who knows the noise of neither; None: unbounded.
        limit: Epsilon of the study's budget, or of the policy; None: no limit.
        used: Part of the limit's rho that is used; None: no limit, or unbounded.
    """

    study: str | None
    unit: str | None
    rounds: int
    held: int
    delta: float
    epsilon: float | None
    epsilon_outsider: float | None
    limit: float | None
    used: float | None


def told(account: PrivacyAccount, policy: PrivacyPolicy | None) -> Iterator[Told]:
    """Yield a line for each study that was answered, and one for all together."""
    studies = account.studies()
    for one in studies:
        yield _told(one.study, one.unit, one.total, one.budget, TOTAL_DELTA)
    if studies:
        unit = policy.unit if policy else Unit.ROW
        delta = policy.max_delta if policy else TOTAL_DELTA
        limit = policy.budget if policy else None
        yield _told(None, unit, account.of_unit(unit), limit, delta)


def told_table(lines: Iterable[Told]) -> RenderableType:
    """Return them for a terminal."""
    heading = Text("What was told so far, as epsilon (docs/consent.md)", "bold")
    return Group(Text(), heading, table(_COLUMNS, lines))


def _told(
    study: str | None,
    unit: Unit | None,
    total: Total,
    limit: Budget | None,
    delta: float,
) -> Told:
    delta = limit.delta if limit else delta
    means = total.at(delta)
    return Told(
        study=study,
        unit=unit.value if unit else None,
        rounds=total.rounds,
        held=total.held,
        delta=delta,
        epsilon=means.one_server_corrupt if means else None,
        epsilon_outsider=means.outsider if means else None,
        limit=limit.epsilon if limit else None,
        used=total.rho / limit.rho if limit and total.rho is not None else None,
    )


def _epsilon(number: float | None) -> Text:
    return Text(UNBOUNDED, "yellow") if number is None else plain(shown(number))


def _of(line: Told) -> Text:
    if line.limit is None:
        return plain("no limit")
    used = "" if line.used is None else f", {line.used:.0%} used"
    return plain(f"{shown(line.limit)}{used}", _worry(line))


def _worry(line: Told) -> str:
    if line.used is None or line.used >= 1:
        return "red"
    return "yellow" if line.used >= _NEARLY else ""


_NEARLY: Final = 0.9  # of a limit
_COLUMNS: Final[tuple[Column[Told], ...]] = (
    Column("study", lambda one: plain(one.study[:SHORT] if one.study else "all")),
    Column(
        "protects",
        lambda one: plain(MANY[Unit(one.unit)] if one.unit else "nothing"),
        folds=True,
    ),
    Column("rounds", lambda one: plain(f"{one.rounds:,}"), "right"),
    Column("one server corrupt", lambda one: _epsilon(one.epsilon), "right"),
    Column("outsider", lambda one: _epsilon(one.epsilon_outsider), "right", rank=1),
    Column("of", _of, folds=True),
    Column("delta", lambda one: plain(f"{one.delta:g}"), rank=2),
)
