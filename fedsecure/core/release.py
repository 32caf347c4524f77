"""What an aggregator lets go of a sum: the stage between adding up and sealing.

    aggregate   aggregator   many output shares          -> one aggregate share
    release     aggregator   a copy of it, and randomness -> what is sealed to the owner

A **mechanism** decides what that is. `EXACT` releases the sum itself; one that adds
noise takes what it draws from `rand`, and from nowhere else. It is drawn once for a
round: whoever sees one sum twice with different noise has less noise to get rid of, and
whoever sees two sums with the same noise has their exact difference. So

    seed    SEED_BYTES uniform bytes, on the aggregator's disk before they are used
    key     = HKDF-SHA256(seed, no salt, info), 32 bytes
    info    = label || 0x00 || spec digest || opening digest
    stream  = AES-256 in counter mode from block 0

and `rand(n)` are the stream's next n bytes. However often a round's opening is made
again, after a crash or a failed seal, it releases the same; and should a server whose
disk was set back open the round over another set, its noise there is independent.

Guarantee: what leaves an aggregator for one opening is one draw of the mechanism.
Assumption: the seed is kept until the opening is committed, and whoever commits it
answers with the share that was sealed then.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol, TypeAlias

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from fedsecure.core import domains
from fedsecure.core.mask import derive_key
from fedsecure.core.release_context import ReleaseContext
from fedsecure.core.shares import AggregateShare

SEED_BYTES: Final = 32

_BLOCK_BYTES: Final = 16

Rand: TypeAlias = Callable[[int], bytes]


class Mechanism(Protocol):
    """What is done to a sum before it is sealed. Pure: no clock, disk or network."""

    @property
    def is_exact(self) -> bool:
        """Whether the sum is released as it is: nothing is drawn then, or copied."""

    def apply(self, total: AggregateShare, rand: Rand) -> AggregateShare:
        """Return what is released of a sum; it depends on the arguments alone.

        Args:
            total: A copy, to be changed in place if that is easier: `tensor` of shape
                (dimension,), words of the suite's modulus, `scalars` of shape
                (scalar_count,), uint64; sums are modulo the word. One aggregator's
                share: alone it is uniform, and what is added to it is added to the sum.
            rand: The round's randomness: `rand(n)` returns the next n uniform bytes.

        Returns:
            Arrays of the same shapes and dtypes, and the same count.
        """


class ExactRelease:
    """Releases the very sum, without a copy: the mean is exact."""

    is_exact: Final = True

    def apply(self, total: AggregateShare, rand: Rand) -> AggregateShare:  # noqa: ARG002
        """Return the sum."""
        return total


EXACT: Final = ExactRelease()


def release(total: AggregateShare, mechanism: Mechanism, rand: Rand) -> AggregateShare:
    """Return what is sealed of a sum; the sum is not changed. Run by an aggregator.

    Raises:
        ValueError: The mechanism returns something of another form than the sum's.
    """
    if mechanism.is_exact:
        return total
    copy = replace(total, tensor=total.tensor.copy(), scalars=total.scalars.copy())
    released = mechanism.apply(copy, rand)
    found, wanted = _form(released), _form(total)
    if found != wanted:
        msg = f"a mechanism releases {found} of a sum of {wanted}"
        raise ValueError(msg)
    return released


def randomness(seed: bytes, context: ReleaseContext) -> Rand:
    """Return the randomness of one opening, from its beginning.

    Args:
        seed: SEED_BYTES uniform bytes, of this round and this aggregator alone.
        context: What is opened.
    """
    key = derive_key(seed, context.info(domains.RELEASE))
    stream = Cipher(AES(key), CTR(bytes(_BLOCK_BYTES))).encryptor()
    return lambda size: stream.update(bytes(size))


def _form(share: AggregateShare) -> tuple[object, ...]:
    tensor, scalars = share.tensor, share.scalars
    return tensor.shape, tensor.dtype, scalars.shape, scalars.dtype, share.count
