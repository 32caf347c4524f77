"""The committed vectors, made by a second implementation, hold for core."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256, shake_128
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fedsecure.core import scheme
from fedsecure.core.encoding import TensorEncoder
from fedsecure.core.mask import Mask, ReportContext
from fedsecure.core.params import Params, Scalar, Statistics
from fedsecure.core.scalars import clamp_weight, encode_scalars
from fedsecure.core.sealing import payload_digest, seal, seal_info, sealing_key
from fedsecure.errors import FedsecureError, OperatorError, PeerError

FOLDER = Path(__file__).parents[2] / "vectors"


def cases(name: str) -> list[Any]:
    loaded = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return [
        pytest.param(case, id=case.get("name", str(number)))
        for number, case in enumerate(loaded)
    ]


def params_of(case: dict[str, Any]) -> Params:
    return Params(
        dimension=case["dimension"],
        scalars=tuple(Scalar(**scalar) for scalar in case["scalars"]),
        max_reports=case["max_reports"],
        clip=float(case["clip"]),
        weight_cap=case["weight_cap"],
        fraction_bits=case["fraction_bits"],
        statistics=statistics_of(case["statistics"]),
    )


def statistics_of(said: dict[str, Any] | None) -> Statistics | None:
    if said is None:
        return None
    ranges = tuple((first, end) for first, end in said["ranges"])
    return Statistics(float(said["clip"]), ranges)


PARAMS = params_of(json.loads((FOLDER / "params.json").read_text("utf-8"))[0])


def measurement_of(case: dict[str, Any]) -> scheme.Measurement:
    update = np.array([float(number) for number in case["update"]], np.float32)
    metrics = {name: _numbers(given) for name, given in case["metrics"].items()}
    return scheme.Measurement(update, case["weight"], metrics)


def _numbers(given: Any) -> Any:
    """JSON has no NaN: it stands as text."""
    if isinstance(given, list):
        return [_numbers(one) for one in given]
    return float(given) if isinstance(given, str) else given


@pytest.mark.parametrize("name", ["generate.py", "generate_report.py"])
def test_files_are_what_their_script_writes(name: str) -> None:
    script = [sys.executable, str(FOLDER / name), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("case", cases("params"))
def test_params_give_the_sizes_of_the_vectors(case: dict[str, Any]) -> None:
    params = params_of(case)
    assert params.scalar_count == case["scalar_count"]
    assert params.layout.plaintext_bytes == case["plaintext_bytes"]


@pytest.mark.parametrize("case", cases("bad_params"))
def test_bad_params_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(PeerError) as caught:
        params_of(case)
    assert caught.value.code == case["code"]


@pytest.mark.parametrize("case", cases("encoding"))
def test_measurements_become_the_integers_of_the_vectors(case: dict[str, Any]) -> None:
    given = measurement_of(case)
    assert given.update is not None
    params = replace(PARAMS, statistics=statistics_of(case["statistics"]))
    weight = clamp_weight(params, given.weight)
    scratch = np.empty(TensorEncoder.scratch_bytes(params), np.uint8)
    encoder = TensorEncoder(params, given.update, weight, scratch)
    tensor = np.empty(params.dimension, np.uint32)
    encoder.write(0, tensor)
    clipped = encoder.clipped, encoder.statistics_clipped
    scalars = encode_scalars(params, given.weight, clipped, given.metrics)
    assert tensor.view(np.int32).tolist() == case["tensor"]
    assert scalars.tolist() == case["scalars_section"]


@pytest.mark.parametrize("case", cases("bad_encoding"))
def test_bad_measurements_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(OperatorError) as caught:
        scheme.shard(
            PARAMS, bytes(32), "a", measurement_of(case), bytes(scheme.RAND_BYTES)
        )
    assert caught.value.code == case["code"]


@pytest.mark.parametrize("case", cases("mask"))
def test_seeds_expand_to_the_masks_of_the_vectors(case: dict[str, Any]) -> None:
    mask = Mask.expand(bytes.fromhex(case["seed"]), context_of(case))
    for section in ("tensor", "scalars"):
        stream = bytearray(case["size"] + 16)
        getattr(mask, section).write(case["size"], memoryview(stream))
        del stream[case["size"] :]
        assert stream[:32].hex() == case[f"{section}_start"]
        assert sha256(stream).hexdigest() == case[f"{section}_sha256"]


@pytest.mark.parametrize("case", cases("shard"))
def test_shard_gives_the_input_shares_of_the_vectors(case: dict[str, Any]) -> None:
    sharding = scheme.shard(
        PARAMS,
        bytes.fromhex(case["spec_digest"]),
        case["reporter"],
        measurement_of(case),
        bytes.fromhex(case["rand"]),
    )
    assert sharding.report_id.hex() == case["report_id"]
    assert sharding.seed.hex() == case["seed"]
    assert sharding.seed_to_first is case["seed_to_first"]
    assert [key.hex() for key in sharding.content_keys] == case["content_keys"]
    assert b"".join(map(bytes, sharding.vector)).hex() == case["vector"]


SEALED = [*cases("seal"), *cases("seal_shares")]


@pytest.mark.parametrize("case", SEALED)
def test_payloads_of_the_vectors_open(case: dict[str, Any]) -> None:
    payload, plaintext = payload_of(case), plaintext_of(case)
    out = bytearray(case["plaintext_bytes"])
    seal.open_sealed(
        key_of(case),
        info_of(case),
        io.BytesIO(payload),
        case["length"],
        memoryview(out),
    )
    assert out == plaintext
    assert sha256(out).hexdigest() == case["plaintext_sha256"]
    assert sha256(payload).hexdigest() == case["payload_sha256"]
    if case["kind"] != "aggregate share":
        digest = payload_digest.PayloadDigest(case["length"])
        digest.update(payload)
        assert digest.digest().hex() == case["digest"]


@pytest.mark.parametrize("case", cases("seal_shares"))
def test_the_digest_of_an_aggregate_share_is_over_all_of_it(
    case: dict[str, Any],
) -> None:
    written, plaintext = bytearray(), plaintext_of(case)
    pieces = [
        plaintext[start : start + 2**20] for start in range(0, len(plaintext), 2**20)
    ]
    sealed = seal.seal(
        key_of(case).public_bytes,
        info_of(case),
        bytes.fromhex(case["content_key"]),
        pieces,
        written.extend,
    )
    assert sealed.digest == sha256(written).digest()
    assert case["digest"] == case["payload_sha256"]


@pytest.mark.parametrize("case", SEALED)
def test_seal_writes_the_records_of_the_vectors(case: dict[str, Any]) -> None:
    written, plaintext = bytearray(), plaintext_of(case)
    length, _ = seal.seal(
        key_of(case).public_bytes,
        info_of(case),
        bytes.fromhex(case["content_key"]),
        [plaintext[start : start + 2**20] for start in range(0, len(plaintext), 2**20)],
        written.extend,
    )
    assert length == len(written) == case["length"]
    assert written[1168:] == payload_of(case)[1168:]


@pytest.mark.parametrize("case", cases("bad_seal"))
def test_bad_payloads_are_refused(case: dict[str, Any]) -> None:
    out = memoryview(bytearray(case["plaintext_bytes"]))
    payload = bytes.fromhex(case["payload"])
    with pytest.raises(FedsecureError) as caught:
        seal.open_sealed(key_of(case), info_of(case), payload, case["length"], out)
    assert caught.value.code == case["code"]


def context_of(case: dict[str, Any]) -> ReportContext:
    return ReportContext(
        bytes.fromhex(case["spec_digest"]),
        bytes.fromhex(case["report_id"]),
        case["reporter"],
    )


def key_of(case: dict[str, Any]) -> sealing_key.SealingKey:
    return sealing_key.SealingKey.from_seed(bytes.fromhex(case["key_seed"]))


def info_of(case: dict[str, Any]) -> seal_info.SealInfo:
    digests = [bytes.fromhex(case[f"{one}_digest"]) for one in ("federation", "spec")]
    parties = (case["sender"], case["receiver"])
    if case["kind"] == "aggregate share":
        opening = bytes.fromhex(case["opening_digest"])
        info = seal_info.share_info(*digests, *parties, opening)
    else:
        report_id = bytes.fromhex(case["report_id"])
        info = seal_info.report_info(*digests, *parties, report_id, case["kind"])
    assert info.encoded.hex() == case["info"]
    return info


def plaintext_of(case: dict[str, Any]) -> bytes:
    label = f"fedsecure test {case['plaintext_name']}".encode()
    return shake_128(label).digest(case["plaintext_bytes"])


def payload_of(case: dict[str, Any]) -> bytes:
    """The payload, made from its parts by the cipher library alone."""
    cipher = AESGCM(bytes.fromhex(case["content_key"]))
    data, plaintext = sha256(bytes.fromhex(case["info"])).digest(), plaintext_of(case)
    payload = bytes.fromhex(case["sealed_key"])
    for index, tag in enumerate(case["tags"]):
        last = index == len(case["tags"]) - 1
        piece = plaintext[index * 2**20 : (index + 1) * 2**20]
        record = cipher.encrypt(index.to_bytes(11, "big") + bytes([last]), piece, data)
        assert record[-16:].hex() == tag
        payload += record
    return payload
