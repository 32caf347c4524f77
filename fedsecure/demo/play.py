"""The demo from start to end: provision, start, train, tell what everybody saw."""

import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from fedsecure.demo.processes import Processes
from fedsecure.demo.provision import AGGREGATORS, OWNER, DemoFolder, provision
from fedsecure.demo.told import show_what_everybody_saw
from fedsecure.errors import OperatorError
from fedsecure.lifeline import interruptible
from fedsecure.review import rows as review
from fedsecure.review.reading import open_round_store

READY_SECONDS: Final = 60.0
LOOK_EVERY: Final = 0.2  # seconds


def play(root: Path, study: Path, rounds: int | None) -> None:
    """Run the demo; Ctrl-C stops everything it started.

    Raises:
        OperatorError: FS-87x when the demo cannot start or one of its processes ends,
            FS-868 when its curves cannot be drawn.
    """
    console = Console(highlight=False)
    with _alone(root), interruptible(), Processes() as processes:
        folder = provision(root, study, find_sites(study))
        console.print(f"[bold]fedsecure demo[/] in {root}/")
        console.print(
            f"  starting {', '.join(AGGREGATORS)}, {len(folder.sites)} agents "
            f"({', '.join(folder.sites)}) and the model owner ({OWNER})"
        )
        _start_servers(processes, folder)
        for site in folder.sites:
            config = folder.config(site)
            processes.start(site, ["agent", "--config", str(config)], _log(config))
        started = time.monotonic()
        _train(processes, folder, rounds)
        seconds = time.monotonic() - started
    result = write_result(folder, seconds)
    show_what_everybody_saw(console, folder)
    console.print(
        f"\n{result['rounds']} rounds in {seconds:.0f} s (start-up of TensorFlow and "
        f"Flower included); AUC on held-out rows {_shown_auc(result)}"
    )
    _draw_curves(folder)


def find_sites(study: Path) -> dict[str, Path]:
    """Return a study's data files by the name of their site.

    Raises:
        OperatorError: FS-873 when there are fewer than two.
    """
    files = sorted((study / "data").glob("*.csv"))
    if len(files) < 2:
        raise OperatorError("FS-873", f"{study / 'data'} holds {len(files)} CSV files")
    return {path.stem: path for path in files}


def write_result(folder: DemoFolder, seconds: float) -> Mapping[str, object]:
    """Write result.json from the model owner's store."""
    with open_round_store(folder.root / "owner" / "rounds.db") as store:
        run = review.find_run(store)
        rows = [row for row in review.rounds(store, run.run) if row.state == "opened"]
    final = rows[-1]
    result = {
        "run": run.run,
        "rounds": sum(row.purpose == "train" for row in rows),
        "seconds": round(seconds, 1),
        "auc": {"federated": final.auc},
        "loss": final.loss,
        "bytes_up": sum(row.bytes_up or 0 for row in rows),
    }
    path = folder.root / "result.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _start_servers(processes: Processes, folder: DemoFolder) -> None:
    for name in AGGREGATORS:
        config = folder.config(name)
        processes.start(name, ["aggregator", "--config", str(config)], _log(config))
    processes.wait_ready(folder.urls, folder.authority, READY_SECONDS)


def _train(processes: Processes, folder: DemoFolder, rounds: int | None) -> None:
    arguments = ["train", "--config", str(folder.config(OWNER))]
    if rounds is not None:
        arguments += ["--rounds", str(rounds)]
    training = processes.start(OWNER, arguments, None)
    while training.poll() is None:
        processes.require_alive()
        time.sleep(LOOK_EVERY)
    if training.returncode:
        raise OperatorError(
            "FS-874", f"`fedsecure train` ended with {training.returncode}"
        )


def _draw_curves(folder: DemoFolder) -> None:
    """Have the model owner's own command draw the run, and say where."""
    store, output = folder.root / "owner" / "rounds.db", folder.root / "curves.png"
    command = ["rounds", "plot", "--db", str(store), "--output", str(output)]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "fedsecure", *command], check=False
    )
    if done.returncode:
        raise OperatorError("FS-868", f"`fedsecure {' '.join(command)}` failed")


def _log(config: Path) -> Path:
    return config.parent / "log.txt"


def _shown_auc(result: Mapping[str, object]) -> str:
    auc = result["auc"]["federated"]  # type: ignore[index]
    return "n/a" if auc is None else f"{auc:.3f}"


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the folder, so that a second demo does not pull it away."""
    lock = root.with_name(root.name + ".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OperatorError("FS-875", f"{root}") from error
        yield
