"""`fedsecure explain`: what an error's code means, for whom, and what to do.

The text is the table in `fedsecure.errors`; here stands only who meets which codes.
`--markdown` prints the page docs/errors.md.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from fedsecure.errors import PROBLEMS, Problem
from fedsecure.review.fitting import Column, screen, table

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
details in its log."""

app = typer.Typer(
    invoke_without_command=True,
    subcommand_metavar="",
    context_settings={"allow_interspersed_args": True},
)


@dataclass(frozen=True, slots=True)
class Family:
    """The codes up to `last` that the same people meet, for the same kind of reason.

    `answered`: an aggregator gives each of them as its answer to a request.
    """

    last: int
    name: str
    meaning: str
    answered: bool = False


_ALONE: Final = (
    "Only this data owner sees it; the model owner hears `not_reported`, never why."
)
FAMILIES: Final = (
    Family(199, "Data", f"A data owner's table does not fit the study. {_ALONE}"),
    Family(
        209,
        "A round's numbers",
        "A sum could wrap, or would be too coarse. The model owner meets it before "
        "anything is sent; aggregators and agents refuse a spec with such numbers.",
        answered=True,
    ),
    Family(299, "An update's numbers", f"What was trained cannot be shared. {_ALONE}"),
    Family(
        339,
        "Rounds, at an aggregator",
        "An aggregator refused a request about a round. Who sent it sees the code: "
        "the model owner, or a data owner's agent.",
        answered=True,
    ),
    Family(
        350,
        "Rounds, at a data owner",
        f"An agent refused a round, or did not believe an aggregator. {_ALONE}",
    ),
    Family(
        359,
        "Rounds, at the model owner",
        "What came back in a round does not belong together. The model owner sees it.",
    ),
    Family(
        363,
        "Messages through Flower",
        "A message between model owner and agent is not as it must be. Who reads it "
        "sees the code.",
    ),
    Family(
        364,
        "An agent's reply",
        "A data owner is not in the round. The model owner sees it, and not why.",
    ),
    Family(
        367,
        "The ClientApp's reply",
        f"The app that a data owner installed did not do what was asked. {_ALONE}",
    ),
    Family(379, "Training", "The training cannot go on. The model owner sees it."),
    Family(
        399,
        "An error of the ClientApp",
        f"The app that a data owner installed raised an error. {_ALONE}",
    ),
    Family(
        409,
        "An aggregator's policy",
        "An aggregator's own rules forbid what the model owner asked for. The model "
        "owner sees the code.",
        answered=True,
    ),
    Family(
        419,
        "A data owner's policy",
        f"A data owner's own rules forbid the round. {_ALONE}",
    ),
    Family(
        425,
        "Models and tasks",
        "The model owner sees it when it builds the model; a data owner sees it in its "
        "agent's log when the agent refuses what arrived.",
    ),
    Family(
        427,
        "A study's terms",
        f"A model owner asks for something else than the study says. {_ALONE}",
    ),
    Family(
        432,
        "Approving studies",
        "A command about a study cannot do what it was told. Who typed it sees it.",
    ),
    Family(
        499,
        "Building a model",
        "The study's model cannot be trained by anybody. The model owner sees it, "
        "before anything is sent.",
    ),
    Family(
        519,
        "Flower's SuperLink",
        "Model owner and agents cannot talk through Flower. Who runs the command that "
        "says so sees it.",
    ),
    Family(
        529,
        "An aggregator's machine",
        "An aggregator's own disk, database or settings fail. Its operator sees why; "
        "others hear the code alone. (A full disk is FS-523 at every party.)",
    ),
    Family(
        540,
        "Requests",
        "An aggregator does not understand a request, or failed over it.",
        answered=True,
    ),
    Family(
        549,
        "An aggregator's store",
        "Its database or data folder is not what it was, or somebody else's. Its "
        "operator sees why; others hear the code alone. (The model owner meets FS-544 "
        "and FS-545, too, if its round store is on PostgreSQL.)",
    ),
    Family(
        579,
        "Reaching an aggregator",
        "A model owner or an agent got no answer that makes sense.",
    ),
    Family(
        599,
        "The console",
        "A console cannot start, or refuses what a browser asks. Who started it, or "
        "sits before the browser, sees it.",
    ),
    Family(
        619,
        "Stores",
        "A party's own database or files are not as they must be. Who opens them, or "
        "audits them, sees it.",
    ),
    Family(
        639,
        "Findings of an audit",
        "Records of several parties contradict each other. Who audits them sees it.",
    ),
    Family(
        644,
        "A data owner's receipts",
        "What aggregators told a data owner is not what their records say. The data "
        "owner sees it.",
    ),
    Family(
        650,
        "Looking at rounds",
        "What was asked about the rounds of a store cannot be done. Who typed the "
        "command sees it.",
    ),
    Family(
        651,
        "Restored stores",
        "A store tells less than it did. Who audits it sees it.",
    ),
    Family(
        653,
        "One process at a time",
        "Two processes would write to one place. Who started the second one sees it.",
    ),
    Family(
        659,
        "Versions and copies",
        "A ledger or a round belongs to another version of the federation than it "
        "should, or a copy is not whole. Who opens the store, or audits it, sees it.",
    ),
    Family(
        719,
        "Signed statements",
        "A signed message is refused: by an aggregator, which answers with the code, "
        "by an agent, by the model owner, or by an audit.",
        answered=True,
    ),
    Family(
        729,
        "Shares and seals",
        "A share or its sealing is wrong. The model owner meets it when it opens a "
        "round; an aggregator answers FS-722 to a spec with a malformed key, and "
        "FS-314 to a report.",
    ),
    Family(
        799,
        "Identities and keys",
        "A name or a key does not belong here. The party whose files they are sees it "
        "when it starts; an aggregator answers FS-741 to a stranger.",
    ),
    Family(
        899,
        "Settings and commands",
        "A file or an option of one's own is wrong. Who typed the command sees it.",
    ),
)

ALSO_ANSWERED: Final = frozenset(
    {
        *("FS-523", "FS-524", "FS-525", "FS-526"),
        *("FS-544", "FS-545", "FS-547", "FS-549"),
        *("FS-722", "FS-741"),
    }
)
"""Codes that an aggregator answers, of families that it does not answer as a whole."""


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


def family(code: str) -> Family:
    """Return the one family that a code belongs to."""
    return next(one for one in FAMILIES if int(code[3:]) <= one.last)


def status(problem: Problem) -> int | None:
    """Return the HTTP status with which an aggregator answers a problem, if it does."""
    answered = family(problem.code).answered or problem.code in ALSO_ANSWERED
    return problem.status.value if answered else None


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
    heads = ["code", "what", "what to do"]
    if not any(map(status, problems)):
        yield from (_row(heads), _row(["---"] * len(heads)))
        yield from (_row(_cells(problem)) for problem in problems)
        return
    yield from (_row([*heads, "HTTP"]), _row(["---"] * (len(heads) + 1)))
    for problem in problems:
        yield _row([*_cells(problem), str(status(problem) or "")])


def _cells(problem: Problem) -> list[str]:
    return [problem.code, problem.title, problem.remedy]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
