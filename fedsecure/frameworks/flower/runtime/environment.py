"""Which Flower we run on, and what it may not do by itself.

Flower sends telemetry, asks for updates and installs dependencies unless it is
told not to, and it writes to the console. All four are off in everything that
fedsecure starts, and in its own processes.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

from flwr.supercore import telemetry
from flwr.supercore.logger import FLOWER_LOGGER, console_handler
from flwr.supercore.task_identity import TaskIdentity

from fedsecure.errors import OperatorError

SUPPORTED: Final = "1.41"
"""The one minor version whose internals this package was written against."""

SWITCHES: Final = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}


def require_supported_flower() -> None:
    """Stop on a Flower whose internals may differ; run before anything connects.

    Raises:
        OperatorError: FS-500 when the installed minor version is not `SUPPORTED`.
    """
    installed = version("flwr")
    if installed.split(".")[:2] != SUPPORTED.split("."):
        raise OperatorError(
            "FS-500", f"flwr {installed} is installed, fedsecure needs {SUPPORTED}"
        )


def flower_environment(home: Path) -> dict[str, str]:
    """Return the environment of a Flower process that works in `home`.

    Other `FLWR_` variables of the caller are left out: one of them logs secrets,
    others open further ports.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FLWR_")}
    return {**kept, **SWITCHES, "FLWR_HOME": str(home)}


def quiet() -> None:
    """Keep Flower inside this process off the network and off the console.

    Its log records still reach the root logger, and so ours.
    """
    os.environ.update(SWITCHES)
    # Flower reads the variable when it is imported, which may be long ago.
    telemetry.FLWR_TELEMETRY_ENABLED = SWITCHES["FLWR_TELEMETRY_ENABLED"]
    FLOWER_LOGGER.removeHandler(console_handler)
    if not FLOWER_LOGGER.handlers:
        # Without any handler Python itself would print the warnings.
        FLOWER_LOGGER.addHandler(logging.NullHandler())
    for chatty in ("httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


@contextmanager
def task_identity(run_id: int, node_id: int = 1, task_id: int = 1) -> Iterator[None]:
    """Say who this process is, so that `flwr.app.Message` can be built in it.

    Only instructions (messages that are no replies) need it. Flower holds the
    identity once per process, so one process drives at most one run at a time.
    """
    names = ("_run_id", "_node_id", "_task_id")
    before = [getattr(TaskIdentity, name) for name in names]
    try:
        TaskIdentity.run_id = run_id
        TaskIdentity.node_id = node_id
        TaskIdentity.task_id = task_id
        yield
    finally:
        for name, value in zip(names, before, strict=True):
            setattr(TaskIdentity, name, value)
