"""One aggregator's jobs, for whoever takes part in one: `/v1/jobs` of its interface.

    put_spec   a spec > its grant            start      both grants > a key for its peer
    channel    its peer's key > its own      put_input  sealed bytes > a receipt
    query      sealed rows > sealed share    output     a ticket > sealed share

How requests are repeated, and what of an answer is believed: `server_connection`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel

from fedsecure.protocol.framing import prefix
from fedsecure.protocol.identity import AggregatorParty
from fedsecure.protocol.jobs.statements import (
    JobChannel,
    JobGrant,
    JobInput,
    JobOutput,
    JobQuery,
    JobSpec,
    JobStart,
    JobVoid,
)
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Read, Receipt
from fedsecure.transport.server_connection import ServerConnection, bearer

BYTES: Final = {"Content-Type": "application/octet-stream"}


class _Standing(BaseModel):
    state: str
    reason: str | None = None
    started: bool = False
    channel: bool = False
    inputs: dict[str, str] = {}
    plain: dict[str, str] = {}
    query: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class HeldInput:
    """An input that an aggregator holds; `plain` is the digest of public words."""

    receipt: Signed[Receipt]
    plain: str | None


@dataclass(frozen=True, slots=True)
class JobStanding:
    """How a job stands at one aggregator, as it tells who takes part.

    Args:
        state: Of the job, there.
        reason: Why it is over, if it is.
        inputs: By name, those that it holds.
        query: The highest number of a query of who asks that it answered.
        rows: How many rows it answered of those queries.
    """

    state: str
    reason: str | None
    inputs: Mapping[str, HeldInput]
    query: int
    rows: int


@dataclass(frozen=True, slots=True)
class SealedOutput:
    """One aggregator's output share: what it signed, and the bytes, not opened yet."""

    header: Signed[JobOutput]
    payload: bytes = field(repr=False)


class JobServer:
    """One aggregator as parties of jobs see it.

    Each method raises `PeerError` with the aggregator's own refusal, and FS-551 to
    FS-553 or FS-557 where it cannot be asked or does not answer as it should.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self.party: Final[AggregatorParty] = connection.party
        self._server = connection

    def close(self) -> None:
        """Close its connections."""
        self._server.close()

    def put_spec(self, spec: Signed[JobSpec]) -> Signed[JobGrant]:
        """Ask for a grant. Run by the proposer."""
        path = _path(spec.digest)
        return self._server.ask_signed("PUT", path, spec, JobGrant, spec.digest)

    def start(self, start: Signed[JobStart]) -> Signed[JobChannel]:
        """Show both grants; get a key sealed to the peer. Run by the proposer."""
        spec = start.statement.spec
        path = _path(spec, "start")
        return self._server.ask_signed("POST", path, start, JobChannel, spec)

    def channel(self, peer: Signed[JobChannel]) -> Signed[JobChannel]:
        """Carry what the peer sealed to this one. Run by the proposer."""
        spec = peer.statement.spec
        path = _path(spec, "channel")
        return self._server.ask_signed("PUT", path, peer, JobChannel, spec)

    def put_input(self, header: Signed[JobInput], payload: bytes) -> Signed[Receipt]:
        """Send an input's sealed bytes. Run by its owner."""
        spec = header.statement.spec
        path = _path(spec, "inputs", header.statement.name)
        body = prefix(header.token) + payload
        answer = self._server.ask("PUT", path, content=lambda: body, headers=BYTES)
        return self._server.verified(answer, Receipt, spec)

    def query(
        self, header: Signed[JobQuery], payload: bytes, limit: int
    ) -> SealedOutput:
        """Send the sealed bytes of rows; get the sealed share of the answer.

        Run by a client, at both aggregators at the same time.

        Args:
            header: What precedes them.
            payload: As many bytes as it says.
            limit: The most bytes that the sealed share may have.
        """
        statement = header.statement
        number = str(statement.query)
        path = _path(statement.spec, "queries", statement.client, number)
        body = prefix(header.token) + payload
        return self._output(("POST", path), body, BYTES, statement.spec, limit)

    def output(self, spec: str, ticket: Signed[Read], limit: int) -> SealedOutput:
        """Fetch the sealed share of a job's outputs. Run by its receiver."""
        request = "GET", output_path(spec)
        return self._output(request, b"", bearer(ticket), spec, limit)

    def standing(self, spec: str, ticket: Signed[Read]) -> JobStanding:
        """Ask how a job stands. Run by whoever takes part, with a ticket for it."""
        told = self._server.ask_for(standing_path(spec), ticket, _Standing)
        inputs = {
            name: HeldInput(
                self._server.verified(token, Receipt, spec), told.plain.get(name)
            )
            for name, token in told.inputs.items()
        }
        return JobStanding(told.state, told.reason, inputs, told.query, told.rows)

    def void(self, void: Signed[JobVoid]) -> Signed[JobVoid]:
        """Say that a job ends; the aggregator confirms it. Run by its proposer."""
        spec = void.statement.spec
        path = _path(spec, "void")
        return self._server.ask_signed("POST", path, void, JobVoid, spec)

    def _output(
        self,
        request: tuple[str, str],
        body: bytes,
        headers: dict[str, str],
        spec: str,
        limit: int,
    ) -> SealedOutput:
        def fetch() -> tuple[str, bytes]:
            with self._server.answer(*request, body, headers) as response:
                token, rest = self._server.framed(response)
                return token, self._whole(rest, limit)

        token, payload = self._server.retried(fetch)
        return SealedOutput(self._server.verified(token, JobOutput, spec), payload)

    def _whole(self, pieces: Iterator[bytes], limit: int) -> bytes:
        whole = bytearray()
        for piece in pieces:
            whole += piece
            if not len(whole) <= limit:
                raise self._server.refused("FS-553", f"more than {limit} bytes")
        return bytes(whole)


def standing_path(spec: str) -> str:
    """Return what a ticket for a job's standing names."""
    return _path(spec)


def output_path(spec: str) -> str:
    """Return what a ticket for a job's outputs names."""
    return _path(spec, "output")


def _path(spec: str, *parts: str) -> str:
    return "/".join(("/v1/jobs", spec, *parts))
