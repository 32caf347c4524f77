"""Write the test vectors of this folder, from the reference alone.

    python tests/vectors/generate.py           write them anew
    python tests/vectors/generate.py --check   fail where a file differs from that

Vectors are never edited by hand. HPKE draws its own randomness, so the sealed keys are
taken over from the files that exist, as long as they open.
"""

import json
import sys
from hashlib import sha256, shake_256
from pathlib import Path
from typing import Any

import reference
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    Suite,
)

FOLDER = Path(__file__).parent
HPKE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
LOSS = {"name": "loss", "low": 0.0, "high": 8.0, "size": 1}
ROWS = {"name": "rows", "low": None, "high": None, "size": 1}
WRAPS = {"weight_cap": 2**38}
AGES = {"name": "ages", "low": None, "high": None, "size": 3}


BAD_STATISTICS: dict[str, dict[str, Any]] = {
    "clip_nan": {"clip": "nan", "ranges": [[0, 1]]},
    "clip_zero": {"clip": "0.0", "ranges": [[0, 1]]},
    "clip_far_above": {"clip": "1e20", "ranges": [[0, 1]]},
    "clip_far_below": {"clip": "1e-20", "ranges": [[0, 1]]},
    "nowhere": {"clip": "1.0", "ranges": []},
    "empty": {"clip": "1.0", "ranges": [[1, 1]]},
    "backwards": {"clip": "1.0", "ranges": [[2, 1]]},
    "beyond": {"clip": "1.0", "ranges": [[3, 5]]},
    "overlapping": {"clip": "1.0", "ranges": [[0, 2], [1, 3]]},
    "touching": {"clip": "1.0", "ranges": [[0, 2], [2, 3]]},
    "descending": {"clip": "1.0", "ranges": [[2, 3], [0, 1]]},
}


def params(**changes: Any) -> dict[str, Any]:
    """Public numbers of one round, with the right fraction bits unless given."""
    case = {
        "dimension": 4,
        "scalars": [LOSS, ROWS, AGES],
        "max_reports": 4,
        "clip": "5.0",
        "weight_cap": 100,
        "statistics": None,
        **changes,
    }
    if "fraction_bits" not in case:
        case["fraction_bits"] = reference.fraction_bits(
            case["max_reports"], float(case["clip"])
        )
    return case


def params_cases() -> list[dict[str, Any]]:
    """Good parameters, and the sizes that follow from them."""
    cases = [
        params(),
        params(dimension=0, scalars=[], max_reports=1, weight_cap=1),
        params(clip="1.0"),
        params(clip="0.9999999999999999"),
        params(clip="1.0000000000000002"),
        params(max_reports=1, clip="2147483646.5"),
        params(max_reports=1, clip="2147483647.0"),  # the next scale fits but for 1
        params(max_reports=2, clip="1073741822.75"),
        params(max_reports=262112, weight_cap=4194816),
        params(max_reports=1, weight_cap=2**40 - 1),
        params(dimension=262145),
        params(clip="1e-6", max_reports=1000),
        params(statistics={"clip": "80.0", "ranges": [[1, 3]]}),
        params(statistics={"clip": "0.125", "ranges": [[0, 1], [2, 4]]}),
    ]
    for case in cases:
        words = 6 + sum(scalar["size"] for scalar in case["scalars"])
        case["scalar_count"] = words
        case["plaintext_bytes"] = 4 * case["dimension"] + 8 * words
    return cases


def bad_params_cases() -> list[dict[str, Any]]:
    """Parameters that must be refused, with the code of the refusal."""
    bits = params()["fraction_bits"]
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("bad_clip_nan", "FS-200", {"clip": "nan"}),
        ("bad_clip_infinite", "FS-200", {"clip": "inf"}),
        ("bad_clip_zero", "FS-200", {"clip": "0.0"}),
        ("bad_clip_negative", "FS-200", {"clip": "-5.0"}),
        ("bad_nobody", "FS-200", {"max_reports": 0}),
        ("bad_dimension", "FS-200", {"dimension": -1}),
        ("bad_weight_cap", "FS-200", {"weight_cap": 0}),
        ("bad_cohort_too_large", "FS-201", {"max_reports": 1000000}),
        ("bad_clip_too_small", "FS-202", {"clip": "1e-12"}),
        ("bad_clip_too_large", "FS-202", {"clip": "1e30"}),
        ("bad_scale_too_fine", "FS-203", {"fraction_bits": bits + 1}),
        ("bad_scale_too_coarse", "FS-203", {"fraction_bits": bits - 1}),
        ("bad_weights_wrap", "FS-204", {"weight_cap": 2**38}),
        ("bad_scalar_twice", "FS-205", {"scalars": [ROWS, ROWS]}),
        ("bad_scalar_reserved", "FS-205", {"scalars": [{**ROWS, "name": "weight"}]}),
        ("bad_scalar_range", "FS-205", {"scalars": [{**LOSS, "high": 0.0}]}),
        ("bad_scalar_half_range", "FS-205", {"scalars": [{**LOSS, "high": None}]}),
        ("bad_scalar_empty", "FS-205", {"scalars": [{**AGES, "size": 0}]}),
        # Of several faults, the one that is looked for first.
        ("bad_scalar_before_weights", "FS-205", {"scalars": [ROWS] * 2, **WRAPS}),
        ("bad_weights_before_clip", "FS-204", {"clip": "nan", **WRAPS}),
        ("bad_cohort_before_clip", "FS-201", {"max_reports": 10**6, "clip": "1e30"}),
        ("bad_clip_before_scale", "FS-202", {"clip": "1e30", "fraction_bits": 0}),
        *(
            (f"bad_statistics_{name}", "FS-213", {"statistics": statistics})
            for name, statistics in BAD_STATISTICS.items()
        ),
    ]
    return [
        {"name": name, "code": code, **params(fraction_bits=bits) | changes}
        for name, code, changes in cases
    ]


def measurement(update: list[float], weight: int, **metrics: Any) -> dict[str, Any]:
    """One data owner's numbers."""
    metrics = {"loss": 1.5, "rows": 12, "ages": [3, 4, 5], **metrics}
    return {"update": update, "weight": weight, "metrics": metrics}


MEASUREMENTS = [
    ("zero", measurement([0.0, 0.0, 0.0, 0.0], 100)),
    ("within the clip", measurement([0.5, -0.25, 3.0, 4.0e-9], 100)),
    ("as long as the clip", measurement([3.0, 0.0, -4.0, 0.0], 50)),
    ("twice as long as the clip", measurement([6.0, 0.0, -8.0, 0.0], 7)),
    ("one coordinate has it all", measurement([0.0, -1e30, 0.0, 0.0], 100)),
    ("weight above the cap", measurement([1.0, 2.0, 0.0, 0.0], 10**6)),
    ("weight of nobody", measurement([1.0, 2.0, 0.0, 0.0], 0)),
    ("metric below", measurement([1.0, 0.0, 0.0, 0.0], 3, loss=-0.5)),
    ("metric above", measurement([1.0, 0.0, 0.0, 0.0], 3, loss=9.0)),
    ("metric at both ends", measurement([1.0, 0.0, 0.0, 0.0], 3, loss=8.0)),
    ("counts out of range", measurement([1.0, 0.0, 0.0, 0.0], 3, ages=[-1, 2**64, 2])),
    ("metric not a number", measurement([1.0, 0.0, 0.0, 0.0], 3, loss="nan")),
    ("metric infinite", measurement([1.0, 0.0, 0.0, 0.0], 300, loss="-inf")),
    ("count not a number", measurement([6.0, 0.0, 8.0, 0.0], 3, ages=[1, "nan", 2])),
]
APART = {"clip": "80.0", "ranges": [[1, 3]]}
APART_MEASUREMENTS = [
    ("statistics within their clip", measurement([3.0, 48.0, -64.0, 4.0], 100)),
    ("statistics clipped alone", measurement([3.0, 96.0, -128.0, 4.0], 50)),
    ("both clipped, each alone", measurement([6.0, 8e20, 0.0, -8.0], 7)),
    ("only what is trained clipped", measurement([-6.0, 0.0, 1.0, 8.0], 7)),
]


def encode(case: dict[str, Any], given: dict[str, Any]) -> tuple[list[int], list[int]]:
    """Both sections of one measurement, before they are masked."""
    update = [reference.float32(number) for number in given["update"]]
    shrink, own_shrink = reference.shrinks(case, update)
    scalars = reference.encode_scalars(
        case, given["weight"], given["metrics"], (shrink < 1, own_shrink < 1)
    )
    if case["statistics"] is None:
        scalars[2] = 0
    return reference.encode_update(case, update, scalars[0]), scalars


def encoding_cases() -> list[dict[str, Any]]:
    """Measurements and the integers that they become."""
    cases = []
    apart = [(APART, *one) for one in APART_MEASUREMENTS]
    for statistics, name, given in [*((None, *one) for one in MEASUREMENTS), *apart]:
        tensor, scalars = encode(params(statistics=statistics), given)
        cases.append(
            {
                "name": name,
                "statistics": statistics,
                **given,
                "tensor": tensor,
                "scalars_section": scalars,
            }
        )
    return cases


def bad_encoding_cases() -> list[dict[str, Any]]:
    """Measurements that must be refused, with the code of the refusal."""
    good = MEASUREMENTS[1][1]
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("bad_update_nan", "FS-210", {"update": ["nan", 0.0, 0.0, 0.0]}),
        ("bad_update_infinite", "FS-210", {"update": [0.0, 0.0, 0.0, "-inf"]}),
        ("bad_update_short", "FS-211", {"update": [0.0, 0.0, 0.0]}),
        ("bad_metric_missing", "FS-212", {"metrics": {"loss": 1.0, "rows": 1}}),
        (
            "bad_metric_undeclared",
            "FS-212",
            {"metrics": {**good["metrics"], "auc": 0.5}},
        ),
        (
            "bad_metric_size",
            "FS-212",
            {"metrics": {**good["metrics"], "ages": [1, 2]}},
        ),
    ]
    return [{"name": name, "code": code, **good, **bad} for name, code, bad in cases]


def context(name: str) -> dict[str, str]:
    """Public facts of one report."""
    return {
        "spec_digest": reference.sample_bytes(f"{name} spec", 32).hex(),
        "report_id": reference.sample_bytes(f"{name} report", 16).hex(),
        "reporter": f"hospital-{name}",
    }


def keys(seed: bytes, facts: dict[str, str]) -> list[bytes]:
    """Both mask keys of one report."""
    parts = (
        bytes.fromhex(facts["spec_digest"]),
        bytes.fromhex(facts["report_id"]),
        facts["reporter"],
    )
    return [
        reference.hkdf(seed, reference.mask_info(label, *parts))
        for label in ("fedsecure v1 mask tensor", "fedsecure v1 mask scalars")
    ]


def mask_cases() -> list[dict[str, Any]]:
    """Seeds and what they expand to."""
    cases = []
    for name, size in (("a", 48), ("b", reference.CHUNK + 40), ("ü", 4)):
        seed, facts = reference.sample_bytes(f"{name} seed", 32), context(name)
        tensor, scalars = (reference.key_stream(key, size) for key in keys(seed, facts))
        cases.append(
            {
                **facts,
                "seed": seed.hex(),
                "size": size,
                "tensor_start": tensor[:32].hex(),
                "tensor_sha256": sha256(tensor).hexdigest(),
                "scalars_start": scalars[:32].hex(),
                "scalars_sha256": sha256(scalars).hexdigest(),
            }
        )
    return cases


def shard_cases() -> list[dict[str, Any]]:
    """Measurements, the randomness, and both input shares."""
    cases = []
    for name, given in MEASUREMENTS[:4]:
        rand = reference.sample_bytes(f"shard {name}", 32 + 16 + 1 + 32 + 32)
        facts = context(name) | {"report_id": rand[32:48].hex()}
        vector = reference.vector_share(
            *encode(params(), given), *keys(rand[:32], facts)
        )
        cases.append(
            {
                "name": name,
                **given,
                **facts,
                "rand": rand.hex(),
                "seed": rand[:32].hex(),
                "seed_to_first": rand[48] % 2 == 1,
                "content_keys": [rand[49:81].hex(), rand[81:].hex()],
                "vector": vector.hex(),
            }
        )
    return cases


def receiver_keys(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    """Both halves of a receiver's private key, expanded as X-Wing does."""
    expanded = shake_256(seed).digest(96)
    return (
        MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        X25519PrivateKey.from_private_bytes(expanded[64:]),
    )


def sealed_key(case: dict[str, Any], stored: dict[str, str]) -> bytes:
    """The stored sealed key of a case if it still opens, else a new one."""
    key, info = (
        MLKEM768X25519PrivateKey(*receiver_keys(bytes.fromhex(case["key_seed"]))),
        bytes.fromhex(case["info"]),
    )
    content_key = bytes.fromhex(case["content_key"])
    try:
        known = bytes.fromhex(stored[case["name"]])
        if HPKE.decrypt(known, key, info=info) == content_key:
            return known
    except (KeyError, InvalidTag):
        pass
    return HPKE.encrypt(content_key, key.public_key(), info=info)


def stored_sealed_keys(file: str = "seal.json") -> dict[str, str]:
    """Sealed keys in a file as it is, by case."""
    path = FOLDER / file
    cases = json.loads(path.read_text("utf-8")) if path.exists() else []
    return {case["name"]: case["sealed_key"] for case in cases}


def seal_case(name: str, kind: str, size: int) -> dict[str, Any]:
    """A payload's ingredients, without its sealed key."""
    parts = {
        "federation_digest": reference.sample_bytes("federation", 32).hex(),
        "spec_digest": reference.sample_bytes("spec", 32).hex(),
        "sender": "hospital-a",
        "receiver": "aggregator-1",
        "report_id": reference.sample_bytes("report", 16).hex(),
    }
    digests = [
        bytes.fromhex(parts["federation_digest"]),
        bytes.fromhex(parts["spec_digest"]),
    ]
    info = reference.seal_info(
        "fedsecure v1 seal report",
        [
            *digests,
            parts["sender"].encode(),
            parts["receiver"].encode(),
            bytes.fromhex(parts["report_id"]),
            kind.encode(),
        ],
    )
    return {
        "name": name,
        **parts,
        "kind": kind,
        "info": info.hex(),
        "key_seed": reference.sample_bytes("receiver", 32).hex(),
        "content_key": reference.sample_bytes(f"{name} content", 32).hex(),
        "plaintext_name": name,
        "plaintext_bytes": size,
    }


def seal_cases() -> list[dict[str, Any]]:
    """Payloads: what goes in, and every tag that comes out."""
    stored, cases = stored_sealed_keys(), []
    for name, kind, size in (
        ("seed", "seed", 32),
        ("one record", "vector", 88),
        ("a full record", "vector", reference.CHUNK),
        ("two full records", "vector", 2 * reference.CHUNK),
        ("three records", "vector", 2 * reference.CHUNK + 24),
        ("four records", "vector", 3 * reference.CHUNK + 8),
    ):
        cases.append(sealed_case(seal_case(name, kind, size), stored))
    return cases


def sealed_case(case: dict[str, Any], stored: dict[str, str]) -> dict[str, Any]:
    """A payload with every tag, and its digests; whole, if it is short."""
    plaintext = reference.sample_bytes(case["plaintext_name"], case["plaintext_bytes"])
    sealed = reference.records(
        bytes.fromhex(case["content_key"]), bytes.fromhex(case["info"]), plaintext
    )
    first = sealed_key(case, stored)
    payload = first + b"".join(sealed)
    whole = sha256(payload).hexdigest()
    by_tags = reference.payload_digest(first, sealed).hex()
    case |= {
        "plaintext_sha256": sha256(plaintext).hexdigest(),
        "sealed_key": first.hex(),
        "tags": [record[-16:].hex() for record in sealed],
        "length": len(payload),
        "digest": whole if case["kind"] == "aggregate share" else by_tags,
        "payload_sha256": whole,
    }
    return case | ({"payload": payload.hex()} if len(plaintext) < 100 else {})


def seal_share_cases() -> list[dict[str, Any]]:
    """Aggregate shares, whose digest is over everything."""
    stored, cases = stored_sealed_keys("seal_shares.json"), []
    digests = [reference.sample_bytes(one, 32) for one in ("federation", "spec")]
    opening = reference.sample_bytes("opening", 32)
    info = reference.seal_info(
        "fedsecure v1 seal aggregate share",
        [*digests, b"aggregator-1", b"model-owner", opening],
    )
    for name, size in (
        ("short share", 80),
        ("share of two records", reference.CHUNK + 8),
        ("share of four records", 4 * reference.CHUNK),
    ):
        case = {
            "name": name,
            "federation_digest": digests[0].hex(),
            "spec_digest": digests[1].hex(),
            "sender": "aggregator-1",
            "receiver": "model-owner",
            "opening_digest": opening.hex(),
            "kind": "aggregate share",
            "info": info.hex(),
            "key_seed": reference.sample_bytes("owner", 32).hex(),
            "content_key": reference.sample_bytes(f"{name} content", 32).hex(),
            "plaintext_name": name,
            "plaintext_bytes": size,
        }
        cases.append(sealed_case(case, stored))
    return cases


def bad_seal_cases(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Payloads of a seed that must not open, with the code of the refusal."""
    case = next(case for case in cases if case["name"] == "seed")
    good, info = bytes.fromhex(case["payload"]), bytes.fromhex(case["info"])
    seed = reference.sample_bytes("seed", 32)
    cipher = AESGCM(bytes.fromhex(case["content_key"]))

    def flipped(at: int) -> bytes:
        return good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]

    def resealed(nonce: bytes, data: bytes) -> bytes:
        return good[:1168] + cipher.encrypt(nonce, seed, data)

    data = sha256(info).digest()
    payloads = {
        "bad_encapsulation_mlkem": ("FS-720", flipped(0)),
        "bad_encapsulation_x25519": ("FS-720", flipped(1119)),
        "bad_sealed_content_key": ("FS-720", flipped(1120)),
        "bad_sealed_key_tag": ("FS-720", flipped(1167)),
        "bad_record": ("FS-720", flipped(1168)),
        "bad_record_tag": ("FS-720", flipped(len(good) - 1)),
        "bad_last_mark": ("FS-720", resealed(bytes(12), data)),
        "bad_record_index": ("FS-720", resealed(bytes(10) + b"\1\1", data)),
        "bad_additional_data": ("FS-720", resealed(bytes(11) + b"\1", info)),
        "bad_truncated": ("FS-721", good[:-1]),
        "bad_extended": ("FS-721", good + b"\0"),
        "bad_empty": ("FS-721", b""),
    }
    given = {
        name: value
        for name, value in case.items()
        if name not in {"sealed_key", "content_key", "tags", "digest"}
        and not name.endswith("_sha256")
    }
    return [
        {**given, "name": name, "code": code, "payload": payload.hex()}
        for name, (code, payload) in payloads.items()
    ]


def vectors() -> dict[str, list[dict[str, Any]]]:
    """All files' contents."""
    sealed = seal_cases()
    return {
        "params.json": params_cases(),
        "bad_params.json": bad_params_cases(),
        "encoding.json": encoding_cases(),
        "bad_encoding.json": bad_encoding_cases(),
        "mask.json": mask_cases(),
        "shard.json": shard_cases(),
        "seal.json": sealed,
        "bad_seal.json": bad_seal_cases(sealed),
        "seal_shares.json": seal_share_cases(),
    }


def main() -> None:
    """Write all files, or compare them."""
    for name, cases in vectors().items():
        text = json.dumps(cases, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        path = FOLDER / name
        if "--check" not in sys.argv[1:]:
            path.write_text(text, "utf-8")
        elif path.read_text("utf-8") != text:
            sys.exit(f"{name} is not what generate.py writes; run it without --check")


if __name__ == "__main__":
    main()
