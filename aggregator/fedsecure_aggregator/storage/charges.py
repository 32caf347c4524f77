"""What a ledger entry costs data owners in privacy, as rows (`projection`).

    privacy_spent     each charge: an opening's, or a restore's
    privacy_studies   what a data owner has spent under a study
    privacy_totals    what it has spent in all

Sums are kept beside the charges, for no database computes an epsilon, and none needs to
add up thousands of rows before an opening.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from fedsecure.core.dp.accountant import MOST_RHO_PICO, recorded_epsilons
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.protocol.statements import RoundSpec
from fedsecure.protocol.stored_statements import stored
from fedsecure_aggregator.rules.budgets import Spent, StudyBudget, budget_of
from fedsecure_aggregator.storage.tables import (
    PrivacySpentRow,
    PrivacyStudyRow,
    PrivacyTotalRow,
    RoundRow,
)

TOTAL_DELTA: Final = 1e-5  # at which totals over studies with any delta are shown

# Members of a set have mostly spent the same.
_shown = lru_cache(maxsize=4096)(recorded_epsilons)


@dataclass(frozen=True, slots=True)
class Place:
    """Which entry charges, and for which round; None: a restore."""

    entry: int
    spec: str | None


def charge(
    session: Session, place: Place, budget: StudyBudget, costs: Mapping[str, int]
) -> None:
    """Charge data owners under a study.

    Args:
        session: Of the transaction.
        place: The entry that says so.
        budget: Of the study.
        costs: In 1e-12 of rho, by data owner; who is charged nothing is not in it.
    """
    if not costs:
        return
    _write(session, place, budget, costs)
    _add_under_study(session, place, budget, costs)
    for name, row in _totals(session, costs).items():
        row.row_rho_pico = _sum(row.row_rho_pico, costs[name])
        owner = costs[name] if budget.unit is Unit.DATA_OWNER else None
        row.data_owner_rho_pico = _sum(row.data_owner_rho_pico, owner)
        _show(row, place)


def charge_whole(
    session: Session, place: Place, budget: StudyBudget, names: Collection[str]
) -> None:
    """Charge data owners what is left of a study's budget, so that it is used up."""
    spent = spent_under(session, budget.study)
    left = {name: budget.rho_pico - spent.get(name, 0) for name in names}
    costs = {name: cost for name, cost in left.items() if cost > 0}
    charge(session, place, budget, costs)


def largest_part(session: Session) -> float:
    """Return how much of its budget the study spent that was charged last, 0 to 1.

    Of its data owners the one that spent most counts; 0 before any charge.
    """
    row = PrivacyStudyRow
    last = select(row.study).order_by(row.entry.desc()).limit(1).scalar_subquery()
    part = func.max(row.epsilon / row.budget)
    return min(1.0, session.scalar(select(part).where(row.study == last)) or 0.0)


def unbound(session: Session, place: Place, names: Collection[str]) -> None:
    """Note that a round without noise was opened over data owners."""
    already = select(PrivacyTotalRow.reporter).where(
        PrivacyTotalRow.row_rho_pico.is_(None),
        PrivacyTotalRow.data_owner_rho_pico.is_(None),
    )
    new = set(names).difference(session.scalars(already))
    for row in _totals(session, new).values() if new else ():
        row.row_rho_pico = row.data_owner_rho_pico = None
        _show(row, place)


def spent(session: Session, study: str) -> dict[str, Spent]:
    """Return what each data owner has spent, under a study and in all."""
    under = spent_under(session, study)
    totals = select(PrivacyTotalRow.reporter, PrivacyTotalRow.row_rho_pico)
    return {
        row.reporter: Spent(under.get(row.reporter, 0), row.row_rho_pico)
        for row in session.execute(totals)
    }


def known_budget(session: Session, study: str) -> StudyBudget | None:
    """Return a study's budget, as rounds before said it."""
    charged = select(PrivacyStudyRow).where(PrivacyStudyRow.study == study).limit(1)
    row = session.scalar(charged)
    if row is not None:
        return StudyBudget(
            study=study, unit=Unit(row.unit), epsilon=row.budget, delta=row.delta
        )
    token = select(RoundRow.token).where(RoundRow.study == study).limit(1)
    granted = session.scalar(token)
    return None if granted is None else budget_of(stored(granted, RoundSpec).statement)


def known_studies(session: Session) -> list[StudyBudget | None]:
    """Return every study of which a round was granted; None: rounds without noise."""
    first = select(func.min(RoundRow.granted_entry)).group_by(RoundRow.study)
    tokens = select(RoundRow.token).where(RoundRow.granted_entry.in_(first))
    return [
        budget_of(stored(token, RoundSpec).statement)
        for token in session.scalars(tokens)
    ]


def known_reporters(session: Session) -> set[str]:
    """Return every data owner that was ever charged."""
    return set(session.scalars(select(PrivacyTotalRow.reporter)))


def spent_under(session: Session, study: str) -> dict[str, int]:
    """Return what data owners have spent under a study, in 1e-12 of rho."""
    rows = session.execute(
        select(PrivacyStudyRow.reporter, PrivacyStudyRow.rho_pico).where(
            PrivacyStudyRow.study == study
        )
    )
    return {row.reporter: row.rho_pico for row in rows}


def _write(
    session: Session, place: Place, budget: StudyBudget, costs: Mapping[str, int]
) -> None:
    rows: list[dict[str, Any]] = [
        {
            "entry": place.entry,
            "reporter": name,
            "study": budget.study,
            "spec": place.spec,
            "unit": budget.unit.value,
            "rho_pico": cost,
        }
        for name, cost in costs.items()
    ]
    session.execute(insert(PrivacySpentRow), rows)


def _add_under_study(
    session: Session, place: Place, budget: StudyBudget, costs: Mapping[str, int]
) -> None:
    query = select(PrivacyStudyRow).where(PrivacyStudyRow.study == budget.study)
    known = {row.reporter: row for row in session.scalars(query)}
    for name, cost in costs.items():
        row = known.get(name)
        if row is None:
            row = PrivacyStudyRow(
                reporter=name,
                study=budget.study,
                unit=budget.unit.value,
                budget=budget.epsilon,
                delta=budget.delta,
                rho_pico=0,
            )
            session.add(row)
        row.rho_pico = min(row.rho_pico + cost, MOST_RHO_PICO)
        shown = _shown(row.rho_pico, row.delta)
        row.epsilon, row.outsider = shown.one_server_corrupt, shown.outsider
        row.entry = place.entry


def _totals(session: Session, names: Collection[str]) -> dict[str, PrivacyTotalRow]:
    """Return the rows of data owners' totals, with new ones for who has none."""
    rows = {row.reporter: row for row in session.scalars(select(PrivacyTotalRow))}
    for name in sorted(set(names) - set(rows)):
        rows[name] = PrivacyTotalRow(
            reporter=name, row_rho_pico=0, data_owner_rho_pico=0
        )
        session.add(rows[name])
    return {name: rows[name] for name in names}


def _sum(total: int | None, cost: int | None) -> int | None:
    """Add up; None, without bound, where one of both is, or the sum says nothing."""
    if total is None or cost is None or total + cost > MOST_RHO_PICO:
        return None
    return total + cost


def _show(row: PrivacyTotalRow, place: Place) -> None:
    row.row_epsilon, row.row_outsider = _pair(row.row_rho_pico)
    pair = _pair(row.data_owner_rho_pico)
    row.data_owner_epsilon, row.data_owner_outsider = pair
    row.entry = place.entry


def _pair(rho: int | None) -> tuple[float | None, float | None]:
    if rho is None:
        return None, None
    shown = _shown(rho, TOTAL_DELTA)
    return shown.one_server_corrupt, shown.outsider
