"""What a data owner has sealed and not delivered: where it lies, and whether whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from fedsecure.core.sealing import payload_digest
from fedsecure.errors import OperatorError
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Receipt, ReportHeader, RoundSpec

PIECE: Final = 2**20  # bytes read at once


@dataclass(frozen=True, slots=True)
class StoredReport:
    """One sealed input share as it lies in the outbox."""

    header: Signed[ReportHeader]
    payload: Path
    receipt: Signed[Receipt] | None = None

    @property
    def spec(self) -> str:
        """The digest of the round's spec."""
        return self.header.statement.spec

    def require_length(self) -> None:
        """Check that the payload is all there; cut off, it would look like a bad line.

        Raises:
            OperatorError: FS-543 with the file.
        """
        expected = self.header.statement.length
        try:
            length = self.payload.stat().st_size
        except OSError as error:
            raise OperatorError(
                "FS-543", f"{self.payload}: {error.strerror}"
            ) from error
        if length != expected:
            raise OperatorError(
                "FS-543", f"{self.payload} has {length} bytes, not {expected}"
            )

    def require_whole(self) -> None:
        """Check a payload's digest, as far as it can be without its key.

        Raises:
            OperatorError: FS-543 with the file.
        """
        statement = self.header.statement
        digest = payload_digest.PayloadDigest(statement.length)
        try:
            with self.payload.open("rb") as file:
                while piece := file.read(PIECE):
                    digest.update(piece)
        except OSError as error:
            raise OperatorError(
                "FS-543", f"{self.payload}: {error.strerror}"
            ) from error
        if digest.digest().hex() != statement.digest:
            raise OperatorError("FS-543", f"{self.payload} has other bytes than it had")


class Outbox(Protocol):
    """Durable storage of sealed reports and receipts."""

    def reports(self, spec: str) -> Sequence[StoredReport]:
        """Return the stored reports of a spec: none, or both."""

    def answered(self, spec: RoundSpec) -> str | None:
        """Return the digest of the spec answered for this very attempt, if any."""

    def payload_path(self, spec: str, aggregator: str) -> Path:
        """Return where to write a payload before `store`."""

    def store(
        self,
        spec: Signed[RoundSpec],
        study: str,
        cost: int | None,
        reports: Sequence[StoredReport],
    ) -> None:
        """Make both reports of a round of a study durable, and charge it, in one step.

        Args:
            spec: Of the round.
            study: Its digest.
            cost: What the round costs in privacy, in 1e-12 of rho; None: no noise.
            reports: Both.
        """

    def receive(self, receipt: Signed[Receipt]) -> None:
        """Keep a receipt."""
