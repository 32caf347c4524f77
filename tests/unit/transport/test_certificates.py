import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from fedsecure.transport.certificates import Authority, Certified

NOW = datetime.now(UTC)  # handshakes go by the real clock
YEAR = timedelta(days=365)
HOSTS = ("north.test", "127.0.0.1", "::1")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("our authority", NOW, YEAR)


def shake_hands(
    folder: Path, trusted: Authority, server: Certified, host: str
) -> str | None:
    """Let a strict client meet a server; what the certificate's check complained of."""
    (folder / "tls.pem").write_bytes(server.certificate + server.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.pem")
    checking = ssl.create_default_context(cadata=trusted.pem.decode())
    checking.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = checking.wrap_bio(to_client, to_server, server_hostname=host)
    other = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for end in (client, other):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return error.verify_message
    return None if client.version() == "TLSv1.3" else "no connection"


@pytest.mark.parametrize("host", HOSTS)
def test_a_server_is_known_by_all_its_names(
    tmp_path: Path, authority: Authority, host: str
) -> None:
    server = authority.certify(HOSTS, NOW, YEAR)
    assert shake_hands(tmp_path, authority, server, host) is None


@pytest.mark.parametrize("host", ["south.test", "x.north.test", "127.0.0.2"])
def test_a_server_is_not_known_by_other_names(
    tmp_path: Path, authority: Authority, host: str
) -> None:
    server = authority.certify(HOSTS, NOW, YEAR)
    assert "mismatch" in str(shake_hands(tmp_path, authority, server, host))


def test_another_authority_of_the_same_name_is_not_trusted(
    tmp_path: Path, authority: Authority
) -> None:
    other = Authority.create("our authority", NOW, YEAR)
    server = other.certify(HOSTS, NOW, YEAR)
    assert shake_hands(tmp_path, authority, server, HOSTS[0])


@pytest.mark.parametrize(
    ("begins", "expected"),
    [
        (NOW - 2 * YEAR, "certificate has expired"),
        (NOW + YEAR, "certificate is not yet valid"),
        (NOW + timedelta(minutes=30), None),  # the other clock is a little slow
    ],
)
def test_a_certificate_has_its_time(
    tmp_path: Path, authority: Authority, begins: datetime, expected: str | None
) -> None:
    server = authority.certify(HOSTS, begins, YEAR)
    assert shake_hands(tmp_path, authority, server, HOSTS[0]) == expected


def test_a_server_cannot_certify_others(authority: Authority) -> None:
    server = x509.load_pem_x509_certificate(
        authority.certify(HOSTS, NOW, YEAR).certificate
    )
    limits = server.extensions.get_extension_for_class(x509.BasicConstraints)
    assert limits.critical
    assert not limits.value.ca
    own = authority.certificate.extensions.get_extension_for_class(
        x509.BasicConstraints
    )
    assert (own.value.ca, own.value.path_length) == (True, 0)


def test_a_host_name_may_be_longer_than_a_common_name(
    tmp_path: Path, authority: Authority
) -> None:
    host = ".".join(["a" * 50] * 4 + ["test"])
    server = authority.certify([host], NOW, YEAR)
    assert shake_hands(tmp_path, authority, server, host) is None


def test_every_certificate_has_its_own_key(authority: Authority) -> None:
    keys = {authority.certify(HOSTS, NOW, YEAR).key for _ in range(3)}
    assert len(keys) == 3


def test_private_keys_do_not_print(authority: Authority) -> None:
    server = authority.certify(HOSTS, NOW, YEAR)
    assert "PRIVATE" not in repr(server)
    assert "key" not in repr(authority).lower()
    assert b"PRIVATE" not in authority.pem + server.certificate
