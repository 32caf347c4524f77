"""What the federation of the vectors holds, and everybody's keys."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Author


@pytest.fixture
def content(parties: dict[str, Any]) -> dict[str, Any]:
    """What `federation.toml` holds, to be changed by a test."""
    copy: dict[str, Any] = json.loads(json.dumps(parties["content"]))
    return copy


@pytest.fixture(scope="session")
def author(parties: dict[str, Any], federation: Federation) -> Callable[[str], Author]:
    """Everybody can sign: `author("north")`."""
    keys = {
        name: Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
        for name, seed in parties["seeds"].items()
    }
    return lambda name: Author(name, keys[name], federation)
