"""The public identity file that a party hands over, signed with its own key.

    role = "aggregator"
    name = "north"
    key = "KHWbv_jgVMI57AIkD_rr0zP-TLbgaK_Bwf2dRGCaUjo"
    url = "https://north.example:8443"
    authority = '''-----BEGIN CERTIFICATE----- ...'''
    signature = "eyJhbGciOi...LCJ0eXAiOi..YzQ2..."

The signature proves that whoever wrote the file has the key, and that nobody mixed
up two files. It does not prove whose file it is: that is what fingerprints are for.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Self

import tomli_w
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, model_validator

from fedsecure.errors import PeerError
from fedsecure.membership import detached
from fedsecure.membership.files import write_public
from fedsecure.protocol.fingerprints import as_words
from fedsecure.protocol.identity import FlowerKey, HostPort, Party, Role, Url
from fedsecure.system import toml_file

TYPE: Final = "identity"
SUFFIX: Final = ".identity.toml"
MAX_AUTHORITY: Final = 100_000  # characters of PEM

_OWN_FIELDS: Final = {
    Role.MODEL_OWNER: {"superlink"},
    Role.AGGREGATOR: {"url"},
    Role.DATA_OWNER: {"flower_key"},
    Role.CLIENT: set[str](),
    Role.DEALER: set[str](),
}
_FOR: Final = {
    Role.MODEL_OWNER: ", the model owner: read by `fedsecure init`",
    Role.AGGREGATOR: ": for the model owner",
    Role.DATA_OWNER: ": for the model owner",
    Role.CLIENT: ": for the model owner",
    Role.DEALER: ": for the model owner",
}
SERVERS: Final = frozenset({Role.MODEL_OWNER, Role.AGGREGATOR})
"""Roles to which others connect."""


class Identity(Party):
    """What a party says about itself; fields of other roles are left out."""

    role: Annotated[Role, Field(strict=False)]
    url: Url | None = None
    superlink: HostPort | None = None
    flower_key: FlowerKey | None = None
    authority: Annotated[str, Field(max_length=MAX_AUTHORITY)] | None = None
    """The CA certificates (PEM) that a client must trust to reach this server."""

    @model_validator(mode="after")
    def _says_what_its_role_has(self) -> Self:
        given = {
            name
            for name in ("url", "superlink", "flower_key")
            if getattr(self, name) is not None
        }
        if given != _OWN_FIELDS[self.role]:
            wanted = " and ".join(sorted(_OWN_FIELDS[self.role])) or "a key alone"
            msg = f"of role {self.role} needs {wanted}, and nothing of another role"
            raise ValueError(msg)
        if self.authority is not None:
            if self.role not in SERVERS:
                msg = f"of role {self.role} has no authority: it is no server"
                raise ValueError(msg)
            x509.load_pem_x509_certificates(self.authority.encode("ascii"))
        return self

    @property
    def words(self) -> str:
        """The fingerprint as it is read out over the telephone."""
        return as_words(self.fingerprint)

    def content(self) -> dict[str, Any]:
        """Return what is signed: every field that is there."""
        return self.model_dump(mode="json", exclude_none=True)


class _SignedIdentity(Identity):
    signature: str


def write(path: Path, identity: Identity, key: Ed25519PrivateKey) -> None:
    """Write a party's own identity file; run by the party.

    Raises:
        OperatorError: FS-816 when it cannot be written.
    """
    signature = detached.sign(identity.content(), TYPE, identity.name, key)
    text = (
        f"# The public identity of {identity.name}{_FOR[identity.role]}.\n"
        f"# {identity.words}\n"
        + tomli_w.dumps(
            {**identity.content(), "signature": signature}, multiline_strings=True
        )
    )
    write_public(path, text.encode())


def read(path: Path) -> Identity:
    """Read an identity file and check its signature; run by the model owner.

    Raises:
        OperatorError: FS-801, FS-802 when it is no TOML file.
        PeerError: FS-747 when it is not as its party signed it.
    """
    try:
        signed = toml_file.load(path, _SignedIdentity)
    except toml_file.KeysError as error:
        raise PeerError("FS-747", error.detail) from error
    identity = Identity.model_validate(signed.model_dump(exclude={"signature"}))
    try:
        detached.verify(
            signed.signature,
            identity.content(),
            TYPE,
            identity.name,
            identity.verifier,
        )
    except ValueError as error:
        raise PeerError("FS-747", f"{path}: {error}") from error
    return identity
