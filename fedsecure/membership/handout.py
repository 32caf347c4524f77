"""What the model owner hands to everybody: one version of the federation, signed.

    federation.toml   who takes part, for people and programs
    federation.jws    a `federation-issue`: the model owner's word for it
    authorities.pem   CA certificates of servers that bring their own; may be missing

Whoever holds the signed version knows that the model owner meant it. That the keys in
it are their parties' is for `joining` to find out.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import tomli_w

from fedsecure.errors import OperatorError, PeerError
from fedsecure.membership.files import write_public
from fedsecure.protocol.identity import Federation, load_federation
from fedsecure.protocol.signing import Author, verify
from fedsecure.protocol.statements import FederationIssue

ISSUE: Final = "federation.jws"
AUTHORITIES: Final = "authorities.pem"


@dataclass(frozen=True, slots=True)
class Handout:
    """One version of a federation as it is handed over.

    `authorities` is None when all servers have certificates that every system trusts.
    """

    federation: Federation
    issue: str
    authorities: bytes | None = field(repr=False)


def issue(author: Author, authorities: bytes | None) -> Handout:
    """Sign a version; run by the model owner."""
    statement = FederationIssue(
        federation=author.federation.digest,
        number=author.federation.number,
        authorities=digest(authorities),
    )
    return Handout(author.federation, author.sign(statement).token, authorities)


def write(handout: Handout, path: Path) -> None:
    """Write a version and what belongs to it beside it.

    Args:
        handout: What to write.
        path: Where federation.toml is put.

    Raises:
        OperatorError: FS-816 when a file cannot be written.
    """
    write_public(path.with_name(ISSUE), f"{handout.issue}\n".encode("ascii"))
    if handout.authorities is not None:
        write_public(path.with_name(AUTHORITIES), handout.authorities)
    write_public(path, as_toml(handout.federation).encode())


def read(path: Path) -> Handout:
    """Read a version that was handed over, and check whose word it is.

    The steps, in order:
        (1) federation.toml is well formed: nobody is in it twice, under any name;
        (2) the model owner that it names signed it, in exactly this content;
        (3) the CA file beside it is the one that was signed with it.

    Raises:
        OperatorError: FS-801 to FS-803, a file cannot be read.
        PeerError: FS-749 the signature is missing or somebody else's, FS-750 the CA
            file is another.
    """
    federation = load_federation(path)  # (1)
    token = _token(path.with_name(ISSUE))
    try:
        statement = verify(token, FederationIssue, federation).statement  # (2)
    except PeerError as error:
        raise PeerError("FS-749", f"{path}: {error}") from error
    authorities = read_authorities(path) if statement.authorities else None
    if digest(authorities) != statement.authorities:  # (3)
        raise PeerError("FS-750", f"{path.with_name(AUTHORITIES)}")
    return Handout(federation, token, authorities)


def _token(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "not text"
        raise PeerError("FS-749", f"{path}: {cause}") from error


def read_authorities(path: Path) -> bytes:
    """Read the CA file beside a federation.toml.

    Raises:
        OperatorError: FS-801.
    """
    bundle = path.with_name(AUTHORITIES)
    try:
        return bundle.read_bytes()
    except OSError as error:
        raise OperatorError("FS-801", f"{bundle}: {error.strerror}") from error


def digest(authorities: bytes | None) -> str | None:
    """Return SHA-256, in hex, of a CA file, if there is one."""
    return None if authorities is None else hashlib.sha256(authorities).hexdigest()


def as_toml(federation: Federation) -> str:
    """Return federation.toml for people, its digest at the top."""
    content = federation.model_dump(mode="json", exclude_none=True)
    return (
        f"# Who takes part in {federation.name}: version {federation.number}, digest\n"
        f"# {federation.digest}\n"
        "# Take it with `fedsecure join`; programs refuse it if it was changed since.\n"
        + tomli_w.dumps(content)
    )
