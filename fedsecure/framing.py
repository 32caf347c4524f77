"""One body for header and payload: length (4 bytes, big-endian), header, payload.

Uploads and the answer to an opening have this form on the wire, and reports on disk.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
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


def framed(header: str, payload: Path) -> Iterator[bytes]:
    """Return header and payload as one body, in pieces, for sending."""
    yield prefix(header)
    with payload.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
