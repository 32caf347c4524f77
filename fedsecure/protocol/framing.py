"""One body for header and payload: length (4 bytes, big-endian), header, payload.

Uploads and the answer to an opening have this form on the wire, and reports on disk.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from fedsecure.errors import PeerError

LENGTH: Final = struct.Struct(">I")
MAX_HEADER: Final = 16 * 2**10  # bytes
PIECE: Final = 2**20  # bytes read or written at once


def prefix(header: str) -> bytes:
    """Return what precedes the payload."""
    return LENGTH.pack(len(header)) + header.encode("ascii")


def offset_after(header: str) -> int:
    """Return where the payload begins."""
    return LENGTH.size + len(header)


def read_header(file: BinaryIO) -> str:
    """Read the header of a body; what follows is the payload.

    Raises:
        PeerError: FS-701 when there is none.
    """
    prefix = file.read(LENGTH.size)
    length = LENGTH.unpack(prefix)[0] if len(prefix) == LENGTH.size else MAX_HEADER + 1
    try:
        if length <= MAX_HEADER:
            return file.read(length).decode("ascii")
    except UnicodeDecodeError:
        pass
    raise PeerError("FS-701", "it does not begin with a header")


def framed(header: str, payload: Path) -> Iterator[bytes]:
    """Return header and payload as one body, in pieces, for sending."""
    yield prefix(header)
    with payload.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
