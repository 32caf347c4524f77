"""How often one party, or one connection, may ask: leaky buckets (GCRA, ITU-T I.371).

A statement costs its signer once, when it comes first. Whoever sends it again, be it
the signer or somebody else who has it, costs the connection that it comes over, as does
whatever nobody signed and whatever is refused for coming too often. So nobody can use
up an innocent party's share, and behind one address nobody takes anything from another.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from fedsecure.errors import RoundStateError
from fedsecure.protocol.identity import MAX_DATA_OWNERS
from fedsecure.transport.bounded_connection import Peer

WINDOW: Final = 60.0  # seconds
MOST_NAMES: Final = MAX_DATA_OWNERS + 3  # everybody in the largest federation
MOST_SEEN: Final = 2**15  # statements that are remembered, 0.2 kB each


@dataclass(slots=True)
class RateLimit:
    """Admits up to `per_minute` requests at once, and as many in each minute.

    Used by the event loop's thread alone. Memory is a number for each party and each
    connection, and the digests of the statements that came last.

    Args:
        per_minute: Requests of a party, and of a connection.
        monotonic: Seconds that never go back.
    """

    per_minute: int
    monotonic: Callable[[], float]
    _due: OrderedDict[str, float] = field(default_factory=OrderedDict, repr=False)
    _seen: OrderedDict[str, None] = field(default_factory=OrderedDict, repr=False)

    def enter(self, peer: Peer) -> None:
        """Count one request of a connection, until somebody is charged for it.

        Raises:
            RoundStateError: FS-326 when it asked too often; nothing is counted then.
        """
        peer.due = self._after(peer.due, "this connection")

    def charge(self, signer: str, digest: str, peer: Peer | None) -> bool:
        """Charge a statement to its signer if it comes first, and tell whether it does.

        Raises:
            RoundStateError: FS-326 when the signer asked too often; that costs the
                connection, and the signer nothing.
        """
        if digest in self._seen:
            self._seen.move_to_end(digest)
            return False
        self.require(signer)
        self._seen[digest] = None
        while len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)
        self.paid(peer)
        return True

    def require(self, name: str) -> None:
        """Count one request of a party.

        Raises:
            RoundStateError: FS-326 when it asked too often; nothing is counted then.
        """
        self._due[name] = self._after(self._due.get(name), name)
        self._due.move_to_end(name)
        while len(self._due) > MOST_NAMES:
            self._due.popitem(last=False)

    def paid(self, peer: Peer | None) -> None:
        """Give back to a connection what a party was charged for."""
        if peer is not None and peer.due is not None:
            peer.due -= WINDOW / self.per_minute

    def _after(self, due: float | None, who: str) -> float:
        now = self.monotonic()
        due = max(now if due is None else due, now) + WINDOW / self.per_minute
        ahead = due - now - WINDOW
        # The last digit of a sum of many parts is no reason to refuse.
        if not ahead <= 1e-6:
            detail = f"{who}: {self.per_minute} a minute, wait {ahead:.1f} s"
            raise RoundStateError("FS-326", detail)
        return due
