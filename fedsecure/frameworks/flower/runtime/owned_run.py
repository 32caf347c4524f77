"""The owner's end of a run: this process is the run's server app.

    start      a run whose bundle holds no code
    acquire    tasks, until one is of that run; the tasks of others are left alone
    drive      any strategy, over the grid
    finish     completed or failed; the SuperLink forgets the run's messages

Flower would install the bundle and start a process for it. Here nothing is
installed: a run that somebody else started is executed nowhere.
"""

import io
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from flwr.common.constant import SubStatus
from flwr.common.serde import fab_to_proto, run_from_proto
from flwr.proto.control_pb2 import StartRunRequest
from flwr.proto.runtime_pb2 import (
    AcquireTaskRequest,
    PullTaskInputRequest,
    PushTaskOutputRequest,
    SendTaskHeartbeatRequest,
)
from flwr.supercore.constant import TaskType
from flwr.supercore.control.control_http_client import ControlHttpClient
from flwr.supercore.fab import Fab
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.runtime import RuntimeHttpClient

from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.frameworks.flower.runtime.calls import Caller, NotAdmittedError, Pulse
from fedsecure.frameworks.flower.runtime.environment import quiet, task_identity
from fedsecure.frameworks.flower.runtime.grid import POLL, PollingGrid
from fedsecure.frameworks.flower.runtime.superlink import NodeState, Superlink

BEAT_EVERY: Final = 5.0  # seconds; a task without heartbeats ends after 30 s
ACQUIRE_PATIENCE: Final = 30.0  # seconds
ACQUIRE_EVERY: Final = 0.1  # seconds

STUB: Final = b"""\
[project]
name = "fedsecure-run"
version = "1.0.0"
[tool.flwr.app]
publisher = "fedsecure"
[tool.flwr.app.components]
serverapp = "nothing:runs"
clientapp = "nothing:runs"
"""
"""What a run must bring along for a SuperLink to accept it; nothing reads it."""


@dataclass(frozen=True, slots=True)
class OwnedRun:
    """A run that this process drives; use `owned_run` to get one."""

    run_id: int
    grid: PollingGrid
    link: Superlink

    def nodes(self) -> dict[bytes, NodeState]:
        """Return every registered agent by its public key, online or not."""
        return self.link.nodes()


@contextmanager
def owned_run(link: Superlink, poll: float = POLL) -> Iterator[OwnedRun]:
    """Start a run and be its only executor; run by the model owner.

    One at a time in a process, for Flower keeps the run's identity per process. An
    exception out of the block, Ctrl-C included, ends the run as failed.

    Args:
        link: The SuperLink of this process.
        poll: Seconds between two looks for replies, at most.

    Raises:
        OperatorError: FS-513 the run could not be started, FS-512 the SuperLink is
            gone.
    """
    quiet()
    call = link.caller()
    run_id, token = _acquire(link, call, _start_run(link, call))
    with link.connect(RuntimeHttpClient, RuntimeTokenHttpInterceptor(token)) as client:
        task = call(client.PullTaskInput, PullTaskInputRequest())
        pulse = Pulse(
            lambda: bool(client.SendTaskHeartbeat(SendTaskHeartbeatRequest()).success),
            BEAT_EVERY,
        )
        pulse.start()
        outcome = SubStatus.FAILED
        try:
            with task_identity(run_id, task.context.node_id, task.task_id):
                grid = PollingGrid(
                    client, _Watched(call, pulse), run_from_proto(task.run), poll
                )
                yield OwnedRun(run_id, grid, link)
            outcome = SubStatus.COMPLETED
        finally:
            pulse.stop()
            _finish(client, link, outcome)


@dataclass(frozen=True, slots=True)
class _Watched:
    """Calls, as long as the SuperLink still takes this process for the run's."""

    call: Caller
    pulse: Pulse

    def __call__(self, method: Any, request: object) -> Any:
        try:
            if not self.pulse.lost:
                return self.call(method, request)
        except NotAdmittedError:
            pass
        raise OperatorError("FS-513", f"{self.call.address} has ended the run")


def _start_run(link: Superlink, call: Caller) -> int:
    bundle = stub_bundle()
    fab = fab_to_proto(Fab(sha256(bundle).hexdigest(), bundle, {}))
    with link.connect(ControlHttpClient) as control:
        run_id: int = call(control.StartRun, StartRunRequest(fab=fab)).run_id
    return run_id


def _acquire(link: Superlink, call: Caller, run_id: int) -> tuple[int, str]:
    secret = SuperExecAuthHttpInterceptor(
        master_secret=link.secret,
        protected_methods={"/flwr.proto.Runtime/AcquireTask"},
    )
    request = AcquireTaskRequest(supported_task_types=[TaskType.SERVER_APP])
    deadline = time.monotonic() + ACQUIRE_PATIENCE
    with link.connect(RuntimeHttpClient, secret) as executor:
        while time.monotonic() < deadline:
            response = call(executor.AcquireTask, request)
            if response.HasField("task") and response.task.run_id == run_id:
                return run_id, response.token
            if not response.HasField("task"):
                time.sleep(ACQUIRE_EVERY)
    raise OperatorError("FS-513", f"{call.address} never handed out run {run_id}")


def _finish(client: Any, link: Superlink, outcome: str) -> None:
    request = PushTaskOutputRequest(context=None, sub_status=outcome, details="")
    # A SuperLink that is gone, or has ended the run by itself, needs no telling.
    with suppress(FedsecureError):
        link.caller(patience=2.0)(client.PushTaskOutput, request)


def stub_bundle() -> bytes:
    """Return a Flower app bundle without any code in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.writestr(zipfile.ZipInfo("pyproject.toml"), STUB)
    return buffer.getvalue()
