"""What the federation of the vectors holds, and everybody's keys."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from fedsecure.protocol.signing import Author
from tests.unit.protocol.vectors import author_in


@pytest.fixture
def content(parties: dict[str, Any]) -> dict[str, Any]:
    """What `federation.toml` holds, to be changed by a test."""
    copy: dict[str, Any] = json.loads(json.dumps(parties["content"]))
    return copy


@pytest.fixture(scope="session")
def author() -> Callable[[str], Author]:
    """Everybody can sign: `author("north")`."""
    return lambda name: author_in("sorted", name)


@pytest.fixture(scope="session")
def clinical() -> Callable[[str], Author]:
    """Everybody of the federation with clients can sign: `clinical("clinic")`."""
    return lambda name: author_in("with clients", name)
