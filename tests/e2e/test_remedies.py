"""A run that ended is gone on with by typing what was printed, whatever ended it.

One run of real processes ends five times, each time for another reason. What the
model owner's command printed last is typed, word for word, and the run goes on.
"""

import os
import re
import shlex
import signal
import sqlite3
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fedsecure.demo.provision import OWNER
from fedsecure.errors import PROBLEMS
from tests.e2e.federation import PATIENCE, Federation, federation, wait_until
from tests.e2e.test_suspended import children, opened

pytestmark = pytest.mark.e2e

TO_GO_ON = re.compile(r"to go on: (fedsecure train .*)")
SETTINGS = {
    "round_seconds": 120.0,  # a round goes on after 30 of them and two starts
    "join_seconds": 60.0,
    "attempts": 1,
    "pause_seconds": 0.0,
}


class Run:
    """One run of the model owner, over several commands."""

    def __init__(self, running: Federation) -> None:
        self.running = running
        self.training = running.start_training(rounds=10_000)
        wait_until(lambda: "accuracy" in running.output(), "a round")

    def require_more(self) -> None:
        before = opened(self.running)
        wait_until(
            lambda: opened(self.running) > before or self.training.poll() is not None,
            "a round",
        )
        assert self.training.poll() is None, self.running.output()

    def ended(self, code: str) -> None:
        assert self.training.wait(PATIENCE) == 1, self.running.output()
        output = self.running.output().split(PROBLEMS[code].title)[-1]
        assert code in self.running.output(), self.running.output()
        assert "--resume RUN" in " ".join(output.split()) or code == "FS-606"

    def type_what_was_printed(self) -> None:
        line = TO_GO_ON.findall(self.running.output())[-1]
        program, *arguments = shlex.split(line)
        assert program == "fedsecure"
        self.training = self.running.processes.start(
            OWNER, arguments, self.running.owner_log
        )
        self.require_more()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    for options in ("bind", "remount,bind,ro"):
        command = ["mount", "-o", options, folder, folder]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"NOT TESTED: nothing can be mounted here: {done.stderr!r}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)  # noqa: S607


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold a database as a browser or a backup does that does not let go."""
    browser = sqlite3.connect(database, timeout=30)
    browser.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        browser.close()


@contextmanager
def away(file: Path) -> Iterator[None]:
    moved = file.rename(file.with_suffix(".away"))
    try:
        yield
    finally:
        moved.rename(file)


@pytest.mark.timeout(900)
def test_what_is_printed_when_a_run_ends_is_what_goes_on(tmp_path: Path) -> None:
    app = "tests.e2e.reading_app:app"
    study = {"aggregation": {"min_cohort": 4}}
    with federation(tmp_path, app=app, owner=SETTINGS, study=study) as running:
        run = Run(running)
        home = running.folder.config(OWNER).parent
        data = data_of(running)
        ends: list[tuple[str, Callable[[], object]]] = [
            ("FS-369", lambda: away(data)),
            ("FS-604", lambda: locked(running.owner_db)),
            ("FS-606", lambda: read_only(home / "models")),
        ]
        for code, trouble in ends:
            with trouble():  # type: ignore[attr-defined]
                run.ended(code)
            run.type_what_was_printed()
        (superlink,) = children(run.training)
        os.kill(superlink, signal.SIGKILL)
        run.ended("FS-512")
        run.type_what_was_printed()
        run.training.terminate()  # a stop by its owner is no error
        assert run.training.wait(60) == 130
        run.type_what_was_printed()
        states = running.rows(running.owner_db, "SELECT state FROM runs")
        assert [one["state"] for one in states] == ["running"]  # one run, over all


def data_of(running: Federation) -> Path:
    site = running.folder.sites[0]
    config = running.folder.config(site)
    content = tomllib.loads(config.read_text(encoding="utf-8"))
    return config.parent / content["data"]
