"""Everything that can go wrong, in one table: stable code, title, remedy.

An error names who is to blame, for that decides what the program does next:

    PeerError        what another party sent is wrong: refuse it, keep running
    RoundStateError  the right request at the wrong time: refuse it, keep running
    OperatorError    this party's own files or settings are wrong: stop and say so

The message of an error says what happened and where (party, file, row, column);
title and remedy come from the table and say what to type next. Codes are grouped:
1xx data, 2xx numbers, 3xx rounds, 4xx policy, 5xx servers and network, 6xx audit,
7xx statements and identities, 8xx configuration.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final


@dataclass(frozen=True, slots=True)
class Problem:
    """One row of the table.

    `status` is the HTTP status with which an aggregator answers it.
    """

    code: str
    title: str
    remedy: str
    status: HTTPStatus = HTTPStatus.BAD_REQUEST


PROBLEMS: Final[dict[str, Problem]] = {
    row.code: row
    for row in (
        # 1xx data
        # 2xx numbers
        # 3xx rounds
        # 4xx policy
        # 5xx servers and network
        # 6xx audit
        Problem(
            "FS-601",
            "A ledger was changed afterwards",
            "The entries before the one that is named are sound; ask the store's "
            "owner for a backup and compare.",
        ),
        # 7xx statements and identities
        Problem(
            "FS-701",
            "A message is not well formed",
            "The sender runs another version or is broken; compare `fedsecure "
            "--version` on both sides.",
        ),
        Problem(
            "FS-702",
            "A signed message has the wrong type",
            "The sender runs another version or is broken; compare `fedsecure "
            "--version` on both sides.",
        ),
        Problem(
            "FS-703",
            "This party may not say that",
            "Check the roles in federation.toml with the party that is named.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-704",
            "A signature is wrong",
            "The sender's key is not the one in federation.toml; compare "
            "fingerprints with the party that is named.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-705",
            "The other side has another federation.toml",
            "Compare the digests; copy the agreed file to the party whose file "
            "differs and restart it.",
            HTTPStatus.CONFLICT,
        ),
        Problem(
            "FS-706",
            "A message was signed by somebody else than its author",
            "Tell the party that is named: somebody speaks in its name.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-741",
            "Unknown party",
            "Check the name; if it is right, this party's federation.toml is old.",
            HTTPStatus.FORBIDDEN,
        ),
        Problem(
            "FS-743",
            "A private file cannot be created",
            "Move the old file away first if you mean to replace it; nothing was "
            "overwritten.",
        ),
        Problem(
            "FS-744",
            "A private file can be read by others",
            "Type `chmod 600` and the path, then consider whether the key must be "
            "replaced.",
        ),
        Problem(
            "FS-745",
            "Not a signing key",
            "Name the Ed25519 key (PEM, PKCS #8, unencrypted) of this party.",
        ),
        Problem(
            "FS-746",
            "The private key does not belong to this party",
            "Name the key whose public half stands in federation.toml, or hand in "
            "the new public key.",
        ),
        # 8xx configuration
        Problem(
            "FS-801",
            "A file cannot be read",
            "Check the path and its permissions.",
        ),
        Problem(
            "FS-802",
            "A file is not TOML",
            "Mend the line that is named; https://toml.io shows the format.",
        ),
        Problem(
            "FS-803",
            "A setting is wrong",
            "Mend the key that is named; docs/ lists every key with its meaning.",
        ),
    )
}


class FedsecureError(Exception):
    """Root of every error that fedsecure raises on purpose.

    Args:
        code: A key of `PROBLEMS`.
        detail: What happened and where, one sentence, no secrets.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.problem = PROBLEMS[code]
        self.detail = detail

    @property
    def code(self) -> str:
        """The stable code, such as `FS-310`."""
        return self.problem.code

    def __str__(self) -> str:
        """Return code, title and detail on one line."""
        return f"{self.code} {self.problem.title}: {self.detail}"


class PeerError(FedsecureError):
    """Another party sent something that must be refused."""


class RoundStateError(FedsecureError):
    """A request that is right in itself came at the wrong time."""


class OperatorError(FedsecureError):
    """This party's own files, settings or surroundings are wrong."""
