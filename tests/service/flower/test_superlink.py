"""The SuperLink as a child: how it starts, whom it serves, how it ends."""

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from flwr.proto.control_pb2 import ListNodesRequest, StartRunRequest
from flwr.proto.runtime_pb2 import AcquireTaskRequest
from flwr.supercore.constant import TaskType
from flwr.supercore.control.control_http_client import ControlHttpClient
from flwr.supercore.runtime import RuntimeHttpClient

from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower.runtime import TlsFiles, fleet, superlink
from fedsecure.frameworks.flower.runtime.calls import Peer, trust_authorities
from fedsecure.transport.bounded_connection import MAX_WAITING

pytestmark = pytest.mark.service


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return not Path("/proc/self").exists()


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(pid)


def stranger(lab, kind):
    """A client of somebody who reaches the port and trusts the certificate."""
    return Peer(lab.address, trust_authorities(lab.ca)).connect(kind, [])


@pytest.mark.parametrize(
    ("method", "request_"),
    [("StartRun", StartRunRequest()), ("ListNodes", ListNodesRequest())],
)
def test_only_the_owner_controls_it(lab, method, request_):
    with (
        stranger(lab, ControlHttpClient) as control,
        pytest.raises(httpx.HTTPStatusError) as caught,
    ):
        getattr(control, method)(request_)
    assert caught.value.response.status_code == 403


def test_only_the_owner_can_take_a_task(lab):
    request = AcquireTaskRequest(supported_task_types=[TaskType.SERVER_APP])
    with stranger(lab, RuntimeHttpClient) as runtime:
        with pytest.raises(httpx.HTTPStatusError) as caught:
            runtime.AcquireTask(request)
        assert caught.value.response.status_code == 403
    # Even one who had the owner's token would need the executor's secret as well.
    with lab.link.connect(RuntimeHttpClient) as runtime:
        with pytest.raises(httpx.HTTPStatusError) as caught:
            runtime.AcquireTask(request)
        assert caught.value.response.status_code == 401


@pytest.mark.parametrize(
    "path", ["/docs", "/openapi.json", "/v1/responses", "/v1/fleet/../control/x", "/"]
)
def test_strangers_see_nothing_but_what_agents_need(lab, path):
    with Peer(lab.address, trust_authorities(lab.ca)).http() as client:
        assert client.get(f"https://{lab.address}/health").status_code == 200
        assert client.get(f"https://{lab.address}{path}").status_code in (403, 404)


@pytest.mark.parametrize(
    "body",
    [{"content": b"x" * (16 * 2**20 + 1)}, {"content": iter([b"x"])}],
    ids=["too long", "of unknown length"],
)
def test_a_body_that_no_agent_would_send_is_not_read(lab, body):
    with Peer(lab.address, trust_authorities(lab.ca)).http() as client:
        url = f"https://{lab.address}/v1/fleet/push-object"
        try:
            assert client.post(url, **body).status_code in (403, 411)
        except httpx.TransportError:
            # Refused, and the connection closed, before all of it was sent.
            assert client.get(f"https://{lab.address}/health").is_success


def test_the_secret_is_neither_shown_nor_left_on_disk(lab):
    assert lab.link.secret.hex() not in repr(lab.link)
    assert repr(lab.link.secret) not in repr(lab.link)
    home = lab.link.log.parent / "home"
    assert not list(home.glob("*.secret"))


def test_a_taken_port_is_named(tls, tmp_path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        with (
            pytest.raises(OperatorError, match=address) as caught,
            superlink(address, tls, tmp_path / "home", tmp_path / "log"),
        ):
            pass
    assert caught.value.code == "FS-510"
    assert not (tmp_path / "log").exists()


def test_one_that_cannot_start_shows_the_end_of_its_log(tls, tmp_path, free_address):
    swapped = TlsFiles(tls.ca, tls.certificate, tls.ca)
    with (
        pytest.raises(OperatorError, match="ended with status") as caught,
        superlink(free_address(), swapped, tmp_path / "home", tmp_path / "log"),
    ):
        pass
    assert caught.value.code == "FS-511"
    assert "\n" in caught.value.detail
    assert "\x1b" not in caught.value.detail


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_certificate_that_cannot_be_used_is_named(
    tls, tmp_path, free_address, content
):
    path = tmp_path / "server.pem"
    if content is not None:
        path.write_bytes(content)
    files = TlsFiles(tls.ca, path, tls.key)
    with (
        pytest.raises(OperatorError, match=r"server\.pem") as caught,
        superlink(free_address(), files, tmp_path / "home", tmp_path / "log"),
    ):
        pass
    assert caught.value.code in ("FS-801", "FS-502")


def test_one_that_died_is_told_from_one_that_is_out_of_reach(
    tls, tmp_path, free_address
):
    address = free_address()
    with superlink(address, tls, tmp_path / "home", tmp_path / "log") as link:
        os.kill(link.pid, signal.SIGKILL)
        with pytest.raises(OperatorError) as caught:
            link.nodes()
    assert caught.value.code == "FS-512"
    assert gone(link.pid)


def test_on_every_interface_its_certificate_still_has_to_name_the_address(
    tls, tmp_path, free_address
):
    port = free_address().rpartition(":")[2]
    ca = tls.ca.read_bytes()
    with superlink(
        f"0.0.0.0:{port}",
        tls,
        tmp_path / "home",
        tmp_path / "log",
        require_node_auth=False,
    ) as link:
        with fleet(f"localhost:{port}", ca, None) as member:
            (state,) = link.nodes().values()
            assert state.node_id == member.node_id
        with (
            pytest.raises(OperatorError, match=r"127\.0\.0\.2") as caught,
            fleet(f"127.0.0.2:{port}", ca, None),
        ):
            pass
        assert caught.value.code == "FS-502"
        pid = link.pid
    assert gone(pid)


OWNER = """
import sys, time, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from fedsecure.frameworks.flower.runtime import TlsFiles, superlink
address, ca, certificate, key, folder = sys.argv[1:]
folder = Path(folder)
tls = TlsFiles(Path(ca), Path(certificate), Path(key))
with superlink(address, tls, folder / "home", folder / "log") as link:
    print(link.pid, flush=True)
    time.sleep(600)
"""


def test_it_does_not_outlive_an_owner_that_was_killed(tls, tmp_path, free_address):
    arguments = [free_address(), tls.ca, tls.certificate, tls.key, tmp_path]
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, *map(str, arguments)], stdout=subprocess.PIPE
    )
    with owner:
        pid = int(owner.stdout.readline())
        assert is_running(pid)
        owner.kill()
    assert gone(pid)


def test_its_connections_are_bounded(lab):
    """A request too many, an upgrade, chunks: each ends the connection."""
    head = "GET /health HTTP/1.1\r\nHost: x\r\n"
    many = talk(lab, f"{head}\r\n" * 500)
    assert many.count(b"HTTP/1.1 200 ") == MAX_WAITING + 1
    assert many.count(b"FS-535") == 1
    upgrade = f"{head}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert talk(lab, upgrade).startswith(b"HTTP/1.1 400 ")
    chunks = f"{head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert talk(lab, chunks).startswith(b"HTTP/1.1 411 ")
    assert talk(lab, f"GET /{'a' * 70_000} HTTP/1.1\r\n\r\n").startswith(
        b"HTTP/1.1 413 "
    )


def talk(lab, sent: str) -> bytes:
    """Send something and return all that comes until the line is closed."""
    host, port = lab.address.rsplit(":", 1)
    trust = ssl.create_default_context(cadata=lab.ca.decode())
    trust.check_hostname = False
    plain = socket.create_connection((host, int(port)), timeout=30)
    answer = b""
    with trust.wrap_socket(plain) as line, contextlib.suppress(OSError):
        line.sendall(sent.encode())
        while piece := line.recv(65536):
            answer += piece
    return answer
