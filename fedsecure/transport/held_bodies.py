"""Bodies that are held in memory until somebody is known to have signed them.

A statement is at its signature's end before it can be checked, so whoever likes can
have some of it held. All that is held is bounded, and shared by address: for one body
too many, the largest of the address that holds most is given up.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fedsecure.errors import RoundStateError


@dataclass(slots=True, eq=False)
class Held:
    """One body under way."""

    address: str
    size: int = 0
    give_up: Callable[[], None] | None = field(default=None, repr=False)


class HeldBodies:
    """What one server holds. Used by the event loop's thread alone.

    Args:
        most: Bytes; the longest body has room.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: list[Held] = []

    @property
    def size(self) -> int:
        """Return how many bytes are held."""
        return sum(one.size for one in self._held)

    @contextmanager
    def room(self, address: str) -> Iterator[Held]:
        """Hold one body as long as the block lasts.

        `give_up` of what it yields is called, once, if it has to make room.
        """
        held = Held(address)
        self._held.append(held)
        try:
            yield held
        finally:
            self._held.remove(held)

    def add(self, held: Held, size: int) -> None:
        """Count bytes that came.

        Raises:
            RoundStateError: FS-537 when this one has to give up.
        """
        held.size += size
        while not self.size <= self._most:
            victim = self._largest(held)
            victim.size = 0
            give_up, victim.give_up = victim.give_up, None
            if victim is held or give_up is None:
                raise RoundStateError("FS-537", f"{self._most} bytes are held")
            give_up()

    def _largest(self, newest: Held) -> Held:
        """Return the largest body, of those that can end, of the fullest address."""
        able = [one for one in self._held if one.give_up is not None or one is newest]
        sums: dict[str, int] = {}
        for one in able:
            sums[one.address] = sums.get(one.address, 0) + one.size
        return max(able, key=lambda one: (sums[one.address], one.size))
