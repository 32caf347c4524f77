"""Signed statements a second time: plain, and sharing no code with fedsecure.

Keys come from the parties' names, so everything is the same each time. Canonical JSON
is Python's own `json` here: it agrees with RFC 8785 as long as keys are ASCII and
numbers are integers or short fractions.
"""

import json
from base64 import urlsafe_b64encode
from functools import reduce
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

OWNER, SERVERS, HOSPITALS = "study", ("north", "south"), ("7", "basel", "bern", "chur")
CLIENTS = ("clinic", "practice")

Content = dict[str, Any]


def canonical(content: Any) -> bytes:
    """The one spelling of a content."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")


def base64url(value: bytes) -> str:
    """Without padding."""
    return urlsafe_b64encode(value).decode("ascii").rstrip("=")


def digest(what: str) -> str:
    """Some digest."""
    return sha256(what.encode()).hexdigest()


def seed(name: str) -> bytes:
    """A party's private key."""
    return sha256(f"signing key of {name}".encode()).digest()


def signing_key(name: str) -> Ed25519PrivateKey:
    """A party's private key, ready to sign."""
    return Ed25519PrivateKey.from_private_bytes(seed(name))


def public_key(name: str) -> bytes:
    """A party's public key."""
    return signing_key(name).public_key().public_bytes_raw()


def header(typ: str, signer: str) -> bytes:
    """The one header."""
    return canonical({"alg": "EdDSA", "kid": signer, "typ": typ})


def sign(head: bytes, payload: bytes, signer: str) -> str:
    """A token with a right signature over whatever is given."""
    signing_input = f"{base64url(head)}.{base64url(payload)}"
    signature = signing_key(signer).sign(signing_input.encode("ascii"))
    return f"{signing_input}.{base64url(signature)}"


def token_digest(token: str) -> str:
    """What names a statement."""
    return sha256(token.rpartition(".")[0].encode("ascii")).hexdigest()


def party(name: str, **more: str) -> Content:
    """An entry of a federation."""
    return {"name": name, "key": base64url(public_key(name)), **more}


FEDERATION: Content = {
    "protocol": 1,
    "name": "heart",
    "number": 2,
    "previous": sha256(b"the federation before").hexdigest(),
    "model_owner": party(OWNER),
    "aggregators": [party(name, url=f"https://{name}.test:8443") for name in SERVERS],
    "data_owners": [
        party(name, flower_key=f"ecdsa-sha2-nistp384 {name}") for name in HOSPITALS
    ],
}
FEDERATION_DIGEST = sha256(canonical(FEDERATION)).hexdigest()

SEALING_KEY = base64url(bytes(range(256)) * 4 + bytes(192))
HEAD = {"entries": 3, "hash": digest("ledger")}
REPORT_ID = digest("id")[:32]

_SAID = {"federation": FEDERATION_DIGEST, "spec": digest("spec")}
_SUM = {"opening": digest("opening"), "set": digest("set")}
_REPORT = {"reporter": "basel", "report_id": REPORT_ID}
_SPEC: Content = {
    "federation": FEDERATION_DIGEST,
    "run": "run-1",
    "round": 4,
    "purpose": "train",
    "attempt": 1,
    "task": digest("task"),
    "model": digest("model"),
    "dimension": 273,
    "scalars": [
        {"name": "loss", "low": 0, "high": 8, "size": 1},
        {"name": "rows", "low": None, "high": None, "size": 1},
        {"name": "auc/score", "low": -0.5, "high": 0.25, "size": 16},
    ],
    "suite": "sum32",
    "fraction_bits": 26,
    "clip": 2.5,
    "statistics": {"clip": 40.5, "ranges": [[0, 4], [6, 8]]},
    "privacy": None,
    "study": None,
    "weight_cap": 1024,
    "weighting": "equal",
    "cohort": sorted(HOSPITALS),
    "min_cohort": 3,
    "deadline": 1800000000,
    "sealing_key": SEALING_KEY,
}
_PRIVATE: Content = {
    **_SPEC,
    "privacy": {
        "unit": "row",
        "unit_clip": 0.5,
        "noise": 20.25,
        "scalar_noise": 61.5,
        "evaluation_noise": 8,
        "every_round": False,
        "epsilon": 2,
        "delta": 0.0001,
    },
    "study": digest("study"),
}
_GRANT = {
    **_SAID,
    "aggregator": "north",
    "sealing_key": SEALING_KEY,
    "expires": 1800086400,
    "noise": None,
    "head": {"entries": 0, "hash": "0" * 64},
}
_SENT = {
    **_SAID,
    **_REPORT,
    "aggregator": "south",
    "kind": "vector",
    "length": 4096,
    "digest": digest("payload"),
}
_RECEIPT = {
    **_SAID,
    **_REPORT,
    "aggregator": "north",
    "digest": digest("payload"),
    "head": HEAD,
}
_OPENING = {
    **_SAID,
    "set": [_REPORT, {**_REPORT, "reporter": "chur"}],
    "receipts": {"north": ["a.b.c", "d.e.f"], "south": []},
}
_SHARE = {
    **_SAID,
    **_SUM,
    "aggregator": "north",
    "count": 3,
    "length": 4096,
    "digest": digest("share"),
    "head": HEAD,
}
_INCLUSION = {
    **_SAID,
    **_SUM,
    "aggregator": "north",
    "reporter": "basel",
    "report": digest("report"),
    "included": True,
    "charged": 0,
    "count": 3,
    "head": HEAD,
}
_NOTHING = {"included": False, "opening": None, "set": None, "count": 0}
_READ = {
    "federation": FEDERATION_DIGEST,
    "aggregator": "north",
    "reader": "basel",
    "method": "GET",
    "path": f"/v1/rounds/{digest('spec')}/inclusion/basel",
    "expires": 1800000000,
}
_EVENT = {
    "federation": FEDERATION_DIGEST,
    "author": "north",
    "entry": 4,
    "previous": HEAD["hash"],
    "kind": "round-granted",
    "at": 1800000000.25,
    "body": {"spec": digest("spec"), "list": [1, 0.5, None, True], "empty": {}},
}
_DEEPEST: Content = {
    **_EVENT,
    "body": {"deep": reduce(lambda d, _: [d], range(29), [])},
}
_ISSUE: Content = {
    "federation": FEDERATION_DIGEST,
    "number": 2,
    "authorities": digest("authorities"),
}

STATEMENTS: dict[str, tuple[str, Content]] = {
    "round-spec": ("round-spec", _SPEC),
    "evaluation": (
        "round-spec",
        {**_SPEC, "purpose": "evaluate", "dimension": 0, "clip": 1e21},
    ),
    "round with noise": ("round-spec", _PRIVATE),
    "statistics": (
        "round-spec",
        {**_PRIVATE, "purpose": "statistics", "dimension": 0, "statistics": None},
    ),
    "round-grant": ("round-grant", _GRANT),
    "grant with noise": ("round-grant", {**_GRANT, "noise": digest("seed")}),
    "report": ("report", _SENT),
    "receipt": ("receipt", _RECEIPT),
    "fold": ("fold", {**_SAID, "set": _OPENING["set"]}),
    "opening": ("opening", _OPENING),
    "aggregate-share": ("aggregate-share", _SHARE),
    "inclusion": ("inclusion", _INCLUSION),
    "no inclusion": ("inclusion", {**_INCLUSION, **_NOTHING}),
    "void": ("void", {**_SAID, "author": OWNER, "reason": "too few"}),
    "confirmed void": ("void", {**_SAID, "author": "south", "reason": "too few"}),
    "read": ("read", _READ),
    "event": ("event", _EVENT),
    "deepest event": ("event", _DEEPEST),
    "federation-issue": ("federation-issue", _ISSUE),
    "no authorities": ("federation-issue", {**_ISSUE, "authorities": None}),
}
"""One good statement of each type, or more: its type and content."""

AUTHOR_FIELD = {
    "round-grant": "aggregator",
    "report": "reporter",
    "receipt": "aggregator",
    "aggregate-share": "aggregator",
    "inclusion": "aggregator",
    "void": "author",
    "read": "reader",
    "event": "author",
}
MAY_SIGN = {
    "federation-issue": [OWNER],
    "round-spec": [OWNER],
    "round-grant": [*SERVERS],
    "report": [*HOSPITALS],
    "receipt": [*SERVERS],
    "fold": [OWNER],
    "opening": [OWNER],
    "aggregate-share": [*SERVERS],
    "inclusion": [*SERVERS],
    "void": [OWNER, *SERVERS],
    "read": [OWNER, *HOSPITALS, *CLIENTS],
    "event": [OWNER, *SERVERS],
}


def said(name: str, signer: str | None = None) -> tuple[str, str, Content]:
    """Type, signer and content of a statement, in somebody else's name if given."""
    typ, content = STATEMENTS[name]
    if typ not in AUTHOR_FIELD:
        return typ, signer or OWNER, content
    field = AUTHOR_FIELD[typ]
    signer = signer or str(content[field])
    return typ, signer, {**content, field: signer}
