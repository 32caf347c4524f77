"""The proposer's end of a job: sign, have it granted and started, or end it.

    sign    a spec; nothing is sent
    grant   both aggregators grant it, learn that the other one did, and seal a key for
            each other, which the proposer carries and cannot read
    void    both end it

Every request is idempotent, so whoever died on the way does the same again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from fedsecure.compute.handout import (
    Handout,
    require_description,
    require_grants,
    require_proposer,
)
from fedsecure.compute.participant import Participant
from fedsecure.core.mpc.plan import plan
from fedsecure.core.mpc.program import Program
from fedsecure.core.sealing.sealing_key import SEED_BYTES, SealingKey
from fedsecure.errors import PeerError
from fedsecure.protocol.encodings import base64url
from fedsecure.protocol.jobs.digests import description_digest
from fedsecure.protocol.jobs.parts import JobKind, Method
from fedsecure.protocol.jobs.programs import field_of
from fedsecure.protocol.jobs.statements import (
    JobChannel,
    JobSpec,
    JobStart,
    JobVoid,
)
from fedsecure.protocol.signing import Signed
from fedsecure.system.toml_file import explain
from fedsecure.transport.job_server import JobServer

JOB_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Request:
    """What a proposer wants computed.

    Args:
        name: For people and files.
        program: What is computed.
        kind: Of the job.
        method: How rows of a service are kept secret.
        clients: Who may ask a service.
        rows: The most that one client of a service is answered in all.
        seconds: Until inputs or queries are taken no more.
        description: What else those are told who take part.
    """

    name: str
    program: Program
    kind: JobKind = JobKind.SHARES
    method: Method = Method.SHARES
    clients: Sequence[str] = ()
    rows: int = 0
    seconds: float = 86400.0
    description: Mapping[str, Any] | None = field(default=None, repr=False)


def propose(p: Participant, request: Request, key: SealingKey | None = None) -> Handout:
    """Have a job granted and started at both aggregators. Run by the proposer.

    Args:
        p: The proposer.
        request: What it wants.
        key: What outputs are sealed to, in a job that opens any.

    Raises:
        PeerError: FS-2xx when the program does not fit, FS-344, FS-345, FS-732 when an
            aggregator answers wrongly, or its own refusal.
    """
    return grant(p, sign(p, request, key), request.description)


def sign(
    p: Participant, request: Request, key: SealingKey | None = None
) -> Signed[JobSpec]:
    """Check what is wanted and sign a spec; nothing is sent.

    Raises:
        PeerError: FS-220, FS-223; FS-703 when this party may not propose it.
    """
    plan(request.program)
    try:
        spec = p.author.sign(_spec(p, request, key))
    except ValidationError as error:
        raise PeerError("FS-223", f"{request.name}: {explain(error)}") from error
    require_proposer(p.federation, spec)
    return spec


def _spec(p: Participant, request: Request, key: SealingKey | None) -> JobSpec:
    receives = request.kind is JobKind.SHARES
    described = request.description
    return JobSpec(
        federation=p.federation.digest,
        name=request.name,
        job_id=p.rand(JOB_ID_BYTES).hex(),
        proposer=p.name,
        kind=request.kind,
        method=request.method,
        program=field_of(request.program),
        receiver=p.name if receives else None,
        sealing_key=base64url(key.public_bytes) if receives and key else None,
        clients=sorted(set(request.clients)),
        rows=request.rows,
        description=None if described is None else description_digest(described),
        deadline=int(p.clock() + request.seconds),
    )


def new_key(p: Participant) -> SealingKey:
    """Make the key that a job's outputs are to be sealed to."""
    return SealingKey.from_seed(p.rand(SEED_BYTES))


def grant(
    p: Participant, spec: Signed[JobSpec], description: Mapping[str, Any] | None = None
) -> Handout:
    """Have a spec granted and started at both aggregators, or find out that it is.

    Raises:
        PeerError: As `propose`.
    """
    require_description(spec.statement, description)
    tokens = {
        name: grant.token
        for name, grant in p.both(lambda server: server.put_spec(spec)).items()
    }
    grants = require_grants(p.federation, spec, tokens)
    start = p.author.sign(
        JobStart(federation=p.federation.digest, spec=spec.digest, grants=tokens)
    )
    channels = p.both(lambda server: server.start(start))
    for channel in channels.values():
        _require_peer(p, channel)
    p.both(lambda server: _carry(p, server, channels))
    return Handout(spec, grants, description)


def void(p: Participant, spec: str, reason: str) -> dict[str, Signed[JobVoid]]:
    """End a job at both aggregators. Run by its proposer.

    Args:
        p: The proposer.
        spec: Digest of the job's spec.
        reason: For people, one line.

    Returns:
        Each aggregator's own word for it.

    Raises:
        PeerError: One of them is away, or has the job done or closed.
    """
    said = p.author.sign(
        JobVoid(federation=p.federation.digest, spec=spec, author=p.name, reason=reason)
    )
    return p.both(lambda server: server.void(said))


def _carry(
    p: Participant, server: JobServer, channels: Mapping[str, Signed[JobChannel]]
) -> None:
    own = server.party.name
    peer = p.federation.other_aggregator(own).name
    again = server.channel(channels[peer])
    if again.digest != channels[own].digest:
        raise PeerError("FS-732", f"{own} sealed two keys in one job")


def _require_peer(p: Participant, channel: Signed[JobChannel]) -> None:
    peer = p.federation.other_aggregator(channel.signer).name
    if channel.statement.peer != peer:
        raise PeerError("FS-732", f"{channel.signer} sealed it to another than {peer}")
