"""What entries about jobs are evidence of, for audits (`fedsecure_aggregator.storage`).

Of each entry it is checked that
    (1) a granted spec was signed by its proposer, and that the grant does not expire
        before its deadline;
    (2) a start is the proposer's, with one grant of each aggregator, and this one's is
        the one that was given;
    (3) a channel key is the other aggregator's, for this one;
    (4) an input was signed by who the program says brings it, and says what its row
        says;
    (5) an output is of all inputs that are stored;
    (6) a query is of one of the service's clients, and its answer of the stored inputs
        and of its rows;
    (7) what its proposer ended was ended by its proposer.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fedsecure.audit.stores.evidence import (
    Deed,
    Evidence,
    HeldStatement,
    Job,
    JobInput as StoredInput,
    JobOutput,
    JobQuery,
)
from fedsecure.audit.stores.kinds import require
from fedsecure.core.mpc.program import MODEL
from fedsecure.core.mpc.sharing import QUERY
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.jobs.digests import WentIn, inputs_digest
from fedsecure.protocol.jobs.programs import LinearField
from fedsecure.protocol.jobs.statements import (
    JobChannel,
    JobGrant,
    JobInput,
    JobSpec,
    JobStart,
    JobVoid,
)
from fedsecure.protocol.statements import Event
from fedsecure_aggregator.storage.jobs.projection import JobEvent, spec_of
from fedsecure_aggregator.storage.jobs.tables import InputRow, JobRow


def read(session: Session, event: Event, keys: Federations) -> Iterator[Evidence]:
    """Check the statements inside an entry about a job.

    Raises:
        PeerError: FS-637 when one belongs elsewhere, FS-7xx for its signature.
    """
    reader = _READERS.get(JobEvent(event.kind))
    if reader is not None:
        yield from reader(session, event, keys)


def _granted(_: Session, event: Event, keys: Federations) -> Iterator[Evidence]:
    body = event.body
    spec = keys.verify(body["token"], JobSpec)  # (1)
    said = spec.statement
    require(spec.digest == body["spec"], "the spec is not the one that is named")
    require(body["expires"] >= said.deadline, "it expires before its deadline")
    yield Job(
        spec.digest, said.name, said.proposer, said.kind.value, said.rows, said.deadline
    )
    yield Deed(
        "job-granted", spec.digest, content=body["sealing_key"], number=body["expires"]
    )


def _started(session: Session, event: Event, keys: Federations) -> Iterator[Evidence]:
    body = event.body
    row = session.get_one(JobRow, body["spec"])
    start = keys.verify(body["token"], JobStart)  # (2)
    require(
        (start.digest, start.statement.spec, start.signer)
        == (body["start"], row.spec, row.proposer),
        "the start is not the proposer's of this job",
    )
    tokens = start.statement.grants
    require(set(tokens) == set(keys.pair), "grants are not of both aggregators")
    for name, token in tokens.items():
        grant = keys.verify(token, JobGrant)
        got = grant.statement
        require(
            (grant.signer, got.spec) == (name, row.spec),
            f"the grant under {name} is not",
        )
        if name != event.author:
            yield HeldStatement(
                "job-grant", name, row.spec, "", got.sealing_key, got.expires, got.head
            )
            continue
        require(
            (got.sealing_key, got.expires, got.head.entries)
            == (row.sealing_key, row.expires, row.granted_entry),
            "its own grant is not the one that was given",
        )
    yield Deed("job-own-channel", row.spec, content=_hash(body["channel"]))


def _channel(session: Session, event: Event, keys: Federations) -> Iterator[Evidence]:
    row = session.get_one(JobRow, event.body["spec"])
    channel = keys.verify(event.body["token"], JobChannel)  # (3)
    said = channel.statement
    require(
        (said.spec, said.peer) == (row.spec, event.author)
        and channel.signer != event.author,
        "the channel key is not the other aggregator's for this one",
    )
    yield Deed("job-peer-channel", row.spec, channel.signer, _hash(said.key))


def _input(session: Session, event: Event, keys: Federations) -> Iterator[Evidence]:
    body = event.body
    row = session.get_one(JobRow, body["spec"])
    header = keys.verify(body["token"], JobInput)  # (4)
    said = header.statement.model_dump(mode="json", exclude={"federation"})
    named = {**body, "aggregator": event.author}
    require(
        header.digest == body["header"]
        and all(named[name] == value for name, value in said.items()),
        f"input {body['name']} is not what its owner signed",
    )
    require(
        _owners(spec_of(row.token)).get(body["name"]) == header.signer,
        f"the program has no input {body['name']} of {header.signer}",
    )
    yield StoredInput(**{name: body[name] for name in StoredInput.__dataclass_fields__})


def _done(session: Session, event: Event, _: Federations) -> Iterator[Evidence]:
    spec, digest = event.body["spec"], event.body["inputs"]
    _require_of(digest, _stored(session, spec))  # (5)
    yield JobOutput(spec, digest)


def _query(session: Session, event: Event, _: Federations) -> Iterator[Evidence]:
    body = event.body
    row = session.get_one(JobRow, body["spec"])
    client, digest = body["client"], body["inputs_digest"]
    require(  # (6)
        client in spec_of(row.token).clients, f"{client} is no client of the service"
    )
    asked = WentIn(QUERY, client, body["query_id"], None)
    _require_of(digest, [*_stored(session, row.spec), asked])
    fields = {*JobQuery.__dataclass_fields__} - {"inputs"}
    yield JobQuery(**{name: body[name] for name in fields}, inputs=digest)


def _ended(session: Session, event: Event, keys: Federations) -> Iterator[Evidence]:
    row, token = session.get_one(JobRow, event.body["spec"]), event.body["void"]
    if token is not None:  # (7)
        void = keys.verify(token, JobVoid)
        require(
            (void.signer, void.statement.spec) == (row.proposer, row.spec),
            "the void is not the proposer's of this job",
        )
    yield Deed("job-over", row.spec, number=int(token is not None))


def _owners(spec: JobSpec) -> dict[str, str]:
    """Return who brings which input."""
    if isinstance(spec.program, LinearField):
        return {MODEL: spec.proposer}
    return {one.name: one.owner for one in spec.program.inputs}


def _stored(session: Session, spec: str) -> list[WentIn]:
    rows = session.scalars(select(InputRow).where(InputRow.spec == spec))
    return [WentIn(row.name, row.owner, row.input_id, row.plain) for row in rows]


def _require_of(digest: str, used: list[WentIn]) -> None:
    found = inputs_digest(used)
    require(
        digest == found,
        f"it is of inputs {digest[:12]}, those that are stored have {found[:12]}",
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()


_Reader = Callable[[Session, Event, Federations], Iterator[Evidence]]
_READERS: Final[Mapping[JobEvent, _Reader]] = {
    JobEvent.GRANTED: _granted,
    JobEvent.STARTED: _started,
    JobEvent.CHANNEL: _channel,
    JobEvent.INPUT: _input,
    JobEvent.DONE: _done,
    JobEvent.QUERY: _query,
    JobEvent.CLOSED: _ended,
    JobEvent.VOID: _ended,
}
