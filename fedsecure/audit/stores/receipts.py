"""What a data owner keeps of its reports, as stored and as proved by signatures."""

from dataclasses import dataclass

from fedsecure.protocol.statements import Inclusion, Receipt, ReportHeader


@dataclass(frozen=True, slots=True)
class Kept:
    """What a data owner keeps of one report to one aggregator, as it is stored."""

    spec: str
    aggregator: str
    run: str
    round: int
    purpose: str
    attempt: int
    deadline: int
    kind: str
    length: int
    header: str
    receipt: str | None
    inclusion: str | None
    fate: str | None

    @property
    def where(self) -> str:
        """The report, for people."""
        return f"{self.run} {self.purpose} round {self.round} at {self.aggregator}"


@dataclass(frozen=True, slots=True)
class Proof:
    """The statements of one report, with signatures that hold."""

    kept: Kept
    header: ReportHeader
    receipt: Receipt | None
    inclusion: Inclusion | None
