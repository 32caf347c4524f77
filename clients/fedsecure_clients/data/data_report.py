"""What the schema makes of a data owner's own file, for its own screen.

Every place that does not fit, not only the first; what the study uses and what it does
not. Nothing of it leaves this machine, and no value is repeated.
"""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from fedsecure.errors import PROBLEMS, OperatorError
from fedsecure.study.schema.features import AnySchema
from fedsecure.terminal.text_tables import Column, table
from fedsecure_clients.data.dataset import MIN_ROWS, inspect
from fedsecure_clients.data.examples import MAX_PLACES, Inspection, Problem

_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
PERSONAL: Final = frozenset(
    """
    name names surname firstname lastname forename initials birth birthday birthdate
    dob born address street city town zip zipcode postcode postal phone telephone tel
    mobile fax email mail ssn insurance passport mrn pid nhs ahv iban ip license plate
    patient patients person subject vorname nachname geburtsdatum geburt adresse strasse
    plz ort wohnort telefon handy versicherung patientin patienten nom prenom naissance
    """.split()  # noqa: SIM905 - read as text
)
"""Words in the name of a column that are likely to be about who somebody is."""


@dataclass(frozen=True, slots=True)
class DataReport:
    """What was found; `whole` is what is wrong with the file and not with a cell."""

    path: Path
    inspection: Inspection | None
    whole: tuple[OperatorError, ...]
    used: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether an agent can train on it."""
        return self.inspection is not None and not (
            self.whole or self.inspection.problems
        )

    @property
    def places(self) -> tuple[Problem, ...]:
        """Every place that does not fit, at most `MAX_PLACES`."""
        return () if self.inspection is None else self.inspection.every

    @property
    def ignored(self) -> tuple[str, ...]:
        """Columns or arrays of the file that the study never reads."""
        return () if self.inspection is None else self.inspection.ignored

    @property
    def wrong(self) -> int:
        """How many places do not fit, also those that are not listed."""
        problems = () if self.inspection is None else self.inspection.problems
        return len(self.whole) + sum(problem.count for problem in problems)


def check(path: Path, schema: AnySchema) -> DataReport:
    """Look at all of a data owner's examples; run by a data owner."""
    whole: list[OperatorError] = []
    inspection = None
    try:
        inspection = inspect(path, schema, whole.append)
    except OperatorError as error:
        whole.append(error)
    else:
        if not whole and not inspection.problems and inspection.rows < MIN_ROWS:
            whole.append(OperatorError("FS-110", f"{path}: {inspection.rows} examples"))
    return DataReport(path, inspection, tuple(whole[:MAX_PLACES]), _used(schema))


def is_personal(column: str) -> bool:
    """Tell whether a column's name sounds as if it said who somebody is."""
    words = [word.lower() for word in _WORDS.findall(column)]
    pairs = (first + second for first, second in itertools.pairwise(words))
    return not PERSONAL.isdisjoint((*words, *pairs))


def as_data(found: DataReport) -> dict[str, Any]:
    """Return what `--json` prints; the keys are an interface."""
    inspection = found.inspection
    return {
        "file": str(found.path),
        "fits": found.fits,
        "rows": None if inspection is None else inspection.rows,
        "wrong": found.wrong,
        "problems": [
            *({"code": e.code, "where": "", "reason": e.detail} for e in found.whole),
            *(
                {"code": one.code, "where": one.where, "reason": one.reason}
                for one in found.places
            ),
        ],
        "missing": {} if inspection is None else inspection.missing,
        "absent_classes": list(_absent(inspection)),
        "never_read": list(found.ignored),
        "personal": {
            "never_read": list(filter(is_personal, found.ignored)),
            "read": list(filter(is_personal, found.used)),
        },
    }


def show(found: DataReport) -> RenderableType:
    """Return the same for a person."""
    parts: list[RenderableType] = [Text(_summary(found), "bold")]
    if found.whole or found.places:
        parts.append(_problems(found))
    parts += _notes(found)
    return Group(*parts)


def _summary(found: DataReport) -> str:
    if found.inspection is None:
        return f"{found.path} cannot be read as the study needs it"
    rows = f"{found.path}: {found.inspection.rows} examples"
    return (
        f"{rows}, all fit the study" if found.fits else f"{rows}, {found.wrong} wrong"
    )


def _problems(found: DataReport) -> RenderableType:
    whole = [("", error.code, error.detail) for error in found.whole]
    places = [(one.where, one.code, one.reason) for one in found.places]
    return table(_COLUMNS, [*whole, *places])


_COLUMNS: Final[tuple[Column[tuple[str, str, str]], ...]] = (
    Column("where", lambda row: Text(row[0]), folds=True),
    Column("what", lambda row: Text(f"{PROBLEMS[row[1]].title}: {row[2]}"), folds=True),
    Column("code", lambda row: Text(row[1])),
)


def _notes(found: DataReport) -> Iterable[Text]:
    listed = len(found.whole) + len(found.places)
    if found.wrong > listed:
        yield Text(f"and {found.wrong - listed} more places that are not listed")
    inspection = found.inspection
    if inspection is not None:
        for name, count in inspection.missing.items():
            if count:
                share = 100 * count / max(1, inspection.rows)
                part = f"{share:.0f}" if share >= 1 else "under 1"
                yield Text(f"column {name}: {count} missing ({part} %), as allowed")
    for name in _absent(inspection):
        yield Text(f"class {name}: no example here; the others' count")
    for name in found.ignored:
        why = ", looks like personal data" if is_personal(name) else ""
        yield Text(f"{name}: not in the study{why}: never read")
    for name in filter(is_personal, found.used):
        yield Text(
            f"{name}: looks like personal data, and the study reads it: ask why", "red"
        )


def _absent(inspection: Inspection | None) -> tuple[str, ...]:
    if inspection is None or inspection.dataset is None:
        return ()
    return inspection.dataset.absent_classes


def _used(schema: AnySchema) -> tuple[str, ...]:
    return schema.names if schema.kind == "table" else ()
