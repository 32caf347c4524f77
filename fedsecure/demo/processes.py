"""The demo's processes: the users' own commands, started and always stopped.

Each runs in a session of its own with its output in a file, so that Ctrl-C reaches
the demo alone, which then stops them. They end by themselves if the demo is killed.
"""

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from fedsecure.errors import OperatorError

GRACE: Final = 8.0  # seconds between SIGTERM and SIGKILL
LOG_LINES: Final = 12


class Processes:
    """A group of child processes; leaving the block stops them all."""

    def __init__(self) -> None:
        self._children: list[tuple[str, subprocess.Popen[bytes], Path | None]] = []

    def __enter__(self) -> Self:
        """Start with none."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop all of them."""
        self.stop()

    def start(
        self,
        name: str,
        arguments: Sequence[str],
        log: Path | None,
        module: str = "fedsecure.demo.child",
    ) -> subprocess.Popen[bytes]:
        """Start `fedsecure ARGUMENTS`; without a log it shares the screen.

        Another `module` is run with this process' id in front of its arguments.
        """
        command = [sys.executable, "-m", module, str(os.getpid()), *arguments]
        output = log.open("ab") if log else None
        try:
            process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                env=_environment(os.environ),
                start_new_session=True,
            )
        finally:
            if output:
                output.close()
        self._children.append((name, process, log))
        return process

    def require_alive(self) -> None:
        """Check that nobody has ended.

        Raises:
            OperatorError: FS-871 naming who ended, with the end of its log.
        """
        for name, child, log in self._children:
            code = child.poll()
            if code is not None:
                raise OperatorError("FS-871", f"{name} ended with {code}{_tail(log)}")

    def wait_ready(
        self, urls: Mapping[str, str], authority: Path, seconds: float
    ) -> None:
        """Wait until every server says that it is ready.

        Raises:
            OperatorError: FS-871 when one ends, FS-872 when the time is over.
        """
        context = ssl.create_default_context(cafile=authority)
        deadline = time.monotonic() + seconds
        with httpx.Client(verify=context, trust_env=False, timeout=2.0) as client:
            for name, url in urls.items():
                while not _is_ready(client, url):
                    self.require_alive()
                    if time.monotonic() > deadline:
                        raise OperatorError("FS-872", f"{name} at {url}")
                    time.sleep(0.1)

    def stop(self) -> None:
        """End all children, last started first; nothing is left running."""
        for _, child, _ in reversed(self._children):
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        for _, child, _ in reversed(self._children):
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        self._children.clear()


def quiet_environment() -> dict[str, str]:
    """Return what keeps TensorFlow from talking, and from looking for a GPU."""
    return {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "CUDA_VISIBLE_DEVICES": "-1",
    }


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    direct = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
    return {**ours, **quiet_environment(), **direct}


def _is_ready(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/health/ready").is_success
    except httpx.HTTPError:
        return False


def _tail(log: Path | None) -> str:
    if log is None:
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(["; its log ends:", *lines[-LOG_LINES:]])
