"""`fedsecure predict`: ask a service about the rows of a table (client)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedsecure.system.lifeline import interruptible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fedsecure_clients.prediction.answers import Answers
    from fedsecure_clients.prediction.asking import Asking, Features, Scores

ALONE = (
    "This is a data owner: it holds the federated model and can predict without asking "
    "anybody. Going on all the same."
)


SEEN = {
    "shares": "Each aggregator had shares of your rows, which alone tell nothing.",
    "paillier": "Both aggregators had your rows encrypted under your own key.",
}
"""What was seen of the rows, by the service's method."""


def command(
    service: Annotated[
        Path,
        typer.Argument(
            metavar="SERVICE", help="NAME.service.json, as it was handed over."
        ),
    ],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A table: .csv or .parquet.")
    ],
    *,
    config: Annotated[Path, typer.Option(help="This client's client.toml.")] = Path(
        "client.toml"
    ),
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The CSV to write."),
    ] = Path("predictions.csv"),
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--id",
            metavar="COLUMN",
            help="Keep this column beside the answers; again for another. It is not "
            "sent.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predict each row of a table (client) by a model that is served elsewhere.

    Rows are shared or encrypted here: no aggregator alone sees one, and the model owner
    none at all. Columns that the service does not know are never read. Interrupted, it
    leaves no file, and the same command asks anew.

    Example: fedsecure predict --config client.toml heart.service.json patients.csv
    --output predictions.csv
    """
    # What loads slowly is here, so that `--help` answers at once.
    from fedsecure.terminal.text_tables import screen  # noqa: PLC0415
    from fedsecure_clients.data import data_report  # noqa: PLC0415
    from fedsecure_clients.prediction.answers import Answers, write_answers  # noqa: PLC0415
    from fedsecure_clients.prediction.rows import read_rows  # noqa: PLC0415

    with interruptible(), _asking(config, service) as asking:
        read = read_rows(file, asking.description, keep or [])
        table = read.table
        if table is None or table.features is None:
            screen().print(data_report.show(read.report))
            raise typer.Exit(1)
        scores = _scores(asking, table.features)
        found = Answers(table, asking.description, scores)
        write_answers(output, found.text())
        left = asking.rows_left()
    if as_json:
        typer.echo(json.dumps(_as_json(found, output, left), indent=2))
    else:
        screen().print(_page(asking, found, output, left))


@contextmanager
def _asking(config: Path, service: Path) -> "Iterator[Asking]":
    """Open a client's end of a service; nothing is sent yet."""
    from fedsecure.compute.handout import Handout  # noqa: PLC0415
    from fedsecure.compute.participant import open_participant  # noqa: PLC0415
    from fedsecure_clients.prediction.asking import Asking  # noqa: PLC0415

    with open_participant(config, _tell_retry) as participant:
        handout = Handout.read(service, participant.federation)
        yield Asking.of(participant, handout)


def _tell_retry(why: str) -> None:
    typer.echo(why, err=True)


def _scores(asking: "Asking", features: "Features") -> "Scores":
    """Ask, and say how far it is."""
    from fedsecure.terminal.screen import Console  # noqa: PLC0415

    console = Console(stderr=True, highlight=False)
    if asking.can_predict_alone:
        console.print(ALONE, style="yellow")
    answered, rows = 0, len(features)
    try:
        with console.status("asking both aggregators") as status:

            def tell(count: int) -> None:
                nonlocal answered
                answered = count
                status.update(f"{answered:,} of {rows:,} rows answered")

            return asking.scores(features, tell)
    except KeyboardInterrupt:
        console.print(
            f"{answered:,} of {rows:,} rows were answered, which count; nothing was "
            "written. The same command asks about all of them anew."
        )
        raise


def _as_json(found: "Answers", output: Path, left: int) -> dict[str, Any]:
    return {
        "file": str(output),
        "rows": len(found.scores),
        "labels": dict(found.counts()),
        "rows_left": left,
    }


def _page(
    asking: "Asking", found: "Answers", output: Path, left: int
) -> "RenderableType":
    """Return what came of it, for a person."""
    from rich.console import Group  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from fedsecure.terminal.text_tables import Column, table  # noqa: PLC0415
    from fedsecure.terminal.values import plain  # noqa: PLC0415

    columns: list[Column[tuple[str, int]]] = [
        Column("label", lambda row: plain(row[0]), folds=True),
        Column("rows", lambda row: plain(f"{row[1]:,}"), "right"),
    ]
    name = asking.handout.spec.statement.method.value
    return Group(
        Text(f"{output} holds {len(found.scores):,} predictions", "bold"),
        Text(f"by: {asking.description.title}\n", "dim"),
        table(columns, found.counts().items()),
        Text(f"\n{SEEN[name]} {left:,} of {asking.most:,} rows are left.", "dim"),
    )
