"""One aggregator's share of the sum over a set: fetched, checked and opened."""

import hashlib
from pathlib import Path

from fedsecure.core import scheme
from fedsecure.core.sealing import payload_digest, seal, seal_info, sealing_key
from fedsecure.errors import OperatorError, PeerError
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.protocol import signing
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import AggregateShareHeader, Opening
from fedsecure.transport.aggregator_client import AggregatorClient


def fetch(
    client: AggregatorClient, proposal: Proposal, opening: Signed[Opening], file: Path
) -> Signed[AggregateShareHeader]:
    """Have an aggregator open a set, and write its sealed share into a file.

    Raises:
        PeerError: The aggregator's refusal.
        OperatorError: FS-606 when the file cannot be written.
    """
    length = payload_digest.sealed_length(proposal.params.layout.plaintext_bytes)
    try:
        return client.open(opening, file, length)
    except OSError as error:
        raise OperatorError("FS-606", f"{file}: {error.strerror}") from error


def unseal(
    proposal: Proposal,
    opening: Signed[Opening],
    share: Signed[AggregateShareHeader],
    file: Path,
    key: sealing_key.SealingKey,
) -> scheme.AggregateShare:
    """Check an aggregator's share of a sum and open it; run by the model owner.

    Raises:
        PeerError: FS-354 when it is of another set, or its bytes are not those that
            were signed; FS-72x when it does not open.
    """
    statement, params = share.statement, proposal.params
    # (1) Summed over the very set that was asked for.
    expected = (opening.digest, signing.set_digest(opening.statement.set))
    if (statement.opening, statement.set) != expected or statement.count != len(
        opening.statement.set
    ):
        raise PeerError("FS-354", f"{share.signer} opened another set")
    # (2) The bytes are those that it signed for.
    if (file.stat().st_size, _sha256(file)) != (statement.length, statement.digest):
        raise PeerError("FS-354", f"{share.signer} sent other bytes than it signed")
    # (3) They open with this round's key, for this opening.
    info = seal_info.share_info(
        bytes.fromhex(opening.statement.federation),
        bytes.fromhex(proposal.spec.digest),
        share.signer,
        opening.signer,
        bytes.fromhex(opening.digest),
    )
    plaintext = bytearray(params.layout.plaintext_bytes)
    with file.open("rb") as sealed:
        seal.open_sealed(key, info, sealed, statement.length, memoryview(plaintext))
    return scheme.AggregateShare.from_plaintext(params, plaintext, statement.count)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
