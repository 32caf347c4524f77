"""Rows in, scores out: in pieces, so that a person sees how far it is.

Whoever is interrupted has no file, and asks about all rows again, in queries of new
numbers: an aggregator answers each number once. Rows that were answered count.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedsecure.compute.handout import Handout
from fedsecure.compute.numbers import Numbers
from fedsecure.compute.participant import Participant
from fedsecure.compute.public import standings
from fedsecure.compute.queries import Service
from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.identity import Role
from fedsecure.protocol.jobs.parts import Method
from fedsecure.study.lowering.description import ServiceDescription, read_description

PIECES: Final = {Method.SHARES: 1000, Method.PAILLIER: 20}  # rows between two tellings
OVER: Final = frozenset({"closed", "void"})  # states, as aggregators tell them

Features = NDArray[np.float32]  # shape (rows, features)
Scores = NDArray[np.float64]  # shape (rows, outputs)


@dataclass(frozen=True, slots=True)
class Asking:
    """One client of one service.

    Args:
        p: The client.
        handout: Of the service.
        description: What it says of rows and scores.
    """

    p: Participant
    handout: Handout
    description: ServiceDescription

    @classmethod
    def of(cls, p: Participant, handout: Handout) -> "Asking":
        """Read what a handout says of a service.

        Raises:
            PeerError: FS-701 when it is of another job, FS-424 when its description
                does not fit.
        """
        return cls(p, handout, read_description(handout.description, handout.program))

    @property
    def most(self) -> int:
        """How many rows this client may ask about in all."""
        return self.handout.spec.statement.rows

    @property
    def can_predict_alone(self) -> bool:
        """Whether this party is a data owner, and has the federated model anyway."""
        role, _ = self.p.federation.find(self.p.name)
        return role is Role.DATA_OWNER

    def rows_left(self) -> int:
        """Ask both aggregators how many rows this client may still ask about.

        Raises:
            PeerError: FS-392 when the service is over.
        """
        found = standings(self.p, self.handout.digest)
        for aggregator, one in found.items():
            if one.state in OVER:
                why = f"{one.state} at {aggregator}: {one.reason or 'no reason given'}"
                raise PeerError("FS-392", f"{self.handout.spec.statement.name}, {why}")
        return self.most - max(one.rows for one in found.values())

    def require_left(self, count: int) -> None:
        """Check that all rows will be answered, before any is sent.

        Raises:
            OperatorError: FS-398, with both numbers.
            PeerError: FS-392 when the service is over.
        """
        left, name = self.rows_left(), self.handout.spec.statement.name
        if count > left:
            raise OperatorError(
                "FS-398",
                f"{name} answers {self.p.name} {self.most:,} rows in all; {left:,} are "
                f"left, and there are {count:,}",
            )

    def scores(self, features: Features, tell: Callable[[int], None]) -> Scores:
        """Return the model's scores of rows.

        Args:
            features: Shape (rows, features), float32.
            tell: Hears how many rows are answered.

        Returns:
            Shape (rows, outputs), float64.

        Raises:
            OperatorError: FS-224, FS-398; nothing was sent.
            PeerError: FS-341, FS-345, FS-347, FS-392, FS-396, an aggregator's refusal.
        """
        service = Service(self.p, self.handout, Numbers(self.p.folder))
        self.require_left(len(features))
        logits = np.concatenate(list(self._pieces(service, features, tell)))
        return self.description.scores(logits)

    def _pieces(
        self, service: Service, features: Features, tell: Callable[[int], None]
    ) -> Iterator[Scores]:
        size = PIECES[self.handout.spec.statement.method]
        for start in range(0, len(features), size):
            yield service.ask(features[start : start + size].astype(np.float64))
            tell(min(start + size, len(features)))
