"""What this data owner has told so far, as cost in privacy: by study and over all.

A round is charged in the transaction that stores its reports, before a byte of them is
sent. It is held until both aggregators have said what became of it. Where neither
counted the report, the honest one of them has released nothing of it, and the charge is
returned; in every other case it stays, whatever one aggregator says. The cost is what
this agent computed from the spec, never what another party told.

    unit row          every round with noise counts, whatever its unit
    unit data-owner   rounds of this unit; unbounded once one protected rows alone
    both              unbounded once a round had no noise
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from fedsecure.core.dp import accountant
from fedsecure.core.dp.accountant import Epsilons
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import RoundSpec
from fedsecure_clients.state.storage import Storage
from fedsecure_clients.state.tables import PrivacySpentRow, PrivacyTotalRow

ALL: Final = "all"  # studies
TOTAL_DELTA: Final = 1e-5  # of what all studies cost together, in the view
MOST_RHO: Final = 2**62  # in 1e-12: more means nothing, and SQL cannot hold it

HELD, SPENT, RETURNED = "held", "spent", "returned"
NO_UNIT: Final = "none"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a study, or a data owner's policy, allows to be told: epsilon at delta."""

    epsilon: float
    delta: float

    def holds(self, rho: int | None) -> bool:
        """Tell whether a total cost keeps to it; an unbounded one does not."""
        if rho is None:
            return False
        return accountant.epsilon(rho, self.delta) <= self.epsilon

    @property
    def rho(self) -> int:
        """The largest total cost that keeps to it, in 1e-12."""
        return _largest_rho(self.epsilon, self.delta)


@dataclass(frozen=True, slots=True)
class Total:
    """What some rounds cost together.

    Args:
        rounds: How many are held or spent.
        held: Of those, how many are not decided yet.
        rho: In 1e-12; None: unbounded.
    """

    rounds: int = 0
    held: int = 0
    rho: int | None = 0

    def plus(self, cost: int | None) -> int | None:
        """Return what it is with one round more, or None: unbounded."""
        return None if self.rho is None or cost is None else self.rho + cost

    def at(self, delta: float) -> Epsilons | None:
        """Return what it means, by who looks; None: unbounded."""
        return None if self.rho is None else accountant.epsilons(self.rho, delta)


@dataclass(frozen=True, slots=True)
class StudyTotal:
    """What one study cost so far, and what it may cost; without noise no budget."""

    study: str
    unit: Unit | None
    budget: Budget | None
    total: Total


@dataclass(frozen=True, slots=True)
class _Charges:
    """Equal charges of one study."""

    study: str
    unit: str | None
    rho_pico: int | None
    budget: Budget | None
    held: int
    rounds: int


class PrivacyAccount:
    """The account in the agent's state."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def of_study(self, study: str) -> Total:
        """Return what one study cost so far."""
        with self._storage.reading() as session:
            return _added(one for one in _charges(session) if one.study == study)

    def of_unit(self, unit: Unit) -> Total:
        """Return what all studies together cost one unit."""
        with self._storage.reading() as session:
            return total_of(session, unit)

    def studies(self) -> Sequence[StudyTotal]:
        """Return every study that cost something, by its digest."""
        with self._storage.reading() as session:
            return list(_studies(list(_charges(session))))

    def cost(self, spec: str) -> int:
        """Return what a round was charged with, in 1e-12; 0 without noise."""
        with self._storage.reading() as session:
            row = session.get(PrivacySpentRow, spec)
            return (row.rho_pico or 0) if row else 0


def total_of(session: Session, unit: Unit) -> Total:
    """Return what all studies together cost one unit, from a store that is open."""
    return _of_unit(list(_charges(session)), unit)


def charge(
    session: Session, spec: Signed[RoundSpec], study: str, cost: int | None
) -> None:
    """Hold what a round costs, in the transaction that stores its reports."""
    privacy = spec.statement.privacy
    session.add(
        PrivacySpentRow(
            spec=spec.digest,
            study=study,
            unit=privacy.unit.value if privacy else None,
            rho_pico=cost,
            epsilon=privacy.epsilon if privacy else None,
            delta=privacy.delta if privacy else None,
            state=HELD,
        )
    )
    _write_totals(session)


def settle(session: Session, spec: str, *, counted: bool) -> None:
    """Spend what a round holds, or return it where neither aggregator counted it."""
    row = session.get_one(PrivacySpentRow, spec)
    row.state = SPENT if counted else RETURNED
    _write_totals(session)


@lru_cache(maxsize=64)
def _largest_rho(epsilon: float, delta: float) -> int:
    return accountant.largest_rho(epsilon, delta)


def _charges(session: Session) -> Iterator[_Charges]:
    row = PrivacySpentRow
    held = func.sum((row.state == HELD).cast(row.rho_pico.type))
    columns = (row.study, row.unit, row.rho_pico, row.epsilon, row.delta)
    query = (
        select(*columns, held, func.count())
        .where(row.state != RETURNED)
        .group_by(*columns)
        .order_by(*columns)
    )
    for study, unit, rho, epsilon, delta, waiting, rounds in session.execute(query):
        budget = None if epsilon is None else Budget(epsilon, delta)
        yield _Charges(study, unit, rho, budget, waiting, rounds)


def _added(
    charges: Iterable[_Charges],
    bounded: Callable[[_Charges], bool] = lambda one: one.rho_pico is not None,
) -> Total:
    found = list(charges)
    rounds = sum(one.rounds for one in found)
    held = sum(one.held for one in found)
    rho = sum((one.rho_pico or 0) * one.rounds for one in found)
    within = all(map(bounded, found)) and rho <= MOST_RHO
    return Total(rounds, held, rho if within else None)


def _of_unit(charges: Sequence[_Charges], unit: Unit) -> Total:
    if unit is Unit.ROW:
        return _added(charges)
    return _added(charges, lambda one: one.unit == Unit.DATA_OWNER.value)


def _studies(charges: Sequence[_Charges]) -> Iterator[StudyTotal]:
    for study in sorted({one.study for one in charges}):
        own = [one for one in charges if one.study == study]
        unit = Unit(own[0].unit) if own[0].unit else None
        yield StudyTotal(study, unit, own[0].budget, _added(own))


def _write_totals(session: Session) -> None:
    """Write anew what `v_privacy` shows: SQL has no accountant."""
    session.flush()
    charges = list(_charges(session))
    session.execute(delete(PrivacyTotalRow))
    if not charges:
        return
    for one in _studies(charges):
        session.add(_total(one.study, one.unit, one.budget, one.total))
    for unit in Unit:
        session.add(_total(ALL, unit, None, _of_unit(charges, unit)))


def _total(
    study: str, unit: Unit | None, budget: Budget | None, total: Total
) -> PrivacyTotalRow:
    delta = budget.delta if budget else TOTAL_DELTA
    means = total.at(delta)
    return PrivacyTotalRow(
        study=study,
        unit=unit.value if unit else NO_UNIT,
        rounds=total.rounds,
        held=total.held,
        rho_pico=total.rho,
        limit_pico=budget.rho if budget else None,
        budget=budget.epsilon if budget else None,
        delta=delta,
        epsilon=means.one_server_corrupt if means else None,
        epsilon_outsider=means.outsider if means else None,
    )
