"""A Docker engine for this stage: the machine's own, or one that ends with the tests.

The machine's own is taken if it answers and has Compose. Else root in CI (`CI=true`)
gets one made of Debian's packages (module `debian`). That one sets no firewall rule,
makes no bridge and does not forward: nothing in its containers reaches past this
machine, and nothing of it is left when it has ended but what it keeps in
`COMPOSE_CI_STATE` (default /var/cache/fedsecure-compose) to be quicker the next time.
"""

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.compose import debian

HOST_NETWORK: Final = Path(__file__).with_name("host-network.yml")
PROJECTS: Final = "fedsecure-test-"  # how projects and images of these tests begin
START_SECONDS: Final = 60
STOP_SECONDS: Final = 30
SLOWEST: Final = 600  # seconds that one command of docker may take


class NoEngineError(Exception):
    """There is no engine here, and none of its own may be made; says why."""


class DockerError(Exception):
    """A command of docker failed; says which and its last words."""


@dataclass(frozen=True, slots=True)
class Engine:
    """How to reach an engine. `build_files`: compose files that builds need besides."""

    environment: Mapping[str, str]
    build_files: tuple[Path, ...] = ()
    origin: str = "this machine's own"

    def environment_of_docker(self) -> dict[str, str]:
        """Return the variables by which a shell's docker finds this engine."""
        return {k: v for k, v in self.environment.items() if k.startswith("DOCKER_")}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `docker ARGUMENTS`, whatever comes of it."""
        return subprocess.run(
            ["docker", *arguments],  # noqa: S607 - wherever it is installed
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SLOWEST,
            check=False,
        )

    def docker(self, *arguments: str) -> str:
        """Run `docker ARGUMENTS` and return what it printed."""
        done = self.run(*arguments)
        if done.returncode:
            output = (done.stdout + done.stderr)[-4000:]
            msg = f"docker {' '.join(arguments)}: {output}"
            raise DockerError(msg)
        return done.stdout

    def has_compose(self) -> bool:
        """Tell whether Compose v2 is there; needs no running engine."""
        try:
            return self.run("compose", "version").returncode == 0
        except FileNotFoundError:
            return False

    def answers(self) -> bool:
        """Tell whether the engine runs."""
        return self.run("info").returncode == 0


def machines_own() -> Engine:
    """Return the engine of this machine, which may not exist."""
    return Engine(os.environ)


@contextmanager
def find_engine() -> Iterator[Engine]:
    """Find or make an engine; one that was made here is ended afterwards.

    Raises:
        NoEngineError: With the reason why there is none.
    """
    machine = machines_own()
    if machine.has_compose() and machine.answers():
        yield machine
        return
    if os.environ.get("CI") != "true" or os.geteuid() != 0:
        msg = (
            "no Docker engine with Compose answers here; `CI=true make compose` as "
            "root on Debian 12 installs one and runs it just for this"
        )
        raise NoEngineError(msg)
    if not debian.is_supported():
        msg = "no Docker engine answers, and one is only made on Debian 12"
        raise NoEngineError(msg)
    with _own() as engine:
        yield engine


@contextmanager
def _own() -> Iterator[Engine]:
    # The engine's socket lies in it, and its path has 107 characters at most.
    state = Path(os.environ.get("COMPOSE_CI_STATE", "/var/cache/fedsecure-compose"))
    state.mkdir(parents=True, exist_ok=True)
    with _alone(state):
        debian.install_engine()
        debian.fetch_plugins(state)
        engine = Engine(
            {
                **os.environ,
                "DOCKER_HOST": f"unix://{state}/docker.sock",
                "DOCKER_CONFIG": str(state),
                "DOCKER_BUILDKIT": "1",
            },
            (HOST_NETWORK,),
        )
        with _daemon(state, engine):
            _clear(engine)
            base = debian.provide_images(state, engine.docker)
            yield Engine(engine.environment, engine.build_files, f"our own, {base}")


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits for the first
        yield


@contextmanager
def _daemon(state: Path, engine: Engine) -> Iterator[None]:
    """Run dockerd; it ends with the block, and also if this process is killed."""
    command = [
        *("setpriv", "--pdeathsig", "TERM", "dockerd"),
        *("--host", f"unix://{state}/docker.sock"),
        *("--data-root", str(state / "data"), "--exec-root", str(state / "exec")),
        *("--pidfile", str(state / "docker.pid")),
        *("--iptables=false", "--ip6tables=false", "--ip-forward=false"),
        "--bridge=none",
        # Seven organisations on one machine have more networks than the default gives.
        *("--default-address-pool", "base=198.18.0.0/15,size=24"),
    ]
    log = state / "dockerd.log"
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_up(engine, daemon, log)
        yield
    finally:
        daemon.terminate()
        try:
            daemon.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
        mount = state / "exec" / "netns" / "default"  # dockerd leaves it mounted
        subprocess.run(["/usr/bin/umount", mount], capture_output=True, check=False)


def _clear(engine: Engine) -> None:
    """Remove what a killed run left behind, which would start again by itself."""
    for kind, listing in (
        ("container", ("--all", "--quiet")),
        ("network", ("--quiet", "--filter", "type=custom")),
        ("volume", ("--quiet",)),
        ("image", ("--quiet", "--filter", f"reference={PROJECTS}*")),
    ):
        found = engine.docker(kind, "ls", *listing).split()
        if found:
            force = () if kind == "network" else ("--force",)
            engine.docker(kind, "rm", *force, *found)


def _wait_until_up(engine: Engine, daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not engine.answers():
        if daemon.poll() is not None or time.monotonic() > deadline:
            msg = f"dockerd did not start: {log.read_text()[-4000:]}"
            raise DockerError(msg)
        time.sleep(0.2)
