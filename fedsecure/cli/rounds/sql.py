"""`fedsecure rounds sql`: the store answers questions, and nothing can be changed."""

import sys
from typing import Annotated

import typer

from fedsecure.cli.rounds.options import Database, Json
from fedsecure.review import sql_shell
from fedsecure.review.reading import open_round_store
from fedsecure.terminal.screen import echo
from fedsecure.terminal.text_tables import screen


def ask_sql(
    query: Annotated[
        str | None,
        typer.Option("--command", "-c", metavar="QUERY", help="One query, then end."),
    ] = None,
    db: Database = None,
    shape: Annotated[
        sql_shell.Shape | None, typer.Option("--as", help="How answers are printed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask the round store in SQL; nothing can be changed.

    Without -c, queries are read from the terminal or from standard input; each
    ends with a semicolon. The views are v_run, v_round, v_participation, v_event.

    Example: fedsecure rounds sql -c 'SELECT round, in_set, outcome FROM v_round'
    """
    form = sql_shell.Shape.JSON if as_json else shape or sql_shell.Shape.TABLE
    console = screen()

    def show(answer: sql_shell.Answer) -> None:
        printed = sql_shell.shown(answer, form)
        if isinstance(printed, str):
            echo(printed)
        else:
            console.print(printed)

    with open_round_store(db) as session:
        if query is not None:
            show(sql_shell.ask(session, query))
        else:
            sql_shell.talk(session, _typed, show)


def _typed(prompt: str) -> str:
    if not sys.stdin.isatty():
        prompt = ""
    return input(prompt)
