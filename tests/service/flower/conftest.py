import warnings

with warnings.catch_warnings():
    # Flower imports typer, which imports two names that click has deprecated.
    warnings.filterwarnings(
        "ignore", r"'click\.utils\.get_(binary|text)_stream'", DeprecationWarning
    )
    import flwr.supercore.logger  # noqa: F401

import datetime
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp

from fedsecure.frameworks.flower.runtime import (
    Fleet,
    Superlink,
    TlsFiles,
    fleet,
    node_public_bytes,
    superlink,
)
from fedsecure.protocol.node_keys import node_key_text

T = TypeVar("T")
NodeKey = ec.EllipticCurvePrivateKey
DAY = datetime.timedelta(days=1)


class Agent(threading.Thread):
    """What an agent does around a fleet: `asked` answers by `app`, then goodbye."""

    def __init__(self, lab: "Lab", key: NodeKey, app: ClientApp, asked: int) -> None:
        super().__init__(daemon=True)
        self._lab, self._key, self._app, self._asked = lab, key, app, asked
        self._failure: Exception | None = None
        self._may_leave = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            with self._lab.join(self._key) as member:
                for _ in range(self._asked):
                    self._answer(member)
                # Flower hands out no reply of an agent that has left.
                self._may_leave.wait(30)
        except Exception as error:  # noqa: BLE001
            # Raised again by `finish`, in the test's own thread.
            self._failure = error

    def _answer(self, member: Fleet) -> None:
        message = Lab.wait_for(member.receive)
        context = Context(message.metadata.run_id, 1, {}, RecordDict(), {})
        member.reply(self._app(message=message, context=context))

    def finish(self) -> None:
        self._may_leave.set()
        self.join(30)
        if self._failure is not None:
            raise self._failure


class Lab(NamedTuple):
    """A running SuperLink, and what an agent needs to trust it."""

    link: Superlink
    address: str
    ca: bytes

    def admit(self) -> NodeKey:
        """The key of a new agent, registered."""
        key = ec.generate_private_key(ec.SECP384R1())
        self.link.register_nodes([self.public(key)])
        return key

    @staticmethod
    def public(key: NodeKey) -> bytes:
        return node_public_bytes(node_key_text(key))

    def join(self, key: NodeKey, last_node_id: int | None = None):
        return fleet(
            self.address, self.ca, key, patience=2.0, last_node_id=last_node_id
        )

    def agents(self, app: ClientApp, number: int, asked: int) -> list[Agent]:
        """Agents that are online and will answer `asked` messages each."""
        keys = [self.admit() for _ in range(number)]
        agents = [Agent(self, key, app, asked) for key in keys]
        Lab.wait_for(
            lambda: all(self.link.nodes()[self.public(key)].online for key in keys)
        )
        return agents

    @staticmethod
    def wait_for(look: Callable[[], T | None]) -> T:
        """The first thing that `look` finds."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.05)
        raise TimeoutError


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """An authority, and a certificate of it for this machine."""
    folder = tmp_path_factory.mktemp("tls")
    files = TlsFiles(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = _certificate("test authority", ca_key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    names = [x509.DNSName("localhost"), x509.IPAddress(LOOPBACK)]
    leaf = _certificate("a server", key.public_key()).add_extension(
        x509.SubjectAlternativeName(names), critical=False
    )
    for path, builder in ((files.ca, ca), (files.certificate, leaf)):
        signed = builder.sign(ca_key, hashes.SHA256())
        path.write_bytes(signed.public_bytes(Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return files


LOOPBACK = ipaddress.ip_address("127.0.0.1")


def _certificate(
    name: str, public: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    subject, issuer = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
        for text in (name, "test authority")
    )
    today = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder(issuer, subject, public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - DAY)
        .not_valid_after(today + DAY)
    )


@pytest.fixture(scope="session")
def free_address() -> Callable[[], str]:
    def choose() -> str:
        with socket.socket() as trial:
            trial.bind(("127.0.0.1", 0))
            return f"127.0.0.1:{trial.getsockname()[1]}"

    return choose


@pytest.fixture(scope="session")
def lab(
    tmp_path_factory: pytest.TempPathFactory,
    tls: TlsFiles,
    free_address: Callable[[], str],
) -> Iterator[Lab]:
    folder: Path = tmp_path_factory.mktemp("lab")
    address = free_address()
    with superlink(address, tls, folder / "home", folder / "superlink.log") as link:
        yield Lab(link, address, tls.ca.read_bytes())
