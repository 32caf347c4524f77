"""Signatures over statements: JWS compact serialisation, Ed25519, nothing else.

    token  = base64url(header) . base64url(payload) . base64url(signature)
    header = {"alg":"EdDSA","kid":<roster name>,"typ":<statement type>}, those keys
    digest = SHA-256(header . payload), in hex

Sources: RFC 7515 (JWS), RFC 8037 (EdDSA in JOSE), RFC 8785 (canonical JSON). There is
exactly one token that an author can produce for a statement, so its digest names it.
"""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import jwt
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from fedsecure.encodings import from_base64url
from fedsecure.errors import PeerError
from fedsecure.identity import Federation
from fedsecure.settings import explain
from fedsecure.statements import AUTHOR_FIELD, SIGNERS, Member, Statement

ALGORITHM: Final = "EdDSA"
MAX_TOKEN: Final = 64 * 2**20  # bytes; the largest is an opening of 10,000 members

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
    signing_input, _, _ = token.rpartition(".")
    return hashlib.sha256(signing_input.encode("ascii")).hexdigest()


def set_digest(members: list[Member]) -> str:
    """Return SHA-256, in hex, over the canonical form of a set of reports."""
    content = [member.model_dump(mode="json") for member in members]
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
    header, payload, _ = _parts(token)  # (1)
    signer = _require_header(header, kind)  # (2)
    role, party = federation.find(signer)  # (3)
    if role not in SIGNERS[kind]:
        raise PeerError("FS-703", f"{signer} is {role} and signed a {kind.typ}")
    try:
        _jws.decode_complete(token, party.verifier, algorithms=[ALGORITHM])  # (4)
    except jwt.PyJWTError as error:
        raise PeerError("FS-704", f"{kind.typ} in the name of {signer}") from error
    statement = _decode(payload, kind)  # (5)
    if statement.federation != federation.digest:  # (6)
        raise PeerError(
            "FS-705",
            f"{signer} says {statement.federation[:12]}, "
            f"this party holds {federation.digest[:12]} ({kind.typ})",
        )
    author = getattr(statement, AUTHOR_FIELD[kind]) if kind in AUTHOR_FIELD else signer
    if author != signer:  # (7)
        raise PeerError("FS-706", f"{signer} signed a {kind.typ} of {author}")
    return Signed(statement, signer, token, digest_of(token))


def _parts(token: str) -> tuple[bytes, bytes, bytes]:
    if not len(token) <= MAX_TOKEN:
        raise PeerError("FS-701", f"{len(token)} characters, at most {MAX_TOKEN}")
    try:
        header, payload, signature = map(from_base64url, token.split("."))
    except ValueError as error:
        raise PeerError("FS-701", f"a token is not a compact JWS: {error}") from error
    return header, payload, signature


def _require_header(header: bytes, kind: type[Statement]) -> str:
    try:
        kid = json.loads(header)["kid"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PeerError("FS-702", f"no signer in the header of a {kind.typ}") from error
    expected = {"alg": ALGORITHM, "kid": kid, "typ": kind.typ}
    if header != json.dumps(expected, separators=(",", ":"), sort_keys=True).encode():
        raise PeerError("FS-702", f"not the header of a {kind.typ}")
    return str(kid)


def _decode(payload: bytes, kind: type[S]) -> S:
    try:
        statement = kind.model_validate_json(payload)
    except ValidationError as error:
        raise PeerError("FS-701", f"{kind.typ}: {explain(error)}") from error
    # Duplicate keys, white space and other spellings of the same content parse, but
    # do not come out as they went in.
    if canonical(statement) != payload:
        raise PeerError("FS-701", f"{kind.typ} is not in canonical JSON")
    return statement
