"""Where the parts of a sealed payload come from: a file, or memory as it is."""

from typing import Protocol

from fedsecure.core.buffers import carve
from fedsecure.core.layout import Buffer
from fedsecure.errors import PeerError


class Source(Protocol):
    """An open binary file, or what reads like one."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer's beginning; 0 at the end."""


class FileReader:
    """Takes a payload's parts from a file, into one buffer."""

    def __init__(self, source: Source, buffer: memoryview) -> None:
        self._source = source
        self._buffer = buffer

    def take(self, size: int) -> memoryview:
        """Return the next bytes, until the next call; PeerError FS-721 at the end."""
        filled = 0
        while filled < size:
            got = self._source.readinto(self._buffer[filled:size])
            if not got:
                raise PeerError("FS-721", "the payload ends early")
            filled += got
        return self._buffer[:size]

    def has_more(self) -> bool:
        """Tell whether bytes are left."""
        return bool(self._source.readinto(self._buffer[:1]))


class MemoryReader:
    """Takes a payload's parts from memory, without copying."""

    def __init__(self, payload: Buffer) -> None:
        self._rest = memoryview(payload)

    def take(self, size: int) -> memoryview:
        """Return the next bytes; PeerError FS-721 at the end."""
        if len(self._rest) < size:
            raise PeerError("FS-721", "the payload ends early")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def has_more(self) -> bool:
        """Tell whether bytes are left."""
        return bool(self._rest)


def reader_of(
    source: Source | Buffer, memory: memoryview | int
) -> FileReader | MemoryReader:
    """Read a file through `memory`, or as many bytes of it; memory as it is.

    Args:
        source: A binary file, or all bytes of a payload.
        memory: For a file: where its parts are put, or how many bytes to allocate.
    """
    if isinstance(source, Buffer):
        return MemoryReader(source)
    return FileReader(
        source, carve(memory)[0].data if isinstance(memory, int) else memory
    )
