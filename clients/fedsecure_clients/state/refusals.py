"""What this agent did not report, and why: for the data owner alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, select

from fedsecure.protocol.statements import RoundSpec
from fedsecure_clients.state.storage import Storage
from fedsecure_clients.state.tables import RefusalRow

KEPT: Final = 1000  # refusals; older ones go
MAX_DETAIL: Final = 500  # characters


@dataclass(frozen=True, slots=True)
class Refusal:
    """One task that was answered with `not_reported`."""

    at: float
    run: str | None
    round: int | None
    purpose: str
    code: str
    detail: str


class Refusals:
    """The newest refusals, in the agent's state."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def add(
        self, spec: RoundSpec | None, purpose: str, code: str, detail: str, at: float
    ) -> None:
        """Keep one.

        Args:
            spec: What was asked, if the model owner signed it.
            purpose: The kind of the task.
            code: FS-nnn.
            detail: The reason; it is cut.
            at: Seconds since 1970.
        """
        row = RefusalRow(
            at=at,
            run=spec.run if spec else None,
            round=spec.round if spec else None,
            purpose=purpose[:16],
            code=code,
            detail=detail[:MAX_DETAIL],
        )
        with self._storage.writing() as session:
            session.add(row)
            session.flush()
            session.execute(
                delete(RefusalRow).where(RefusalRow.number <= row.number - KEPT)
            )

    def newest(self, count: int) -> Sequence[Refusal]:
        """Return so many, the newest first."""
        query = select(RefusalRow).order_by(RefusalRow.number.desc()).limit(count)
        with self._storage.reading() as session:
            return [
                Refusal(row.at, row.run, row.round, row.purpose, row.code, row.detail)
                for row in session.scalars(query)
            ]

    def count(self) -> int:
        """Return how many are kept."""
        with self._storage.reading() as session:
            return session.scalar(select(func.count(RefusalRow.number))) or 0
