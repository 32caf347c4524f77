"""HTTP client of one aggregator, for the model owner and for data owners.

Every write is idempotent at the server, so a request whose answer was lost is sent
again, with the same bytes. What comes back is verified here: an answer that is not
this aggregator's signed word never leaves this module.
"""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from fedsecure import PROTOCOL_VERSION
from fedsecure.errors import PROBLEMS, PeerError
from fedsecure.protocol import signing
from fedsecure.protocol.framing import LENGTH, MAX_HEADER, PIECE, framed, offset_after
from fedsecure.protocol.identity import AggregatorParty, Federation
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import (
    AggregateShareHeader,
    Fold,
    Inclusion,
    Opening,
    Read,
    Receipt,
    ReportHeader,
    RoundGrant,
    RoundSpec,
    Statement,
    Void,
)
from fedsecure.transport.response_limits import (
    Pieces,
    printable,
    read_limited,
    tls_context,
    tls_failure,
)
from fedsecure.transport.retries import Patience, UnreachableError, seconds_to_wait

JOSE: Final = {"Content-Type": "application/jose"}
PASSING: Final = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
}

S = TypeVar("S", bound=Statement)
Result = TypeVar("Result")


class Introduction(BaseModel):
    """What an aggregator says about itself to anybody; believed for messages only."""

    protocol: int
    version: str
    name: str
    federation: str
    fingerprint: str


class Standing(BaseModel):
    """What an aggregator says about a round: its state, and the receipts it gave.

    `lost` are those whose report it has lost since; their receipts are left out.
    """

    state: str
    receipts: list[str]
    lost: list[str] = []


class Losses(BaseModel):
    """Whose reports of a set an aggregator has lost."""

    lost: list[str]


class AggregatorClient:
    """One aggregator as others see it.

    Args:
        party: Its name, address and signing key.
        federation: The federation that everybody agreed on.
        authorities: PEM file of the CA that signed its TLS certificate; None for
            the system's own list.
        patience: How long a failing request is repeated.
        transport: Replaces the network in tests.
    """

    def __init__(
        self,
        party: AggregatorParty,
        federation: Federation,
        authorities: Path | None,
        patience: Patience | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.party = party
        self._federation = federation
        self._patience = patience or Patience()
        self._http = httpx.Client(
            base_url=party.url,
            verify=tls_context(authorities) if transport is None else False,
            timeout=httpx.Timeout(30.0, read=120.0),
            transport=transport,
        )

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def require_same_federation(self) -> None:
        """Check that it is there and holds the same files, before anything is begun.

        Raises:
            UnreachableError: FS-551 or FS-557 with its address and the cause.
            PeerError: FS-555 when it speaks another protocol, FS-556 when somebody
                else answers, FS-705 when its federation.toml differs.
        """
        answer = self._retried(lambda: self._send("GET", "/v1/identity", headers={}))
        try:
            introduced = Introduction.model_validate_json(answer, strict=True)
        except ValidationError as error:
            raise self._refused("FS-553", "its answer is no introduction") from error
        if introduced.protocol != PROTOCOL_VERSION:
            raise self._refused(
                "FS-555", f"protocol {introduced.protocol}, here {PROTOCOL_VERSION}"
            )
        if (introduced.name, introduced.fingerprint) != (
            self.party.name,
            self.party.fingerprint,
        ):
            raise self._refused("FS-556", f"it is {printable(introduced.name)}")
        if introduced.federation != self._federation.digest:
            raise self._refused(
                "FS-705",
                f"it holds {printable(introduced.federation)[:12]}, this party "
                f"{self._federation.digest[:12]}",
            )

    def propose(self, spec: Signed[RoundSpec]) -> Signed[RoundGrant]:
        """Ask for a grant. Run by the model owner.

        Raises:
            PeerError: The aggregator's own refusal, or FS-551 to FS-553.
        """
        path = f"/v1/rounds/{spec.digest}"
        answer = self._retried(
            lambda: self._send("PUT", path, content=spec.token.encode(), headers=JOSE)
        )
        return self._verified(answer, RoundGrant, spec.digest)

    def report(self, header: Signed[ReportHeader], payload: Path) -> Signed[Receipt]:
        """Upload one sealed input share. Run by a data owner's agent.

        Args:
            header: The signed header; its length and digest are the payload's.
            payload: File of exactly `header.statement.length` bytes.

        Raises:
            PeerError: The aggregator's own refusal, or FS-551 to FS-553.
        """
        statement = header.statement
        path = f"/v1/rounds/{statement.spec}/reports/{statement.reporter}"
        length = offset_after(header.token) + statement.length
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(length),
        }
        answer = self._retried(
            lambda: self._send(
                "PUT", path, content=framed(header.token, payload), headers=headers
            )
        )
        return self._verified(answer, Receipt, statement.spec)

    def fold(self, asked: Signed[Fold]) -> list[str]:
        """Have a set added up; return whose reports were lost. Run by the model owner.

        Raises:
            PeerError: The aggregator's own refusal, or FS-551 to FS-553.
        """
        path = f"/v1/rounds/{asked.statement.spec}/fold"
        answer = self._retried(
            lambda: self._send("POST", path, content=asked.token.encode(), headers=JOSE)
        )
        try:
            return Losses.model_validate_json(answer, strict=True).lost
        except ValidationError as error:
            raise self._refused("FS-553", "its answer is no list of losses") from error

    def open(
        self, opening: Signed[Opening], sink: Path, limit: int
    ) -> Signed[AggregateShareHeader]:
        """Ask for the aggregate share of a set. Run by the model owner.

        Args:
            opening: The set and everybody's receipts.
            sink: File that receives the sealed share.
            limit: Most bytes that the sealed share may have.

        Raises:
            PeerError: The aggregator's own refusal, or FS-551 to FS-553.
        """
        spec = opening.statement.spec
        token = self._retried(lambda: self._fetch_share(opening, sink, limit))
        return self._verified(token, AggregateShareHeader, spec)

    def void(self, void: Signed[Void]) -> Signed[Void]:
        """Say that a round will not be opened. Run by the model owner."""
        spec = void.statement.spec
        answer = self._retried(
            lambda: self._send(
                "POST",
                f"/v1/rounds/{spec}/void",
                content=void.token.encode(),
                headers=JOSE,
            )
        )
        return self._verified(answer, Void, spec)

    def standing(self, spec: str, ticket: Signed[Read]) -> Standing:
        """Ask who reported. Run by the model owner, with a ticket of its own."""
        answer = self._retried(
            lambda: self._send("GET", f"/v1/rounds/{spec}", headers=_bearer(ticket))
        )
        try:
            return Standing.model_validate_json(answer, strict=True)
        except ValidationError as error:
            raise self._refused("FS-553", "its answer is not a standing") from error

    def inclusion(
        self, spec: str, reporter: str, ticket: Signed[Read]
    ) -> Signed[Inclusion]:
        """Ask whether a report was in the opened set. Run by its data owner."""
        path = f"/v1/rounds/{spec}/inclusion/{reporter}"
        answer = self._retried(lambda: self._send("GET", path, headers=_bearer(ticket)))
        return self._verified(answer, Inclusion, spec)

    def _verified(self, token: str, kind: type[S], spec: str) -> Signed[S]:
        signed = signing.verify(token, kind, self._federation)
        if (signed.signer, getattr(signed.statement, "spec", "")) != (
            self.party.name,
            spec,
        ):
            raise self._refused("FS-553", f"a {kind.typ} of another round or party")
        return signed

    def _send(
        self,
        method: str,
        path: str,
        *,
        content: bytes | Iterator[bytes] = b"",
        headers: dict[str, str],
    ) -> str:
        with self._http.stream(
            method, path, content=content, headers=headers
        ) as response:
            body = read_limited(response)
            if not response.is_success:
                raise self._problem(response, body)
        return body.decode("utf-8", errors="replace")

    def _fetch_share(self, opening: Signed[Opening], sink: Path, limit: int) -> str:
        path = f"/v1/rounds/{opening.statement.spec}/open"
        with self._http.stream(
            "POST", path, content=opening.token.encode(), headers=JOSE
        ) as response:
            if not response.is_success:
                raise self._problem(response, read_limited(response))
            stream = Pieces(response.iter_bytes(PIECE))
            length = LENGTH.unpack(stream.take(LENGTH.size))[0]
            if not length <= MAX_HEADER:
                raise self._refused("FS-553", f"a header of {length} bytes")
            token = stream.take(length).decode("ascii", errors="replace")
            with sink.open("wb") as file:
                received = 0
                for piece in stream.rest():
                    received += file.write(piece)
                    if not received <= limit:
                        raise self._refused("FS-553", f"more than {limit} bytes")
        return token

    def _retried(self, call: Callable[[], Result]) -> Result:
        """Repeat a request while the aggregator is away or busy."""
        result: Result = self._patience.retrying()(self._translated, call)
        return result

    def _translated(self, call: Callable[[], Result]) -> Result:
        where = f"{self.party.name} at {self.party.url}"
        try:
            return call()
        except httpx.HTTPError as error:
            if isinstance(error, httpx.ConnectError) and (why := tls_failure(error)):
                raise UnreachableError("FS-557", f"{where}: {why}") from error
            cause = str(error) or type(error).__name__
            raise UnreachableError("FS-551", f"{where}: {cause}") from error

    def _problem(self, response: httpx.Response, body: bytes) -> PeerError:
        """Turn an RFC 9457 problem document into the error that it tells of."""
        try:
            document = httpx.Response(200, content=body).json()
            code, detail = str(document["code"]), str(document["detail"])
        except (ValueError, KeyError, TypeError, RecursionError):
            code, detail = "FS-553", f"HTTP {response.status_code} without explanation"
        if code not in PROBLEMS:
            code, detail = "FS-552", f"{code} {detail}"
        # What is wrong with a server, or a proxy before it, may be mended meanwhile.
        passing = response.is_server_error or response.status_code in PASSING
        answer = f"{self.party.name} says: {printable(detail)}"
        if not passing:
            return PeerError(code, answer)
        error = UnreachableError(code, answer)
        error.retry_after = seconds_to_wait(response.headers.get("retry-after"))
        return error

    def _refused(self, code: str, what: str) -> PeerError:
        return PeerError(code, f"{self.party.name} at {self.party.url}: {what}")


def _bearer(ticket: Signed[Read]) -> dict[str, str]:
    return {"Authorization": f"Bearer {ticket.token}"}
