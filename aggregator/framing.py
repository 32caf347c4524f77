"""One body for header and payload: length (4 bytes, big-endian), header, payload.

Uploads and the answer to an opening have this form on the wire, and reports on disk.
"""

import struct
from typing import Final

LENGTH: Final = struct.Struct(">I")
MAX_HEADER: Final = 16 * 2**10  # bytes
PIECE: Final = 2**20  # bytes read or written at once


def prefix(header: str) -> bytes:
    """Return what precedes the payload."""
    return LENGTH.pack(len(header)) + header.encode("ascii")


def offset_after(header: str) -> int:
    """Return where the payload begins."""
    return LENGTH.size + len(header)
