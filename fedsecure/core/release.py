"""What an aggregator lets go of a sum: the stage between adding up and sealing.

    aggregate   aggregator   many output shares           -> one aggregate share
    release     aggregator   it, and one secret seed      -> records that are sealed

A **mechanism** decides what that is. `EXACT` releases the sum itself; one that adds
noise takes what it draws from the opening's keys, and from nowhere else. It is drawn
once for a round: whoever sees one sum twice with different noise has less noise to get
rid of, and whoever sees two sums with the same noise has their exact difference. So

    seed   SEED_BYTES uniform bytes, on the aggregator's disk before they are used
    key    = HKDF-SHA256(seed, no salt, label || 0x00 || spec digest || opening digest)

However often a round's opening is made again, after a crash or a failed seal, it
releases the same; and should a server whose disk was set back open the round over
another set, its noise there is independent. The sum is not changed: what is released
is made record by record, while it is sealed.

Guarantee: what leaves an aggregator for one opening is one draw of the mechanism.
Assumption: the seed is kept until the opening is committed, and whoever commits it
answers with the share that was sealed then.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from fedsecure.core.layout import Buffer
from fedsecure.core.mask import SPEC_DIGEST_BYTES, derive_key
from fedsecure.core.params import Params
from fedsecure.core.shares import AggregateShare
from fedsecure.errors import PeerError

SEED_BYTES: Final = 32
OPENING_DIGEST_BYTES: Final = 32  # SHA-256 of the signed opening

Keys: TypeAlias = Callable[[bytes], bytes]  # label -> 32 bytes, of one opening


@dataclass(frozen=True, slots=True)
class ReleaseContext:
    """The public facts that the randomness of one opening is bound to.

    The same seed gives the same for the same set of reports, and something independent
    for any other: asked again after a crash, an aggregator answers the same;
    asked for another set by whoever set it back, it gives nothing to compare.

    Raises:
        PeerError: FS-726 when a part has the wrong length.
    """

    spec_digest: bytes
    opening_digest: bytes

    def __post_init__(self) -> None:
        sizes = len(self.spec_digest), len(self.opening_digest)
        if sizes != (SPEC_DIGEST_BYTES, OPENING_DIGEST_BYTES):
            raise PeerError(
                "FS-726",
                f"spec digest and opening digest have {sizes[0]} and {sizes[1]} bytes, "
                f"not {SPEC_DIGEST_BYTES} and {OPENING_DIGEST_BYTES}",
            )

    def info(self, label: bytes) -> bytes:
        """Return what one section's key is derived for."""
        return b"".join((label, b"\0", self.spec_digest, self.opening_digest))


class Mechanism(Protocol):
    """What is done to a sum before it is sealed. Pure: no clock, disk or network."""

    @property
    def is_exact(self) -> bool:
        """Whether the sum is released as it is: nothing is drawn then."""

    def warm_up(self) -> None:
        """Make now what takes long and is the same for every opening."""

    def records(self, total: AggregateShare, keys: Keys) -> Iterator[Buffer]:
        """Return the bytes that are released of a sum; they depend on nothing else.

        Args:
            total: `tensor` of shape (dimension,), words of the suite's modulus,
                `scalars` of shape (scalar_count,), uint64. Not to be changed. One
                aggregator's share: alone it is uniform, and what is added to it is
                added to the sum.
            keys: The opening's: 32 bytes for each label.

        Returns:
            As many bytes as the sum has, in pieces of CHUNK but the last, as
            `layout.write`; each is there until the next but one is asked for.
        """


class ExactRelease:
    """Releases the very sum, without a copy: the mean is exact."""

    is_exact: Final = True

    def warm_up(self) -> None:
        """Make nothing."""

    def records(self, total: AggregateShare, keys: Keys) -> Iterator[Buffer]:  # noqa: ARG002
        """Return the sum's bytes."""
        return total.to_records()


EXACT: Final = ExactRelease()


def release(
    params: Params, total: AggregateShare, mechanism: Mechanism, keys: Keys
) -> Iterator[Buffer]:
    """Yield what is sealed of a sum; the sum is not changed. Run by an aggregator.

    Raises:
        ValueError: The mechanism returns more or fewer bytes than the sum has.
    """
    size = 0
    for record in mechanism.records(total, keys):
        size += len(record)
        yield record
    if size != params.layout.plaintext_bytes:
        msg = f"a mechanism releases {size} bytes of {params.layout.plaintext_bytes}"
        raise ValueError(msg)


def keys_of(seed: bytes, context: ReleaseContext) -> Keys:
    """Return the keys of one opening.

    Args:
        seed: SEED_BYTES uniform bytes, of this round and this aggregator alone.
        context: What is opened.
    """
    return lambda label: derive_key(seed, context.info(label))
