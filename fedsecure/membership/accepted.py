"""`accepted.toml`: the version of the federation that this party accepted.

    name = "heart"
    federation = "131f32b7..."        # its digest
    number = 2
    model_owner = "88ab-12f0-..."     # who signs the next version
    authorities = "9c1185a5..."       # SHA-256 of authorities.pem, if there is one

    [fingerprints]                    # as they were read out by the parties themselves
    north = "5a1c-09fe-..."
    south = "..."

Written by `fedsecure join`; every program reads it at start. A federation.toml that
was changed since, by whomever, is refused.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Protocol, Self

import tomli_w
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field

from fedsecure.errors import OperatorError
from fedsecure.membership import versions
from fedsecure.membership.files import write_public
from fedsecure.membership.handout import AUTHORITIES, digest, read_authorities
from fedsecure.protocol.encodings import Digest
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.fingerprints import Fingerprint
from fedsecure.protocol.identity import Federation, Name, Role, load_federation
from fedsecure.protocol.signing import Author
from fedsecure.protocol.signing_keys import load_signing_key, require_key_of
from fedsecure.system import toml_file
from fedsecure.system.toml_file import RelativePath

ACCEPTED: Final = "accepted.toml"
AcceptedPath = Annotated[RelativePath, Field(validate_default=True)]
"""Where accepted.toml lies; beside the configuration if nothing is said."""


class Accepted(toml_file.Settings):
    """The content of `accepted.toml`."""

    name: Name
    federation: Digest
    number: Annotated[int, Field(ge=1)]
    model_owner: Fingerprint
    authorities: Digest | None = None
    fingerprints: dict[Name, Fingerprint]

    @classmethod
    def of(cls, federation: Federation, name: str, authorities: bytes | None) -> Self:
        """Return what a party accepts once all fingerprints that it needs hold."""
        role, _ = federation.find(name)
        verified = parties_to_verify(role, federation, name)
        return cls(
            name=federation.name,
            federation=federation.digest,
            number=federation.number,
            model_owner=federation.model_owner.fingerprint,
            authorities=digest(authorities),
            fingerprints={one: federation.find(one)[1].fingerprint for one in verified},
        )


class Own(Protocol):
    """What every party's configuration says about its place in the federation."""

    @property
    def name(self) -> str:
        """The party's own name."""
        ...

    @property
    def federation(self) -> Path:
        """Its federation.toml."""
        ...

    @property
    def key(self) -> Path:
        """Its private signing key."""
        ...

    @property
    def accepted(self) -> Path:
        """Its accepted.toml."""
        ...


@dataclass(frozen=True, slots=True)
class Membership:
    """A party that may start: it holds its key, and accepted this federation.

    `authorities` is the CA file that came with the federation, if one did; `versions`
    are all that this party accepted, this one too.
    """

    author: Author
    accepted: Accepted
    authorities: Path | None
    versions: Federations = field(repr=False)

    @property
    def federation(self) -> Federation:
        """The federation that was accepted."""
        return self.author.federation


def open_membership(own: Own) -> Membership:
    """Read everything that says who this party is; run by every party at start.

    The steps, in order:
        (1) federation.toml is the version that this party accepted;
        (2) so is the CA file beside it;
        (3) the keys of those whose fingerprints it was told are in it;
        (4) its own key is in it, under its own name;
        (5) the versions that it accepted before are what they were.

    Raises:
        OperatorError: FS-752, FS-753 other versions, FS-750 another CA file, FS-754
            another fingerprint, FS-741, FS-744 to FS-746, FS-760, FS-801 to FS-803.
    """
    accepted = load_accepted(own.accepted)
    federation = load_federation(own.federation)
    require_accepted(federation, accepted, own.federation)  # (1)
    authorities = _require_authorities(accepted, own.federation)  # (2)
    require_fingerprints(federation, accepted.fingerprints)  # (3)
    key: Ed25519PrivateKey = load_signing_key(own.key)
    require_key_of(federation, own.name, key)  # (4)
    known = versions.with_past(federation, own.federation)  # (5)
    return Membership(Author(own.name, key, federation), accepted, authorities, known)


def load_accepted(path: Path) -> Accepted:
    """Read accepted.toml.

    Raises:
        OperatorError: FS-753 when there is none, FS-801 to FS-803.
    """
    if not path.exists():
        raise OperatorError("FS-753", f"there is no {path}")
    return toml_file.load(path, Accepted)


def save_accepted(path: Path, accepted: Accepted) -> None:
    """Write accepted.toml.

    Raises:
        OperatorError: FS-816 when it cannot be written.
    """
    content = accepted.model_dump(mode="json", exclude_none=True)
    text = "# Written by `fedsecure join`: what this party accepted.\n"
    write_public(path, (text + tomli_w.dumps(content)).encode())


def require_accepted(federation: Federation, accepted: Accepted, path: Path) -> None:
    """Check that a federation is the version that this party accepted.

    Raises:
        OperatorError: FS-752 with both versions.
    """
    if federation.digest != accepted.federation:
        raise OperatorError(
            "FS-752",
            f"{path} is version {federation.number} ({federation.digest[:12]}), "
            f"accepted was {accepted.number} ({accepted.federation[:12]})",
        )


def require_fingerprints(federation: Federation, known: dict[str, str]) -> None:
    """Check keys against the fingerprints that this party was told.

    Raises:
        OperatorError: FS-754 with the party and both fingerprints.
    """
    for name, verified in known.items():
        found = {party.name: party.fingerprint for party in federation.parties()}
        if found.get(name) != verified:
            raise OperatorError(
                "FS-754",
                f"{name} is {found.get(name, 'nobody')} in federation "
                f"{federation.name}, told was {verified}",
            )


def parties_to_verify(role: Role, federation: Federation, name: str) -> list[str]:
    """Return whose fingerprints a party must hear from them: never the sender's word.

    Data owners, clients, a dealer and the model owner ask both aggregators. An
    aggregator asks the other one, and the model owner, whose rounds it is going to
    open. Everybody asks a dealer, if there is one: it must be nobody's second face.
    """
    asked = [party.name for party in federation.pair if party.name != name]
    if role is Role.AGGREGATOR:
        asked.append(federation.model_owner.name)
    if federation.dealer is not None and role is not Role.DEALER:
        asked.append(federation.dealer.name)
    return asked


def _require_authorities(accepted: Accepted, federation: Path) -> Path | None:
    if accepted.authorities is None:
        return None
    path = federation.with_name(AUTHORITIES)
    if digest(read_authorities(federation)) != accepted.authorities:
        raise OperatorError("FS-750", f"{path} is another than was accepted")
    return path
