"""An audit from start to end: every store by itself, then all against each other.

The model owner's store is read first, then the aggregators'. Of stores in use, an
aggregator's is then newer: what the model owner did meanwhile is looked up once more,
so that a round under way is no contradiction.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy import text

from fedsecure.audit.checks import across, jobs, model_files, sets
from fedsecure.audit.checks.across import Newer
from fedsecure.audit.checks.walk import Walked, count_entries, walk
from fedsecure.audit.findings import Report
from fedsecure.audit.stores import owner as owners
from fedsecure.audit.stores.kinds import Kind, aggregator_kind
from fedsecure.audit.stores.sources import Source, open_source, snapshot
from fedsecure.errors import PROBLEMS, OperatorError
from fedsecure.protocol.federation_versions import Federations

UNDECIDED: Final = text(
    "SELECT spec_digest FROM rounds WHERE state NOT IN ('opened', 'void')"
)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an audit tells how far it is: what begins, of how much, and each step."""

    begin: Callable[[str, int], None]
    step: Callable[[int], None]


def audit(
    owner: str,
    aggregators: Sequence[str],
    keys: Federations,
    progress: Progress,
    folder: Path | None = None,
) -> Report:
    """Check the records of a federation; run by anybody who may read them.

    Args:
        owner: The model owner's store: a file, a URL, or an export.
        aggregators: Those of one or both aggregators.
        keys: Everybody's public keys.
        progress: Told how far it is.
        folder: Of the files beside the round store; default: the SQLite file's own.

    Raises:
        OperatorError: FS-635, FS-636, FS-860, FS-603, FS-604, FS-607 for what is not
            what it was named as.
    """
    report = Report()
    with TemporaryDirectory(prefix="fedsecure-audit-") as scratch, ExitStack() as stack:
        made = _Scratch(Path(scratch))
        sources = [stack.enter_context(open_source(owner, owners.KIND, made.file()))]
        kind = aggregator_kind()
        sources += [
            stack.enter_context(open_source(one, kind, made.file()))
            for one in aggregators
        ]
        kinds = [owners.KIND, *(kind for _ in aggregators)]
        walked = [
            stack.enter_context(_walk(source, kind, keys, made, report, progress))
            for source, kind in zip(sources, kinds, strict=True)
        ]
        conclude(walked, keys, report, progress, folder)
    return report


def conclude(
    walked: Sequence[Walked],
    keys: Federations,
    report: Report,
    progress: Progress,
    folder: Path | None = None,
) -> None:
    """Compare stores that were walked: the model owner's, then aggregators'.

    Raises:
        OperatorError: FS-636 when one is not whose it was said to be.
    """
    _require_parties(walked, keys)
    _look(walked, report, progress, folder)
    first, *others = walked
    if first.sound:
        sound = [one for one in others if one.sound]
        across.compare(first, sound, report, _newer(first))
    _say_who_is_missing(walked, keys, report)
    _say_who_may_be_old(walked, report)


@contextmanager
def alone(
    place: str, kind: Kind, keys: Federations, report: Report, progress: Progress
) -> Iterator[Walked]:
    """Check one store by itself, for as long as somebody looks at it.

    Raises:
        OperatorError: As `audit`.
    """
    with TemporaryDirectory(prefix="fedsecure-audit-") as scratch, ExitStack() as stack:
        made = _Scratch(Path(scratch))
        source = stack.enter_context(open_source(place, kind, made.file()))
        yield stack.enter_context(_walk(source, kind, keys, made, report, progress))


class _Scratch:
    """Names for files of the audit's own."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._number = folder, 0

    def file(self) -> Path:
        self._number += 1
        return self._folder / f"{self._number}.db"


@contextmanager
def _walk(
    source: Source,
    kind: Kind,
    keys: Federations,
    made: _Scratch,
    report: Report,
    progress: Progress,
) -> Iterator[Walked]:
    progress.begin(source.place, count_entries(source.connection, kind))
    with walk(source, kind, keys, made.file(), report, progress.step) as walked:
        yield walked


def _require_parties(walked: Sequence[Walked], keys: Federations) -> None:
    """Check that each store is whose it was said to be, and none is given twice."""
    owner, *aggregators = walked
    for one, names in [
        (owner, {keys.owner}),
        *((x, set(keys.pair)) for x in aggregators),
    ]:
        if one.sound and one.party not in names:
            raise OperatorError(
                "FS-636",
                f"{one.source.place} is {one.party}'s, not {' or '.join(names)}'s",
            )
    parties = [one.party for one in aggregators if one.sound]
    if len(set(parties)) < len(parties):
        raise OperatorError("FS-636", f"two stores are of {parties[0]}")


def _look(
    walked: Sequence[Walked], report: Report, progress: Progress, folder: Path | None
) -> None:
    owner = walked[0]
    for one in walked:
        if one.sound:
            sets.look(one, report)
    for one in walked[1:]:
        if one.sound:
            jobs.look(one, report)
    if not owner.sound:
        return
    sets.follow_models(owner, report)
    place = folder or owner.source.folder
    if place is None:
        report.notes.append("models: files were not looked at (--files FOLDER)")
        return
    progress.begin("models", 0)
    model_files.look(owner, place, report, progress.step, meant=folder is not None)


def _newer(owner: Walked) -> Newer:
    """Return rounds and jobs that went on since the model owner's store was read."""
    if not owner.source.whole:
        return Newer()
    last = owner.source.connection.exec_driver_sql("SELECT max(entry) FROM events")
    known = last.scalar() or 0
    with snapshot(owner.source.place, owners.KIND) as now:
        proposed = text("SELECT spec_digest FROM rounds WHERE entry > :known")
        specs = set(now.execute(proposed, {"known": known}).scalars())
        served = text("SELECT spec_digest FROM jobs WHERE entry > :known")
        specs |= set(now.execute(served, {"known": known}).scalars())
        grown = (
            now.exec_driver_sql("SELECT max(entry) FROM events").scalar() or 0
        ) > known
    if grown:
        specs |= set(owner.source.connection.execute(UNDECIDED).scalars())
    return Newer(frozenset(specs))


def _say_who_may_be_old(walked: Sequence[Walked], report: Report) -> None:
    """Explain what a copy of a database in use lacks, where that may be the reason."""
    behind = {one.party for one in report.findings if PROBLEMS[one.code].behind}
    for one in walked:
        if one.source.perhaps_old and one.party in behind:
            report.notes.append(
                f"{one.source.place}: others have seen more of it. If it was "
                "copied while a program used it, its newest entries are in the file "
                "with -wal behind its name: copy both, or export it (fedsecure "
                "explain FS-658)"
            )


def _say_who_is_missing(
    walked: Sequence[Walked], keys: Federations, report: Report
) -> None:
    seen = {one.party for one in walked}
    for name in keys.pair:
        if name not in seen and all(one.sound for one in walked):
            report.notes.append(f"{name}: its store was not looked at")
