"""TLS is weakened, or the wrong party ends it: our clients and servers refuse.

Each false server passes on to the real one: if a client took it, the request would
succeed.
"""

import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fedsecure.transport.certificates import Authority
from fedsecure.transport.retries import UnreachableError
from tests.service.aggregator.conftest import Federation
from tests.service.network.conftest import Admit
from tests.service.network.parties import client
from tests.service.network.requests import connect
from tests.tap import HOST, any_tls, ended_tls, tapping

pytestmark = pytest.mark.service
DAY = timedelta(days=1)

Place = Callable[[Federation, Path], ssl.SSLContext | None]


def certified(
    authority: Authority, folder: Path, *, host: str = HOST, age: timedelta = DAY * 0
) -> ssl.SSLContext:
    made = authority.certify([host], datetime.now(UTC) - age, DAY)
    (folder / "tls.pem").write_bytes(made.certificate)
    (folder / "tls.key").write_bytes(made.key)
    return ended_tls(folder / "tls.pem", folder / "tls.key")


def own(federation: Federation) -> ssl.SSLContext:
    folder = federation.north.folder
    return ended_tls(folder / "tls.pem", folder / "tls.key")


def older(federation: Federation, _: Path) -> ssl.SSLContext:
    context = own(federation)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def other_host(federation: Federation, folder: Path) -> ssl.SSLContext:
    return certified(federation.authority, folder, host="north.test")


def other_authority(_: Federation, folder: Path) -> ssl.SSLContext:
    # Of the same name, which anybody can choose.
    return certified(Authority.create("test", datetime.now(UTC), DAY), folder)


def expired(federation: Federation, folder: Path) -> ssl.SSLContext:
    return certified(federation.authority, folder, age=3 * DAY)


def plain(_: Federation, __: Path) -> None:
    return None


@pytest.mark.parametrize(
    ("place", "code", "cause"),
    [
        # Python's own server ends the line here, without a word.
        (older, "FS-551", "EOF"),
        (other_host, "FS-557", "certificate is not valid for '127.0.0.1'"),
        (other_authority, "FS-557", "certificate"),
        (expired, "FS-557", "certificate has expired"),
        (plain, "FS-557", "it does not speak TLS there"),
    ],
)
def test_a_client_refuses_weaker_tls_and_says_where_and_why(
    federation: Federation, tmp_path: Path, place: Place, code: str, cause: str
) -> None:
    with tapping(federation.north.port, place(federation, tmp_path), any_tls()) as tap:
        caller = client(federation, "north", tap.port)
        with pytest.raises(UnreachableError) as caught:
            caller.require_same_federation()
        caller.close()
    assert caught.value.code == code
    assert caught.value.detail.startswith(f"north at https://127.0.0.1:{tap.port}: ")
    assert cause in caught.value.detail
    for line in tap.lines:
        assert b"HTTP" not in line.sent  # nothing was asked, inside TLS or outside


def test_a_server_that_says_it_has_no_tls_1_3_is_named_as_such(
    federation: Federation, tmp_path: Path
) -> None:
    def answer(listener: socket.socket) -> None:
        line, _ = listener.accept()
        with suppress(OSError), line:
            older(federation, tmp_path).wrap_socket(line, server_side=True)

    with socket.create_server((HOST, 0)) as listener, ThreadPoolExecutor(1) as pool:
        pool.submit(answer, listener)
        caller = client(federation, "north", listener.getsockname()[1])
        with pytest.raises(
            UnreachableError, match=r"it does not offer TLS 1\.3"
        ) as told:
            caller.require_same_federation()
        caller.close()
    assert told.value.code == "FS-557"


def test_the_control_a_tap_with_the_servers_own_key_is_taken(
    federation: Federation,
) -> None:
    with tapping(federation.north.port, own(federation), any_tls()) as tap:
        caller = client(federation, "north", tap.port)
        caller.propose(federation.propose().spec)
        caller.close()
    assert b"HTTP" in tap.sent[0]


def test_an_agent_keeps_its_report_until_the_real_server_is_there_again(
    federation: Federation, tmp_path: Path, admit: Admit
) -> None:
    asked = federation.propose()
    grants = federation.grant(asked)
    false = other_authority(federation, tmp_path)
    with ExitStack() as stack:
        taps = {
            name: stack.enter_context(tapping(server.port, false, any_tls()))
            for name, server in federation.servers.items()
        }
        victim = admit("basel", taps)
        with pytest.raises(UnreachableError, match="FS-557"):
            victim.report(asked, grants)
        assert victim.waiting() == ["north", "south"]
        (rand,) = victim.drawn
        assert [bytes(sent) for tap in taps.values() for sent in tap.sent if sent] == []
    direct = {
        name: client(federation, name, server.port)
        for name, server in federation.servers.items()
    }
    again = replace(victim.contributor, aggregators=direct)
    receipts = again.deliver(victim.accept(asked, grants))
    assert (sorted(receipts), victim.waiting()) == (["north", "south"], [])
    assert victim.drawn == [rand]  # the same bytes: nothing was sharded anew
    for one in direct.values():
        one.close()


def test_a_server_refuses_clients_without_tls_1_3(federation: Federation) -> None:
    for server in federation.servers.values():
        old = any_tls()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with (
            pytest.raises(ssl.SSLError),
            socket.create_connection((HOST, server.port), timeout=30) as line,
        ):
            old.wrap_socket(line, server_hostname=HOST)
        with socket.create_connection((HOST, server.port), timeout=30) as line:
            line.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP" not in everything(line)
        with connect(server) as line:
            assert line.version() == "TLSv1.3"
        assert server.http.get("/health/live").json() == {"status": "live"}


def everything(line: socket.socket) -> bytes:
    """Read until the server closes."""
    answer = b""
    with suppress(ConnectionError):
        while piece := line.recv(4096):
            answer += piece
    return answer
