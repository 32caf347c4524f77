"""The owner's end of the process: a SuperLink as a child of this one.

It listens where `owner.toml` says, keeps its state in memory, executes nothing
itself, and is ended with its owner. Only agents whose key was registered here can
join, and only this process can use its control and runtime APIs.
"""

import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates
from flwr.proto.control_pb2 import ListNodesRequest, RegisterNodeRequest
from flwr.supercore.address import resolve_bind_address
from flwr.supercore.constant import NodeStatus
from flwr.supercore.control.control_http_client import ControlHttpClient

from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower.runtime.calls import (
    Caller,
    Peer,
    Version,
    split_address,
)
from fedsecure.frameworks.flower.runtime.environment import (
    flower_environment,
    quiet,
    require_supported_flower,
)
from fedsecure.frameworks.flower.runtime.guard import BARE, GUARDED, OwnerHeader
from fedsecure.system.private_files import write_private

PATIENCE: Final = 90.0  # seconds until a SuperLink must be healthy
GRACE: Final = 8.0  # seconds between SIGTERM and SIGKILL
PROBE_EVERY: Final = 0.1  # seconds
LOG_LINES: Final = 15
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
AUTH_FILE: Final = "superexec.secret"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of the SuperLink: its authority, its certificate and its key."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class NodeState:
    """What the SuperLink knows about one registered agent.

    `node_id` stays the same while the SuperLink lives. `activated_at` (ISO 8601,
    empty if never) changes each time the agent joins, or comes back after it was
    counted as gone: so a restarted agent can be told from one that stayed.
    """

    node_id: int
    online: bool
    activated_at: str


@dataclass(frozen=True)
class Superlink:
    """A running SuperLink; use `superlink` to get one."""

    peer: Peer
    log: Path
    process: subprocess.Popen[bytes]
    secret: bytes = field(repr=False)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self.process.pid

    def check_alive(self) -> None:
        """Make sure that the child still runs.

        Raises:
            OperatorError: FS-512 with the last lines of its log.
        """
        if self.process.poll() is not None:
            raise OperatorError("FS-512", last_words(self.process, self.log))

    def caller(self, patience: float = 10.0) -> Caller:
        """Return what calls this SuperLink, and gives up as soon as it is gone."""
        return Caller(self.peer.address, patience, self.check_alive)

    def connect(self, kind: Any, *interceptors: object) -> Any:
        """Open one of Flower's clients with the owner's rights."""
        owner = OwnerHeader(self.secret)
        return self.peer.connect(kind, [Version("fedsecure"), owner, *interceptors])

    def register_nodes(self, public_keys: Iterable[bytes]) -> dict[bytes, int]:
        """Admit these agents and no others; calling it again changes nothing.

        Args:
            public_keys: As `node_public_bytes` returns them.

        Returns:
            The node id of each key.
        """
        call = self.caller()
        known = {key: state.node_id for key, state in self.nodes().items()}
        with self.connect(ControlHttpClient) as control:
            for key in public_keys:
                if key not in known:
                    request = RegisterNodeRequest(public_key=key)
                    known[key] = call(control.RegisterNode, request).node_id
        return known

    def nodes(self) -> dict[bytes, NodeState]:
        """Return every registered agent by its public key."""
        with self.connect(ControlHttpClient) as control:
            listed = self.caller()(control.ListNodes, ListNodesRequest()).nodes_info
        return {
            node.public_key: NodeState(
                node.node_id,
                node.status == NodeStatus.ONLINE,
                node.last_activated_at,
            )
            for node in listed
            if node.status != NodeStatus.UNREGISTERED
        }


@contextmanager
def superlink(  # noqa: PLR0913 - one process has many settings
    listen: str,
    tls: TlsFiles,
    home: Path,
    log: Path,
    *,
    require_node_auth: bool = True,
    bare: bool = False,
    patience: float = PATIENCE,
) -> Iterator[Superlink]:
    """Run a SuperLink for as long as the block lasts; run by the model owner.

    Args:
        listen: `host:port`; `0.0.0.0` or `[::]` for every interface.
        tls: What it shows to agents.
        home: A folder of its own for Flower's files and the secret (0600).
        log: File that its output is appended to.
        require_node_auth: False admits any agent; for measurements only.
        bare: Run it as Flower ships it, open to whoever reaches the port; for
            measurements only.
        patience: Seconds until it must be healthy.

    Raises:
        OperatorError: FS-510 the port is taken, FS-511 it did not start, FS-514 no
            address, FS-500 Flower's version, FS-801 a TLS file cannot be read.
    """
    quiet()
    require_supported_flower()
    peer = Peer(resolve_bind_address(listen), pin(tls.certificate), direct=True)
    require_free(listen)
    secret = secrets.token_bytes(32)
    secret_file = home / AUTH_FILE
    secret_file.unlink(missing_ok=True)
    write_private(secret_file, secret)
    log.parent.mkdir(parents=True, exist_ok=True)
    kind = BARE if bare else GUARDED
    flags = ["--enable-supernode-auth"] if require_node_auth else []
    command = [*_command(listen, tls, secret_file, kind), *flags]
    process = _start(command, home, log)
    try:
        link = Superlink(peer, log, process, secret)
        try:
            _wait_until_healthy(link, patience)
        finally:
            # Both processes hold it by now; nobody needs it on disk.
            secret_file.unlink(missing_ok=True)
        yield link
    finally:
        _stop(process)


def pin(certificate: Path) -> ssl.SSLContext:
    """Trust exactly this certificate, whatever names it bears.

    For the owner's own calls: it listens on an interface whose address the
    certificate need not name.

    Raises:
        OperatorError: FS-801 when the file cannot be read, FS-502 when it is no PEM.
    """
    try:
        leaf = load_pem_x509_certificates(certificate.read_bytes())[0]
    except OSError as error:
        raise OperatorError("FS-801", f"{certificate}: {error.strerror}") from error
    except ValueError as error:
        raise OperatorError("FS-502", f"{certificate} is no PEM file") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=leaf.public_bytes(Encoding.DER))
    return context


class PortTakenError(OperatorError):
    """The SuperLink cannot listen where it is to: FS-510."""


def require_free(listen: str) -> None:
    """Make sure that nobody else listens there.

    Raises:
        PortTakenError: FS-510 when somebody does, or the address is not ours.
    """
    host, port = split_address(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            raise PortTakenError("FS-510", f"{listen}: {error.strerror}") from error


def _command(listen: str, tls: TlsFiles, secret_file: Path, kind: str) -> list[str]:
    host, port = split_address(listen)
    return [
        # -P: a file in the current folder must not shadow one of Flower's modules.
        *(sys.executable, "-P", "-m", "fedsecure.frameworks.flower.runtime.child"),
        *(str(os.getpid()), str(secret_file), kind),
        *("--host", host, "--port", str(port), "--isolation", "process"),
        *("--ssl-ca-certfile", str(tls.ca)),
        *("--ssl-certfile", str(tls.certificate)),
        *("--ssl-keyfile", str(tls.key)),
    ]


def _start(command: list[str], home: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            env=flower_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C in the owner's terminal is for the owner, who then stops this.
            start_new_session=True,
        )


def _wait_until_healthy(link: Superlink, patience: float) -> None:
    deadline = time.monotonic() + patience
    with link.peer.http() as probe:
        while not _is_healthy(probe, link.peer.address):
            if link.process.poll() is not None or time.monotonic() > deadline:
                raise OperatorError("FS-511", last_words(link.process, link.log))
            time.sleep(PROBE_EVERY)


def _is_healthy(probe: httpx.Client, address: str) -> bool:
    try:
        return probe.get(f"https://{address}/health").is_success
    except httpx.TransportError:
        return False


def last_words(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return how a SuperLink stands, and the last lines it wrote."""
    code = process.poll()
    state = "it is not healthy yet" if code is None else f"it ended with status {code}"
    text = COLOUR.sub("", log.read_text(encoding="utf-8", errors="replace"))
    lines = text.splitlines()[-LOG_LINES:]
    return "\n".join([f"{state}; {log} ends with", *lines])


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    finally:
        # Reached by a second Ctrl-C as well: nothing may be left behind.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
