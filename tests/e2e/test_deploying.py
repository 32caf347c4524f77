"""docs/deploying.md, typed as it stands: six parties, a folder each, two rounds.

What the page says to type is typed; what it says to hand over is copied, and nothing
else. Answers to `join` are the words that the parties' own `keygen` printed.

Said here and not on the page: the servers listen on free ports of loopback instead of
0.0.0.0, and the page's names lead there through a web proxy, HTTPS_PROXY.
"""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from fedsecure.demo.processes import quiet_environment
from fedsecure.demo.provision import HOST, free_ports
from tests.e2e.proxy import Proxy, proxying

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "deploying.md").read_text("utf-8")
PARTIES: Final = ("study", "north", "south", "basel", "bern", "chur")
PATIENCE: Final = 240.0  # seconds
BIN: Final = Path(sys.executable).parent

BLOCK = re.compile(r"^```sh (\w+) ?([\w-]*)\n(.*?)^```$|^(\| `[^\n]+)$", re.M | re.S)
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


def steps() -> Iterator[Typed | HandedOver]:
    """Return what the page tells to do, in its order."""
    for party, how, text, row in BLOCK.findall(PAGE):
        if party:
            yield Typed(party, how, text.splitlines())
            continue
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if len(cells) == 3 and cells[1] in PARTIES and cells[2] in PARTIES:
            yield HandedOver(cells[0].strip("`"), cells[1], cells[2])


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

    def do(self, step: Typed | HandedOver) -> None:
        if isinstance(step, HandedOver):
            self.hand_over(step)
        elif step.how == "by-hand":
            return
        elif step.how == "keeps-running":
            (command,) = step.commands
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
        done = subprocess.run(
            ["sh", "-c", self.here(party, command)],  # noqa: S607 - as a person would
            check=False,
            cwd=self.home(party),
            env=self.of(party),
            input=self.answers(party, command),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        log = "\n".join(self.log(one).read_text() for one, _ in self.running)
        assert done.returncode == 0, (
            f"{party}: {command}\n{done.stdout}{done.stderr}{log}"
        )
        self.said[f"{party}: {command}"] = done.stdout
        if "keygen" in command:
            (self.words[party],) = WORDS.findall(done.stdout)

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


@pytest.fixture
def proxy() -> Iterator[tuple[Proxy, dict[str, tuple[str, str]]]]:
    """The page's names and addresses, and what they are in this test."""
    ports = dict(zip(("north", "south", "study"), free_ports(3), strict=True))
    pages = {"north": 8443, "south": 8443, "study": 9092}
    names = {f"{name}.example:{page}": ports[name] for name, page in pages.items()}
    listening = {
        name: (f"0.0.0.0:{page}", f"{HOST}:{ports[name]}")
        for name, page in pages.items()
    }
    with proxying(names) as running:
        yield running, listening


@pytest.mark.timeout(800)
def test_the_page_takes_organisations_from_nothing_to_a_trained_model(
    tmp_path: Path, proxy: tuple[Proxy, dict[str, tuple[str, str]]]
) -> None:
    through, listening = proxy
    environment = {
        **{k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")},
        **quiet_environment(),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HTTPS_PROXY": through.url,
        "COLUMNS": "200",
    }
    with ExitStack() as stack:
        everybody = Organisations(tmp_path, environment, listening, stack)
        for party in PARTIES:
            everybody.home(party).mkdir(parents=True, mode=0o700)
            (tmp_path / party / "fedsecure").symlink_to(ROOT)
        for step in steps():
            everybody.do(step)
    require_trained(everybody)
    require_way(everybody, through)
    require_newest_version(everybody)
    require_private_keys_at_home(everybody)


def require_trained(everybody: Organisations) -> None:
    rounds = everybody.home("study") / "rounds.db"
    query = "SELECT purpose, state, in_set FROM v_round ORDER BY round"
    with sqlite3.connect(f"file:{rounds}?mode=ro", uri=True) as database:
        rows = database.execute(query).fetchall()
    assert [purpose for purpose, _, _ in rows] == ["train", "train", "evaluate"]
    assert {(state, members) for _, state, members in rows} == {("opened", 2)}
    assert "model.keras" in {path.name for path in everybody.home("study").rglob("*")}


def require_way(everybody: Organisations, through: Proxy) -> None:
    """All went out through the proxy, and the log says by which variable."""
    assert set(through.asked) == {
        "north.example:8443",
        "south.example:8443",
        "study.example:9092",
    }
    for party in ("basel", "bern"):
        assert "through HTTPS_PROXY" in everybody.log(party).read_text()


def require_newest_version(everybody: Organisations) -> None:
    said = [text for step, text in everybody.said.items() if "fedsecure join" in step]
    assert len(said) == 6  # the newest of each party; the others' were of version 1
    accepted = {
        party: (everybody.home(party) / "accepted.toml").read_text()
        for party in ("study", "north", "south", "basel", "chur")
    }
    for text in accepted.values():
        assert "number = 4" in text
    assert "number = 1" in (everybody.home("bern") / "accepted.toml").read_text()


def require_private_keys_at_home(everybody: Organisations) -> None:
    """No private file of one party lies in another's folder."""
    private: dict[bytes, str] = {}
    for party in PARTIES:
        for path in everybody.home(party).rglob("*"):
            if path.suffix in {".pem", ".key"} and path.is_file():
                content = path.read_bytes()
                if b"PRIVATE KEY" in content:
                    assert private.setdefault(content, party) == party, path
    assert set(private.values()) == set(PARTIES)


def test_every_command_of_the_page_has_its_party() -> None:
    blocks = re.findall(r"^```(\w*)(.*)$", PAGE, re.M)
    typed = [rest.split() for language, rest in blocks if language == "sh"]
    assert all(rest[0] in (*PARTIES, "everybody") for rest in typed)
    hands = [rest for rest in typed if rest[1:] == ["by-hand"]]
    assert len(hands) < len(typed) / 3
