"""Write the vector of one whole report, from the reference alone.

    python tests/vectors/generate_report.py           write it anew
    python tests/vectors/generate_report.py --check   fail where the file differs

Both bodies that one data owner sends in one round, from the first random byte to the
last byte on the wire. Vectors are never edited by hand.
"""

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import reference
import statement_reference as statements
from generate import (
    AGES,
    APART,
    LOSS,
    MEASUREMENTS,
    ROWS,
    encode,
    keys,
    params,
    receiver_keys,
    sealed_key,
)
from statement_reference import STATEMENTS, base64url, canonical, header, sign

PATH = Path(__file__).parent / "report.json"
REPORTER = "basel"


def signed(typ: str, signer: str, content: dict[str, Any]) -> str:
    """A token."""
    return sign(header(typ, signer), canonical(content), signer)


def key_seed(server: str) -> bytes:
    """The private key of an aggregator's round."""
    return reference.sample_bytes(f"round key of {server}", 32)


def public_key(server: str) -> str:
    """ML-KEM-768 and X25519, one behind the other, as it stands in a grant."""
    halves = [key.public_key() for key in receiver_keys(key_seed(server))]
    return base64url(b"".join(half.public_bytes_raw() for half in halves))


def written(number: float | None) -> float | None:
    """A number as canonical JSON writes it: a whole one without a point."""
    return int(number) if number is not None and number == int(number) else number


def spec_of(case: dict[str, Any]) -> dict[str, Any]:
    """The round that the report is for."""
    _, content = STATEMENTS["round-spec"]
    return {
        **content,
        "dimension": case["dimension"],
        "scalars": [
            {**field, "low": written(field["low"]), "high": written(field["high"])}
            for field in (LOSS, ROWS, AGES)
        ],
        "fraction_bits": case["fraction_bits"],
        "clip": written(float(case["clip"])),
        "statistics": {
            **case["statistics"],
            "clip": written(float(case["statistics"]["clip"])),
        },
        "weight_cap": case["weight_cap"],
    }


def body(
    spec: str, server: str, kind: str, part: dict[str, bytes], stored: dict[str, str]
) -> dict[str, Any]:
    """One report: what is sealed, and every byte that is sent."""
    federation = bytes.fromhex(statements.FEDERATION_DIGEST)
    info = reference.seal_info(
        "fedsecure v1 seal report",
        [
            *(federation, bytes.fromhex(spec), REPORTER.encode(), server.encode()),
            *(part["report_id"], kind.encode()),
        ],
    )
    case = {
        "name": server,
        "key_seed": key_seed(server).hex(),
        "info": info.hex(),
        "content_key": part["content_key"].hex(),
    }
    first = sealed_key(case, stored)
    sealed = reference.records(part["content_key"], info, part["plaintext"])
    payload = first + b"".join(sealed)
    statement = {
        "federation": statements.FEDERATION_DIGEST,
        "spec": spec,
        "reporter": REPORTER,
        "aggregator": server,
        "report_id": part["report_id"].hex(),
        "kind": kind,
        "length": len(payload),
        "digest": reference.payload_digest(first, sealed).hex(),
    }
    token = signed("report", REPORTER, statement)
    whole = len(token).to_bytes(4, "big") + token.encode() + payload
    return {
        "aggregator": server,
        "kind": kind,
        "key_seed": case["key_seed"],
        "sealing_key": public_key(server),
        "sealed_key": first.hex(),
        "header": token,
        "body": whole.hex(),
        "body_sha256": sha256(whole).hexdigest(),
    }


def report(stored: dict[str, str]) -> dict[str, Any]:
    """The whole report of one data owner."""
    case, (name, given) = params(statistics=APART), MEASUREMENTS[1]
    spec = signed("round-spec", statements.OWNER, spec_of(case))
    digest = statements.token_digest(spec)
    rand = reference.sample_bytes(f"report {name}", 32 + 16 + 1 + 32 + 32)
    facts = {
        "spec_digest": digest,
        "report_id": rand[32:48].hex(),
        "reporter": REPORTER,
    }
    vector = reference.vector_share(*encode(case, given), *keys(rand[:32], facts))
    shares = [("seed", rand[:32]), ("vector", vector)]
    if rand[48] % 2 == 0:
        shares.reverse()
    return {
        "signing_key": statements.seed(REPORTER).hex(),
        "spec": spec,
        "spec_digest": digest,
        "reporter": REPORTER,
        **given,
        "rand": rand.hex(),
        "reports": [
            body(
                *(digest, server, kind),
                {
                    "report_id": rand[32:48],
                    "content_key": content_key,
                    "plaintext": plaintext,
                },
                stored,
            )
            for server, (kind, plaintext), content_key in zip(
                statements.SERVERS, shares, (rand[49:81], rand[81:]), strict=True
            )
        ],
    }


def stored_sealed_keys() -> dict[str, str]:
    """Sealed keys in the file as it is, by aggregator."""
    if not PATH.exists():
        return {}
    reports = json.loads(PATH.read_text("utf-8"))["reports"]
    return {one["aggregator"]: one["sealed_key"] for one in reports}


def main() -> None:
    """Write the file, or compare it."""
    text = json.dumps(report(stored_sealed_keys()), indent=1, allow_nan=False) + "\n"
    if "--check" not in sys.argv[1:]:
        PATH.write_text(text, "utf-8")
    elif PATH.read_text("utf-8") != text:
        sys.exit(f"{PATH.name} is not what this writes; run it without --check")


if __name__ == "__main__":
    main()
