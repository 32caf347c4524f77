"""Flower as it comes: its own commands, and a process for every message.

A SuperLink with its state in memory, a SuperNode for each data owner, and an app that
trains nothing, started by `flwr run`. No TLS and no node keys, as in Flower's own
quickstart. What Flower would do by itself (telemetry, updates, installing) is off.
"""

import json
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx

from fedsecure.demo.processes import GRACE, quiet_environment
from fedsecure.demo.provision import HOST, free_ports
from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower.runtime import flower_environment
from fedsecure_bench.rounds.model import NODES
from fedsecure_bench.servers.federation import in_memory

APP: Final = Path(__file__).with_name("stock")
READY_SECONDS: Final = 90.0
RUN_SECONDS: Final = 600.0
CONNECTION: Final = """\
[superlink]
default = "bench"
[superlink.bench]
address = "{address}"
insecure = true
"""


def stock_rounds(size: int, rounds: int) -> list[float]:
    """Run rounds of FedAvg on stock Flower and return the seconds of each.

    Raises:
        OperatorError: FS-846 when it does not start, or does not finish.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(in_memory())
        port, *node_ports = free_ports(1 + NODES)
        address = f"{HOST}:{port}"
        link = ["--insecure", "--host", HOST, "--port", str(port)]
        stack.enter_context(_running(folder, "flower-superlink", link, "superlink"))
        _wait_healthy(address)
        for place, node_port in enumerate(node_ports):
            node = ["--insecure", "--superlink", address, "--host", HOST]
            node += ["--port", str(node_port)]
            name = f"supernode-{place}"
            stack.enter_context(_running(folder, "flower-supernode", node, name))
        return _run_app(folder, address, size, rounds)


def _run_app(folder: Path, address: str, size: int, rounds: int) -> list[float]:
    home, result = folder / "home", folder / "seconds.json"
    home.mkdir()
    (home / "config.toml").write_text(
        CONNECTION.format(address=address), encoding="utf-8"
    )
    shutil.copytree(APP, folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
    config = f'num-server-rounds={rounds} dimension={size} result="{result}"'
    command = ["run", str(folder / "app"), "bench", "--stream", "--run-config", config]
    with (folder / "run.log").open("wb") as log:
        subprocess.run(  # noqa: S603 - Flower's own command
            [str(_script("flwr")), *command],
            env=_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=RUN_SECONDS,
            check=False,
        )
    if not result.exists():
        raise OperatorError("FS-846", _tail(folder))
    seconds: list[float] = json.loads(result.read_text(encoding="utf-8"))
    return seconds


@contextmanager
def _running(
    folder: Path, program: str, arguments: Sequence[str], name: str
) -> Iterator[None]:
    """Run one of Flower's commands for as long as the block lasts."""
    home = folder / name
    home.mkdir()
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - Flower's own command
            [str(_script(program)), *arguments],
            env=_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_healthy(address: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    with httpx.Client(trust_env=False, timeout=2.0) as client:
        while time.monotonic() < deadline:
            try:
                if client.get(f"http://{address}/health").is_success:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
    raise OperatorError("FS-846", f"Flower's SuperLink at {address} is not healthy")


def _script(name: str) -> Path:
    return Path(sysconfig.get_path("scripts")) / name


def _environment(home: Path) -> dict[str, str]:
    scripts = f"{_script('.')}:"
    settings = {**flower_environment(home), **quiet_environment()}
    return {**settings, "PATH": f"{scripts}{settings.get('PATH', '')}"}


def _tail(folder: Path) -> str:
    text = (folder / "run.log").read_text(encoding="utf-8", errors="replace")
    return "\n".join(["`flwr run` ends with", *text.splitlines()[-12:]])
