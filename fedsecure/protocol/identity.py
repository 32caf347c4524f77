"""Who takes part: signing keys, roles, and `federation.toml`.

The federation is the model owner, the two aggregators and the rosters of data
owners and of clients with their public keys. The same file lies at every party; its
digest is in every statement, so two parties with different files find out at once.
"""

import hashlib
from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property
from ipaddress import ip_address
from operator import not_
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from fedsecure.errors import PeerError
from fedsecure.protocol.encodings import Base64Key, Digest, from_base64url
from fedsecure.protocol.fingerprints import fingerprint
from fedsecure.system import toml_file
from fedsecure.system.wording import form

Name = Annotated[
    str,
    StringConstraints(
        pattern=form(
            r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$",
            "of a to z, 0 to 9 and hyphens, with a letter or digit at both ends, and "
            "63 characters at most",
        )
    ),
]
"""A party's name in the roster: a DNS label, so it is safe in paths and URLs."""


def _with_a_host(url: str) -> str:
    # What passes here, libraries take; what they refuse, each refuses in its own way.
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host or host.replace(".", "").isdecimal():
        ip_address(host)
    elif not all(0 < len(label) < 64 for label in host.split(".")):
        msg = "not a host name"
        raise ValueError(msg)
    if parts.port == 0:  # one above 65535 is refused by looking at it
        msg = "port 0 cannot be reached"
        raise ValueError(msg)
    return url


Url = Annotated[
    str,
    StringConstraints(
        pattern=form(
            r"^https://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$",
            "https://HOST:PORT, in lower case and without a path",
        ),
        max_length=255,
    ),
    AfterValidator(_with_a_host),
]
"""Scheme, host and port: no path, and no user name or password."""

HostPort = Annotated[
    str,
    StringConstraints(
        pattern=form(r"^(?:[^\s:/]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$", "HOST:PORT")
    ),
]
"""Where a SuperLink is reached: `host:port` or `[ipv6]:port`."""

FlowerKey = Annotated[
    str,
    StringConstraints(
        pattern=form(
            r"^ecdsa-sha2-nistp384 [A-Za-z0-9+/=]+$",
            "a Flower key as `fedsecure keygen` writes it: ecdsa-sha2-nistp384 ...",
        )
    ),
]
"""The public half of the key with which an agent joins Flower's SuperLink."""

MAX_DATA_OWNERS: Final = 10_000
MAX_CLIENTS: Final = 10_000
MAX_CHANGES: Final = 2**31


class Role(StrEnum):
    """What a party is in the federation; a party has one role."""

    MODEL_OWNER = "model-owner"
    AGGREGATOR = "aggregator"
    DATA_OWNER = "data-owner"
    CLIENT = "client"  # asks for predictions and shares numbers; trains nothing
    DEALER = "dealer"  # makes material for the aggregators' products


class Party(toml_file.Settings):
    """A name and the Ed25519 public key that signs for it."""

    name: Name
    key: Base64Key

    @cached_property
    def verifier(self) -> Ed25519PublicKey:
        """The key as an object that verifies."""
        return Ed25519PublicKey.from_public_bytes(from_base64url(self.key))

    @property
    def fingerprint(self) -> str:
        """What people read to each other over the phone."""
        return fingerprint(from_base64url(self.key))


class ModelOwnerParty(Party):
    """The model owner, and where its SuperLink listens for agents."""

    superlink: HostPort | None = None


class AggregatorParty(Party):
    """An aggregation server and where it listens."""

    url: Url


class DataOwnerParty(Party):
    """A data owner, and the key with which its agent joins Flower's SuperLink."""

    flower_key: FlowerKey


class Federation(toml_file.Settings):
    """The content of `federation.toml`.

    `number` counts the changes of the file from 1; `previous` is the digest of the
    federation that this one follows. Clients and a dealer may be missing, and are
    then left out of what is written and digested: a federation without them has the
    digest that it had before there were such roles.
    """

    protocol: Literal[1]
    name: Name
    number: Annotated[int, Field(ge=1, le=MAX_CHANGES)] = 1
    previous: Digest | None = None
    model_owner: ModelOwnerParty
    aggregators: list[AggregatorParty] = Field(min_length=2, max_length=2)
    data_owners: list[DataOwnerParty] = Field(min_length=1, max_length=MAX_DATA_OWNERS)
    clients: Annotated[
        list[Party],
        Field(default_factory=list, max_length=MAX_CLIENTS, exclude_if=not_),
    ]
    dealer: Annotated[Party | None, Field(exclude_if=not_)] = None

    @model_validator(mode="after")
    def _only_the_first_follows_none(self) -> Self:
        if (self.number == 1) != (self.previous is None):
            msg = "the first version has no previous one, and every other has"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _every_party_is_somebody_else(self) -> Self:
        for what, values in (
            ("name", [p.name for p in self.parties()]),
            ("key", [p.key for p in self.parties()]),
            ("url", [p.url for p in self.aggregators]),
            ("flower_key", [p.flower_key for p in self.data_owners]),
        ):
            if len(set(values)) != len(values):
                msg = f"two parties have the same {what}"
                raise ValueError(msg)
        return self

    def parties(self) -> Iterator[Party]:
        """Every party, model owner first."""
        yield self.model_owner
        yield from self.aggregators
        yield from self.data_owners
        yield from self.clients
        if self.dealer is not None:
            yield self.dealer

    @cached_property
    def _by_name(self) -> dict[str, tuple[Role, Party]]:
        owner = {self.model_owner.name: (Role.MODEL_OWNER, self.model_owner)}
        servers = {p.name: (Role.AGGREGATOR, p) for p in self.aggregators}
        holders = {p.name: (Role.DATA_OWNER, p) for p in self.data_owners}
        clients = {p.name: (Role.CLIENT, p) for p in self.clients}
        dealers = {p.name: (Role.DEALER, p) for p in [self.dealer] if p is not None}
        return {**owner, **servers, **holders, **clients, **dealers}

    def find(self, name: str) -> tuple[Role, Party]:
        """Look a party up by its name.

        Raises:
            PeerError: FS-741 when nobody of that name is in the federation.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise PeerError(
                "FS-741", f"{name!r} is not in federation {self.name}"
            ) from None

    @cached_property
    def pair(self) -> tuple[AggregatorParty, AggregatorParty]:
        """The two aggregators in ascending order of their names."""
        first, second = sorted(self.aggregators, key=lambda party: party.name)
        return first, second

    def other_aggregator(self, name: str) -> AggregatorParty:
        """The aggregator that is not `name`."""
        first, second = self.pair
        return second if name == first.name else first

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, over the canonical content (RFC 8785), not file bytes."""
        content = self.model_dump(mode="json")
        for group in {"aggregators", "data_owners", "clients"} & content.keys():
            content[group].sort(key=lambda party: party["name"])
        if self.model_owner.superlink is None:
            del content["model_owner"]["superlink"]
        return hashlib.sha256(rfc8785.dumps(content)).hexdigest()


def load_federation(path: Path) -> Federation:
    """Read and check `federation.toml`; run by every party at start.

    Raises:
        OperatorError: FS-801 to FS-803 with the file and the key.
    """
    return toml_file.load(path, Federation)
