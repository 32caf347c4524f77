"""The versions of federation.toml with whose keys an audit checks signatures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from fedsecure.encodings import from_base64url
from fedsecure.errors import OperatorError
from fedsecure.identity import Federation, load_federation
from fedsecure.signing import Signed, verify
from fedsecure.statements import Statement

S = TypeVar("S", bound=Statement)


class Federations:
    """One federation in one or more versions; a statement names the one it is of.

    Raises:
        OperatorError: FS-636 when they are not of one model owner and one pair.
    """

    def __init__(self, versions: Sequence[Federation]) -> None:
        self._versions = {one.digest: one for one in versions}
        self._first = versions[0]
        owners = {one.model_owner.name for one in versions}
        pairs = {tuple(party.name for party in one.pair) for one in versions}
        if len(owners) > 1 or len(pairs) > 1:
            raise OperatorError("FS-636", "the federation files are of different ones")

    @property
    def owner(self) -> str:
        """Name of the model owner."""
        return self._first.model_owner.name

    @property
    def pair(self) -> tuple[str, str]:
        """Names of both aggregators, in their order."""
        a, b = self._first.pair
        return a.name, b.name

    def verify(self, token: str, kind: type[S]) -> Signed[S]:
        """Check a token with the keys of the version that it was said in.

        Raises:
            PeerError: FS-701 to FS-706, FS-741.
        """
        return verify(token, kind, self._version_of(token))

    def _version_of(self, token: str) -> Federation:
        if len(self._versions) == 1:
            return self._first
        try:
            said = json.loads(from_base64url(token.split(".")[1]))["federation"]
            return self._versions.get(said, self._first)
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            return self._first  # `verify` says what is wrong with it


def load_federations(paths: Sequence[Path]) -> Federations:
    """Read the versions of federation.toml that an auditor holds.

    Raises:
        OperatorError: FS-801 to FS-803, FS-636.
    """
    return Federations([load_federation(path) for path in paths])
