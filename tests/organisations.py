"""Parties that type what the documentation tells them, each in a folder of its own.

What the page says to type is typed; what it says to hand over is copied, and nothing
else. Answers to `join` are the words that the parties' own `keygen` printed.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fedsecure.demo.processes import quiet_environment

ROOT: Final = Path(__file__).parents[1]
ROLES: Final = ROOT / "tests" / "roles"  # on PYTHONPATH: as in a party's own venv
PATIENCE: Final = 240.0  # seconds
BIN: Final = Path(sys.executable).parent

WORDS = re.compile(r"^  ((?:[a-z]+ ){11}[a-z]+)$", re.M)
ASKED = re.compile(r"^You need the words of (.+)\.$", re.M)


@dataclass(frozen=True)
class Typed:
    """One block of commands, and how its party types it."""

    party: str
    how: str
    commands: list[str]


@dataclass(frozen=True)
class HandedOver:
    """One row of a table of files that go from one party to another."""

    file: str
    giver: str
    taker: str


def shell() -> dict[str, str]:
    """Return what a person's shell has: no proxy, and our commands on its PATH."""
    return {
        **{k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")},
        **quiet_environment(),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROLES),
        "COLUMNS": "200",
    }


@dataclass
class Organisations:
    """Every party's folder and environment, and what it has said so far."""

    root: Path
    environment: dict[str, str]
    listening: dict[str, tuple[str, str]]
    stack: ExitStack
    words: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    running: list[tuple[str, "subprocess.Popen[bytes]"]] = field(default_factory=list)

    def home(self, party: str) -> Path:
        return self.root / party / "federation"

    def move_in(self, party: str) -> None:
        """Make a party's folder, with a checkout beside it."""
        self.home(party).mkdir(parents=True, mode=0o700)
        (self.root / party / "fedsecure").symlink_to(ROOT)

    def do(self, step: Typed | HandedOver) -> None:
        if isinstance(step, HandedOver):
            self.hand_over(step)
        elif step.how == "by-hand":
            return
        elif step.how in {"keeps-running", "starts-again"}:
            (command,) = step.commands
            if step.how == "starts-again":
                self.stop(step.party)
            self.start(step.party, command)
        else:
            for command in step.commands:
                self.type(step.party, command)

    def hand_over(self, step: HandedOver) -> None:
        source = self.home(step.giver) / step.file
        target = self.home(step.taker) / source.name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)

    def type(self, party: str, command: str) -> None:
        """Type a command as it stands, and answer what it asks."""
        done = self.typed(party, command)
        log = "\n".join(self.log(one).read_text() for one, _ in self.running)
        assert done.returncode == 0, (
            f"{party}: {command}\n{done.stdout}{done.stderr}{log}"
        )
        self.said[f"{party}: {command}"] = done.stdout
        if "keygen" in command:
            # A new key beside the old one has words of its own.
            (self.words[party],) = WORDS.findall(done.stdout)

    def refused(self, party: str, command: str) -> str:
        """Type a command that must not go through, and return what it says."""
        done = self.typed(party, command)
        assert done.returncode != 0, f"{party}: {command}\n{done.stdout}"
        return done.stdout + done.stderr

    def typed(self, party: str, command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["sh", "-c", self.here(party, command)],  # noqa: S607 - as a person would
            check=False,
            cwd=self.home(party),
            env=self.of(party),
            input=self.answers(party, command),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def answers(self, party: str, command: str) -> str:
        """Call those for whose words `join` asks, and accept."""
        if not command.startswith("fedsecure join"):
            return ""
        trial = subprocess.run(
            ["sh", "-c", command],  # noqa: S607
            check=False,
            cwd=self.home(party),
            env=self.of(party),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        called = ASKED.findall(trial.stdout)
        names = called[0].split(" and ") if called else []
        return "\n".join([*(self.words[name] for name in names), "y"]) + "\n"

    def start(self, party: str, command: str) -> None:
        """Start what runs on, and wait until a server is ready."""
        with self.log(party).open("ab") as log:
            process = subprocess.Popen(
                ["sh", "-c", f"exec {command}"],  # noqa: S607
                cwd=self.home(party),
                env=self.of(party),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.running.append((party, process))
        self.stack.callback(stop, process)
        deadline = time.monotonic() + PATIENCE
        while (
            "aggregator" in command and "listening" not in self.log(party).read_text()
        ):
            assert process.poll() is None, self.log(party).read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def stop(self, party: str) -> None:
        """Press Ctrl-C where a party's program runs; it leaves no log behind."""
        (process,) = [one for name, one in self.running if name == party]
        self.running.remove((party, process))
        stop(process)
        self.log(party).unlink()

    def here(self, party: str, command: str) -> str:
        """Let a server listen on a free port of loopback instead of 0.0.0.0."""
        page, test = self.listening.get(party, ("", ""))
        return command.replace(f"--listen {page}", f"--listen {test}")

    def of(self, party: str) -> dict[str, str]:
        return {**self.environment, "HOME": str(self.root / party)}

    def log(self, party: str) -> Path:
        return self.root / party / "log.txt"


def stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
