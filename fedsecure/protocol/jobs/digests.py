"""Digests that both aggregators and whoever receives an output compute alike."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import rfc8785


class WentIn(NamedTuple):
    """One input that an output was computed from.

    Args:
        name: Of the input; `sharing.QUERY` for the rows of a query.
        owner: Who brought it.
        input_id: Of the input or of the query, 32 hex digits.
        plain: SHA-256 of the words, hex, if they are not secret.
    """

    name: str
    owner: str
    input_id: str
    plain: str | None


def inputs_digest(used: Iterable[WentIn]) -> str:
    """Return SHA-256, in hex, over the canonical list of what went in, by name."""
    return _digest(sorted(list(one) for one in used))


def description_digest(description: Mapping[str, Any]) -> str:
    """Return SHA-256, in hex, over what a service's file tells its clients."""
    return _digest(description)


def _digest(content: Any) -> str:
    return hashlib.sha256(rfc8785.dumps(content)).hexdigest()
