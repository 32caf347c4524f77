"""Signatures at the curve's edges, where verifiers that follow RFC 8032 disagree."""

import json
import subprocess
import sys
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from pydantic import ValidationError

from fedsecure.protocol.identity import Party

FOLDER = Path(__file__).parents[2] / "vectors"
CASES = json.loads((FOLDER / "ed25519.json").read_text("utf-8"))
EVERY = [pytest.param(case, id=case["name"]) for case in CASES]
ALLOWED = [pytest.param(case, id=case["name"]) for case in CASES if case["key_allowed"]]


def party(case: dict[str, Any]) -> Party:
    key = urlsafe_b64encode(bytes.fromhex(case["key"])).decode().rstrip("=")
    return Party.model_validate({"name": "basel", "key": key})


def test_the_file_is_what_its_script_writes() -> None:
    script = [sys.executable, str(FOLDER / "generate_ed25519.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("case", EVERY)
def test_only_a_key_that_its_owner_alone_signs_for_may_stand_in_a_federation(
    case: dict[str, Any],
) -> None:
    try:
        party(case)
        allowed = True
    except ValidationError:
        allowed = False
    assert allowed == case["key_allowed"]


@pytest.mark.parametrize("case", ALLOWED)
def test_a_signature_is_verified_without_the_cofactor(case: dict[str, Any]) -> None:
    """What holds is exactly R = S B - k A, compared as bytes, with S below L."""
    signature, message = (bytes.fromhex(case[key]) for key in ("signature", "message"))
    try:
        party(case).verifier.verify(signature, message)
        holds = True
    except InvalidSignature:
        holds = False
    assert holds == case["holds"]


def test_each_family_of_edge_cases_is_there() -> None:
    names = " ".join(case["name"] for case in CASES)
    for family in ("S + L", "mixed A", "mixed R", "R is the identity", "A is 7 of 8"):
        assert family in names
    assert sum(not case["key_allowed"] for case in CASES) == 13
