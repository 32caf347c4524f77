"""The files of rounds under way: their keys, and sealed shares on their way."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fedsecure.core.sealing import sealing_key
from fedsecure.errors import PeerError
from fedsecure.protocol.encodings import base64url
from fedsecure.protocol.identity import Party
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import RoundSpec
from fedsecure.system import private_files


@dataclass(frozen=True, slots=True)
class RoundFiles:
    """The folder of a model owner's rounds under way.

    Args:
        folder: Its owner's alone; keys in it are 0600.
    """

    folder: Path

    def key(self, spec: str) -> Path:
        """Return where a round's key lies, by the digest of its spec."""
        return self.folder / f"{spec}.key"

    def share(self, spec: str, aggregator: Party) -> Path:
        """Return where an aggregator's sealed share lies."""
        return self.folder / f"{spec}.{aggregator.name}.share"

    def save_key(self, spec: str, key: sealing_key.SealingKey) -> None:
        """Write a round's key."""
        private_files.write_private(self.key(spec), key.to_bytes())

    def read_key(self, spec: Signed[RoundSpec]) -> sealing_key.SealingKey | None:
        """Return a round's key; None when it is gone, or is not that key any more."""
        file = self.key(spec.digest)
        if not file.exists():
            return None
        try:
            key = sealing_key.SealingKey.from_bytes(private_files.read_private(file))
        except PeerError:  # it has another length
            return None
        whole = base64url(key.public_bytes) == spec.statement.sealing_key
        return key if whole else None

    def forget(self, spec: str, aggregators: Iterable[Party]) -> None:
        """Delete a round's key and sealed shares."""
        self.key(spec).unlink(missing_ok=True)
        for party in aggregators:
            self.share(spec, party).unlink(missing_ok=True)
