"""What rounds cost in privacy, as rows; see module `projection`.

A round is charged to each member of its set from the fixing of the set on, which is
recorded before it is sent: an account must never lag behind what can have been learnt.
It is given back if both aggregators confirm that they never opened it.
"""

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from fedsecure.core.dp.accountant import recorded_epsilons
from fedsecure.owner.store.models import Participation, Round, Run
from fedsecure.protocol.statements import RoundSpec


def note_budget(run: Run, spec: RoundSpec) -> None:
    """Note in a run what its rounds protect, and how much they may cost."""
    if spec.privacy is not None:
        run.unit, run.delta = spec.privacy.unit.value, spec.privacy.delta
        run.epsilon_budget = spec.privacy.epsilon


def account_for(session: Session, row: Round) -> None:
    """Bring what a run and its study cost up to date, after a round was charged."""
    run = session.get_one(Run, row.run)
    if row.study_digest is None or run.delta is None:
        return
    session.flush()
    cost = recorded_epsilons(_highest(session, Round.run == row.run), run.delta)
    run.epsilon = cost.one_server_corrupt
    run.epsilon_outsider = cost.outsider
    same = Round.study_digest == row.study_digest
    total = recorded_epsilons(_highest(session, same), run.delta)
    for one in session.scalars(
        select(Run).where(Run.run.in_(select(Round.run).where(same)))
    ):
        one.study_epsilon = total.one_server_corrupt


def spent(session: Session, study: str, but: str = "") -> dict[str, int]:
    """Return what each data owner is charged in all rounds of a study, in 1e-12 of rho.

    Args:
        session: Of the round store.
        study: The study's digest.
        but: The digest of a spec that is left out.
    """
    chosen = _charges(Round.study_digest == study, Round.spec_digest != but)
    return {name: int(total or 0) for name, total in session.execute(chosen)}


def _charges(*which: ColumnElement[bool]) -> Select[str, int | None]:
    """Select each data owner with the sum of what it is charged."""
    return (
        select(Participation.data_owner, func.sum(Participation.rho_pico))
        .join(Round, Round.spec_digest == Participation.spec_digest)
        .where(Participation.rho_pico.is_not(None), *which)
        .group_by(Participation.data_owner)
    )


def _highest(session: Session, which: ColumnElement[bool]) -> int:
    return max(
        (int(total or 0) for _, total in session.execute(_charges(which))), default=0
    )
