"""`fedsecure rounds`: what happened in the runs of a model owner."""

from collections.abc import Callable, Mapping
from typing import Final

import typer

from fedsecure.cli.rounds import judging, looking, sql, writing

COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "list": looking.list_rounds,
    "show": looking.show_round,
    "watch": looking.watch_run,
    "plot": writing.plot_run,
    "export": writing.export_run,
    "sql": sql.ask_sql,
    "accept": judging.accept_round,
    "reject": judging.reject_round,
}

app = typer.Typer(
    help="Look at the rounds of a run (model owner, auditor).", no_args_is_help=True
)
for name, command in COMMANDS.items():
    app.command(name)(command)
