"""Sealed bytes and round keys: what a database must never hold.

A spool keeps of each round, under the digest of its spec:

    key       the private sealing key
    seed      what the randomness of a release is made from, once it was drawn
    reports   one for each reporter: header length, header, payload, as received
    share     the sealed aggregate share

Whoever uses it knows no file and no folder: bytes that are to be kept are written to an
`Upload`, and have a name once it is committed; what has a name is read as `Sealed`.
`folder_spool` keeps all of it in the data folder. What keeps it elsewhere has to give
the same promises, which recovery is built upon:

    commit    the bytes are durable, and have their name whole or not at all
    delete    what was deleted is not read again; at the next start, if not at once
    one user  nobody else writes as long as this process has the spool
"""

from contextlib import AbstractContextManager
from io import BufferedReader
from typing import Protocol

from fedsecure.core.layout import Buffer
from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure_aggregator.storage.notes import Notes


def report_name(spec: str, reporter: str) -> str:
    """Return the name of a stored report."""
    return f"{spec}/reports/{reporter}"


def share_name(spec: str) -> str:
    """Return the name of a round's sealed aggregate share."""
    return f"{spec}/share"


class Sealed(Protocol):
    """Bytes that may be there: sealed reports and shares, never plaintext.

    As text it says where they are, for logs.
    """

    def reading(self, what: str) -> AbstractContextManager[BufferedReader]:
        """Read them, from any offset, as long as the block lasts.

        Args:
            what: They are, for the message of an error.

        Raises:
            OperatorError: FS-523 to FS-526, FS-536; also for what fails in the block.
        """


class Upload(Sealed, Protocol):
    """Bytes under way: nobody finds them before they have a name."""

    def write(self, data: Buffer) -> object:
        """Add bytes at the end."""

    def sync(self) -> None:
        """Wait until all that was written is durable; then nothing more is written."""

    def commit(self, name: str) -> None:
        """Give what was synced its name, in place of what had it before.

        Raises:
            OperatorError: FS-523, FS-524.
        """

    def discard(self) -> None:
        """Delete it, unless it was committed."""


class KeySpool(Protocol):
    """What the spools of rounds and of jobs have alike; `spec` names either."""

    def uploading(self, what: str) -> AbstractContextManager[Upload]:
        """Write new bytes within a block; if it fails, they are gone.

        Args:
            what: They are, for the message of an error.

        Raises:
            OperatorError: FS-523 to FS-526, FS-536; also for what fails in the block.
        """

    def stored(self, name: str) -> Sealed:
        """Return what was committed under a name; whether it is there shows later."""

    def save_key(self, spec: str, key: SealingKey) -> None:
        """Keep a new private key, and nothing else under its spec; durable on return.

        Raises:
            OperatorError: FS-523, FS-524, or FS-743.
        """

    def load_key(self, spec: str) -> SealingKey:
        """Read a private key.

        Raises:
            OperatorError: FS-541 when it is damaged, FS-744, FS-801.
        """

    def has_key(self, spec: str) -> bool:
        """Tell whether a private key is still there, and whole.

        Raises:
            OperatorError: FS-744, FS-801.
        """


class Spool(KeySpool, Protocol):
    """Where one aggregator keeps what its database must never hold."""

    @property
    def place(self) -> str:
        """Where it is, for messages."""

    @property
    def notes(self) -> Notes:
        """By which the database is recognised that belongs to it."""

    def reports(self, spec: str) -> list[str]:
        """Return the reporters of whom a report is here, in order."""

    def rounds(self) -> list[str]:
        """Return the rounds of which something is here, in order.

        Raises:
            OperatorError: FS-524 when the spool is away.
        """

    def has_round(self, spec: str) -> bool:
        """Tell whether anything of a round is here."""

    def save_seed(self, spec: str, seed: bytes) -> None:
        """Keep what the randomness of a round's release is made from, for good.

        Raises:
            OperatorError: FS-523, FS-524, FS-526.
        """

    def load_seed(self, spec: str) -> bytes | None:
        """Read what was drawn for a round's release; None before.

        Raises:
            OperatorError: FS-541 when it is damaged, FS-744, FS-801.
        """

    def scrub(self, spec: str) -> None:
        """Delete a round's key, seed and reports; its share stays."""

    def discard_round(self, spec: str) -> None:
        """Delete all that is left of a round.

        Raises:
            OperatorError: FS-524 when something could not be deleted.
        """

    def free(self) -> int:
        """Return how many bytes may still be written.

        Raises:
            OperatorError: FS-524 when the spool is away.
        """

    def require_space(self, size: int) -> None:
        """Check, before reading an upload, that there is room for it.

        Raises:
            OperatorError: FS-523 with what is free and what is needed.
        """

    def require_writable(self) -> None:
        """Check that it can be written, by writing to it.

        Raises:
            OperatorError: FS-523, FS-524 or FS-526.
        """

    def require_sound(self) -> None:
        """Check that this is the spool that was taken, and that it works.

        Raises:
            OperatorError: FS-523, FS-524 or FS-526 when it is away or fails as a whole.
        """
