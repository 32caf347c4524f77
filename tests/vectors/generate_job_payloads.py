"""Write the vectors of sealed payloads of jobs, and of digests over what went in.

    python tests/vectors/generate_job_payloads.py           write them anew
    python tests/vectors/generate_job_payloads.py --check   fail where a file differs

From the reference alone; vectors are never edited by hand. HPKE draws its own
randomness, so the sealed keys are taken over from the files that exist.
"""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import job_reference as jobs
import reference
from generate import sealed_key, stored_sealed_keys
from job_reference import identifier
from statement_reference import Content, base64url, digest
from vector_files import write_or_compare

FACTS: dict[str, tuple[str, dict[str, Any]]] = {
    # name: label, and what `info` is made of, in this order, after both digests
    "sealed vector of an input": (
        "fedsecure v1 seal job input",
        {
            "sender": "basel",
            "receiver": "north",
            "input": "b",
            "id": identifier("b"),
            "kind": "vector",
        },
    ),
    "sealed seed of an input": (
        "fedsecure v1 seal job input",
        {
            "sender": "basel",
            "receiver": "south",
            "input": "b",
            "id": identifier("b"),
            "kind": "seed",
        },
    ),
    "sealed public input": (
        "fedsecure v1 seal job input",
        {
            "sender": "clinic",
            "receiver": "north",
            "input": "factor",
            "id": identifier("factor"),
            "kind": "public",
        },
    ),
    "sealed query": (
        "fedsecure v1 seal job query",
        {
            "sender": "clinic",
            "receiver": "south",
            "query": 7,
            "id": identifier("query"),
            "kind": "vector",
        },
    ),
    "sealed query of ciphertexts": (
        "fedsecure v1 seal job query",
        {
            "sender": "clinic",
            "receiver": "south",
            "query": 8,
            "id": identifier("ciphertexts"),
            "kind": "ciphertexts",
        },
    ),
    "sealed output": (
        "fedsecure v1 seal job output",
        {
            "sender": "north",
            "receiver": "clinic",
            "query": 0,
            "inputs": jobs.inputs_digest(jobs.WENT_IN),
        },
    ),
    "sealed output of a query": (
        "fedsecure v1 seal job output",
        {
            "sender": "north",
            "receiver": "clinic",
            "query": 7,
            "inputs": jobs.inputs_digest(jobs.ASKED),
        },
    ),
    "sealed channel key": (
        "fedsecure v1 seal job channel",
        {"sender": "north", "receiver": "south"},
    ),
}
SIZES = {
    "sealed vector of an input": 48,
    "sealed seed of an input": 32,
    "sealed public input": 8,
    "sealed query": 2 * reference.CHUNK + 8,
    "sealed query of ciphertexts": 384 + 12 * 768,
    "sealed output": 48,
    "sealed output of a query": 48,
    "sealed channel key": 0,  # nothing but the key
}
OTHERS: dict[str, Any] = {
    "sender": "bern",
    "receiver": "practice",
    "input": "a",
    "id": identifier("another"),
    "kind": "share",
    "query": 9,
    "inputs": digest("other inputs"),
}


def info(label: str, facts: dict[str, Any], spec: str = jobs.SPEC) -> bytes:
    """What a payload is bound to."""
    digests = [bytes.fromhex(jobs.FEDERATION_DIGEST), bytes.fromhex(spec)]
    return reference.seal_info(
        label, [*digests, *(part(name, value) for name, value in facts.items())]
    )


def part(name: str, value: Any) -> bytes:
    """One fact as `info` has it."""
    if name == "query":
        return int(value).to_bytes(8, "big")
    return bytes.fromhex(value) if name in {"id", "inputs"} else value.encode()


def spec_of(name: str) -> str:
    """The job that a payload belongs to."""
    if "ciphertexts" in name:
        return jobs.PAILLIER
    return jobs.SERVICE if "query" in name else jobs.SPEC


def seal_cases() -> list[Content]:
    """Payloads of jobs: what goes in, and what comes out."""
    stored = stored_sealed_keys("job_seal.json")
    return [sealed(name, *FACTS[name], stored) for name in FACTS]


def sealed(
    name: str, label: str, facts: dict[str, Any], stored: dict[str, str]
) -> Content:
    """One payload. Its digest is over all of it, however long it is."""
    spec, size = spec_of(name), SIZES[name]
    case: Content = {
        "name": name,
        "label": label,
        "federation_digest": jobs.FEDERATION_DIGEST,
        "spec_digest": spec,
        **facts,
        "info": info(label, facts, spec).hex(),
        "key_seed": jobs.key_seed(facts["receiver"]).hex(),
        "content_key": reference.sample_bytes(f"{name} content", 32).hex(),
    }
    first = sealed_key(case, stored)
    case["sealed_key"] = first.hex()
    if not size:
        return case | {"key": base64url(first)}
    plaintext = reference.sample_bytes(name, size)
    content_key = bytes.fromhex(case["content_key"])
    records = reference.records(content_key, bytes.fromhex(case["info"]), plaintext)
    payload = first + b"".join(records)
    case |= {
        "plaintext_name": name,
        "plaintext_bytes": size,
        "plaintext_sha256": sha256(plaintext).hexdigest(),
        "length": len(payload),
        "digest": sha256(payload).hexdigest(),
    }
    return case | ({"payload": payload.hex()} if size < 100 else {})


def bad_seal_cases() -> list[Content]:
    """What the keys of good payloads were not sealed for: there they do not open."""
    cases = []
    for name, (label, facts) in FACTS.items():
        spec = spec_of(name)
        infos = {
            what: info(label, {**facts, what: OTHERS[what]}, spec) for what in facts
        } | {
            "spec": info(label, facts, digest("another spec")),
            "label": info("fedsecure v1 seal report", facts, spec),
        }
        for what, value in infos.items():
            case = f"bad_{name}_{what}".replace(" ", "_")
            given = {"name": case, "code": "FS-720", "of": name}
            cases.append({**given, "info": value.hex()})
    return cases


def digest_cases() -> list[Content]:
    """What went into outputs, in any order, and what a service's file describes."""
    inputs = {
        "inputs of a job": jobs.WENT_IN,
        "inputs turned round": jobs.WENT_IN[::-1],
        "inputs of a query": jobs.ASKED,
    }
    return [
        *(
            {
                "name": name,
                "inputs": [list(one) for one in used],
                "digest": jobs.inputs_digest(used),
            }
            for name, used in inputs.items()
        ),
        {
            "name": "description of a service",
            "description": jobs.DESCRIPTION,
            "digest": jobs.DESCRIPTION_DIGEST,
        },
    ]


FILES: dict[str, Callable[[], list[Content]]] = {
    "job_seal.json": seal_cases,
    "bad_job_seal.json": bad_seal_cases,
    "job_digests.json": digest_cases,
}


if __name__ == "__main__":
    write_or_compare(FILES, Path(__file__).name)
