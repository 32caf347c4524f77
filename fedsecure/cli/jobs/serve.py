"""`fedsecure serve`: a trained linear model answers clients (model owner)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedsecure.protocol.jobs.parts import Method
from fedsecure.system.lifeline import interruptible

if TYPE_CHECKING:
    from fedsecure.owner.jobs.recorded_model import TrainedModel
    from fedsecure.owner.jobs.serve import Serving
    from fedsecure.owner.settings import OwnerSettings
    from fedsecure.study.config import Study


def command(  # noqa: PLR0913 - each is an option of the command
    config: Annotated[Path, typer.Option(help="The model owner's owner.toml.")] = Path(
        "owner.toml"
    ),
    *,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="Serve this run's model; default: the newest."
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Serve a .keras file's model instead."),
    ] = None,
    clients: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Who may ask; again for another. Default: as in owner.toml, [serve], "
            "or else every client of the federation.",
        ),
    ] = None,
    method: Annotated[
        Method,
        typer.Option(
            help="shares: both aggregators know the weights. paillier: none of them "
            "does, and rows stay secret even from both together; slower."
        ),
    ] = Method.SHARES,
    rows: Annotated[
        int | None,
        typer.Option(min=1, help="The most rows that one client is answered in all."),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=366, help="It closes after so many.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the service; default: the study's.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="What is handed to clients; default: NAME.service.json.",
        ),
    ] = None,
    close: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="End the service of that name, and no more."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Let clients ask a linear or logistic model about rows that nobody else sees.

    The model of a run goes to both aggregators. Rows of its own are tried first; if the
    answers are the model's, a file is written that clients need to ask.

    Example: fedsecure serve --config owner.toml --clients clinic --rows 200
    """
    if run is not None and model is not None:
        msg = "--run and --model are two models: give one of them"
        raise typer.BadParameter(msg)
    with interruptible(), _serving(config) as (serving, settings):
        if close is not None:
            _close(serving, close, as_json)
            return
        from fedsecure.owner.jobs.serve import service_file  # noqa: PLC0415
        from fedsecure.owner.jobs.service_offer import Wish, offer_of  # noqa: PLC0415
        from fedsecure.review.terminal.service import (  # noqa: PLC0415
            service_json,
            service_page,
        )
        from fedsecure.study.config import load_study  # noqa: PLC0415
        from fedsecure.terminal.text_tables import screen  # noqa: PLC0415

        study = load_study(settings.study)
        wish = Wish(_names(clients), method, rows, days, name)
        offer = offer_of(wish, serving, settings, study)
        trained = _trained(serving, settings, study, run, model)
        served = serving.open(trained, study.features, offer)
        file = output or service_file(offer.name)
        served.handout.write(file)
    if as_json:
        typer.echo(service_json(served, file))
    else:
        screen().print(service_page(served, serving.p.federation, file, config))


def _names(words: list[str] | None) -> list[str] | None:
    """Return the names of all words, which may have commas; None: nobody was named."""
    if not words:
        return None
    return [name.strip() for word in words for name in word.split(",") if name.strip()]


def _close(serving: "Serving", name: str, as_json: bool) -> None:
    spec = serving.close(name, "closed by the model owner")
    if as_json:
        typer.echo(json.dumps({"service": name, "spec": spec, "state": "closed"}))
    else:
        typer.echo(f"{name} is closed: no query is answered any more")


@contextmanager
def _serving(config: Path) -> "Iterator[tuple[Serving, OwnerSettings]]":
    """Open the model owner's end of services; says on stderr what is going on."""
    from fedsecure.owner.jobs.service_offer import open_serving  # noqa: PLC0415
    from fedsecure.terminal.screen import Console  # noqa: PLC0415

    with (
        Console(stderr=True).status("reading the round store") as status,
        open_serving(config, status.update) as opened,
    ):
        yield opened


def _trained(
    serving: "Serving",
    settings: "OwnerSettings",
    study: "Study",
    run: str | None,
    file: Path | None,
) -> "TrainedModel":
    if file is None:
        from fedsecure.owner.jobs.recorded_model import recorded_model  # noqa: PLC0415

        return recorded_model(serving.store, settings.folder, study, run)
    from fedsecure.frameworks.keras.saved_model import read_saved  # noqa: PLC0415

    serving.stage("loading Keras")
    return read_saved(file)
