"""An outbox in memory or on a disk, without what an agent keeps beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedsecure.contributor.outbox import StoredReport
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Receipt, RoundSpec


@dataclass(slots=True)
class Outbox:
    """Sealed reports in a folder; a data owner's own outbox survives a crash, too."""

    folder: Path
    kept: list[StoredReport] = field(default_factory=list)

    def reports(self, spec: str) -> Sequence[StoredReport]:
        """Return the stored reports of a spec."""
        return [report for report in self.kept if report.spec == spec]

    def answered(self, spec: RoundSpec) -> str | None:  # noqa: ARG002
        """Remember nothing."""
        return None

    def payload_path(self, spec: str, aggregator: str) -> Path:
        """Return where to write a payload."""
        return self.folder / f"{spec[:16]}.{aggregator}"

    def store(
        self,
        spec: Signed[RoundSpec],  # noqa: ARG002
        study: str,  # noqa: ARG002
        cost: int | None,  # noqa: ARG002
        reports: Sequence[StoredReport],
    ) -> None:
        """Keep both reports of a round, until the next one's."""
        self.kept = list(reports)

    def receive(self, receipt: Signed[Receipt]) -> None:
        """Forget a receipt."""

    def clear(self) -> None:
        """Delete what was sent."""
        for report in self.kept:
            report.payload.unlink(missing_ok=True)
        self.kept = []
