"""What an audit says: findings, notes, and how far each store is sound."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MOST: Final = 1000  # findings that are kept; the rest is counted

CHECKS: Final[Mapping[int, str]] = {
    1: "every entry is signed and linked to the one before",
    2: "statements inside entries are signed by who said them",
    3: "every entry follows from those before",
    4: "tables are what the ledger says",
    5: "stored reports are what data owners signed",
    6: "the database is defined as it should be",
    7: "granted rounds are known to all",
    8: "openings are the same everywhere",
    9: "members' reports are those of their receipts",
    10: "aggregate shares are those that were stored",
    11: "void rounds are opened nowhere",
    12: "ledger heads that others hold are in the chains",
    13: "each round starts from the model before it",
    14: "no sum is too small, no round opened twice",
    15: "no sums over one model tell a few data owners apart",
    16: "files of models are those recorded",
    17: "own reports have the receipts of both aggregators",
    18: "both aggregators say the same of each report",
    19: "what they say is in their ledgers",
    20: "heads in receipts and inclusions are in the chains",
    21: "openings are charged what their noise costs",
    22: "jobs began the same way for all",
    23: "what went into jobs is the same at both",
    24: "queries ascend, within the rows of their service",
    25: "queries are the same at both",
}
"""Number and name of each check; the docstring of `fedsecure.audit` says it in full."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be.

    Args:
        check: Its number.
        code: Of the kind of fault.
        party: In whose records.
        where: The entry, row or file.
        what: Both sides of the contradiction.
        entry: The ledger entry, if it is about one.
    """

    check: int
    code: str
    party: str
    where: str
    what: str
    entry: int | None = None


@dataclass(frozen=True, slots=True)
class Store:
    """One store that was looked at. `sound`: entries 1 to this one hold."""

    party: str
    role: str
    place: str
    entries: int
    sound: int
    whole: bool  # its tables were compared, too


@dataclass(frozen=True, slots=True)
class Pair:
    """Two opened sums over one model, and who can be told from their difference."""

    party: str
    one: str
    other: str
    apart: tuple[str, ...]
    least: int


@dataclass(slots=True)
class Report:
    """Everything that an audit found. `checked` counts what each check looked at."""

    stores: list[Store] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checked: dict[int, int] = field(default_factory=dict)
    found: dict[int, int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.found

    def look(self, check: int, number: int = 1) -> None:
        """Count what a check looked at."""
        self.checked[check] = self.checked.get(check, 0) + number

    def add(self, finding: Finding) -> None:
        """Keep a finding; of very many only the number."""
        self.found[finding.check] = self.found.get(finding.check, 0) + 1
        if len(self.findings) < MOST:
            self.findings.append(finding)

    def as_json(self) -> dict[str, Any]:
        """Return the same with stable keys, ready for `json.dumps`."""
        return {
            "holds": self.holds,
            "stores": [_fields(one) for one in self.stores],
            "checks": [
                {
                    "check": number,
                    "name": CHECKS[number],
                    "looked_at": self.checked[number],
                    "found": self.found.get(number, 0),
                }
                for number in sorted(self.checked)
            ],
            "findings": [_fields(one) for one in self.findings],
            "pairs": [_fields(one) for one in self.pairs],
            "notes": self.notes,
        }


def _fields(one: Finding | Store | Pair) -> dict[str, Any]:
    return {name: getattr(one, name) for name in type(one).__dataclass_fields__}
