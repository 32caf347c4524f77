"""What openings cost data owners in privacy, and whether there is room: pure.

A round with noise costs each member of its set rho (`Params.cost`), and costs add up:

    under a study    those of all its rounds, whatever run, attempt or purpose
    in all           those of every study, of either unit: what hides all that a data
                     owner holds hides each of its rows
    without bound    once a round without noise was opened over the data owner

A round that is void costs nothing, for nothing of it left. A study is known by its
digest, as data owners agreed to it. An aggregator cannot compute that digest: a model
owner who writes another one begins another budget here, which data owners see, and
which counts in the total that this aggregator's own policy bounds.

Guarantee: nothing is opened by which a member's rows would be in openings of more than
(`max_epsilon`, `max_delta`) of the policy, nor of more than the study's budget under
one digest, for who knows the other aggregator's noise.
Assumption: this aggregator adds its own noise, and its operator says so when the store
was put back (`fedsecure_aggregator.rounds.continuity`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final

from pydantic import Field

from fedsecure.core.dp.accountant import epsilon, largest_rho
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import PeerError
from fedsecure.protocol.encodings import Digest
from fedsecure.protocol.parameters import cost_of
from fedsecure.protocol.statement_fields import PositiveFinite
from fedsecure.protocol.statements import RoundSpec, Strict

_NAMED: Final = 3  # data owners in a refusal; of more it says how many

budget = lru_cache(maxsize=256)(largest_rho)
"""Return the largest total, in 1e-12 of rho, within an epsilon at a delta."""


class StudyBudget(Strict):
    """A study with noise: what it protects, and what all its openings may cost."""

    study: Digest
    unit: Annotated[Unit, Field(strict=False)]
    epsilon: PositiveFinite
    delta: Annotated[float, Field(gt=0, lt=1)]

    @property
    def rho_pico(self) -> int:
        """The budget in 1e-12 of rho."""
        return budget(self.epsilon, self.delta)

    def __str__(self) -> str:
        return f"{self.unit} epsilon {self.epsilon} at delta {self.delta}"


@dataclass(frozen=True, slots=True)
class Charge:
    """What one opening costs each member of its set, in 1e-12 of rho."""

    budget: StudyBudget
    rho_pico: int

    @property
    def body(self) -> dict[str, str | int]:
        """What the ledger entry of the opening says."""
        unit, study = self.budget.unit.value, self.budget.study
        return {"unit": unit, "study": study, "rho_pico": self.rho_pico}


@dataclass(frozen=True, slots=True)
class Spent:
    """What a data owner's openings have cost, in 1e-12 of rho.

    Args:
        study: Under the study in question.
        total: In all; None: without bound.
    """

    study: int = 0
    total: int | None = 0


@dataclass(frozen=True, slots=True)
class OwnBudget:
    """What an aggregator's own policy allows openings to cost a data owner in all."""

    epsilon: float
    delta: float


def budget_of(spec: RoundSpec) -> StudyBudget | None:
    """Return the budget that a round counts in; None if it has no noise."""
    study, privacy = spec.study, spec.privacy
    if study is None or privacy is None:
        return None
    return StudyBudget(
        study=study, unit=privacy.unit, epsilon=privacy.epsilon, delta=privacy.delta
    )


def charge_of(spec: RoundSpec) -> Charge | None:
    """Return what opening a round costs; None if it has no noise.

    Raises:
        PeerError: FS-2xx for its numbers.
    """
    kept, cost = budget_of(spec), cost_of(spec)
    return None if kept is None or cost is None else Charge(kept, cost)


def require_same_budget(known: StudyBudget | None, asked: StudyBudget) -> None:
    """Check that a study has the budget that it had before.

    Args:
        known: What earlier rounds of the study said; None: there was none.
        asked: What a new one says.

    Raises:
        PeerError: FS-407 with both.
    """
    if known not in {None, asked}:
        raise PeerError("FS-407", f"study {asked.study[:12]}: {asked}, was {known}")


def require_room(
    code: str,
    charge: Charge | None,
    members: Sequence[str],
    spent: Mapping[str, Spent],
    own: OwnBudget | None,
) -> None:
    """Check that each member has room for what an opening costs.

    Args:
        code: Of the refusal.
        charge: What it costs; None if the round has no noise.
        members: Data owners.
        spent: What the openings before cost them; nothing, if somebody is not named.
        own: What this aggregator's policy allows in all; None: anything.

    Raises:
        PeerError: The code, with who has no room, and where.
    """
    if charge is None:
        return
    kept, cost = charge.budget, charge.rho_pico
    under = {name: spent.get(name, Spent()).study + cost for name in members}
    where = f"under study {kept.study[:12]}"
    _require_within(code, under, kept.epsilon, kept.delta, where)
    if own is not None:
        totals = {name: spent.get(name, Spent()).total for name in members}
        _require_bounded(code, totals)
        in_all = {name: cost + (total or 0) for name, total in totals.items()}
        _require_within(code, in_all, own.epsilon, own.delta, "in all")


def _require_within(
    code: str, sums: Mapping[str, int], limit: float, delta: float, where: str
) -> None:
    most = budget(limit, delta)
    over = {name: rho for name, rho in sums.items() if rho > most}
    if over:
        would = epsilon(max(over.values()), delta)
        raise PeerError(
            code,
            f"{_names(over)} would have spent epsilon {would:.4g} {where}, at most "
            f"{limit:g} at delta {delta:g}",
        )


def _require_bounded(code: str, totals: Mapping[str, int | None]) -> None:
    unbounded = [name for name, total in totals.items() if total is None]
    if unbounded:
        raise PeerError(
            code, f"a round without noise was opened over {_names(unbounded)}"
        )


def _names(names: Mapping[str, int] | Sequence[str]) -> str:
    first, others = sorted(names)[:_NAMED], len(names) - _NAMED
    more = f" and {others} others" if others > 0 else ""
    return ", ".join(first) + more
