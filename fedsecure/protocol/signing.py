"""Signatures over statements: JWS compact serialisation, Ed25519, nothing else.

    token  = base64url(header) . base64url(payload) . base64url(signature)
    header = {"alg":"EdDSA","kid":<roster name>,"typ":<statement type>}, those keys
    digest = SHA-256(header . payload), in hex

Sources: RFC 7515 (JWS), RFC 8037 (EdDSA in JOSE), RFC 8785 (canonical JSON). There is
exactly one header and payload for what an author says, so their digest names it. (Of
signatures a dishonest author can make several; they are not in the digest.)
"""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import jwt
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from fedsecure.errors import PeerError
from fedsecure.protocol.encodings import from_base64url
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.jobs import statements as jobs
from fedsecure.protocol.statements import AUTHOR_FIELD, SIGNERS, Member, Statement
from fedsecure.system.toml_file import explain

ALGORITHM: Final = "EdDSA"
MAX_TOKEN: Final = 64 * 2**20  # bytes; the largest is an opening of 10,000 members
MAX_COMMAS: Final = 200_000  # in a payload; an opening of 10,000 members has 40,000

_HEADER: Final = re.compile(
    rb'\{"alg":"EdDSA","kid":"([a-z0-9-]{1,63})","typ":"([a-z-]{1,63})"\}'
)

_SIGNERS: Final = {**SIGNERS, **jobs.SIGNERS}
_AUTHOR_FIELD: Final = {**AUTHOR_FIELD, **jobs.AUTHOR_FIELD}

S = TypeVar("S", bound=Statement)
_jws: Final = jwt.PyJWS(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class Signed(Generic[S]):
    """A statement whose signature holds, and the exact text that was signed."""

    statement: S
    signer: str
    token: str
    digest: str


@dataclass(frozen=True, slots=True)
class Author:
    """A party that signs: its name, its key and its federation."""

    name: str
    key: Ed25519PrivateKey = field(repr=False)
    federation: Federation = field(repr=False)

    def sign(self, statement: S) -> Signed[S]:
        """Sign a statement; run by whoever says it."""
        token = _jws.encode(
            canonical(statement),
            self.key,
            algorithm=ALGORITHM,
            headers={"typ": statement.typ, "kid": self.name},
        )
        return Signed(statement, self.name, token, digest_of(token))


def canonical(statement: Statement) -> bytes:
    """Return the statement in canonical JSON (RFC 8785), UTF-8."""
    return rfc8785.dumps(statement.model_dump(mode="json"))


def digest_of(token: str) -> str:
    """Return SHA-256, in hex, over a token's signing input."""
    return hashlib.sha256(_signing_input(token)).hexdigest()


def _signing_input(token: str) -> bytes:
    return token.rpartition(".")[0].encode()


def set_digest(members: list[Member]) -> str:
    """Return SHA-256, in hex, over the canonical form of a set of reports."""
    content = [member.model_dump() for member in members]
    return hashlib.sha256(rfc8785.dumps(content)).hexdigest()


def verify(token: str, kind: type[S], federation: Federation) -> Signed[S]:
    """Check a token and return its statement; run by everybody who acts on one.

    The steps, in order:
        (1) it is three parts of canonical base64url, and not too long;
        (2) the header is exactly that of this type of statement, in the one order;
        (3) the signer is in the federation, in a role that may say this;
        (4) the signature is the signer's;
        (5) the payload is canonical JSON of exactly this statement;
        (6) it was said in this federation;
        (7) the party that it names as its author is the one that signed.

    Raises:
        PeerError: FS-701 to FS-706, FS-741.
    """
    header, payload, signature = parts_of(token)  # (1)
    signer = _require_header(header, kind)  # (2)
    role, party = federation.find(signer)  # (3)
    if role not in _SIGNERS[kind]:
        raise PeerError("FS-703", f"{signer} is {role} and signed a {kind.typ}")
    try:
        party.verifier.verify(signature, _signing_input(token))  # (4)
    except InvalidSignature as error:
        raise PeerError("FS-704", f"{kind.typ} in the name of {signer}") from error
    statement = _decode(payload, kind)  # (5)
    if statement.federation != federation.digest:  # (6)
        raise PeerError(
            "FS-705",
            f"{signer} says {statement.federation[:12]}, "
            f"this party holds {federation.digest[:12]} ({kind.typ})",
        )
    field = _AUTHOR_FIELD.get(kind)
    author = getattr(statement, field) if field else signer
    if author != signer:  # (7)
        raise PeerError("FS-706", f"{signer} signed a {kind.typ} of {author}")
    return Signed(statement, signer, token, digest_of(token))


def parts_of(token: str) -> tuple[bytes, bytes, bytes]:
    """Return header, payload and signature of a token; nothing of them is verified.

    Raises:
        PeerError: FS-701 when it is no compact JWS, or too long.
    """
    if not len(token) <= MAX_TOKEN:
        raise PeerError("FS-701", f"{len(token)} characters, at most {MAX_TOKEN}")
    try:
        header, payload, signature = token.split(".", 3)
        return (
            from_base64url(header),
            from_base64url(payload),
            from_base64url(signature),
        )
    except ValueError as error:
        raise PeerError("FS-701", f"a token is not a compact JWS: {error}") from error


def _require_header(header: bytes, kind: type[Statement]) -> str:
    match = _HEADER.fullmatch(header)
    if match is None:
        raise PeerError("FS-702", f"not the header of a {kind.typ}")
    kid, typ = (group.decode() for group in match.groups())
    if typ != kind.typ:
        raise PeerError("FS-702", f"a {typ} of {kid} instead of a {kind.typ}")
    return kid


def _decode(payload: bytes, kind: type[S]) -> S:
    # Each wrong value costs memory and time, and there is a comma for each.
    if not payload.count(b",") <= MAX_COMMAS:
        raise PeerError("FS-701", f"{kind.typ} has more than {MAX_COMMAS} values")
    try:
        statement = kind.model_validate_json(payload)
        same = canonical(statement) == payload
    except ValidationError as error:
        raise PeerError("FS-701", f"{kind.typ}: {explain(error)}") from error
    except (ValueError, RecursionError) as error:
        raise PeerError("FS-701", f"{kind.typ} has no canonical form") from error
    # Duplicate keys, white space and other spellings of the same content parse, but
    # do not come out as they went in.
    if not same:
        raise PeerError("FS-701", f"{kind.typ} is not in canonical JSON")
    return statement
