"""A service of the story's model, as the model owner and both aggregators sign it."""

from typing import Final

from fedsecure.owner.store.records import JobProposed, JobResult
from fedsecure.owner.store.states import JobState
from fedsecure.protocol.encodings import SEALING_KEY_BYTES, base64url
from fedsecure.protocol.jobs.digests import description_digest
from fedsecure.protocol.jobs.parts import JobKind, Method
from fedsecure.protocol.jobs.programs import LinearField, ProgramField
from fedsecure.protocol.jobs.statements import JobGrant, JobSpec
from fedsecure.protocol.signing import Signed
from tests.unit.owner_store.round_story import (
    FEDERATION,
    HEAD,
    RUN,
    SERVERS,
    START,
    author,
    started_from,
)

LINEAR: Final = LinearField(
    type="linear",
    features=21,
    outputs=1,
    fraction_bits=26,
    weight_bits=26,
    bound=2**30,
    weight_bound=2**27,
    bias_bound=2**50,
)
DESCRIPTION: Final = {"title": "Heart", "labels": ["no", "yes"]}


def job(
    name: str = "heart",
    program: ProgramField = LINEAR,
    method: Method = Method.SHARES,
) -> Signed[JobSpec]:
    """A spec of the model owner."""
    service = isinstance(program, LinearField)
    return author().sign(
        JobSpec(
            federation=FEDERATION.digest,
            name=name,
            job_id="ab" * 16,
            proposer="consortium",
            kind=JobKind.LINEAR if service else JobKind.SHARES,
            method=method,
            program=program,
            receiver=None if service else "consortium",
            sealing_key=None if service else base64url(bytes(SEALING_KEY_BYTES)),
            clients=["clinic", "consortium"] if service else [],
            rows=1000 if service else 0,
            description=description_digest(DESCRIPTION) if service else None,
            deadline=int(START) + 86400,
        )
    )


def grants(signed: Signed[JobSpec]) -> dict[str, str]:
    """Of both aggregators."""
    return {
        name: author(name)
        .sign(
            JobGrant(
                federation=FEDERATION.digest,
                spec=signed.digest,
                aggregator=name,
                sealing_key=base64url(name.encode().ljust(SEALING_KEY_BYTES, b"\0")),
                expires=int(START) + 2 * 86400,
                head=HEAD,
            )
        )
        .token
        for name in SERVERS
    }


def proposed(name: str = "heart", number: int = 2) -> JobProposed:
    """A service of the model that round `number` starts from."""
    return JobProposed(job(name).token, DESCRIPTION, RUN, started_from(number))


def ready(signed: Signed[JobSpec]) -> JobResult:
    """It answered 20 rows rightly."""
    return JobResult(signed.digest, JobState.READY, None, grants(signed), 20, 3e-8)
