"""What an audit found, for a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn
from rich.text import Text

from fedsecure.audit.findings import CHECKS, Finding, Pair, Report, Store
from fedsecure.audit.verify import Progress
from fedsecure.terminal.screen import Console
from fedsecure.terminal.text_tables import Column, table
from fedsecure.terminal.values import plain

SHOWN: Final = 20  # findings; `--json` has more


def audit_page(report: Report) -> RenderableType:
    """Return everything that an audit has to say."""
    return Group(*_parts(report))


def _parts(report: Report) -> Iterator[RenderableType]:
    if report.stores:
        yield table(STORES, report.stores)
        yield Text()
    yield table(CHECK_COLUMNS, checks(report))
    for note in report.notes:
        yield Text.assemble(("\nnote  ", "cyan"), plain(note))
    for finding in report.findings[:SHOWN]:
        yield _finding(finding)
    hidden = sum(report.found.values()) - len(report.findings[:SHOWN])
    if hidden:
        yield Text(f"\nand {hidden} more: --json lists them", "yellow")
    for pair in report.pairs[:SHOWN]:
        yield _pair(pair)
    yield Text()
    if report.holds:
        yield Text("All records agree.", "bold green")
    else:
        yield Text("The records do not agree.", "bold red")


def checks(report: Report) -> list["Check"]:
    """Return the lines of the table of checks."""
    return [Check(report, one) for one in sorted(report.checked)]


def _finding(finding: Finding) -> Text:
    return Text.assemble(
        "\n",
        plain(f"{finding.code} ({finding.check})", "bold red"),
        plain(f"  {finding.party}: {finding.where}", "bold"),
        "\n    ",
        plain(finding.what),
    )


def _pair(pair: Pair) -> Text:
    names = ", ".join(pair.apart)
    return Text.assemble(
        ("\npair  ", "yellow"),
        plain(f"{pair.one} and {pair.other} at {pair.party}: the difference is "),
        plain(names, "bold"),
        plain(f", at least {pair.least} are agreed"),
    )


class Check:
    """One line of the table of checks."""

    def __init__(self, report: Report, number: int) -> None:
        self.number, self.name = number, CHECKS[number]
        self.looked_at = report.checked[number]
        self.found = report.found.get(number, 0)


def _state(store: Store) -> Text:
    if store.sound == store.entries:
        return plain("sound", "green")
    return plain(f"broken at entry {store.sound + 1}", "bold red")


def _outcome(check: Check) -> Text:
    if check.found:
        return plain(f"{check.found} found", "bold red")
    if not check.looked_at:
        return plain("nothing to check", "dim")
    return plain("ok", "green")


STORES: Final[tuple[Column[Store], ...]] = (
    Column("party", lambda row: plain(row.party, "bold")),
    Column("store", lambda row: plain(row.place), rank=2, folds=True),
    Column("kind", lambda row: plain(row.role), rank=3),
    Column("entries", lambda row: plain(f"{row.entries:,}"), "right"),
    Column("ledger", _state),
    Column(
        "tables",
        lambda row: plain("compared" if row.whole else "none in an export"),
        rank=3,
    ),
)
CHECK_COLUMNS: Final[tuple[Column[Check], ...]] = (
    Column("check", lambda row: plain(f"({row.number})"), "right"),
    Column("what must hold", lambda row: plain(row.name), folds=True),
    Column("looked at", lambda row: plain(f"{row.looked_at:,}"), "right", rank=1),
    Column("", _outcome),
)


@contextmanager
def progress() -> Iterator[Progress]:
    """Show how far an audit is; on a terminal alone."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        tasks = []

        def begin(what: str, total: int) -> None:
            tasks.append(bar.add_task(Path(what).name, total=total or None))

        def step(number: int) -> None:
            bar.advance(tasks[-1], number)

        yield Progress(begin, step)
