"""One round at the aggregator `north`, as everybody in it would say it.

From the reference alone: specs, reports that open with the key of the round, receipts
of both aggregators, openings and tickets. Whoever runs an aggregator whose clock stands
at `NOW` and whose key of every round is made of `KEY_SEED` can be sent all of it.
"""

from dataclasses import dataclass
from typing import Any

import reference
from generate import receiver_keys, sealed_key
from statement_reference import (
    FEDERATION_DIGEST,
    OWNER,
    SERVERS,
    Content,
    base64url,
    canonical,
    digest,
    header,
    sign,
    token_digest,
)

SERVER = "north"
NOW = 1_800_000_000  # seconds since 1970
KEY_SEED = reference.sample_bytes("round key of the exchange", 32)
DIMENSION, CLIP, SCALARS = 4, 5, 6 + 1
NOBODY = {"entries": 0, "hash": "0" * 64}

Stored = dict[str, str]  # sealed keys in the file as it is, by name


def public_key(seed: bytes) -> str:
    """The public half of a sealing key."""
    halves = [key.public_key() for key in receiver_keys(seed)]
    return base64url(b"".join(half.public_bytes_raw() for half in halves))


def signed(typ: str, signer: str, content: Content) -> str:
    """A token."""
    return sign(header(typ, signer), canonical(content), signer)


def spec(**changes: Any) -> Content:
    """What a round of three data owners asks for."""
    cohort = changes.get("cohort", ["basel", "bern", "chur"])
    return {
        "federation": FEDERATION_DIGEST,
        "run": "run-1",
        "round": 1,
        "purpose": "train",
        "attempt": 1,
        "task": digest("task"),
        "model": digest("model"),
        "dimension": DIMENSION,
        "scalars": [{"name": "loss", "low": 0, "high": 8, "size": 1}],
        "suite": "sum32",
        "fraction_bits": reference.fraction_bits(len(cohort), CLIP),
        "clip": CLIP,
        "statistics": None,
        "privacy": None,
        "study": None,
        "weight_cap": 1,
        "weighting": "equal",
        "cohort": cohort,
        "min_cohort": 3,
        "deadline": NOW + 600,
        "sealing_key": public_key(reference.sample_bytes("owner's round key", 32)),
        **changes,
    }


@dataclass(frozen=True)
class Report:
    """What one data owner sends."""

    statement: Content
    payload: bytes
    sealed_key: str

    def body(self, **changes: Any) -> bytes:
        """The framed report; `changes` are of its header."""
        token = signed(
            "report", self.statement["reporter"], {**self.statement, **changes}
        )
        return framed(token.encode(), self.payload)


def framed(token: bytes, payload: bytes) -> bytes:
    """Length, token, payload."""
    return len(token).to_bytes(4, "big") + token + payload


def report(
    stored: Stored,
    round_digest: str,
    reporter: str,
    kind: str = "seed",
    sealed_for: str = SERVER,
    number: int = 1,
) -> Report:
    """A report; one that is sealed for another aggregator does not open here."""
    name = f"{round_digest[:8]} {reporter} {kind} {sealed_for} {number}"
    report_id = reference.sample_bytes(f"report {name}", 16)
    size = 32 if kind == "seed" else 4 * DIMENSION + 8 * SCALARS
    info = reference.seal_info(
        "fedsecure v1 seal report",
        [
            *(bytes.fromhex(FEDERATION_DIGEST), bytes.fromhex(round_digest)),
            *(reporter.encode(), sealed_for.encode(), report_id, kind.encode()),
        ],
    )
    content_key = reference.sample_bytes(f"content {name}", 32)
    case = {
        "name": name,
        "key_seed": KEY_SEED.hex(),
        "info": info.hex(),
        "content_key": content_key.hex(),
    }
    first = sealed_key(case, stored)
    stored[name] = first.hex()
    records = reference.records(
        content_key, info, reference.sample_bytes(f"share {name}", size)
    )
    payload = first + b"".join(records)
    statement = {
        "federation": FEDERATION_DIGEST,
        "spec": round_digest,
        "reporter": reporter,
        "aggregator": SERVER,
        "report_id": report_id.hex(),
        "kind": kind,
        "length": len(payload),
        "digest": reference.payload_digest(first, records).hex(),
    }
    return Report(statement, payload, first.hex())


def receipt(of: Report, server: str, signer: str | None = None, **changes: Any) -> str:
    """An aggregator's receipt. What the other one's digest is, nobody here knows."""
    statement = of.statement
    content = {
        "federation": FEDERATION_DIGEST,
        "spec": statement["spec"],
        "aggregator": server,
        "reporter": statement["reporter"],
        "report_id": statement["report_id"],
        "digest": statement["digest"] if server == SERVER else digest("other share"),
        "head": NOBODY,
        **changes,
    }
    return signed("receipt", signer or server, content)


def opening(reports: list[Report], **changes: Any) -> Content:
    """The opening over some reports, in the order of their data owners' names."""
    reports = sorted(reports, key=lambda one: str(one.statement["reporter"]))
    return {
        "federation": FEDERATION_DIGEST,
        "spec": reports[0].statement["spec"],
        "set": [
            {
                "reporter": one.statement["reporter"],
                "report_id": one.statement["report_id"],
            }
            for one in reports
        ],
        "receipts": {
            server: [receipt(one, server) for one in reports] for server in SERVERS
        },
        **changes,
    }


def fold(reports: list[Report], **changes: Any) -> str:
    """The model owner's wish to have a set added up."""
    statement = opening(reports, **changes)
    del statement["receipts"]
    return signed("fold", OWNER, statement)


def void(round_digest: str, reason: str) -> str:
    """The model owner's word that a round is given up."""
    content = {
        "federation": FEDERATION_DIGEST,
        "spec": round_digest,
        "author": OWNER,
        "reason": reason,
    }
    return signed("void", OWNER, content)


def ticket(reader: str, path: str, **changes: Any) -> str:
    """A ticket for one read at this aggregator."""
    content = {
        "federation": FEDERATION_DIGEST,
        "aggregator": SERVER,
        "reader": reader,
        "method": "GET",
        "path": path,
        "expires": NOW + 60,
        **changes,
    }
    return signed("read", reader, content)


def digest_of(content: Content, signer: str = OWNER) -> str:
    """What names a round."""
    return token_digest(signed("round-spec", signer, content))
