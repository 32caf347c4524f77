"""`fedsecure demo`: a whole federation on this machine, to watch and look into."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[
        Path, typer.Option(help="Where everything is put; made anew each time.")
    ] = Path("runs/demo"),
    study: Annotated[
        Path,
        typer.Option(
            help="A study folder with each site's data in data/, or the name of one "
            "in studies/."
        ),
    ] = Path("studies/heart"),
    rounds: Annotated[
        int | None,
        typer.Option(min=1, envvar="ROUNDS", help="Instead of the study's number."),
    ] = None,
    stay: Annotated[
        bool,
        typer.Option(
            "--stay", help="Leave both aggregators running afterwards, until Ctrl-C."
        ),
    ] = False,
) -> None:
    """Watch data owners train together on this machine, four hospitals by default.

    It starts two aggregators, a model owner and an agent for each site of the study,
    and trains. Every party is a process of its own, started by the command that its
    users type; everything they write lies below the folder afterwards. A client, which
    trains nothing, has joined, too.

    Example: fedsecure demo --rounds 3
    """
    from fedsecure.demo.play import play  # noqa: PLC0415 - keeps --help quick

    play(folder, study, rounds, stay=stay)
