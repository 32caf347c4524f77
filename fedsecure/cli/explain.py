"""`fedsecure explain`: what an error's code means, for whom, and what to do.

The text is the table in `fedsecure.errors`, which also says who meets which codes.
`--markdown` prints the page docs/errors.md.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from fedsecure.errors import (
    FAMILIES,
    PROBLEMS,
    Evidence,
    Family,
    Finality,
    Problem,
    Spoiled,
    Stands,
    family,
)
from fedsecure.terminal.text_tables import Column, screen, table

WRITTEN: Final = re.compile(
    r"(?:urn:fedsecure:problem:)?(?:FS)?[-_ ]?(\d{1,3})[:.,]?", re.ASCII | re.IGNORECASE
)
CLOSEST: Final = 3  # codes that are offered for one that does not exist
INTRODUCTION: Final = """\
# Errors

<!-- By `fedsecure explain --markdown`, from fedsecure/errors: do not edit. -->

Every error says what happened and where, what to do next, and a code that stays the
same. `fedsecure explain FS-310` prints what this page says about one code.

`HTTP` is the status with which an aggregator answers a code. What is wrong with the
aggregator itself it answers with 503, or with 500 whatever the code, and keeps the
details in its log.

*What follows* is what the programs do by themselves. An aggregator records in its
ledger which signed spec, opening or report it refused, unless it says "not recorded".
Nothing that is asked again is recorded either."""
SETTLED: Final = {
    Finality.ATTEMPT: "the round is tried anew",
    Finality.ROUND: "final for the round",
    Finality.SHARES: "the round is given up",
}
LOOKED_AT: Final = {
    Spoiled.UPLOAD: "the stored bytes are checked",
    Spoiled.SHARE: "both shares are fetched once more",
}

app = typer.Typer(
    invoke_without_command=True,
    subcommand_metavar="",
    context_settings={"allow_interspersed_args": True},
)


@app.callback()
def explain(
    context: typer.Context,
    code: Annotated[str | None, typer.Argument()] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the page docs/errors.md.")
    ] = False,
) -> None:
    """Say what an error's code means, and what to do.

    CODE is FS-310, or fs310, or 310; without it, all codes are listed.

    Example: fedsecure explain FS-310
    """
    if context.invoked_subcommand is not None:
        return
    if as_markdown:
        typer.echo(markdown(), nl=False)
        return
    chosen = None if code is None else find(code)
    if as_json:
        problems = ordered() if chosen is None else [chosen]
        answer = {"problems": [as_data(problem) for problem in problems]}
        typer.echo(json.dumps(answer, indent=2))
        return
    screen().print(_list() if chosen is None else _page(chosen))


def find(text: str) -> Problem:
    """Return the problem that a person means.

    Raises:
        typer.BadParameter: No such code; it names the closest ones.
    """
    match = WRITTEN.fullmatch(text.strip())
    if match is None:
        msg = f"{text!r} is not a code; write it as FS-310"
        raise typer.BadParameter(msg)
    code = f"FS-{int(match[1]):03}"
    if code not in PROBLEMS:
        msg = f"there is no {code}; the closest are {', '.join(closest(code))}"
        raise typer.BadParameter(msg)
    return PROBLEMS[code]


def closest(code: str) -> list[str]:
    """Return the codes whose numbers are nearest, in ascending order."""
    wanted = int(code[3:])
    return sorted(
        sorted(PROBLEMS, key=lambda one: abs(int(one[3:]) - wanted))[:CLOSEST]
    )


def status(problem: Problem) -> int | None:
    """Return the HTTP status with which an aggregator answers a problem, if it does."""
    answered = problem.answered or family(problem.code).answered
    return problem.status.value if answered else None


def follows(problem: Problem) -> str:
    """Return what the programs do about a problem by themselves, in a few words."""
    return "; ".join(_follows(problem))


def _follows(problem: Problem) -> Iterator[str]:
    yield from _waits(problem)
    if problem.spent:
        yield "the run ends, and its model so far is kept"
    if problem.spoiled is not None:
        yield LOOKED_AT[problem.spoiled]
    if problem.final in SETTLED:
        yield SETTLED[problem.final]
    if problem.evidence is Evidence.NONE:
        yield "not recorded"
    if problem.evidence is Evidence.FAULT_IF_COVERED:
        yield "not recorded if it is of several records"
    if problem.stands is Stands.OPENED:
        yield "a late report is not recorded"


def _waits(problem: Problem) -> Iterator[str]:
    if problem.retry is not None:
        yield f"asked again (`Retry-After: {problem.retry}`)"
    if problem.passes:
        yield "waited for"


def ordered() -> list[Problem]:
    """Return every problem by its number; the table groups them by hundreds only."""
    return [PROBLEMS[code] for code in sorted(PROBLEMS)]


def as_data(problem: Problem) -> dict[str, str | int | None]:
    """Return what `--json` prints of one problem; the keys are an interface."""
    home = family(problem.code)
    return {
        "code": problem.code,
        "title": problem.title,
        "group": home.name,
        "meaning": home.meaning,
        "remedy": problem.remedy,
        "status": status(problem),
    }


def _page(problem: Problem) -> RenderableType:
    home = family(problem.code)
    heading = Text.assemble((problem.code, "bold red"), " ", (problem.title, "bold"))
    lines = [Text(home.meaning)]
    if number := status(problem):
        lines.append(Text(f"An aggregator answers it with HTTP {number}."))
    if consequences := follows(problem):
        lines.append(Text(f"What follows: {consequences}."))
    lines.append(Text(f"-> {problem.remedy}"))
    return Group(heading, *(Padding(line, (0, 0, 0, 2)) for line in lines))


def _list() -> RenderableType:
    parts: list[RenderableType] = []
    for home in FAMILIES:
        problems = table(COLUMNS, _of(home), heads=False)
        parts += [Text(home.name, "bold cyan"), problems, Text()]
    return Group(*parts, Text("`fedsecure explain FS-310` says what to do.", "dim"))


COLUMNS: Final[tuple[Column[Problem], ...]] = (
    Column("code", lambda one: Text(one.code)),
    Column("what", lambda one: Text(one.title), folds=True),
)


def _of(home: Family) -> list[Problem]:
    return [problem for problem in ordered() if family(problem.code) is home]


def markdown() -> str:
    """Return docs/errors.md."""
    return "\n".join(_markdown_lines()) + "\n"


def _markdown_lines() -> Iterator[str]:
    yield INTRODUCTION
    for home in FAMILIES:
        yield from _section(home)


def _section(home: Family) -> Iterator[str]:
    yield from ("", f"## {home.name}", "", home.meaning, "")
    problems = _of(home)
    columns = [one for one in CELLS if one.always or any(map(one.cell, problems))]
    yield from (_row([one.head for one in columns]), _row(["---"] * len(columns)))
    yield from (_row([one.cell(problem) for one in columns]) for problem in problems)


@dataclass(frozen=True, slots=True)
class _Cells:
    """A column of the page; without `always`, only where some row has something."""

    head: str
    cell: Callable[[Problem], str]
    always: bool = True


CELLS: Final = (
    _Cells("code", lambda one: one.code),
    _Cells("what", lambda one: one.title),
    _Cells("what to do", lambda one: one.remedy),
    _Cells("what follows", follows, always=False),
    _Cells("HTTP", lambda one: str(status(one) or ""), always=False),
)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
