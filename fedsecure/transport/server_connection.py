"""HTTP with one aggregator: requests that are repeated, refusals as errors.

Every write is idempotent at the server, so a request whose answer was lost is sent
again, with the same bytes. What comes back is verified here: an answer that is not
this aggregator's signed word never leaves this module. Connections are kept: the next
request costs no handshake.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from fedsecure.errors import PROBLEMS, PeerError
from fedsecure.protocol import signing
from fedsecure.protocol.framing import LENGTH, MAX_HEADER, PIECE
from fedsecure.protocol.identity import AggregatorParty, Federation
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Read, Statement
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
Answer = TypeVar("Answer", bound=BaseModel)
Result = TypeVar("Result")


class ServerConnection:
    """One aggregator, as whoever asks it anything reaches it.

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
        self.federation = federation
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

    def ask(
        self,
        method: str,
        path: str,
        *,
        content: Callable[[], bytes | Iterator[bytes]] = bytes,
        headers: dict[str, str],
    ) -> str:
        """Send a request, again while the aggregator is away; return the answer's text.

        Args:
            method: Of HTTP.
            path: Of the URL.
            content: Makes the body anew for each time that it is sent.
            headers: Of the request.

        Raises:
            PeerError: The aggregator's own refusal, or FS-551 to FS-553, FS-557.
        """

        def send() -> str:
            with self.answer(method, path, content(), headers) as response:
                return read_limited(response).decode("utf-8", errors="replace")

        return self.retried(send)

    def ask_signed(
        self, method: str, path: str, said: Signed[Any], kind: type[S], spec: str
    ) -> Signed[S]:
        """Send a signed statement and return the aggregator's, about the same spec."""
        token = said.token.encode()
        answer = self.ask(method, path, content=lambda: token, headers=JOSE)
        return self.verified(answer, kind, spec)

    def ask_for(self, path: str, ticket: Signed[Read], kind: type[Answer]) -> Answer:
        """Read what a ticket is for: JSON without a signature.

        Raises:
            PeerError: As `ask`; FS-553 for anything else.
        """
        answer = self.ask("GET", path, headers=bearer(ticket))
        return self.decoded(answer, kind)

    def decoded(self, answer: str, kind: type[Answer]) -> Answer:
        """Return an answer in JSON as the model that it must be.

        Raises:
            PeerError: FS-553.
        """
        try:
            return kind.model_validate_json(answer, strict=True)
        except ValidationError as error:
            what = f"its answer is no {kind.__name__.strip('_').lower()}"
            raise self.refused("FS-553", what) from error

    def verified(self, token: str, kind: type[S], spec: str) -> Signed[S]:
        """Return what this aggregator, and nobody else, said about a spec.

        Raises:
            PeerError: FS-553 when it is of another spec or party, FS-7xx.
        """
        signed = signing.verify(token, kind, self.federation)
        if (signed.signer, getattr(signed.statement, "spec", "")) != (
            self.party.name,
            spec,
        ):
            raise self.refused("FS-553", f"a {kind.typ} of another spec or party")
        return signed

    @contextmanager
    def answer(
        self,
        method: str,
        path: str,
        content: bytes | Iterator[bytes],
        headers: dict[str, str],
    ) -> Iterator[httpx.Response]:
        """Send a request once; its answer is there to be read within the block.

        Raises:
            PeerError: The aggregator's own refusal.
        """
        with self._http.stream(
            method, path, content=content, headers=headers
        ) as response:
            if not response.is_success:
                raise self._problem(response, read_limited(response))
            yield response

    def framed(self, response: httpx.Response) -> tuple[str, Iterator[bytes]]:
        """Return the header of an answer that has one, and the rest in pieces.

        Raises:
            PeerError: FS-553 for too long a header.
        """
        stream = Pieces(response.iter_bytes(PIECE))
        length = LENGTH.unpack(stream.take(LENGTH.size))[0]
        if not length <= MAX_HEADER:
            raise self.refused("FS-553", f"a header of {length} bytes")
        token = stream.take(length).decode("ascii", errors="replace")
        return token, stream.rest()

    def retried(self, call: Callable[[], Result]) -> Result:
        """Repeat a request while the aggregator is away or busy."""
        result: Result = self._patience.retrying()(self._translated, call)
        return result

    def refused(self, code: str, what: str) -> PeerError:
        """Return the error that says what is wrong with its answer."""
        return PeerError(code, f"{self.party.name} at {self.party.url}: {what}")

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


def bearer(ticket: Signed[Read]) -> dict[str, str]:
    """Return the header that shows a ticket."""
    return {"Authorization": f"Bearer {ticket.token}"}
