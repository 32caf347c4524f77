"""The federation of the vectors, with everybody's keys."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Author

VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.fixture(scope="session")
def parties() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((VECTORS / "federation.json").read_text())[0]
    return loaded


@pytest.fixture
def content(parties: dict[str, Any]) -> dict[str, Any]:
    """What `federation.toml` holds, to be changed by a test."""
    copy: dict[str, Any] = json.loads(json.dumps(parties["content"]))
    return copy


@pytest.fixture(scope="session")
def federation(parties: dict[str, Any]) -> Federation:
    return Federation.model_validate(parties["content"])


@pytest.fixture(scope="session")
def author(parties: dict[str, Any], federation: Federation) -> Callable[[str], Author]:
    """Everybody can sign: `author("north")`."""
    keys = {
        name: Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
        for name, seed in parties["seeds"].items()
    }
    return lambda name: Author(name, keys[name], federation)
