"""`fedsecure agent`: the command that a data owner runs."""

import dataclasses
import json
import logging
import signal
import threading
from pathlib import Path
from typing import Annotated

import structlog
import typer

from fedsecure.errors import OperatorError
from fedsecure.study.config import Study, load_study
from fedsecure.study.keras.tensorflow import import_quietly
from fedsecure.study.task import MAX_SEED
from fedsecure.terminal.screen import Console, printable_event
from fedsecure.terminal.text_tables import screen
from fedsecure_clients.agent.config import load_agent_settings
from fedsecure_clients.cli.consent import approve, refuse, review
from fedsecure_clients.cli.data import app as data_app
from fedsecure_clients.cli.install_service import install_service
from fedsecure_clients.cli.status import status
from fedsecure_clients.keras_app.comparison import show

app = typer.Typer(invoke_without_command=True)
app.add_typer(data_app, name="data")
app.command()(install_service)
for command in (status, review, approve, refuse):
    app.command()(command)


@app.callback(epilog="Example: fedsecure agent --config agent.toml")
def agent(
    context: typer.Context,
    config: Annotated[Path, typer.Option(help="This data owner's agent.toml.")] = Path(
        "agent.toml"
    ),
) -> None:
    """Join the federation and answer its rounds until stopped (Ctrl-C)."""
    if context.invoked_subcommand is None:
        _run(config)


receipts = typer.Typer(help="Proof of what became of this agent's reports.")
app.add_typer(receipts, name="receipts")


@receipts.callback()
def _receipts() -> None:
    """Proof of what became of this agent's reports."""


@receipts.command("verify")
def verify_receipts(
    config: Annotated[Path, typer.Option(help="This data owner's agent.toml.")] = Path(
        "agent.toml"
    ),
    aggregator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|URL|EXPORT",
            help="Check against this aggregator's ledger, too; give both.",
        ),
    ] = None,
    federation: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="An earlier version of federation.toml."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check that every report was counted, or that its round is void; 1 if not.

    Uses the receipts and inclusions that this agent keeps. Connects to nobody.

    Example: fedsecure agent receipts verify --aggregator north.jsonl
    --aggregator south.jsonl
    """
    # Here, so that the agent itself does not load what audits need.
    from fedsecure.audit.page import audit_page, progress  # noqa: PLC0415
    from fedsecure_clients.agent import receipts as proofs  # noqa: PLC0415

    with progress() as telling:
        report = proofs.verify(
            load_agent_settings(config), aggregator or [], federation or [], telling
        )
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2, allow_nan=False))
    else:
        screen().print(audit_page(report))
    if not report.holds:
        number = sum(report.found.values())
        raise OperatorError("FS-640", f"{number} findings, the first of them above")


@app.command()
def compare(  # noqa: PLR0913 - each is an option of the command
    study: Annotated[
        Path,
        typer.Argument(metavar="STUDY", help="The study folder."),
    ],
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="One site's data; two or more."),
    ],
    *,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Score this federated model: model-NNNNN.npy of the owner's store.",
        ),
    ] = None,
    simulate: Annotated[
        bool,
        typer.Option(
            "--simulate", help="Train a federated model here, as `train` would."
        ),
    ] = False,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Instead of the study's own number.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=MAX_SEED, help="Instead of the study's own; not with --model."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write the JSON here, too."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare each site alone, federated, and all rows in one place.

    For somebody who holds the files of several sites: a simulation with public
    data, for in a federation nobody holds them. Nothing leaves this machine.

    STUDY is the study folder, whose model.py is run; each FILE is one site's data,
    which is called as the file is. Every model trains as long as the study says,
    and is scored on the same rows: those that the sites' agents hold out.

    Example: fedsecure agent compare studies/heart studies/heart/data/*.csv --simulate
    """
    if model is not None and (simulate or seed is not None):
        # With another seed the model was trained on rows that are scored here.
        msg = "--model goes with neither --seed nor --simulate"
        raise typer.BadParameter(msg)
    chosen = _study(study, rounds, seed)
    with Console(stderr=True).status("loading TensorFlow") as status:
        import_quietly("fedsecure_clients.keras_app.compare")
        from fedsecure.frameworks.flower.runtime import quiet  # noqa: PLC0415
        from fedsecure_clients.keras_app.compare import compare as train_and_score  # noqa: PLC0415

        quiet()
        found = train_and_score(
            chosen, files, model, simulate=simulate, progress=status.update
        )
    text = json.dumps(found.as_json(), indent=2, allow_nan=False)
    if output is not None:
        _write(output, text)
    if as_json:
        typer.echo(text)
    else:
        screen().print(show(found))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise OperatorError("FS-115", f"{path}: {error.strerror}") from error


def _study(folder: Path, rounds: int | None, seed: int | None) -> Study:
    """Read a study, and train it as long and from where the command says."""
    study = load_study(folder)
    asked = {"rounds": rounds, "seed": seed}
    changes = {name: value for name, value in asked.items() if value is not None}
    training = study.training.model_copy(update=changes)
    return dataclasses.replace(study, training=training)


def _run(config: Path) -> None:
    # Flower and the app's framework load here, so that `--help` answers at once.
    from fedsecure.frameworks.flower.runtime import quiet  # noqa: PLC0415
    from fedsecure_clients.agent.assembly import open_agent  # noqa: PLC0415

    quiet()

    *processors, renderer = structlog.get_config()["processors"]
    structlog.configure(
        processors=[*processors, printable_event, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with open_agent(load_agent_settings(config), stop) as running:
        running.run()
