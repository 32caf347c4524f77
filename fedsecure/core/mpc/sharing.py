"""Additive sharing mod 2**64: a seed for one server, a vector for the other.

    vector = words - stream        (mod 2**64)
    stream = the words of a key stream (`fedsecure.core.mask`), as many as there are
    key    = HKDF-SHA256(seed, no salt, info), 32 bytes
    info   = "fedsecure v1 mask input" || 0x00 || spec digest || input id ||
             length-prefixed owner || length-prefixed name

Which server gets the seed is drawn for every input. A query is an input, too: its name
is "query", its id the query's.
"""

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import numpy as np

from fedsecure.core import domains
from fedsecure.core.layout import Buffer
from fedsecure.core.mask import SEED_BYTES, SPILL, KeyStream, derive_key
from fedsecure.core.mpc import ring
from fedsecure.core.mpc.ring import Shape, Words
from fedsecure.errors import PeerError

ShareKind: TypeAlias = Literal["seed", "vector"]

INPUT_ID_BYTES: Final = 16
SPEC_DIGEST_BYTES: Final = 32  # SHA-256 of the job's signed spec
RAND_BYTES: Final = SEED_BYTES + 1
QUERY: Final = "query"  # the name under which a query is shared


@dataclass(frozen=True, slots=True)
class InputContext:
    """The public facts that an input's stream is bound to; no server is among them.

    Args:
        spec_digest: SPEC_DIGEST_BYTES bytes.
        input_id: INPUT_ID_BYTES bytes, drawn anew for everything that is shared.
        owner: Whose input it is.
        name: The input's name in the program; QUERY for a query.

    Raises:
        PeerError: FS-726 when a part has the wrong length.
    """

    spec_digest: bytes
    input_id: bytes
    owner: str
    name: str

    def __post_init__(self) -> None:
        sizes = len(self.spec_digest), len(self.input_id)
        if sizes != (SPEC_DIGEST_BYTES, INPUT_ID_BYTES):
            raise PeerError(
                "FS-726",
                f"spec digest and input id have {sizes[0]} and {sizes[1]} bytes, not "
                f"{SPEC_DIGEST_BYTES} and {INPUT_ID_BYTES}",
            )

    def info(self) -> bytes:
        """Return what the stream's key is derived for."""
        who = domains.length_prefixed(self.owner.encode(), self.name.encode())
        return b"".join(
            (domains.MASK_INPUT, b"\0", self.spec_digest, self.input_id, who)
        )


@dataclass(frozen=True, slots=True)
class InputSharing:
    """Both shares of one input.

    Args:
        seed: SEED_BYTES bytes: one share.
        vector: The other, of the input's shape, uint64.
        seed_to_first: Whether the first aggregator gets the seed.
    """

    seed: bytes = field(repr=False)
    vector: Words = field(repr=False)
    seed_to_first: bool = field(repr=False)


def share(words: Words, context: InputContext, rand: bytes) -> InputSharing:
    """Split words into two shares. Run by the input's owner, once for each context.

    Args:
        words: Shape (rows, columns), uint64.
        context: What the shares are bound to.
        rand: RAND_BYTES uniform bytes, used for nothing else.
    """
    seed, coin = rand[:SEED_BYTES], rand[SEED_BYTES:RAND_BYTES]
    rows, columns = words.shape
    return InputSharing(
        seed=seed,
        vector=words - expand(seed, (rows, columns), context),
        seed_to_first=bool(coin[0] & 1),
    )


def expand(seed: Buffer, shape: Shape, context: InputContext) -> Words:
    """Return the words that a seed stands for. Run by owner and the seed's server.

    Args:
        seed: SEED_BYTES bytes.
        shape: Rows and columns.
        context: What the stream is bound to.

    Returns:
        Of that shape, uint64, uniform.
    """
    return stream_words(derive_key(seed, context.info()), shape)


def stream_words(key: Buffer, shape: Shape) -> Words:
    """Return the first words of a key's stream, of that shape, uint64."""
    size = shape[0] * shape[1] * ring.WORD_BYTES
    out = np.empty(size + SPILL, np.uint8)
    KeyStream(key).write(size, out.data)
    return out[:size].view(ring.WIRE).reshape(shape).astype(np.uint64, copy=False)


def share_of(
    kind: ShareKind, plaintext: Buffer, shape: Shape, context: InputContext
) -> Words:
    """Return a server's share of an input, from what its payload held.

    Args:
        kind: "seed" or "vector", as the signed header says.
        plaintext: The opened payload.
        shape: Rows and columns of the input, as the program says.
        context: What the input is bound to.

    Returns:
        Of that shape, uint64.

    Raises:
        PeerError: FS-730 when it has the wrong length.
    """
    if kind == "vector":
        return ring.from_bytes(plaintext, shape)
    found = memoryview(plaintext).nbytes
    if found != SEED_BYTES:
        raise PeerError("FS-730", f"a seed has {found} bytes, not {SEED_BYTES}")
    return expand(plaintext, shape, context)


def combine(first: Words, second: Words) -> Words:
    """Add up two shares of the same shape, uint64. Run by whoever may know the sum.

    Raises:
        PeerError: FS-730 when their shapes differ.
    """
    if first.shape != second.shape:
        raise PeerError(
            "FS-730", f"one share has shape {first.shape}, the other {second.shape}"
        )
    return first + second
