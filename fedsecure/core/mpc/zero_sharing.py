"""Zero, shared: what makes both servers' words of a result fresh.

    key   = HKDF-SHA256(key of the pair's first || key of its second, no salt, info)
    info  = "fedsecure v1 zero sharing" || 0x00 || spec digest ||
            length-prefixed client || number of the query (8 bytes, big-endian)
    words = the key stream's (`fedsecure.core.mask`), read as little-endian words

The first server of the pair adds them to its words, the second subtracts them: the sum
stays, and each server's words alone are uniform for whoever lacks one of both keys. So
the receiver, who may have made the shares itself, cannot learn from the two answers
more than from their sum.
"""

from dataclasses import dataclass
from typing import Final

from fedsecure.core import domains
from fedsecure.core.layout import Buffer
from fedsecure.core.mask import derive_key
from fedsecure.core.mpc.ring import Words
from fedsecure.core.mpc.sharing import SPEC_DIGEST_BYTES, stream_words
from fedsecure.errors import PeerError

CHANNEL_KEY_BYTES: Final = 32
_QUERY_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """Which result it is; both servers use these facts, and no pair of results twice.

    Args:
        spec_digest: SPEC_DIGEST_BYTES bytes.
        client: Whose query it answers; "" for the outputs of a circuit.
        query: The query's number; 0 for the outputs of a circuit.

    Raises:
        PeerError: FS-726 when a part has the wrong length.
    """

    spec_digest: bytes
    client: str = ""
    query: int = 0

    def __post_init__(self) -> None:
        if len(self.spec_digest) != SPEC_DIGEST_BYTES:
            raise PeerError(
                "FS-726",
                f"a spec digest has {len(self.spec_digest)} bytes, not "
                f"{SPEC_DIGEST_BYTES}",
            )

    def info(self) -> bytes:
        """Return what the stream's key is derived for."""
        client = domains.length_prefixed(self.client.encode())
        number = self.query.to_bytes(_QUERY_BYTES)
        return b"".join((domains.ZERO_SHARING, b"\0", self.spec_digest, client, number))


def zero_words(
    channel_keys: tuple[Buffer, Buffer], context: AnswerContext, count: int
) -> Words:
    """Return the words that the first adds and the second subtracts.

    Args:
        channel_keys: The key that the pair's first made and the one that its second
            made, CHANNEL_KEY_BYTES bytes each: a pair is ordered by its names.
        context: Which result they are for.
        count: How many words.

    Returns:
        Shape (count,), uint64.

    Raises:
        PeerError: FS-726 for a key of another length.
    """
    for key in channel_keys:
        if len(key) != CHANNEL_KEY_BYTES:
            raise PeerError(
                "FS-726",
                f"a channel key has {len(key)} bytes, not {CHANNEL_KEY_BYTES}",
            )
    key = derive_key(b"".join(channel_keys), context.info())
    return stream_words(key, (1, count)).reshape(count)


def refreshed(words: Words, zeros: Words, *, first: bool) -> Words:
    """Return a server's words with its part of zero. Run by an aggregator.

    Args:
        words: Any shape, uint64.
        zeros: Shape (as many words,), uint64.
        first: Whether this is the first server of the pair.

    Returns:
        The words' shape, uint64.
    """
    part = zeros.reshape(words.shape)
    return words + part if first else words - part
