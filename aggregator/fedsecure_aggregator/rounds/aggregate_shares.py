"""A round's aggregate share: sealed once, and sent as often as it is asked for.

    seal_share       seals a sum to the owner's key of this round; durable on return
    require_intact   what is stored is what the ledger says, or it is not sent
    stored_share     the signed header, and the sealed bytes that it speaks of

The share is kept until the grant's expiry and some days more, so that a lost answer is
asked for again; it is sealed to the owner's key of this round and this opening.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from fedsecure.core import release, scheme
from fedsecure.core.layout import Buffer
from fedsecure.core.release import ReleaseContext
from fedsecure.core.sealing import seal, seal_info
from fedsecure.core.sealing.sealing_key import CONTENT_KEY_BYTES
from fedsecure.errors import OperatorError, RoundStateError
from fedsecure.protocol import framing
from fedsecure.protocol.encodings import from_base64url
from fedsecure.protocol.parameters import params_of
from fedsecure.protocol.statements import AggregateShareHeader
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.disk import is_of_one_file
from fedsecure_aggregator.storage.projection import spec_of
from fedsecure_aggregator.storage.spool import Sealed, share_name
from fedsecure_aggregator.storage.tables import OpeningRow, RoundRow

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SealedShare:
    """What answers an opening.

    Args:
        header: A signed `AggregateShareHeader`.
        content: The sealed bytes that it speaks of.
        length: Of those, in bytes.
    """

    header: str
    content: Sealed
    length: int

    def body(self) -> Iterator[bytes]:
        """Return header and payload as one body, in pieces, for sending."""
        yield framing.prefix(self.header)
        with self.content.reading("aggregate share") as file:
            while piece := file.read(framing.PIECE):
                yield piece


def seal_share(
    context: Context, row: RoundRow, opening: str, total: scheme.AggregateShare
) -> seal.Sealed:
    """Seal what is released of a sum to the owner's key; durable when this returns.

    The sum is not changed: after a failure it is sealed anew, over the same draw.

    Args:
        context: This aggregator.
        row: The round.
        opening: Digest of the signed opening, in hex.
        total: The sum over the opening's set.

    Raises:
        OperatorError: FS-523 to FS-526, FS-541.
    """
    released = _released(context, row, opening, total)
    spec = spec_of(row.token)
    info = seal_info.share_info(
        bytes.fromhex(spec.federation),
        bytes.fromhex(row.spec),
        context.name,
        row.owner,
        bytes.fromhex(opening),
    )
    with context.spool.uploading("aggregate share") as upload:
        sealed = seal.seal(
            from_base64url(spec.sealing_key),
            info,
            context.rand(CONTENT_KEY_BYTES),
            released,
            upload.write,
        )
        upload.sync()
    upload.commit(share_name(row.spec))
    return sealed


def require_intact(context: Context, row: OpeningRow) -> None:
    """Check a share that was stored earlier: what was not signed for is never sent.

    Raises:
        RoundStateError: FS-308 once it is deleted by the clock, FS-329 when it is
            damaged or missing before.
        OperatorError: FS-523 to FS-526 when the disk fails as a whole.
    """
    found = _digest_found(context, row)
    if found == row.share_digest:
        return
    context.spool.require_sound()
    if not context.spool.has_round(row.spec):
        raise RoundStateError("FS-308", f"the share of round {row.spec[:12]} is gone")
    place = str(context.spool.stored(share_name(row.spec)))
    log.error("share lost", code="FS-329", round=row.spec, file=place, found=found)
    raise RoundStateError("FS-329", f"round {row.spec[:12]}")


def stored_share(context: Context, digest: str) -> SealedShare:
    """Sign the header of a round's stored share; the same bytes each time."""
    with context.store.reading("find share") as session:
        row = session.get_one(OpeningRow, digest)
        header = AggregateShareHeader(
            federation=context.federation.digest,
            spec=digest,
            aggregator=context.name,
            opening=row.opening,
            set=row.set_digest,
            count=row.count,
            length=row.share_length or 0,
            digest=row.share_digest or "",
            head=queries.head_at(session, row.share_entry or 0),
        )
    content = context.spool.stored(share_name(digest))
    return SealedShare(context.author.sign(header).token, content, header.length)


def _released(
    context: Context, row: RoundRow, opening: str, total: scheme.AggregateShare
) -> Iterator[Buffer]:
    """Return what is released of a sum, record by record."""
    params = params_of(spec_of(row.token))
    mechanism = context.mechanisms(params)
    seed = b"" if mechanism.is_exact else _seed(context, row)
    opened = ReleaseContext(bytes.fromhex(row.spec), bytes.fromhex(opening))
    keys = release.keys_of(seed, opened)
    return release.release(params, total, mechanism, keys)


def _seed(context: Context, row: RoundRow) -> bytes:
    """Return the seed of a round's release, drawn once; durable before it is used."""
    seed = context.spool.load_seed(row.spec)
    if seed is None:
        seed = context.rand(release.SEED_BYTES)
        context.spool.save_seed(row.spec, seed)
    return seed


def _digest_found(context: Context, row: OpeningRow) -> str:
    """Return the digest of what is stored; or why it cannot be read."""
    share = context.spool.stored(share_name(row.spec))
    try:
        with share.reading(str(share)) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OperatorError as error:
        if not is_of_one_file(error):
            raise
        return error.detail
