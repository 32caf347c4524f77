"""`fedsecure privacy`: what a study's noise protects, and what it leaves."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import OperatorError
from fedsecure.study.app_study import load_any_study
from fedsecure.study.config import AnyStudy, Study
from fedsecure.study.forecast import AUC, Forecast, Members, forecast
from fedsecure.terminal.text_tables import screen

OWNER: Final = Path("owner.toml")

app = typer.Typer(help="See what a study's noise protects and leaves (model owner).")


@app.callback()
def privacy() -> None:
    """See what a study's noise protects and leaves (model owner)."""


@app.command()
def plan(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder.")],
    data_owners: Annotated[
        int | None,
        typer.Option(
            "--data-owners",
            metavar="N",
            min=2,
            max=10_000,
            help="How many take part. Default: those of the federation that owner.toml "
            "here names, else the study's min_cohort.",
        ),
    ] = None,
    rows: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Rows that all data owners have together, where rows are protected.",
        ),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a study's noise protects, what it costs, and what it leaves.

    Nothing is trained and nobody is asked: it is computed from study.toml.

    Example: fedsecure privacy plan studies/heart-private --rows 920
    """
    chosen = load_any_study(study)
    field = chosen.noise()
    if field is None:
        raise OperatorError("FS-840", f"{study}/study.toml has no section [privacy]")
    if field.unit is Unit.ROW and not rows:
        msg = "rows are protected: say with --rows how many there are"
        raise typer.BadParameter(msg)
    members = Members(data_owners or _joined(chosen), rows, _holdout(chosen))
    found = _forecast(chosen, members)
    if as_json:
        typer.echo(json.dumps(as_data(found), indent=2))
        return
    out = screen()
    out.print(Text(chosen.title, "bold"))
    out.print(_page(found, members))
    for sentence in found.warnings():
        out.print(Text(f"note: {sentence}.", "yellow"))


def _forecast(study: AnyStudy, members: Members) -> Forecast:
    # Here, so that `--help` answers at once, and a slip in study.toml is told first.
    from fedsecure.frameworks.model_sources import build_source, load_framework  # noqa: PLC0415

    load_framework(study)
    source = build_source(study)
    size, terms = source.initial().weights.size, source.request.terms
    found = forecast(terms, size, study.training.rounds, members)
    if found is None:
        raise OperatorError("FS-840", f"{study.folder} has no section [privacy]")
    return found


def _joined(study: AnyStudy) -> int:
    """Return how many data owners the federation here has, if there is one."""
    if not OWNER.is_file():
        return study.aggregation.min_cohort
    from fedsecure.owner.settings import load_owner_settings  # noqa: PLC0415

    return len(load_owner_settings(OWNER).author().federation.data_owners)


def _holdout(study: AnyStudy) -> float:
    return study.training.holdout if isinstance(study, Study) else 0.0


def as_data(found: Forecast) -> dict[str, Any]:
    """Return what `--json` prints; the keys are an interface."""
    return {
        **found.privacy.model_dump(mode="json"),
        "rounds": found.rounds,
        "spent": dataclasses.asdict(found.spent),
        "sigma": found.sigma,
        "mean_update": {
            "coordinate_deviation": found.coordinate,
            "noise_norm": found.length,
            "largest_norm": found.longest,
        },
        "evaluation_deviations": dict(found.metrics),
        "warnings": list(found.warnings()),
    }


def _page(found: Forecast, members: Members) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _facts(found, members):
        grid.add_row(name, value)
    return grid


def _facts(found: Forecast, members: Members) -> Iterator[tuple[str, str]]:
    said, spent = found.privacy, found.spent
    by_row = said.unit is Unit.ROW
    yield "protects", "one row" if by_row else "all that one data owner holds"
    over = f"{members.data_owners:,} data owners"
    yield "among", f"{over}, {members.rows:,} rows together" if by_row else over
    yield "budget", f"epsilon {said.epsilon:g} at delta {said.delta:g}, for all runs"
    yield "rounds", f"{found.rounds:,} of training, and one evaluation"
    yield "epsilon", f"{spent.one_server_corrupt:.2f} if one server is corrupt"
    yield "", f"{spent.outsider:.2f} for who sees no server's noise"
    yield "noise", f"z {said.noise:.4g} on updates, each server's"
    rounds = "with metrics" if said.every_round else "without metrics"
    yield "", f"z {said.scalar_noise:.4g} on scalars of rounds, {rounds}"
    yield "", f"z {said.evaluation_noise:.4g} on scalars of the evaluation"
    yield "sigma", f"{found.sigma:.4g} beside what one adds, {said.unit_clip:g}"
    yield "mean update", f"each coordinate ± {found.coordinate:.3g}"
    longest = f"the mean itself at most {found.longest:g}"
    yield "", f"noise of length {found.length:.3g}; {longest}"
    for name, deviation in found.metrics.items():
        about = "about " if name == AUC else ""
        yield name, f"{about}± {deviation:.3f} in the evaluation"
