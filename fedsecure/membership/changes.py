"""What a version of a federation changes, for a person who is to accept it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from fedsecure.protocol.identity import Federation, Party, Role


class Kind(StrEnum):
    """What happened to a party."""

    ADDED = "added"
    RETIRED = "retired"
    ROTATED = "new key"  # its signing key is another
    MOVED = "changed"  # the same key, with another address or Flower key


@dataclass(frozen=True, slots=True)
class Change:
    """One party that is not as it was."""

    kind: Kind
    role: Role
    party: Party


def changes(before: Federation | None, after: Federation) -> Iterator[Change]:
    """Yield who was retired, and then everybody who is not as before."""
    old, new = _parties(before), _parties(after)
    for name in old.keys() - new.keys():
        yield Change(Kind.RETIRED, *old[name])
    for name, (role, party) in new.items():
        kind = _kind(old.get(name), (role, party))
        if kind is not None:
            yield Change(kind, role, party)


def _kind(old: tuple[Role, Party] | None, new: tuple[Role, Party]) -> Kind | None:
    if old is None:
        return Kind.ADDED
    if old == new:
        return None
    return Kind.MOVED if (old[0], old[1].key) == (new[0], new[1].key) else Kind.ROTATED


def _parties(federation: Federation | None) -> dict[str, tuple[Role, Party]]:
    if federation is None:
        return {}
    names = (party.name for party in federation.parties())
    return {name: federation.find(name) for name in names}
