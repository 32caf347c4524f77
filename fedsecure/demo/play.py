"""The demo from start to end: provision, start, train, tell what everybody saw."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from fedsecure.demo.outcome import measure, read_outcome, write_result
from fedsecure.demo.processes import Processes
from fedsecure.demo.provision import (
    AGGREGATORS,
    CLIENT,
    OWNER,
    DemoFolder,
    provision,
)
from fedsecure.demo.sights import (
    show_what_everybody_saw,
    show_what_is_left_running,
    show_what_the_owner_knows,
    show_where_it_lies,
)
from fedsecure.errors import OperatorError
from fedsecure.storage import locks
from fedsecure.study.sites import find_sites
from fedsecure.system.lifeline import interruptible
from fedsecure.terminal.screen import Console

READY_SECONDS: Final = 60.0
LOOK_EVERY: Final = 0.2  # seconds
SHOWN: Final = 8  # data owners that are named
STUDIES: Final = Path("studies")  # where a study is looked for by its name


def play(root: Path, study: Path, rounds: int | None, *, stay: bool = False) -> None:
    """Run the demo; Ctrl-C stops everything it started.

    Args:
        root: Where everything is put.
        study: A study folder, or the name of one in studies/.
        rounds: Instead of the study's own number.
        stay: Leave both aggregators running after the training, until Ctrl-C.

    Raises:
        OperatorError: FS-87x when the demo cannot start or one of its processes ends,
            FS-868 when its curves cannot be drawn, FS-116 when nothing was compared.
    """
    console = Console(highlight=False)
    study = study if study.exists() else STUDIES / study
    with _alone(root), interruptible(), Processes() as servers:
        sites = find_sites(study)
        folder = provision(root, study, sites)
        _introduce(console, folder)
        seconds = _run(servers, folder, rounds)
        if not stay:
            servers.stop()
        outcome = read_outcome(folder)
        console.print(
            f"{outcome.rounds} rounds in {seconds:.0f} s, "
            "the start of every process included"
        )
        show_what_everybody_saw(console, folder)
        measured = measure(folder, study, sites.values(), outcome)
        show_what_the_owner_knows(console, outcome, measured)
        write_result(folder, outcome, measured, seconds)
        _draw_curves(folder)
        show_where_it_lies(console, folder)
        if stay:
            show_what_is_left_running(console, folder, study)
            _stay(servers)


def _introduce(console: Console, folder: DemoFolder) -> None:
    console.print(f"[bold]fedsecure demo[/] in {folder.root}/", soft_wrap=True)
    console.print(f"  model owner   {OWNER}")
    console.print(f"  aggregators   {', '.join(AGGREGATORS)}")
    sites, more = folder.sites[:SHOWN], len(folder.sites) - SHOWN
    others = f" and {more} more" if more > 0 else ""
    console.print(f"  data owners   {', '.join(sites)}{others}")
    console.print(f"  client        {CLIENT}")


def _run(servers: Processes, folder: DemoFolder, rounds: int | None) -> float:
    """Start everybody, train, leave the servers; return the training's seconds."""
    _start_servers(servers, folder)
    with Processes() as others:
        for site in folder.sites:
            config = folder.config(site)
            others.start(site, ["agent", "--config", str(config)], _log(config))
        started = time.monotonic()
        _train(servers, others, folder, rounds)
        return time.monotonic() - started


def _start_servers(servers: Processes, folder: DemoFolder) -> None:
    for name in AGGREGATORS:
        config = folder.config(name)
        servers.start(name, ["aggregator", "--config", str(config)], _log(config))
    servers.wait_ready(folder.urls, folder.authority, READY_SECONDS)


def _train(
    servers: Processes, others: Processes, folder: DemoFolder, rounds: int | None
) -> None:
    arguments = ["train", "--config", str(folder.config(OWNER))]
    if rounds is not None:
        arguments += ["--rounds", str(rounds)]
    training = others.start(OWNER, arguments, None)
    while training.poll() is None:
        servers.require_alive()
        others.require_alive()
        time.sleep(LOOK_EVERY)
    if training.returncode:
        raise OperatorError(
            "FS-874", f"`fedsecure train` ended with {training.returncode}"
        )


def _stay(servers: Processes) -> None:
    """Wait for Ctrl-C, which is how this ends well.

    Raises:
        OperatorError: FS-871 when an aggregator ends before.
    """
    with suppress(KeyboardInterrupt):
        while True:
            servers.require_alive()
            time.sleep(LOOK_EVERY)


def _draw_curves(folder: DemoFolder) -> None:
    """Have the model owner's own command draw the run."""
    store, output = folder.root / "owner" / "rounds.db", folder.root / "curves.png"
    command = ["rounds", "plot", "--db", str(store), "--output", str(output)]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "fedsecure", *command],
        check=False,
        stdout=subprocess.DEVNULL,
    )
    if done.returncode:
        raise OperatorError("FS-868", f"`fedsecure {' '.join(command)}` failed")


def _log(config: Path) -> Path:
    return config.parent / "log.txt"


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the folder, so that a second demo does not pull it away."""
    lock = root.with_name(root.name + ".lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = locks.alone(lock, "FS-875", root)
    except OSError as error:
        raise OperatorError("FS-876", f"{lock}: {error.strerror}") from error
    with held:
        yield
