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


def input_info(
    digests: tuple[bytes, bytes],
    sender: str,
    receiver: str,
    name: str,
    input_id: bytes,
    kind: str,
) -> SealInfo:
    """Bind an input's payload: input owner to aggregator, one input of a job.

    Args:
        digests: Of the federation and of the job's spec.
        sender: The input's owner.
        receiver: The aggregator.
        name: The input's, as in the program.
        input_id: 16 bytes, the same at both aggregators.
        kind: "seed", "vector" or "public".
    """
    parts = (sender.encode(), receiver.encode(), name.encode(), input_id, kind.encode())
    return SealInfo(_bind(domains.SEAL_INPUT, *digests, *parts), hashed_whole=True)


def query_info(
    digests: tuple[bytes, bytes],
    sender: str,
    receiver: str,
    query: int,
    query_id: bytes,
    kind: str,
) -> SealInfo:
    """Bind a query's payload: client to aggregator, one query of a service.

    Args:
        digests: Of the federation and of the job's spec.
        sender: The client.
        receiver: The aggregator.
        query: Its number.
        query_id: 16 bytes, the same at both aggregators.
        kind: "seed", "vector" or "ciphertexts".
    """
    subject = (query.to_bytes(8), query_id, kind.encode())
    parts = (sender.encode(), receiver.encode(), *subject)
    return SealInfo(_bind(domains.SEAL_QUERY, *digests, *parts), hashed_whole=True)


def output_info(
    digests: tuple[bytes, bytes],
    sender: str,
    receiver: str,
    query: int,
    inputs_digest: bytes,
) -> SealInfo:
    """Bind an output share's payload: aggregator to receiver, one output.

    Args:
        digests: Of the federation and of the job's spec.
        sender: The aggregator.
        receiver: Who asked the query, or the job's receiver.
        query: Its number, 0 if nobody asked one.
        inputs_digest: 32 bytes, over all that went in.
    """
    parts = (sender.encode(), receiver.encode(), query.to_bytes(8), inputs_digest)
    return SealInfo(_bind(domains.SEAL_OUTPUT, *digests, *parts), hashed_whole=True)


def channel_info(digests: tuple[bytes, bytes], sender: str, receiver: str) -> SealInfo:
    """Bind a channel key: aggregator to aggregator, in one job.

    Args:
        digests: Of the federation and of the job's spec.
        sender: Who made the key.
        receiver: The other aggregator.
    """
    parts = (sender.encode(), receiver.encode())
    return SealInfo(_bind(domains.SEAL_CHANNEL, *digests, *parts), hashed_whole=True)


def _bind(label: bytes, *parts: bytes) -> bytes:
    return domains.length_prefixed(label, domains.VERSION, *parts)
