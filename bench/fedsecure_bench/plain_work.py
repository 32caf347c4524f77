"""The plain work of an update's size that protection is compared with.

Each function prepares what it needs, and returns the work itself, to be timed.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fedsecure.core.encoding import Update
from fedsecure.core.layout import CHUNK, cut
from fedsecure.core.mask import SPILL, KeyStream

Work: TypeAlias = Callable[[], object]


def cipher(update: Update) -> Work:
    """Encrypt an update's bytes by AES-256-GCM, 1 MiB at a time."""
    aead, nonce, out = AESGCM(bytes(32)), bytes(12), bytearray(CHUNK + SPILL)
    parts = list(cut(update.view(np.uint8).data))

    def run() -> None:
        for piece in parts:
            aead.encrypt_into(nonce, piece, None, memoryview(out)[: len(piece) + SPILL])

    return run


def key_stream(update: Update) -> Work:
    """Write as many bytes of the mask's key stream."""
    stream, out = KeyStream(bytes(32)), bytearray(CHUNK + SPILL)
    sizes = [len(piece) for piece in cut(update.view(np.uint8).data)]

    def run() -> None:
        for index, size in enumerate(sizes):
            stream.write_chunk(index, memoryview(out)[: size + SPILL])

    return run


def decrypt(update: Update) -> Work:
    """Open the same records into one buffer."""
    aead, nonce, out = AESGCM(bytes(32)), bytes(12), bytearray(CHUNK)
    plain = cut(update.view(np.uint8).data)
    records = [aead.encrypt(nonce, bytes(piece), None) for piece in plain]

    def run() -> None:
        for record in records:
            view = memoryview(out)[: len(record) - SPILL]
            aead.decrypt_into(nonce, record, None, view)

    return run


def add(update: Update) -> Work:
    """Add the update in numpy, as an unprotected server does."""
    accumulator = np.zeros_like(update)
    return lambda: np.add(accumulator, update, out=accumulator)
