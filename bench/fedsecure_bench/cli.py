"""`fedsecure bench`: what protection costs on this machine, as ratios."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fedsecure.errors import OperatorError
from fedsecure.system.lifeline import interruptible
from fedsecure.terminal.screen import Console

if TYPE_CHECKING:
    from fedsecure_bench.progress import Progress
    from fedsecure_bench.results import Result

app = typer.Typer(no_args_is_help=True, help="Measure what protection costs here.")

Bench = Callable[["Progress"], Sequence["Result"]]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="Write the results here, too.")
]
Quick = Annotated[bool, typer.Option("--quick", help="Fewer repeats and sizes.")]

Disk = Annotated[
    Path, typer.Option(help="A folder on the disk that memory is compared with.")
]

TITLES: Final = {
    "core": "The arithmetic, in one process",
    "service": "Uploads to real aggregators over TLS",
    "round": "Rounds of four agents on Flower's runtime, no training",
    "compute": "Rows that a linear model answers unseen",
    "scale": "One round with many data owners",
}


@app.callback()
def bench() -> None:
    """Measure what protection costs on this machine."""


@app.command()
def core(
    dimension: Annotated[
        list[int] | None,
        typer.Option(help="Parameters of the update; repeat for several."),
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(help="At work at once; repeat for several.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Of each step.")] = 9,
    quick: Quick = False,
    json_file: JsonFile = None,
) -> None:
    """Time clip, shard, seal, open, add and unshard, with no network and no disk.

    Example: fedsecure bench core --dimension 1000000
    """
    _report({"core": _core(dimension, threads, repeats, quick)}, json_file)


@app.command()
def service(
    repeats: Annotated[int, typer.Option(min=1, help="Turns of each case.")] = 5,
    disk: Disk = Path(),
    quick: Quick = False,
    json_file: JsonFile = None,
) -> None:
    """Upload to one and to two real aggregator processes over TLS on loopback.

    Example: fedsecure bench service --quick
    """
    _report({"service": _service(repeats, disk, quick)}, json_file)


@app.command("round")
def whole_round(
    dimension: Annotated[
        list[int] | None,
        typer.Option(help="Parameters of the model; repeat for several."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Of each run.")] = 3,
    turns: Annotated[int, typer.Option(min=1, help="Runs of each kind.")] = 3,
    stock: Annotated[
        bool, typer.Option(help="Measure stock Flower, too: half a minute a size.")
    ] = True,
    quick: Quick = False,
    json_file: JsonFile = None,
) -> None:
    """Run rounds of four agents on Flower's runtime: plain, ours, and SecAgg+.

    Example: fedsecure bench round --dimension 1000000
    """
    _report({"round": _round(dimension, rounds, turns, stock, quick)}, json_file)


@app.command()
def scale(
    owners: Annotated[
        int | None, typer.Option(help="Data owners, instead of the usual scenes.")
    ] = None,
    dimension: Annotated[int, typer.Option(help="With --owners.")] = 100_000,
    on_disk: Annotated[
        bool, typer.Option("--on-disk", help="With --owners: store on the disk.")
    ] = False,
    disk: Disk = Path(),
    quick: Quick = False,
    json_file: JsonFile = None,
) -> None:
    """Run one round with many data owners against two real servers.

    Example: fedsecure bench scale --owners 10000
    """
    scene = None if owners is None else (owners, dimension, on_disk)
    _report({"scale": _scale(scene, disk, quick)}, json_file)


@app.command()
def compute(
    repeats: Annotated[int, typer.Option(min=1, help="Of each step.")] = 15,
    queries: Annotated[int, typer.Option(min=10, help="To real aggregators.")] = 200,
    disk: Disk = Path(),
    quick: Quick = False,
    json_file: JsonFile = None,
) -> None:
    """Ask linear models about encrypted and about shared rows, beside phe and CKKS.

    Example: fedsecure bench compute --quick
    """
    _report({"compute": _compute(repeats, queries, disk, quick)}, json_file)


@app.command("all")
def everything(
    repeats: Annotated[int, typer.Option(min=1, help="Of what repeats.")] = 5,
    disk: Disk = Path(),
    quick: Quick = False,
    json_file: JsonFile = None,
) -> None:
    """Run all five, one after the other, as docs/benchmarks.md shows them.

    Example: fedsecure bench all --quick --json benchmarks.json
    """
    benches = {
        "core": _core(None, None, 2 * repeats, quick),
        "compute": _compute(3 * repeats, 40 * repeats, disk, quick),
        "service": _service(repeats, disk, quick),
        "round": _round(None, 3, repeats, True, quick),
        "scale": _scale(None, disk, quick),
    }
    _report(benches, json_file)


def _core(
    dimension: Sequence[int] | None,
    threads: Sequence[int] | None,
    repeats: int,
    quick: bool,
) -> Bench:
    part = _part("core")
    sizes = dimension or (part.QUICK_SIZES if quick else part.SIZES)
    return lambda progress: part.run(sizes, threads or (1, 2), repeats, progress)


def _service(repeats: int, disk: Path, quick: bool) -> Bench:
    part = _part("servers.service")
    cases = part.QUICK_CASES if quick else part.CASES
    return lambda progress: part.run(cases, repeats, disk, progress)


def _round(
    dimension: Sequence[int] | None, rounds: int, turns: int, stock: bool, quick: bool
) -> Bench:
    part = _part("rounds.whole_rounds")
    effort = part.Effort(2 if quick else rounds, 1 if quick else turns, stock)
    return lambda progress: part.run(dimension or part.SIZES, effort, progress)


def _compute(repeats: int, queries: int, disk: Path, quick: bool) -> Bench:
    part = _part("compute.private_rows")
    effort = (3, 20) if quick else (repeats, queries)
    return lambda progress: part.run(*effort, disk, progress)


def _scale(scene: tuple[int, int, bool] | None, disk: Path, quick: bool) -> Bench:
    part = _part("servers.scale")
    usual = part.QUICK_SCENES if quick else part.SCENES
    scenes = usual if scene is None else (part.Scene(*scene),)
    return lambda progress: part.run(scenes, disk, progress)


def _part(name: str) -> Any:
    """Import a bench only when it is run: it needs more than `--help` does.

    Raises:
        OperatorError: FS-847 naming what is not installed.
    """
    try:
        return import_module(f"fedsecure_bench.{name}")
    except ImportError as error:
        raise OperatorError("FS-847", f"bench {name} needs {error.name}") from error


def _report(benches: dict[str, Bench], json_file: Path | None) -> None:
    """Run benches one after the other; print a table of each."""
    results_of, shown = _part("results"), _part("progress")
    about = results_of.describe_machine()
    console = Console()
    results: list[Result] = []
    for name, measure in benches.items():
        with shown.Progress(console, name) as progress, interruptible():
            lines = measure(progress)
        console.print(shown.table(TITLES[name], lines))
        results += lines
        if json_file is not None:  # what is done is kept, whatever comes
            results_of.save(json_file, about, results)
