"""Signed statements about jobs a second time, sharing no code with fedsecure.

One job of shares, proposed by a client, and one linear service by each method; their
statements belong together: digests and keys in them are the real ones.
"""

from hashlib import sha256
from typing import Any

import reference
from generate import receiver_keys
from statement_reference import (
    CLIENTS,
    FEDERATION as WITHOUT_CLIENTS,
    HEAD,
    HOSPITALS,
    OWNER,
    SERVERS,
    Content,
    base64url,
    canonical,
    digest,
    header,
    party,
    sign,
    token_digest,
)

FEDERATION: Content = {
    **WITHOUT_CLIENTS,
    "clients": [party(name) for name in CLIENTS],
}
FEDERATION_DIGEST = sha256(canonical(FEDERATION)).hexdigest()


def key_seed(name: str) -> bytes:
    """The private key that something is sealed to."""
    return reference.sample_bytes(f"job key of {name}", 32)


def public_key(name: str) -> str:
    """ML-KEM-768 and X25519, one behind the other."""
    halves = [key.public_key() for key in receiver_keys(key_seed(name))]
    return base64url(b"".join(half.public_bytes_raw() for half in halves))


def identifier(what: str) -> str:
    """Some id of 16 bytes."""
    return digest(what)[:32]


def inputs_digest(used: list[tuple[str, str, str, str | None]]) -> str:
    """SHA-256 over what went into an output."""
    return sha256(canonical(sorted(list(one) for one in used))).hexdigest()


def signed(typ: str, signer: str, content: Content) -> str:
    """A token."""
    return sign(header(typ, signer), canonical(content), signer)


def _input(name: str, owner: str, **changes: Any) -> Content:
    return {
        "name": name,
        "owner": owner,
        "rows": 3,
        "columns": 2,
        "fraction_bits": 16,
        "bound": 100,
        "secret": True,
        **changes,
    }


def _step(op: str, result: str, of: list[str], bits: int = 0) -> Content:
    return {"op": op, "result": result, "of": of, "bits": bits}


CIRCUIT: Content = {
    "type": "circuit",
    "inputs": [
        _input("a", "clinic"),
        _input("b", "basel"),
        _input("factor", "clinic", rows=1, columns=1, fraction_bits=4, secret=False),
    ],
    "operations": [
        _step("multiply", "scaled", ["a", "factor"]),
        _step("shift", "shifted", ["b"], 4),
        _step("add", "sum", ["scaled", "shifted"]),
    ],
    "outputs": ["sum"],
}
LINEAR: Content = {
    "type": "linear",
    "features": 4,
    "outputs": 2,
    "fraction_bits": 16,
    "weight_bits": 16,
    "bound": 8,
    "weight_bound": 4,
    "bias_bound": 0.5,
}
DESCRIPTION: Content = {
    "title": "heart disease",
    "activation": "sigmoid",
    "labels": ["no", "yes"],
    "schema": '[[features]]\nname = "age"\nkind = "number"\nmin = 0\nmax = 120\n',
}
DESCRIPTION_DIGEST = sha256(canonical(DESCRIPTION)).hexdigest()

_SPEC: Content = {
    "federation": FEDERATION_DIGEST,
    "name": "mean-age",
    "job_id": identifier("job"),
    "proposer": "clinic",
    "kind": "shares",
    "method": "shares",
    "program": CIRCUIT,
    "receiver": "clinic",
    "sealing_key": public_key("clinic"),
    "clients": [],
    "rows": 0,
    "description": None,
    "deadline": 1800000000,
}
_SERVICE: Content = {
    **_SPEC,
    "name": "heart",
    "job_id": identifier("service"),
    "proposer": OWNER,
    "kind": "linear",
    "program": LINEAR,
    "receiver": None,
    "sealing_key": None,
    "clients": ["clinic", "practice", OWNER],
    "rows": 1000,
    "description": DESCRIPTION_DIGEST,
}
_PAILLIER = {**_SERVICE, "job_id": identifier("Paillier"), "method": "paillier"}
SPEC, SERVICE, PAILLIER = (
    token_digest(signed("job-spec", str(content["proposer"]), content))
    for content in (_SPEC, _SERVICE, _PAILLIER)
)


def _said(spec: str = SPEC) -> Content:
    return {"federation": FEDERATION_DIGEST, "spec": spec}


def grant(server: str, spec: str = SPEC) -> Content:
    """A server's consent."""
    return {
        **_said(spec),
        "aggregator": server,
        "sealing_key": public_key(server),
        "expires": 1800086400,
        "head": {"entries": 0, "hash": "0" * 64},
    }


_INPUT: Content = {
    **_said(),
    "owner": "basel",
    "aggregator": "north",
    "name": "b",
    "input_id": identifier("b"),
    "kind": "vector",
    "plain": None,
    "length": 1168 + 48 + 16,
    "digest": digest("payload of b"),
}
_PUBLIC: Content = {
    **_INPUT,
    "owner": "clinic",
    "name": "factor",
    "input_id": identifier("factor"),
    "kind": "public",
    "plain": sha256((24).to_bytes(8, "little")).hexdigest(),
    "length": 1168 + 8 + 16,
}
_QUERY: Content = {
    **_said(SERVICE),
    "client": "clinic",
    "aggregator": "south",
    "query": 7,
    "query_id": identifier("query"),
    "kind": "vector",
    "rows": 3,
    "key_bits": None,
    "sealing_key": public_key("query"),
    "length": 1168 + 96 + 16,
    "digest": digest("payload of the query"),
}
_CIPHERTEXTS: Content = {
    **_QUERY,
    "spec": PAILLIER,
    "kind": "ciphertexts",
    "key_bits": 3072,
    "length": 1168 + 384 + 3 * 4 * 768 + 16,
}
WENT_IN = [
    ("a", "clinic", identifier("a"), None),
    ("b", "basel", identifier("b"), None),
    ("factor", "clinic", identifier("factor"), str(_PUBLIC["plain"])),
]
ASKED = [
    ("query", "clinic", identifier("query"), None),
    ("model", OWNER, identifier("model"), digest("words of the model")),
]
_OUTPUT: Content = {
    **_said(),
    "aggregator": "north",
    "client": None,
    "query": 0,
    "inputs": inputs_digest(WENT_IN),
    "length": 1168 + 48 + 16,
    "digest": digest("payload of the output"),
    "head": HEAD,
}
_ANSWER: Content = {
    **_OUTPUT,
    "spec": SERVICE,
    "client": "clinic",
    "query": 7,
    "inputs": inputs_digest(ASKED),
}
_VOID = {**_said(), "author": "clinic", "reason": "basel brings nothing"}

STATEMENTS: dict[str, tuple[str, str, Content]] = {
    "job-spec": ("job-spec", "clinic", _SPEC),
    "service by shares": ("job-spec", OWNER, _SERVICE),
    "service by Paillier": ("job-spec", OWNER, _PAILLIER),
    "job-grant": ("job-grant", "north", grant("north")),
    "job-start": (
        "job-start",
        "clinic",
        {
            **_said(),
            "grants": {
                name: signed("job-grant", name, grant(name)) for name in SERVERS
            },
        },
    ),
    "job-channel": (
        "job-channel",
        "north",
        {
            **_said(),
            "aggregator": "north",
            "peer": "south",
            "key": base64url(reference.sample_bytes("sealed channel key", 1168)),
        },
    ),
    "job-input": ("job-input", "basel", _INPUT),
    "seed of an input": (
        "job-input",
        "basel",
        {**_INPUT, "aggregator": "south", "kind": "seed", "length": 1168 + 32 + 16},
    ),
    "public input": ("job-input", "clinic", _PUBLIC),
    "job-query": ("job-query", "clinic", _QUERY),
    "query of ciphertexts": ("job-query", "clinic", _CIPHERTEXTS),
    "query of the model owner": ("job-query", OWNER, {**_QUERY, "client": OWNER}),
    "job-output": ("job-output", "north", _OUTPUT),
    "output of a query": ("job-output", "north", _ANSWER),
    "job-void": ("job-void", "clinic", _VOID),
    "confirmed job-void": ("job-void", "south", {**_VOID, "author": "south"}),
}
"""One good statement of each type, or more: its type, who signs it, and its content."""

AUTHOR_FIELD = {
    "job-spec": "proposer",
    "job-grant": "aggregator",
    "job-channel": "aggregator",
    "job-input": "owner",
    "job-query": "client",
    "job-output": "aggregator",
    "job-void": "author",
}
_ANYBODY = [OWNER, *HOSPITALS, *CLIENTS]
MAY_SIGN = {
    "job-spec": _ANYBODY,
    "job-grant": [*SERVERS],
    "job-start": _ANYBODY,
    "job-channel": [*SERVERS],
    "job-input": _ANYBODY,
    "job-query": _ANYBODY,
    "job-output": [*SERVERS],
    "job-void": [*_ANYBODY, *SERVERS],
}
