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
    from fedsecure.owner.jobs.serve import Offer, Serving
    from fedsecure.owner.settings import OwnerSettings
    from fedsecure.study.config import Study

DAY = 86400.0


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
        from fedsecure.owner.jobs.serve import Offer, service_file  # noqa: PLC0415
        from fedsecure.study.config import load_study  # noqa: PLC0415

        study = load_study(settings.study)
        limits = settings.serve
        offer = Offer(
            name=name or study.name,
            title=study.title,
            clients=_clients(serving, settings, clients),
            method=method,
            rows=rows or limits.max_rows,
            seconds=(days or limits.days) * DAY,
        )
        trained = _trained(serving, settings, study, run, model)
        _open(
            serving, trained, study, offer, output or service_file(offer.name), as_json
        )


def _close(serving: "Serving", name: str, as_json: bool) -> None:
    spec = serving.close(name, "closed by the model owner")
    if as_json:
        typer.echo(json.dumps({"service": name, "spec": spec, "state": "closed"}))
    else:
        typer.echo(f"{name} is closed: no query is answered any more")


def _open(
    serving: "Serving",
    trained: "TrainedModel",
    study: "Study",
    offer: "Offer",
    file: Path,
    as_json: bool,
) -> None:
    from fedsecure.review.terminal.service import service_json, service_page  # noqa: PLC0415
    from fedsecure.terminal.text_tables import screen  # noqa: PLC0415

    served = serving.open(trained, study.features, offer)
    served.handout.write(file)
    if as_json:
        typer.echo(service_json(served, file))
    else:
        screen().print(service_page(served, serving.p.federation, file))


@contextmanager
def _serving(config: Path) -> "Iterator[tuple[Serving, OwnerSettings]]":
    """Open the model owner's end of services; says on stderr what is going on."""
    import time  # noqa: PLC0415 - keeps --help quick

    from fedsecure.compute.participant import open_participant  # noqa: PLC0415
    from fedsecure.owner.jobs.serve import Serving  # noqa: PLC0415
    from fedsecure.owner.settings import load_owner_settings  # noqa: PLC0415
    from fedsecure.owner.store.rounds import RoundStore  # noqa: PLC0415
    from fedsecure.terminal.screen import Console  # noqa: PLC0415

    settings = load_owner_settings(config)
    with (
        Console(stderr=True).status("reading the round store") as status,
        open_participant(config, status.update) as participant,
        RoundStore(settings.database_url, participant.author, time.time) as store,
    ):
        yield Serving(participant, store, status.update), settings


def _clients(
    serving: "Serving", settings: "OwnerSettings", given: list[str] | None
) -> list[str]:
    """Return who may ask: as typed, or as owner.toml says, or all clients."""
    if given:
        return sorted({name for word in given for name in word.split(",") if name})
    if settings.serve.clients is not None:
        return sorted(settings.serve.clients)
    return sorted(party.name for party in serving.p.federation.clients)


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
