"""One federation in all versions that a party knows; a statement names its version.

A signature is checked with the keys of the version that the statement names. So what
was said before a change still holds, and a key that was replaced signs for nothing that
came after it: a ledger never goes back to an earlier version (module `ledger`), and the
statements inside an entry are of the entry's own version (`Federations.at`).
"""

import json
from collections.abc import Sequence
from typing import TypeVar

from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Signed, parts_of, verify
from fedsecure.protocol.statements import Statement

S = TypeVar("S", bound=Statement)


class Federations:
    """Versions of one federation.

    Args:
        versions: At least one, in any order.
        at: Digest of the only version of which statements are taken; default: all.

    Raises:
        OperatorError: FS-636 when they are not of one model owner and one pair.
    """

    def __init__(self, versions: Sequence[Federation], at: str | None = None) -> None:
        self._versions = {one.digest: one for one in versions}
        self._at = at
        self._views: dict[str, Federations] = {}
        self.newest = max(versions, key=lambda one: one.number)
        self._last = self.newest if at is None else self._versions[at]
        owners = {one.model_owner.name for one in versions}
        pairs = {tuple(party.name for party in one.pair) for one in versions}
        if len(owners) > 1 or len(pairs) > 1:
            raise OperatorError("FS-636", "the federation files are of different ones")

    @property
    def owner(self) -> str:
        """Name of the model owner."""
        return self.newest.model_owner.name

    @property
    def pair(self) -> tuple[str, str]:
        """Names of both aggregators, in their order."""
        a, b = self.newest.pair
        return a.name, b.name

    @property
    def versions(self) -> list[Federation]:
        """All versions, in the order of their numbers."""
        return sorted(self._versions.values(), key=lambda one: one.number)

    def find(self, digest: str) -> Federation:
        """Return a version by its digest.

        Raises:
            PeerError: FS-654 when it is not known here.
        """
        try:
            return self._versions[digest]
        except KeyError:
            known = ", ".join(
                f"{one.number} ({one.digest[:12]})" for one in self.versions
            )
            raise PeerError(
                "FS-654", f"{digest}; of {self.newest.name} there are here: {known}"
            ) from None

    def at(self, digest: str) -> "Federations":
        """Return the same, but taking statements of one version alone.

        Raises:
            PeerError: FS-654 when it is not known here.
        """
        if digest not in self._views:
            only = self.find(digest).digest
            self._views[digest] = Federations([*self._versions.values()], only)
        return self._views[digest]

    def verify(self, token: str, kind: type[S]) -> Signed[S]:
        """Check a token with the keys of the version that it was said in.

        Raises:
            PeerError: FS-701 to FS-706, FS-741; FS-654 when its version is not known
                here, FS-637 when it is not the one of which statements are taken.
        """
        # Most are of the same version as the one before: none is read twice for it.
        try:
            return verify(token, kind, self._last)
        except PeerError:
            named = _version_named(token)
            if named in (None, self._last.digest):
                raise
        version = self.find(str(named))
        if self._at is not None:
            raise PeerError(
                "FS-637",
                f"a {kind.typ} of version {version.number} of the federation, in an "
                f"entry of version {self._last.number}",
            )
        signed = verify(token, kind, version)
        self._last = version
        return signed


def _version_named(token: str) -> str | None:
    """Return the digest that a token names as its federation, if it is readable."""
    try:
        digest = json.loads(parts_of(token)[1])["federation"]
    except (PeerError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return digest if isinstance(digest, str) else None
