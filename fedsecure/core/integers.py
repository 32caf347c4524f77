"""Integers that a round is described by."""

from fedsecure.errors import PeerError


def require_integer(name: str, value: int, at_least: int) -> None:
    """Check a number of the round.

    Raises:
        PeerError: FS-200 for anything but an integer of at least that.
    """
    # Not isinstance: True is no number of data owners.
    if not (type(value) is int and value >= at_least):
        raise PeerError("FS-200", f"{name} is {value}; use an integer >= {at_least}")
