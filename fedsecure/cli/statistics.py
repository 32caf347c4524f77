"""`fedsecure statistics`: what all data owners' columns look like (model owner)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedsecure.system.lifeline import interruptible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fedsecure.review.statistics.told import Told
    from fedsecure.study.config import AnyStudy
    from fedsecure.study.statistics_study import Budget

DELTA = 1e-5  # where neither the command nor the study says another

Epsilon = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="What the round may tell about one row, at --delta; default: that of the "
        "study's [privacy], or no noise at all.",
    ),
]
Delta = Annotated[
    float | None,
    typer.Option(min=0.0, max=1.0, help="The probability that is left to chance."),
]


def command(
    config: Annotated[Path, typer.Option(help="The model owner's owner.toml.")] = Path(
        "owner.toml"
    ),
    epsilon: Epsilon = None,
    delta: Delta = None,
    resume: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Go on with a run that was interrupted."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count all data owners' rows (model owner): one round, before any training.

    Of each column of the schema: how many rows, how many missing, a histogram or the
    count of each value; median, IQR, mean. Only sums over data owners are opened. They
    approve it as a study of its own: `fedsecure study export --statistics`.

    Example: fedsecure statistics --config owner.toml --epsilon 1
    """
    # What loads slowly is here, so that `--help` answers at once.
    from fedsecure.owner.settings import load_owner_settings  # noqa: PLC0415
    from fedsecure.review.terminal.progress import RoundTable  # noqa: PLC0415
    from fedsecure.study.app_study import load_any_study  # noqa: PLC0415
    from fedsecure.study.statistics_study import statistics_request  # noqa: PLC0415

    settings = load_owner_settings(config)
    study = load_any_study(settings.study)
    budget = budget_of(study, epsilon, delta)
    request = statistics_request(study, budget)
    from fedsecure.frameworks.flower.framework import flower  # noqa: PLC0415
    from fedsecure.frameworks.flower.runtime import quiet  # noqa: PLC0415
    from fedsecure.owner.jobs.statistics import StatisticsJob  # noqa: PLC0415
    from fedsecure.owner.jobs.train import Progress  # noqa: PLC0415
    from fedsecure.owner.process import open_owner  # noqa: PLC0415
    from fedsecure.review.statistics.files import as_json as written  # noqa: PLC0415
    from fedsecure.review.statistics.told import Told  # noqa: PLC0415
    from fedsecure.terminal.screen import Console  # noqa: PLC0415

    quiet()
    again = f"--config {config} {_options(epsilon, delta)}"
    console = Console(stderr=True) if as_json else None
    title = f"{study.title}: statistics"
    with (
        interruptible(),
        RoundTable(title, console, again, command="statistics") as table,
        open_owner(settings, table.stage) as owner,
    ):
        progress = Progress(
            table.study,
            table.stage,
            table.counted,
            table.interrupted,
            table.waiting,
            table.diverged,
        )
        job = StatisticsJob(owner, study, request, flower(owner, study), progress)
        done = job.run(resume)
    privacy = request.terms.privacy
    told = Told(
        run=done.run,
        study=request.digest,
        title=title,
        epsilon=privacy.epsilon if privacy else None,
        delta=privacy.delta if privacy else None,
        statistics=done.statistics,
    )
    _write(told, study, settings.folder / "statistics" / done.run, quiet=as_json)
    if as_json:
        typer.echo(written(told), nl=False)


def budget_of(
    study: "AnyStudy", epsilon: float | None, delta: float | None
) -> "Budget | None":
    """Return what a round of statistics may tell; None: without noise.

    Args:
        study: Its [privacy] says what is not given.
        epsilon: The budget of this one round.
        delta: The probability that is left to chance.
    """
    from fedsecure.core.dp.sensitivity import Unit  # noqa: PLC0415
    from fedsecure.study.statistics_study import Budget  # noqa: PLC0415

    own = study.privacy
    if own is not None:
        return Budget(own.unit, epsilon or own.epsilon, delta or own.delta)
    if epsilon is not None:
        return Budget(Unit.ROW, epsilon, delta or DELTA)
    if delta is not None:
        msg = "--delta goes with --epsilon"
        raise typer.BadParameter(msg)
    return None


def _options(epsilon: float | None, delta: float | None) -> str:
    given = {"epsilon": epsilon, "delta": delta}
    return "".join(f"--{name} {value:g} " for name, value in given.items() if value)


def _write(told: "Told", study: "AnyStudy", folder: Path, *, quiet: bool) -> None:
    from fedsecure.review.statistics.files import write_statistics  # noqa: PLC0415
    from fedsecure.review.statistics.table import statistics_tables  # noqa: PLC0415
    from fedsecure.study.config import Study, schema_file  # noqa: PLC0415
    from fedsecure.terminal.text_tables import screen  # noqa: PLC0415

    if not isinstance(study, Study):  # refused before anything was asked
        raise TypeError(study)
    text = schema_file(study).read_text(encoding="utf-8-sig")
    files = write_statistics(folder, told, text, study.features)
    if quiet:
        return
    console = screen()
    console.print(statistics_tables(told.statistics))
    console.print()
    for line in _where(folder, files):
        console.print(line, soft_wrap=True, markup=False)


def _where(folder: Path, files: "Sequence[Path]") -> "Iterator[str]":
    """Yield what lies where, and what it is for."""
    yield f"in {folder}:"
    yield "  statistics.html  all of it, with a picture of each column"
    yield "  statistics.json  all of it, for other programs"
    yield "  columns/         the pictures alone"
    if any(file.name == "schema.toml" for file in files):
        yield (
            "  schema.toml      the study's schema with the scale that was found: "
            "copied into the study folder, it makes another study, to be approved anew"
        )
