"""HTTP client of one aggregator's rounds, for the model owner and for data owners.

How requests are repeated, and what of an answer is believed: `server_connection`.
"""

from pathlib import Path

import httpx
from pydantic import BaseModel, ValidationError

from fedsecure import PROTOCOL_VERSION
from fedsecure.errors import PeerError
from fedsecure.protocol.framing import framed, offset_after
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
    Void,
)
from fedsecure.transport.response_limits import printable
from fedsecure.transport.retries import Patience
from fedsecure.transport.server_connection import JOSE, ServerConnection, bearer


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
        self._server = ServerConnection(
            party, federation, authorities, patience, transport
        )

    def close(self) -> None:
        """Close its connections."""
        self._server.close()

    def require_same_federation(self) -> None:
        """Check that it is there and holds the same files, before anything is begun.

        Raises:
            UnreachableError: FS-551 or FS-557 with its address and the cause.
            PeerError: FS-555 when it speaks another protocol, FS-556 when somebody
                else answers, FS-705 when its federation.toml differs.
        """
        answer = self._server.ask("GET", "/v1/identity", headers={})
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
        own = self._server.federation.digest
        if introduced.federation != own:
            raise self._refused(
                "FS-705",
                f"it holds {printable(introduced.federation)[:12]}, this party "
                f"{own[:12]}",
            )

    def propose(self, spec: Signed[RoundSpec]) -> Signed[RoundGrant]:
        """Ask for a grant. Run by the model owner.

        Raises:
            PeerError: The aggregator's own refusal, or FS-551 to FS-553.
        """
        path = f"/v1/rounds/{spec.digest}"
        return self._server.ask_signed("PUT", path, spec, RoundGrant, spec.digest)

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
        answer = self._server.ask(
            "PUT",
            path,
            content=lambda: framed(header.token, payload),
            headers=headers,
        )
        return self._server.verified(answer, Receipt, statement.spec)

    def fold(self, asked: Signed[Fold]) -> list[str]:
        """Have a set added up; return whose reports were lost. Run by the model owner.

        Raises:
            PeerError: The aggregator's own refusal, or FS-551 to FS-553.
        """
        path = f"/v1/rounds/{asked.statement.spec}/fold"
        token = asked.token.encode()
        answer = self._server.ask("POST", path, content=lambda: token, headers=JOSE)
        return self._server.decoded(answer, Losses).lost

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
        token = self._server.retried(lambda: self._fetch_share(opening, sink, limit))
        return self._server.verified(token, AggregateShareHeader, spec)

    def void(self, void: Signed[Void]) -> Signed[Void]:
        """Say that a round will not be opened. Run by the model owner."""
        spec = void.statement.spec
        path = f"/v1/rounds/{spec}/void"
        return self._server.ask_signed("POST", path, void, Void, spec)

    def standing(self, spec: str, ticket: Signed[Read]) -> Standing:
        """Ask who reported. Run by the model owner, with a ticket of its own."""
        return self._server.ask_for(f"/v1/rounds/{spec}", ticket, Standing)

    def inclusion(
        self, spec: str, reporter: str, ticket: Signed[Read]
    ) -> Signed[Inclusion]:
        """Ask whether a report was in the opened set. Run by its data owner."""
        path = f"/v1/rounds/{spec}/inclusion/{reporter}"
        answer = self._server.ask("GET", path, headers=bearer(ticket))
        return self._server.verified(answer, Inclusion, spec)

    def _fetch_share(self, opening: Signed[Opening], sink: Path, limit: int) -> str:
        path = f"/v1/rounds/{opening.statement.spec}/open"
        said = opening.token.encode()
        with self._server.answer("POST", path, said, JOSE) as response:
            token, rest = self._server.framed(response)
            with sink.open("wb") as file:
                received = 0
                for piece in rest:
                    received += file.write(piece)
                    if not received <= limit:
                        raise self._refused("FS-553", f"more than {limit} bytes")
        return token

    def _refused(self, code: str, what: str) -> PeerError:
        return self._server.refused(code, what)
