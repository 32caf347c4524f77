"""TLS of a server whose organisation brings no certificate: a CA of its own.

    ca.pem  ca.key     the organisation's CA; ca.pem goes into the identity file
    tls.pem tls.key    the server's certificate and key, signed by it

The CA outlives many certificates: `fedsecure renew-tls` makes a new one, and nobody
else has to do anything.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from fedsecure.errors import OperatorError
from fedsecure.membership.files import write_public
from fedsecure.system.private_files import read_private, write_private
from fedsecure.transport.certificates import Authority

AUTHORITY_LIFETIME: Final = timedelta(days=3650)
LIFETIME: Final = timedelta(days=397)
CA: Final = "ca.pem"
CA_KEY: Final = "ca.key"
CERTIFICATE: Final = "tls.pem"
KEY: Final = "tls.key"


def create(folder: Path, name: str, hosts: Sequence[str], now: datetime) -> bytes:
    """Make a CA and a server certificate in a folder; return the CA's certificate.

    Raises:
        OperatorError: FS-743 when a key exists, FS-816.
    """
    authority = Authority.create(f"{name} (fedsecure)", now, AUTHORITY_LIFETIME)
    pem = authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(folder / CA_KEY, pem)
    write_public(folder / CA, authority.pem)
    certified = authority.certify(hosts, now, LIFETIME)
    write_private(folder / KEY, certified.key)
    write_public(folder / CERTIFICATE, certified.certificate)
    return authority.pem


def renew(certificate: Path, key: Path, hosts: Sequence[str], now: datetime) -> None:
    """Replace a server's certificate and key by new ones of the CA beside them.

    Args:
        certificate: The file to replace; it need not exist.
        key: The file of its private key.
        hosts: Names and addresses of the server; without any, those of the old one.
        now: The present time.

    Raises:
        OperatorError: FS-812 when the CA is not there or the hosts are unknown,
            FS-743, FS-744, FS-816.
    """
    authority = _authority(certificate.parent)
    names = list(hosts) or _hosts(certificate)
    certified = authority.certify(names, now, LIFETIME)
    fresh = key.with_name(f"{key.name}.new")
    fresh.unlink(missing_ok=True)
    write_private(fresh, certified.key)
    write_public(certificate, certified.certificate)
    fresh.replace(key)


def _authority(folder: Path) -> Authority:
    try:
        certificate = x509.load_pem_x509_certificate((folder / CA).read_bytes())
        key = load_pem_private_key(read_private(folder / CA_KEY), password=None)
    except (OSError, ValueError, TypeError) as error:
        cause = getattr(error, "strerror", None) or "not PEM"
        raise OperatorError("FS-812", f"{folder / CA}: {cause}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise OperatorError("FS-812", f"{folder / CA_KEY} was not made here")
    return Authority(certificate, key)


def _hosts(certificate: Path) -> list[str]:
    try:
        old = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (OSError, ValueError, x509.ExtensionNotFound) as error:
        raise OperatorError("FS-812", f"{certificate} names no host") from error
    return [str(name.value) for name in names.value]
