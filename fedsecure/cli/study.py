"""`fedsecure study`: what a model owner hands to data owners before a training."""

import json
from pathlib import Path
from typing import Annotated

import typer

from fedsecure.cli.statistics import Delta, Epsilon, budget_of
from fedsecure.errors import OperatorError
from fedsecure.study.app_study import AppStudy, load_any_study
from fedsecure.study.handover import Kind, StudyFile
from fedsecure.study.statistics_study import statistics_request
from fedsecure.study.terms import StudyRequest

app = typer.Typer(help="Hand a study to data owners (model owner).")


@app.callback()
def study() -> None:
    """Hand a study to data owners (model owner)."""


@app.command()
def export(
    config: Annotated[Path, typer.Option(help="The model owner's owner.toml.")] = Path(
        "owner.toml"
    ),
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Default: NAME.study.json, here."
        ),
    ] = None,
    statistics: Annotated[
        bool,
        typer.Option(
            "--statistics", help="The one of `fedsecure statistics`, not the training."
        ),
    ] = False,
    epsilon: Epsilon = None,
    delta: Delta = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the study file that data owners review and approve; print its digest.

    `fedsecure train` proposes rounds of this digest as long as the study folder stays
    as it is.

    Example: fedsecure study export --config owner.toml --output heart.study.json
    """
    # Here, so that `--help` answers at once; TensorFlow last, after what is quick.
    from fedsecure.frameworks.flower.strategies import build_strategy  # noqa: PLC0415
    from fedsecure.frameworks.model_sources import build_source, load_framework  # noqa: PLC0415
    from fedsecure.owner.settings import load_owner_settings  # noqa: PLC0415

    chosen = load_any_study(load_owner_settings(config).study)
    if statistics:
        request = statistics_request(chosen, budget_of(chosen, epsilon, delta))
        file = _file("statistics", request, 0)
    else:
        if epsilon is not None or delta is not None:
            msg = "--epsilon and --delta go with --statistics"
            raise typer.BadParameter(msg)
        build_strategy(chosen)  # a name that is wrong, before anybody approves
        load_framework(chosen)
        source = build_source(chosen)
        kind: Kind = "app" if isinstance(chosen, AppStudy) else "keras"
        file = _file(kind, source.request, source.initial().weights.size)
    name = f"{chosen.name}-statistics" if statistics else chosen.name
    path = output or Path(f"{name}.study.json")
    try:
        path.write_text(file.text, encoding="utf-8")
    except OSError as error:
        raise OperatorError("FS-429", f"{path}: {error.strerror}") from error
    if as_json:
        typer.echo(json.dumps({"file": str(path), "digest": file.request.digest}))
        return
    typer.echo(f"study {file.request.digest}")
    typer.echo(f"{path} is for the data owners: `fedsecure agent review {path.name}`")


def _file(kind: Kind, request: StudyRequest, parameters: int) -> StudyFile:
    return StudyFile(
        kind=kind, study=request.text, terms=request.terms, parameters=parameters
    )
