"""A party makes its own keys, in its own folder; nothing private ever leaves it.

    signing.pem           the private signing key (0600)
    flower.key            a data owner's key for Flower's SuperLink (0600)
    NAME.identity.toml    the public halves, to hand over to the model owner
    owner.toml, aggregator.toml, agent.toml, client.toml or dealer.toml

and, for a server that brings no certificates, the files of `own_tls`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from fedsecure.errors import OperatorError
from fedsecure.membership import identity_file, own_tls, starting_config
from fedsecure.membership.files import write_public
from fedsecure.membership.identity_file import SERVERS, SUFFIX, Identity
from fedsecure.membership.own_party import FILES
from fedsecure.protocol.identity import Role
from fedsecure.protocol.node_keys import generate_node_key
from fedsecure.protocol.signing_keys import public_key_text, save_signing_key
from fedsecure.system import toml_file
from fedsecure.system.private_files import write_private

SIGNING_KEY: Final = "signing.pem"
FLOWER_KEY: Final = "flower.key"
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - what an operator would write


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a party says about itself before it has keys.

    `tls_hosts` are the names of the certificate to make; without any, the
    organisation brings its own, and in `authority` the CA that clients need for it.
    """

    role: Role
    name: str
    url: str | None = None
    superlink: str | None = None
    listen: str | None = None
    data: str = "data.csv"
    study: str = "study"
    tls_hosts: Sequence[str] = ()
    authority: Path | None = None


def make(wanted: Wanted, folder: Path, now: datetime) -> Identity:
    """Make keys, identity file and a configuration; overwrite nothing.

    Raises:
        OperatorError: FS-748 when the folder has one of the files, FS-814 for a name
            or an address that cannot be, FS-743, FS-816.
    """
    if wanted.role not in SERVERS and (wanted.tls_hosts or wanted.authority):
        raise OperatorError("FS-814", f"a {wanted.role} has no certificate")
    key = Ed25519PrivateKey.generate()
    private, public = generate_node_key()
    has_flower = wanted.role is Role.DATA_OWNER
    draft = _identity(wanted, key, public if has_flower else None)
    _require_empty(wanted, folder)
    save_signing_key(folder / SIGNING_KEY, key)
    if has_flower:
        write_private(folder / FLOWER_KEY, private)
    authority = _authority(wanted, folder, now)
    identity = draft.model_copy(update={"authority": authority})
    identity_file.write(folder / f"{wanted.name}{SUFFIX}", identity, key)
    write_public(folder / FILES[wanted.role], _config(wanted).encode())
    return identity


def _identity(
    wanted: Wanted, key: Ed25519PrivateKey, flower_key: str | None
) -> Identity:
    try:
        return Identity(
            role=wanted.role,
            name=wanted.name,
            key=public_key_text(key),
            url=wanted.url,
            superlink=wanted.superlink,
            flower_key=flower_key,
        )
    except ValidationError as error:
        raise OperatorError("FS-814", toml_file.explain(error, Identity)) from error


def _require_empty(wanted: Wanted, folder: Path) -> None:
    names = [SIGNING_KEY, f"{wanted.name}{SUFFIX}", FILES[wanted.role]]
    if wanted.role is Role.DATA_OWNER:
        names.append(FLOWER_KEY)
    if wanted.authority is not None:
        names.append(own_tls.CA)
    if wanted.tls_hosts:
        names += [own_tls.CA, own_tls.CA_KEY, own_tls.CERTIFICATE, own_tls.KEY]
    for name in names:
        if (folder / name).exists():
            raise OperatorError("FS-748", f"{folder / name}")


def _authority(wanted: Wanted, folder: Path, now: datetime) -> str | None:
    if wanted.tls_hosts:
        made = own_tls.create(folder, wanted.name, wanted.tls_hosts, now)
        return made.decode("ascii")
    if wanted.authority is None:
        return None
    try:
        pem = wanted.authority.read_bytes()
        x509.load_pem_x509_certificates(pem)
    except (OSError, ValueError) as error:
        raise OperatorError("FS-801", f"{wanted.authority}: {error}") from error
    write_public(folder / own_tls.CA, pem)
    return pem.decode("ascii")


def _config(wanted: Wanted) -> str:
    match wanted.role:
        case Role.AGGREGATOR:
            listen = wanted.listen or _everywhere(wanted.url or "", "443")
            return starting_config.aggregator(wanted.name, listen)
        case Role.MODEL_OWNER:
            listen = wanted.listen or _everywhere(wanted.superlink or "", "9092")
            return starting_config.owner(wanted.name, wanted.study, listen)
        case Role.DATA_OWNER:
            return starting_config.agent(wanted.name, wanted.data)
        case Role.CLIENT:
            return starting_config.client(wanted.name)
        case Role.DEALER:
            return starting_config.dealer(wanted.name)


def _everywhere(address: str, otherwise: str) -> str:
    port = address.rpartition(":")[2]
    return f"{EVERYWHERE}:{port if port.isdecimal() else otherwise}"
