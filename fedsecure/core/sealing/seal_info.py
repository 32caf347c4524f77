"""What a sealed payload is bound to: the `info` of its key and of its records.

Protocol version, federation, round, sender, receiver, and the report or opening: a
payload that was sealed for one of them does not open for another.
"""

import hashlib
from dataclasses import dataclass

from fedsecure.core import domains


@dataclass(frozen=True, slots=True)
class SealInfo:
    """What a payload is bound to, and how its digest is taken. Public."""

    encoded: bytes
    hashed_whole: bool

    @property
    def additional_data(self) -> bytes:
        """The records' additional data."""
        return hashlib.sha256(self.encoded).digest()


def report_info(
    federation_digest: bytes,
    spec_digest: bytes,
    sender: str,
    receiver: str,
    report_id: bytes,
    kind: str,
) -> SealInfo:
    """Bind a report's payload: data owner to aggregator, one input share."""
    subject = (report_id, kind.encode())
    parties = (sender.encode(), receiver.encode())
    digests = (federation_digest, spec_digest)
    return SealInfo(
        _bind(domains.SEAL_REPORT, *digests, *parties, *subject), hashed_whole=False
    )


def share_info(
    federation_digest: bytes,
    spec_digest: bytes,
    sender: str,
    receiver: str,
    opening_digest: bytes,
) -> SealInfo:
    """Bind an aggregate share's payload: aggregator to model owner, one opening."""
    parties = (sender.encode(), receiver.encode())
    digests = (federation_digest, spec_digest)
    return SealInfo(
        _bind(domains.SEAL_SHARE, *digests, *parties, opening_digest),
        hashed_whole=True,
    )


def _bind(label: bytes, *parts: bytes) -> bytes:
    return domains.length_prefixed(label, domains.VERSION, *parts)
