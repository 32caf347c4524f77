"""The vectors of statements, each with the federation that it was said in."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Author

FOLDER: Final = Path(__file__).parents[2] / "vectors"


def loaded(name: str) -> list[dict[str, Any]]:
    """All cases of a file."""
    cases: list[dict[str, Any]] = json.loads(
        (FOLDER / f"{name}.json").read_text("utf-8")
    )
    return cases


@cache
def federation_of(place: str) -> Federation:
    """The federation of a case of federation.json."""
    return Federation.model_validate(_case(place)["content"])


def author_in(place: str, name: str) -> Author:
    """A party of that federation, with its key."""
    seed = bytes.fromhex(_case(place)["seeds"][name])
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return Author(name, key, federation_of(place))


@cache
def _case(place: str) -> dict[str, Any]:
    return next(case for case in loaded("federation") if case["name"] == place)
