"""The versions of federation.toml with whose keys an audit checks signatures."""

from collections.abc import Sequence
from pathlib import Path

from fedsecure.membership import versions
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.identity import load_federation

__all__ = ["Federations", "load_federations"]


def load_federations(paths: Sequence[Path]) -> Federations:
    """Read the versions of federation.toml that an auditor holds.

    Args:
        paths: Of federation.toml; the versions that were accepted before it are found
            in the folder beside it.

    Raises:
        OperatorError: FS-760, FS-801 to FS-803, FS-636.
    """
    return Federations(
        [
            version
            for path in paths
            for version in (load_federation(path), *versions.read(path))
        ]
    )
