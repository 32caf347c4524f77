"""The tools of a dishonest party: it has its own keys, and says what it likes."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx

from fedsecure.core.scheme import Mean, Measurement
from fedsecure.core.sealing.payload_digest import PayloadDigest
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.protocol.encodings import base64url
from fedsecure.protocol.parameters import params_of
from fedsecure.protocol.signing import Author, Signed, digest_of, verify
from fedsecure.protocol.statements import (
    Member,
    Opening,
    Receipt,
    ReportHeader,
    RoundGrant,
    RoundSpec,
)
from tests.protocol.federation import (
    HOSPITALS,
    OWNER,
    SERVERS,
    MemoryFederation,
    NoLog,
    measurement_of,
)

Receipts = dict[str, dict[str, Signed[Receipt]]]  # reporter > aggregator > receipt


def signed_text(author: Author, typ: str, payload: bytes) -> str:
    """Sign a payload as it is, whatever stands in it."""
    header = json.dumps(
        {"alg": "EdDSA", "kid": author.name, "typ": typ}, separators=(",", ":")
    )
    signing_input = f"{base64url(header.encode())}.{base64url(payload)}"
    return f"{signing_input}.{base64url(author.key.sign(signing_input.encode()))}"


def ask(
    memory: MemoryFederation, server: str, method: str, path: str, body: bytes
) -> httpx.Response:
    """Send one request past all clients of ours."""
    url = f"https://{server}.test/v1/rounds/{path}"
    return memory.wires[server].deliver(httpx.Request(method, url, content=body))


def code_of(answer: httpx.Response) -> str:
    """Return the code of a refusal; nothing for a success."""
    return "" if answer.is_success else str(answer.json()["code"])


def put_spec(memory: MemoryFederation, server: str, token: str) -> httpx.Response:
    return ask(memory, server, "PUT", digest_of(token), token.encode())


def propose(memory: MemoryFederation, **changes: Any) -> Proposal:
    """Propose as an owner that writes nothing down."""
    return replace(memory.owner, log=NoLog()).propose(memory.request(**changes))


def respecified(
    memory: MemoryFederation, proposal: Proposal, **changes: Any
) -> Signed[RoundSpec]:
    """Sign another spec for the place of a round."""
    statement = proposal.spec.statement.model_copy(update=changes)
    return memory.author(OWNER).sign(statement)


def granted(memory: MemoryFederation, spec: Signed[RoundSpec]) -> Proposal:
    """Get both grants for a spec; the round's key stays with its maker."""
    tokens = {name: put_spec(memory, name, spec.token).text for name in SERVERS}
    grants = {
        name: verify(token, RoundGrant, memory.federation)
        for name, token in tokens.items()
    }
    return Proposal(spec, params_of(spec.statement), grants, None)


def regranted(
    memory: MemoryFederation, proposal: Proposal, spec: Signed[RoundSpec]
) -> dict[str, Signed[RoundGrant]]:
    """Return grants of aggregators that both do what the owner wants."""
    return {
        name: memory.author(name).sign(
            grant.statement.model_copy(update={"spec": spec.digest})
        )
        for name, grant in proposal.grants.items()
    }


def report_all(
    memory: MemoryFederation, proposal: Proposal, names: Iterable[str] = HOSPITALS
) -> Receipts:
    return {
        name: memory.hospitals[name].answer(proposal, measurement_of(name))
        for name in names
    }


def opened(memory: MemoryFederation, proposal: Proposal, receipts: Receipts) -> Mean:
    """Open as an honest owner does, but for its record."""
    return replace(memory.owner, log=NoLog()).open(proposal, receipts).mean


def opening_of(
    memory: MemoryFederation, proposal: Proposal, reported: Receipts, **changes: Any
) -> Signed[Opening]:
    """Sign an opening over everybody with receipts; `changes` replace its fields."""
    names = sorted(reported)
    content = {
        "federation": memory.federation.digest,
        "spec": proposal.spec.digest,
        "set": [
            Member(reporter=name, report_id=reported[name]["north"].statement.report_id)
            for name in names
        ],
        "receipts": {
            server: [reported[name][server].token for name in names]
            for server in SERVERS
        },
    }
    statement = Opening.model_construct(**{**content, **changes})
    return memory.author(OWNER).sign(statement)


def post_opening(
    memory: MemoryFederation, server: str, opening: Signed[Opening]
) -> httpx.Response:
    path = f"{opening.statement.spec}/open"
    return ask(memory, server, "POST", path, opening.token.encode())


def open_everywhere(
    memory: MemoryFederation, opening: Signed[Opening]
) -> dict[str, str]:
    """Return what each aggregator answers: a code, or nothing for a share."""
    return {
        server: code_of(post_opening(memory, server, opening)) for server in SERVERS
    }


@dataclass(frozen=True)
class Sealed:
    """A report for one aggregator, before it is sent."""

    header: Signed[ReportHeader]
    payload: bytes

    @property
    def body(self) -> bytes:
        token = self.header.token.encode()
        return len(token).to_bytes(4) + token + self.payload


def sealed_by(
    memory: MemoryFederation,
    name: str,
    proposal: Proposal,
    measurement: Measurement | None = None,
) -> dict[str, Sealed]:
    """Let a data owner make its reports, and send none."""
    hospital = memory.hospitals[name]
    accepted = hospital.accept(proposal)
    hospital.contributor.contribute(accepted, measurement or measurement_of(name))
    return {
        report.header.statement.aggregator: Sealed(
            report.header, report.payload.read_bytes()
        )
        for report in hospital.state.reports(proposal.spec.digest)
    }


def resigned(
    memory: MemoryFederation, sealed: Sealed, payload: bytes, **changes: Any
) -> Sealed:
    """Sign a header that fits another payload, as its data owner can."""
    digest = PayloadDigest(len(payload))
    digest.update(payload)
    fitting: Mapping[str, Any] = {
        "length": len(payload),
        "digest": digest.digest().hex(),
    }
    changed = sealed.header.statement.model_copy(update={**fitting, **changes})
    return Sealed(memory.author(changed.reporter).sign(changed), payload)


def put_report(
    memory: MemoryFederation,
    server: str,
    sealed: Sealed,
    reporter: str | None = None,
    spec: str | None = None,
) -> str:
    """Send a report; the answer's code, or nothing for a receipt."""
    header = sealed.header.statement
    path = f"{spec or header.spec}/reports/{reporter or header.reporter}"
    return code_of(ask(memory, server, "PUT", path, sealed.body))


def refusals(memory: MemoryFederation, server: str) -> list[tuple[Any, ...]]:
    """Return what an auditor reads at an aggregator about refusals."""
    query = "SELECT signer, statement, code FROM v_refusal ORDER BY entry"
    return memory.servers[server].ask(query)


def rounds(memory: MemoryFederation, server: str) -> list[tuple[Any, ...]]:
    """Return what an auditor reads at an aggregator about rounds."""
    query = """SELECT run, round, attempt, state, reports, opened FROM v_round
               ORDER BY granted_at, run, round, attempt"""
    return memory.servers[server].ask(query)
