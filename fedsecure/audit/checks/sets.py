# ruff: noqa: S608 - every piece of these queries is written here
"""What opened sums tell together: checks (13) to (15) of `fedsecure.audit`, one store.

Sums over the same model can be subtracted. Data owners who are in the same ones of its
opened sets form a group, and whatever is computed from the sums tells about whole
groups; so none may be smaller than the rounds it was in had promised.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from fedsecure.audit.checks.walk import Walked
from fedsecure.audit.findings import Finding, Pair, Report
from fedsecure.audit.stores.evidence import label

_OPENED: Final = (
    "audit_deeds d JOIN audit_specs s ON s.spec = d.spec WHERE d.kind = 'opening' "
    "AND EXISTS (SELECT 1 FROM audit_deeds e WHERE e.spec = d.spec AND e.kind = :deed)"
)
"""What was opened: an opening is followed by what its kind of store does to open it."""

_NUMBER: Final = text(f"SELECT count(*) FROM {_OPENED}")
_TOO_SMALL: Final = text(
    f"SELECT s.*, d.number, d.entry AS opened FROM {_OPENED} "
    "AND d.number < s.least ORDER BY d.entry"
)
_TWICE: Final = text(
    "SELECT s.owner, s.run, s.round, s.purpose, count(*) AS times, "
    f"max(d.entry) AS entry FROM {_OPENED} GROUP BY s.owner, s.run, s.round, s.purpose "
    "HAVING count(*) > 1"
)
_SHARED: Final = text(
    f"SELECT s.model FROM {_OPENED} GROUP BY s.model HAVING count(*) > 1"
)
_SETS: Final = text(
    f"SELECT s.*, d.entry AS opened FROM {_OPENED} "
    "AND s.model = :model ORDER BY d.entry"
)
_MEMBERS: Final = text(
    "SELECT reporter FROM audit_deeds WHERE kind = 'member' AND spec = :spec"
)
_MODELS: Final = text(
    "SELECT r.run, r.state, r.purpose, r.model_digest, m.digest AS made, "
    "i.digest AS began, r.round, r.entry FROM rounds r "
    "JOIN runs x ON x.run = r.run JOIN models i ON i.path = x.initial_model "
    "LEFT JOIN models m ON m.path = r.model ORDER BY x.entry, r.entry"
)


@dataclass(frozen=True, slots=True)
class Sum:
    """An opened sum: which round, over whom, and how large its groups must be."""

    row: Row[Any]
    members: frozenset[str]


def look(walked: Walked, report: Report) -> None:
    """Check what a store's opened sums tell, each and together."""
    with walked.engine.connect() as connection:
        opened = {"deed": walked.kind.opened}
        number = connection.execute(_NUMBER, opened).scalar_one()
        report.look(14, number)
        report.look(15, number)
        for row in connection.execute(_TOO_SMALL, opened):
            what = f"a sum of {row.number} was opened, at least {row.least} are agreed"
            finding = Finding(14, "FS-632", walked.party, label(row), what, row.opened)
            report.add(finding)
        for row in connection.execute(_TWICE, opened):
            where = f"{row.run} {row.purpose} round {row.round}"
            what = f"opened {row.times} times for {row.owner}"
            report.add(Finding(14, "FS-632", walked.party, where, what, row.entry))
        for (model,) in connection.execute(_SHARED, opened).all():
            _apart(connection, walked, model, report)


def follow_models(owner: Walked, report: Report) -> None:
    """Check that each round of a run starts from the model before it: (13)."""
    with owner.engine.connect() as connection:
        run, model = None, None
        for row in connection.execute(_MODELS):
            if row.run != run:
                run, model = row.run, row.began
            report.look(13)
            if row.model_digest != model:
                where = f"{row.run} {row.purpose} round {row.round}"
                known = "nothing that is recorded" if model is None else model[:12]
                what = f"it started from {row.model_digest[:12]}, before it was {known}"
                report.add(Finding(13, "FS-633", owner.party, where, what, row.entry))
            if row.state == "opened" and row.purpose == "train":
                model = row.made


def _apart(connection: Connection, walked: Walked, model: str, report: Report) -> None:
    party, which = walked.party, {"model": model, "deed": walked.kind.opened}
    sums = [
        Sum(row, frozenset(connection.execute(_MEMBERS, {"spec": row.spec}).scalars()))
        for row in connection.execute(_SETS, which).all()
    ]
    for pair in _pairs(party, sums):
        report.pairs.append(pair)
    for size, least, row in small_groups({one.members: one for one in sums}):
        what = f"sums over one model tell {size} data owners apart, at least {least}"
        report.add(Finding(15, "FS-634", party, label(row), what, row.opened))


def _pairs(party: str, sums: list[Sum]) -> Iterator[Pair]:
    for one, other in combinations(sums, 2):
        apart = one.members ^ other.members
        least = max(one.row.least, other.row.least)
        sides = (one.members - other.members, other.members - one.members)
        if apart and any(0 < len(side) < least for side in sides):
            yield Pair(
                party, label(one.row), label(other.row), tuple(sorted(apart)), least
            )


def small_groups(
    sums: Mapping[frozenset[str], Sum],
) -> Iterator[tuple[int, int, Row[Any]]]:
    """Yield each group that is too small: size, least, and a round it was in."""
    groups = Counter(
        frozenset(one for one in sums if name in one)
        for name in frozenset().union(*sums)
    )
    for group, size in groups.items():
        strictest = max((sums[one] for one in group), key=lambda one: one.row.least)
        if not size >= strictest.row.least:
            yield size, strictest.row.least, strictest.row
