"""`fedsecure rounds`: what happened in the runs of a model owner."""

import dataclasses
import getpass
import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.live import Live

from fedsecure.errors import OperatorError
from fedsecure.review import forms, live, pages, rows, shell, tables
from fedsecure.review.choosing import PER_PAGE, Choice, Judged, Page, instant
from fedsecure.review.details import read_detail
from fedsecure.review.reading import open_round_store
from fedsecure.store.records import Verdict

app = typer.Typer(
    help="Look at the rounds of a run (model owner, auditor).", no_args_is_help=True
)

Database = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="FILE|URL",
        envvar="FEDSECURE_ROUND_STORE",
        help="The round store: an SQLite file or a postgresql:// URL. Default: "
        "rounds.db, or else runs/demo/owner/rounds.db.",
    ),
]
RunName = Annotated[
    str | None, typer.Option("--run", help="The run. Default: the latest.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Which = Annotated[
    str,
    typer.Argument(
        metavar="ROUND",
        help="3 (last attempt), 3.1 (first attempt), final, or at least eight "
        "digits of the digest of its spec.",
    ),
]
Verdicts = Annotated[
    Judged | None, typer.Option("--verdict", help="Only those judged so.")
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="DATE", help="Only those proposed then or later, UTC."
    ),
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="DATE", help="Only those proposed before, UTC."),
]
PageNumber = Annotated[
    int, typer.Option("--page", min=1, help="Page 1 has the newest rounds.")
]
PerPage = Annotated[
    int, typer.Option("--per-page", min=1, max=10_000, help="Rounds on a page.")
]


@app.command("list")
def list_rounds(  # noqa: PLR0913 - each is an option of the command
    *,
    run: RunName = None,
    db: Database = None,
    runs: Annotated[
        bool, typer.Option("--runs", help="List the runs, not one run's rounds.")
    ] = False,
    verdict: Verdicts = None,
    since: Since = None,
    until: Until = None,
    page: PageNumber = 1,
    per_page: PerPage = PER_PAGE,
    as_json: Json = False,
) -> None:
    """List the rounds of a run: who was in, the metrics, how each round ended.

    Metrics are of the model that a round started from; those of `final` are
    of the final model. Dates are 2026-03-02 or 2026-03-02T14:00.

    Example: fedsecure rounds list --db owner/rounds.db --verdict accepted
    """
    choice = Choice(verdict, instant(since), instant(until))
    part = Page(page, per_page)
    with open_round_store(db) as session:
        known = rows.runs(session)
        chosen = None if runs else rows.find_run(session, run)
        found = [] if chosen is None else rows.rounds(session, chosen.run, choice, part)
        number = 0 if chosen is None else rows.count_rounds(session, chosen.run, choice)
    width = Console().width
    if chosen is None:
        content: dict[str, Any] = {"runs": [dataclasses.asdict(row) for row in known]}
        _show(content, tables.run_list(known, width), as_json)
        return
    content = {
        "run": dataclasses.asdict(chosen),
        "rounds": [dataclasses.asdict(row) for row in found],
    }
    others = [row.run for row in known if row != chosen]
    more = _which_part(part, len(found), number)
    _show(content, tables.round_list(chosen, found, others, width, more), as_json)


def _which_part(part: Page, shown: int, number: int) -> str | None:
    if shown == number:
        return None
    pages_of_it = -(-number // part.size)
    return f"Page {part.number} of {pages_of_it}, {number:,} in all; older: --page"


@app.command("show")
def show_round(
    which: Which,
    run: RunName = None,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Show one round in full: what was asked, who was missing, who signed.

    ROUND is 3 (its last attempt), 3.1 (its first), final (the evaluation), or
    at least eight digits of the digest of its spec. Signatures are shown, not
    checked: `fedsecure audit verify` does so.

    Example: fedsecure rounds show 3 --run heart-1
    """
    with open_round_store(db) as session:
        detail = read_detail(session, rows.find_run(session, run), which)
    _show(detail.as_json(), pages.round_page(detail, Console().width), as_json)


@app.command("watch")
def watch_run(
    run: RunName = None,
    db: Database = None,
    seconds: Annotated[
        float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")
    ] = 1.0,
    as_json: Json = False,
) -> None:
    """Watch a run until it is over; the training may be another process.

    On a terminal the page renews itself. Else, and with --json, there is one line
    for each round once it is decided.

    Example: fedsecure rounds watch --db owner/rounds.db
    """
    looking = live.looks(db, run, lambda: time.sleep(seconds))
    console = Console()
    if as_json or not console.is_terminal:
        known: set[str] = set()
        for look in looking:
            if as_json:
                _tell_json(look, known)
            else:
                for line in live.lines(look, known):
                    typer.echo(line)
        if not as_json:
            typer.echo(f"{look.run.run}: {look.run.state}")
        return
    with Live(console=console, auto_refresh=False) as screen:
        for look in looking:
            screen.update(live.view(look, console.width), refresh=True)


def _tell_json(look: live.Look, known: set[str]) -> None:
    for row in look.rounds:
        if row.state not in live.UNDECIDED and row.spec_digest not in known:
            known.add(row.spec_digest)
            typer.echo(json.dumps(dataclasses.asdict(row), allow_nan=False))


@app.command("plot")
def plot_run(  # noqa: PLR0913 - each is an option of the command
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The picture to write: .png, or .svg for documents.",
        ),
    ] = Path("curves.png"),
    run: RunName = None,
    db: Database = None,
    verdict: Verdicts = None,
    since: Since = None,
    until: Until = None,
    page: PageNumber = 1,
    per_page: PerPage = 1000,
    as_json: Json = False,
) -> None:
    """Draw a run: loss, AUC and clip rate by round, and who was missing.

    Every figure is one of an opened sum; no data owner is named.

    Example: fedsecure rounds plot --output curves.svg
    """
    try:
        # It takes a second to import, which no other command needs.
        from fedsecure.review import plots  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise OperatorError("FS-867", f"there is no {error.name} here") from error

    choice = Choice(verdict, instant(since), instant(until))
    with open_round_store(db) as session:
        chosen = rows.find_run(session, run)
        found = rows.rounds(session, chosen.run, choice, Page(page, per_page))
    plots.save(output, chosen, found)
    _say_written(output, chosen.run, len(found), as_json)


@app.command("export")
def export_run(  # noqa: PLR0913 - each is an option of the command
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write: .csv, .json, or .html (a page with plots).",
        ),
    ] = Path("report.html"),
    run: RunName = None,
    db: Database = None,
    verdict: Verdicts = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Write a run's rounds as CSV, JSON, or one HTML page that needs nothing else.

    Example: fedsecure rounds export --run heart-1 --output heart-1.html
    """
    choice = Choice(verdict, instant(since), instant(until))
    with open_round_store(db) as session:
        chosen = rows.find_run(session, run)
        found = rows.rounds(session, chosen.run, choice)
        digests = {row.spec_digest for row in found}
        everybody = rows.participations_of(session, chosen.run)
        people = [one for one in everybody if one.spec_digest in digests]
    match output.suffix.lower():
        case ".csv":
            content = forms.as_csv(found)
        case ".json":
            content = forms.as_json(chosen, found, people)
        case ".html":
            content = _html(chosen, found, people)
        case _:
            detail = f"{output} ends in none of .csv, .json and .html"
            raise OperatorError("FS-649", detail)
    forms.save(output, content)
    _say_written(output, chosen.run, len(found), as_json)


def _html(
    run: rows.RunRow,
    found: Any,
    people: Any,
) -> str:
    try:
        from fedsecure.review import report  # noqa: PLC0415 - as in `plot`
    except ModuleNotFoundError as error:
        raise OperatorError("FS-867", f"there is no {error.name} here") from error
    return report.page(run, found, people)


@app.command("sql")
def ask_sql(
    query: Annotated[
        str | None,
        typer.Option("--command", "-c", metavar="QUERY", help="One query, then end."),
    ] = None,
    db: Database = None,
    shape: Annotated[
        shell.Shape | None, typer.Option("--as", help="How answers are printed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask the round store in SQL; nothing can be changed.

    Without -c, queries are read from the terminal or from standard input; each
    ends with a semicolon. The views are v_run, v_round, v_participation, v_event.

    Example: fedsecure rounds sql -c 'SELECT round, in_set, outcome FROM v_round'
    """
    form = shell.Shape.JSON if as_json else shape or shell.Shape.TABLE
    console = Console()

    def show(answer: shell.Answer) -> None:
        printed = shell.shown(answer, form)
        if isinstance(printed, str):
            typer.echo(printed)
        else:
            console.print(printed)

    with open_round_store(db) as session:
        if query is not None:
            show(shell.ask(session, query))
        else:
            shell.talk(session, _typed, show)


def _typed(prompt: str) -> str:
    if not sys.stdin.isatty():
        prompt = ""
    return input(prompt)


Note = Annotated[str, typer.Option("--note", "-m", help="Why, in your words. Is kept.")]
Config = Annotated[Path, typer.Option(help="The model owner's owner.toml.")]
By = Annotated[
    str | None, typer.Option(help="Who says so. Default: this user of this machine.")
]


@app.command("accept")
def accept_round(
    which: Which,
    note: Note,
    *,
    run: RunName = None,
    config: Config = Path("owner.toml"),
    by: By = None,
    as_json: Json = False,
) -> None:
    """Record that an opened round is good: `fedsecure train --from-round` may use it.

    It is signed into the ledger. A later verdict takes its place; both are kept.

    Example: fedsecure rounds accept 12 --note "AUC is stable" --config owner.toml
    """
    _judge(
        Verdict.ACCEPTED,
        which,
        note,
        run=run,
        config=config,
        by=by,
        as_json=as_json,
    )


@app.command("reject")
def reject_round(
    which: Which,
    note: Note,
    *,
    run: RunName = None,
    config: Config = Path("owner.toml"),
    by: By = None,
    as_json: Json = False,
) -> None:
    """Record that an opened round is not to be used.

    Example: fedsecure rounds reject 13 --note "loss jumped" --config owner.toml
    """
    _judge(
        Verdict.REJECTED,
        which,
        note,
        run=run,
        config=config,
        by=by,
        as_json=as_json,
    )


def _judge(  # noqa: PLR0913 - the options of both commands
    verdict: Verdict,
    which: str,
    note: str,
    *,
    run: str | None,
    config: Path,
    by: str | None,
    as_json: bool,
) -> None:
    from fedsecure.flower.owner_settings import load_owner_settings  # noqa: PLC0415
    from fedsecure.review.judging import judge  # noqa: PLC0415

    settings = load_owner_settings(config)
    place = settings.database_url
    with open_round_store(place) as session:
        row = rows.find_round(session, rows.find_run(session, run).run, which)
    said_by = by or getpass.getuser()
    judge(place, settings.author(), row.spec_digest, verdict, note, said_by)
    with open_round_store(place) as session:
        row = rows.find_round(session, row.run, row.spec_digest)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(row), indent=2, allow_nan=False))
    else:
        typer.echo(f"round {row.label} of {row.run}: {row.verdict}")


def _say_written(path: Path, run: str, number: int, as_json: bool) -> None:
    if as_json:
        content = {"file": str(path), "run": run, "rounds": number}
        typer.echo(json.dumps(content, indent=2))
    else:
        typer.echo(f"{path} shows run {run}, {number:,} attempts at rounds")


def _show(content: dict[str, Any], view: RenderableType, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(content, indent=2, allow_nan=False))
    else:
        Console().print(view)
