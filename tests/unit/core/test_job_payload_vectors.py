"""Sealed payloads of jobs are those of the vectors, and open for nothing else."""

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from fedsecure.core.layout import CHUNK
from fedsecure.core.sealing import seal, seal_info
from fedsecure.core.sealing.payload_digest import PayloadDigest
from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure.errors import PeerError
from tests.vectors.reference import sample_bytes

VECTORS = Path(__file__).parents[2] / "vectors"


def loaded(name: str) -> dict[str, dict[str, Any]]:
    """All cases of a file, by name."""
    cases = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    return {case["name"]: case for case in cases}


GOOD = loaded("job_seal")
PAYLOADS = [name for name, case in GOOD.items() if "payload" in case]
LONG = [name for name, case in GOOD.items() if "plaintext_bytes" in case]


def info_of(case: dict[str, Any]) -> seal_info.SealInfo:
    digests = (
        bytes.fromhex(case["federation_digest"]),
        bytes.fromhex(case["spec_digest"]),
    )
    parties = (case["sender"], case["receiver"])
    if "input" in case:
        named = (case["input"], bytes.fromhex(case["id"]), case["kind"])
        return seal_info.input_info(digests, *parties, *named)
    if "inputs" in case:
        about = (case["query"], bytes.fromhex(case["inputs"]))
        return seal_info.output_info(digests, *parties, *about)
    if "query" in case:
        asked = (case["query"], bytes.fromhex(case["id"]), case["kind"])
        return seal_info.query_info(digests, *parties, *asked)
    return seal_info.channel_info(digests, *parties)


def key_of(case: dict[str, Any]) -> SealingKey:
    return SealingKey.from_seed(bytes.fromhex(case["key_seed"]))


def test_files_are_what_their_script_writes() -> None:
    script = [sys.executable, str(VECTORS / "generate_job_payloads.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", GOOD)
def test_a_payload_of_a_job_is_bound_to_what_the_vectors_say(name: str) -> None:
    case = GOOD[name]
    assert info_of(case).encoded.hex() == case["info"]
    content_key = key_of(case).open_key(
        bytes.fromhex(case["sealed_key"]), info_of(case).encoded
    )
    assert content_key.hex() == case["content_key"]


@pytest.mark.parametrize("name", LONG)
def test_the_digest_of_a_payload_of_a_job_is_over_all_of_it(name: str) -> None:
    case, written = GOOD[name], bytearray()
    plaintext = sample_bytes(case["plaintext_name"], case["plaintext_bytes"])
    pieces = (plaintext[at : at + CHUNK] for at in range(0, len(plaintext), CHUNK))
    sealed = seal.seal(
        key_of(case).public_bytes,
        info_of(case),
        bytes.fromhex(case["content_key"]),
        pieces,
        written.extend,
    )
    # The sealed key is another each time; the records are not.
    payload = bytes.fromhex(case["sealed_key"]) + written[1168:]
    assert sealed.length == len(payload) == case["length"]
    assert sealed.digest == sha256(written).digest()
    digest = PayloadDigest(case["length"], hashed_whole=True)
    digest.update(payload)
    assert digest.digest().hex() == sha256(payload).hexdigest() == case["digest"]


@pytest.mark.parametrize("name", PAYLOADS)
def test_payloads_of_jobs_open(name: str) -> None:
    case = GOOD[name]
    out = bytearray(case["plaintext_bytes"])
    payload = bytes.fromhex(case["payload"])
    seal.open_sealed(
        key_of(case), info_of(case), payload, len(payload), memoryview(out)
    )
    assert out == sample_bytes(case["plaintext_name"], len(out))
    assert sha256(out).hexdigest() == case["plaintext_sha256"]


@pytest.mark.parametrize(
    "bad", loaded("bad_job_seal").values(), ids=lambda c: c["name"]
)
def test_a_payload_of_a_job_opens_for_its_own_purpose_only(bad: dict[str, Any]) -> None:
    case = GOOD[bad["of"]]
    with pytest.raises(PeerError) as caught:
        key_of(case).open_key(
            bytes.fromhex(case["sealed_key"]), bytes.fromhex(bad["info"])
        )
    assert caught.value.code == bad["code"]
