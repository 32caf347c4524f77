"""What a study may tell about one unit, for who has to judge it, in plain words.

Beside it stands what was told so far, by this agent's own account, and the data owner's
own limit: "epsilon 2 of your 8 (rows)".
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from fedsecure.core.dp.accountant import Epsilons, epsilons
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.protocol.statements import PrivacyField
from fedsecure_clients.consent.privacy_policy import PrivacyPolicy
from fedsecure_clients.consent.rules import Rule, code_of
from fedsecure_clients.state.privacy import TOTAL_DELTA, Budget, PrivacyAccount, Total

MANY: Final[Mapping[Unit, str]] = {Unit.ROW: "rows", Unit.DATA_OWNER: "data owner"}
PROTECTED: Final[Mapping[Unit, str]] = {
    Unit.ROW: "one row of your data: a line of a table, an image. Who has several rows "
    "is protected less: k rows cost about k times the epsilon",
    Unit.DATA_OWNER: "all rows of yours together, and so each of them",
}
PROMISE: Final = (
    "whoever sees all that this study ever opens, and works together with one of the "
    "two servers and all other data owners, can hardly tell whether {unit} there: "
    "the odds that they give it change by a factor of {factor} at most, but for a "
    "chance of {chance}"
)
ONE: Final[Mapping[Unit, str]] = {
    Unit.ROW: "a row of yours was",
    Unit.DATA_OWNER: "your data were",
}
WITHOUT: Final = (
    "nothing: no noise is added, so sums are exact, and no number bounds what they "
    "tell about one row"
)
UNBOUNDED: Final = "without bound"
AFTER: Final = "after this study"


@dataclass(frozen=True, slots=True)
class Spent:
    """What was told so far: in one study, and in all, by what is protected."""

    study: Total = field(default_factory=Total)
    everything: Mapping[Unit, Total] = field(default_factory=dict)

    def of(self, unit: Unit) -> Total:
        """Return what all studies together cost one unit."""
        return self.everything.get(unit, Total())


def spent(account: PrivacyAccount, study: str) -> Spent:
    """Return what the account says of a study, and of all."""
    everything = {unit: account.of_unit(unit) for unit in Unit}
    return Spent(account.of_study(study), everything)


@dataclass(frozen=True, slots=True)
class PrivacyReview:
    """What one study asks for, what is allowed here, and what was told so far."""

    asked: PrivacyField | None
    policy: PrivacyPolicy | None
    spent: Spent

    @property
    def budget(self) -> Budget | None:
        """What the study may tell, in all its rounds and runs; None: no noise."""
        asked = self.asked
        return Budget(asked.epsilon, asked.delta) if asked else None

    @property
    def unit(self) -> Unit:
        """In which unit all studies together are counted here."""
        if self.policy is not None:
            return self.policy.unit
        return self.asked.unit if self.asked else Unit.ROW

    @property
    def delta(self) -> float:
        """The delta at which all studies together are counted here."""
        if self.policy is not None:
            return self.policy.max_delta
        return self.asked.delta if self.asked else TOTAL_DELTA

    @property
    def before(self) -> Total:
        """What all studies together have cost so far."""
        return self.spent.of(self.unit)

    @property
    def after(self) -> int | None:
        """What all will have cost once this study used its budget; None: unbounded."""
        budget, before = self.budget, self.before.rho
        weaker = self.asked is None or (self.unit, self.asked.unit) == (
            Unit.DATA_OWNER,
            Unit.ROW,
        )
        if budget is None or before is None or weaker:
            return None
        return before + max(0, budget.rho - (self.spent.study.rho or 0))

    @property
    def ends_early(self) -> bool:
        """Tell whether the data owner's own limit ends the study before its budget."""
        limit = self.policy.budget if self.policy else None
        return limit is not None and not limit.holds(self.after)

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yield what a person needs to know, a name and a text each."""
        asked, budget = self.asked, self.budget
        if asked is None or budget is None:
            yield "protected", WITHOUT
            yield AFTER, self._after()
            return
        yield "protected", PROTECTED[asked.unit]
        yield (
            "promise",
            PROMISE.format(
                unit=ONE[asked.unit],
                factor=factor(asked.epsilon),
                chance=chance(asked.delta),
            ),
        )
        yield (
            "this study",
            f"{both(epsilons(budget.rho, asked.delta))}, at delta {asked.delta:g}",
        )
        yield "spent so far", self._spent(budget)
        yield AFTER, self._after()

    def rules(self) -> Iterator[Rule]:
        """Yield the rules of the policy that this is about."""
        asked, policy = self.asked, self.policy
        unit = asked.unit if asked else None
        yield Rule(
            "protected",
            MANY[unit] if unit else "nothing",
            _wanted(policy),
            code_of(partial(policy.require_unit, unit)) if policy else None,
        )
        if policy is None:
            return
        if asked is not None:
            yield Rule(
                "delta",
                f"{asked.delta:g}",
                f"at most {policy.max_delta:g}",
                code_of(partial(policy.require_delta, asked.delta)),
            )
        if policy.budget is not None:
            yield from self._rules_of_limit(policy, policy.budget)

    def _rules_of_limit(self, policy: PrivacyPolicy, limit: Budget) -> Iterator[Rule]:
        most = f"at most {shown(limit.epsilon)}"
        if self.asked is not None:
            epsilon = self.asked.epsilon
            code = code_of(partial(policy.require_epsilon, epsilon))
            yield Rule("epsilon, this study", shown(epsilon), most, code)
        code = None if limit.holds(self.before.rho) else "FS-431"
        after = "no bound" if self.after is None else f"{self._means(self.after)} after"
        yield Rule("epsilon, all studies", after, most, code)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints; the keys are an interface."""
        asked = self.asked
        return {
            "unit": asked.unit.value if asked else None,
            "budget": asked.epsilon if asked else None,
            "delta": asked.delta if asked else None,
            "study": _numbers(self.spent.study.rho, asked.delta if asked else None),
            "all_studies": {
                "unit": self.unit.value,
                "delta": self.delta,
                "limit": self.policy.max_epsilon if self.policy else None,
                "before": _numbers(self.before.rho, self.delta),
                "after": _numbers(self.after, self.delta),
            },
            "ends_early": self.ends_early,
        }

    def _spent(self, budget: Budget) -> str:
        total = self.spent.study
        if total.rounds == 0:
            return "nothing yet"
        means = total.at(budget.delta)
        held = f", {total.held} of them not decided yet" if total.held else ""
        used = (total.rho or 0) / budget.rho
        return (
            f"{both(means)}, in {total.rounds:,} rounds{held}: {used:.0%} of what the "
            "study may use"
        )

    def _after(self) -> str:
        """Say where all studies together will be, beside the data owner's limit."""
        limit, many = self.policy.max_epsilon if self.policy else None, MANY[self.unit]
        if self.after is None:
            above = "" if limit is None else f", above your {shown(limit)}"
            return f"no number bounds what all studies together told ({many}){above}"
        means = epsilons(self.after, self.delta)
        where = f"outsider {shown(means.outsider)}; all studies together, at delta "
        told = f"epsilon {shown(means.one_server_corrupt)}"
        if self.ends_early and limit is not None:
            return (
                f"{told} ({many}), above your {shown(limit)}: the study's last rounds "
                f"are refused (FS-431); {where}{self.delta:g}"
            )
        of = "" if limit is None else f" of your {shown(limit)}"
        return f"{told}{of} ({many}); {where}{self.delta:g}"

    def _means(self, rho: int) -> str:
        return shown(epsilons(rho, self.delta).one_server_corrupt)


def shown(epsilon: float) -> str:
    """Return an epsilon with two digits after the point, never less than it is."""
    up = math.ceil(round(epsilon * 100, 6)) / 100
    return f"{up:,.2f}".rstrip("0").rstrip(".")


def both(means: Epsilons | None) -> str:
    """Return both numbers of a total: one server corrupt, and an outsider."""
    if means is None:
        return UNBOUNDED
    return (
        f"epsilon {shown(means.one_server_corrupt)} (one server corrupt), "
        f"{shown(means.outsider)} (outsider)"
    )


def factor(epsilon: float) -> str:
    """Return e to the power of epsilon for people; beyond a thousand it says little."""
    if epsilon > math.log(1000):
        return "more than a thousand"
    grown = math.exp(epsilon)
    return f"{math.ceil(grown * 10 - 1e-9) / 10:g}"


def chance(delta: float) -> str:
    """Return a small probability for people, never less than it is."""
    return f"1 in {math.floor(1 / delta + 1e-9):,}"


def _wanted(policy: PrivacyPolicy | None) -> str:
    if policy is None:
        return "whatever it is"
    return MANY[policy.unit] if policy.required else f"{MANY[policy.unit]} or nothing"


def _numbers(rho: int | None, delta: float | None) -> dict[str, float] | None:
    """Return both numbers of a total; None: unbounded."""
    if rho is None or delta is None:
        return None
    means = epsilons(rho, delta)
    return {"epsilon": means.one_server_corrupt, "epsilon_outsider": means.outsider}
