"""Domain separation: every label of the protocol's cryptography, in one table.

A label names one use of one key. No two uses share a label, and each label names
the version of the protocol, so bytes made for one purpose mean nothing for another.
"""

from typing import Final

VERSION: Final = b"1"

MASK_TENSOR: Final = b"fedsecure v1 mask tensor"
MASK_SCALARS: Final = b"fedsecure v1 mask scalars"
MASK_INPUT: Final = b"fedsecure v1 mask input"
NOISE_TENSOR: Final = b"fedsecure v1 noise tensor"
NOISE_SCALARS: Final = b"fedsecure v1 noise scalars"
PAILLIER_KEY: Final = b"fedsecure v1 paillier key"
PAILLIER_PROOF: Final = b"fedsecure v1 paillier proof"
PAILLIER_ROWS: Final = b"fedsecure v1 paillier rows"
PAILLIER_ANSWER: Final = b"fedsecure v1 paillier answer"
ZERO_SHARING: Final = b"fedsecure v1 zero sharing"
SEAL_REPORT: Final = b"fedsecure v1 seal report"
SEAL_SHARE: Final = b"fedsecure v1 seal aggregate share"
SEAL_INPUT: Final = b"fedsecure v1 seal job input"
SEAL_QUERY: Final = b"fedsecure v1 seal job query"
SEAL_OUTPUT: Final = b"fedsecure v1 seal job output"
SEAL_CHANNEL: Final = b"fedsecure v1 seal job channel"

_LENGTH_BYTES: Final = 2  # big-endian, so one part holds at most 65535 bytes


def length_prefixed(*parts: bytes) -> bytes:
    """Join parts so that no two different lists of parts give the same bytes.

    Raises:
        OverflowError: A part is longer than 65535 bytes.
    """
    return b"".join(len(part).to_bytes(_LENGTH_BYTES) + part for part in parts)
