"""The model owner's entries about services, for audits (`fedsecure.audit.stores`).

Of each entry it is checked that
    (1) a spec was signed by the model owner itself, and its description is the one that
        the spec names;
    (2) of one that is ready there is one grant of each aggregator, for this spec.
"""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from fedsecure.audit.stores.evidence import Deed, Evidence, HeldStatement, Job
from fedsecure.audit.stores.kinds import require
from fedsecure.owner.store.states import JobState
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.jobs.digests import description_digest
from fedsecure.protocol.jobs.statements import JobGrant, JobSpec
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Event


def proposed(_: Session, event: Event, keys: Federations) -> Iterator[Evidence]:
    """Check what the model owner is about to propose."""
    body = event.body
    spec = keys.verify(body["spec"], JobSpec)  # (1)
    said, description = spec.statement, body["description"]
    require(spec.signer == event.author, f"the job's spec is by {spec.signer}")
    told = None if description is None else description_digest(description)
    require(told == said.description, "the description is not the spec's")
    yield job_of(spec)
    yield Deed("job-proposed", spec.digest)


def noted(_session: Session, event: Event, keys: Federations) -> Iterator[Evidence]:
    """Check what it says of a service that is ready: grants, and rows that it tried."""
    body, digest = event.body, event.body["spec_digest"]
    if body["state"] != JobState.READY:
        return
    require(set(body["grants"]) == set(keys.pair), "grants are not of both aggregators")
    for name, token in body["grants"].items():  # (2)
        grant = keys.verify(token, JobGrant)
        require(
            (grant.signer, grant.statement.spec) == (name, digest),
            f"the grant under {name} is not",
        )
        yield grant_held(grant)
    yield Deed("job-tried", digest, event.author, number=body["tried"] or 0)


def job_of(spec: Signed[JobSpec]) -> Job:
    """Return a job's spec as evidence."""
    said = spec.statement
    return Job(
        spec.digest, said.name, said.proposer, said.kind.value, said.rows, said.deadline
    )


def grant_held(grant: Signed[JobGrant]) -> HeldStatement:
    """Return a job's grant as evidence."""
    got = grant.statement
    return HeldStatement(
        "job-grant",
        grant.signer,
        got.spec,
        content=got.sealing_key,
        number=got.expires,
        head=got.head,
    )
