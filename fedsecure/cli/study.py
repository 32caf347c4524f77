"""`fedsecure study`: what a model owner hands to data owners before a training."""

import json
from pathlib import Path
from typing import Annotated

import typer

from fedsecure.errors import OperatorError
from fedsecure.study.app_study import AppStudy, load_any_study
from fedsecure.study.handover import StudyFile

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
    build_strategy(chosen)  # a name that is wrong, before anybody approves
    load_framework(chosen)
    source = build_source(chosen)
    request = source.request
    file = StudyFile(
        kind="app" if isinstance(chosen, AppStudy) else "keras",
        study=request.text,
        terms=request.terms,
        parameters=source.initial().weights.size,
    )
    path = output or Path(f"{chosen.name}.study.json")
    try:
        path.write_text(file.text, encoding="utf-8")
    except OSError as error:
        raise OperatorError("FS-429", f"{path}: {error.strerror}") from error
    if as_json:
        typer.echo(json.dumps({"file": str(path), "digest": request.digest}))
        return
    typer.echo(f"study {request.digest}")
    typer.echo(f"{path} is for the data owners: `fedsecure agent review {path.name}`")
