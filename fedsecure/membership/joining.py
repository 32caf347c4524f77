"""Every party's side: look at a version that was handed over, and accept it.

What a program cannot know is whose keys they are. So a person hears the fingerprints
from those who have the keys, and types the words; only what was typed is compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fedsecure.errors import OperatorError, PeerError
from fedsecure.identity import (
    DataOwnerParty,
    Federation,
    Party,
    Role,
    load_federation,
    load_signing_key,
    require_key_of,
)
from fedsecure.membership import handout
from fedsecure.membership.accepted import (
    Accepted,
    load_accepted,
    require_accepted,
    save_accepted,
    told_to,
)
from fedsecure.membership.changes import Change, changes
from fedsecure.membership.handout import Handout
from fedsecure.membership.own import OwnParty
from fedsecure.node_keys import load_node_key, node_key_text


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that may be accepted once the fingerprints in `asked` are told."""

    own: OwnParty
    handout: Handout
    before: Accepted | None
    changes: tuple[Change, ...]
    asked: tuple[Party, ...]

    @property
    def federation(self) -> Federation:
        """The version itself."""
        return self.handout.federation


def examine(path: Path, role: Role, own: OwnParty) -> Candidate:
    """Check everything that needs no person; run by every party.

    The steps, in order:
        (1) the model owner that it names signed it, and the CA file with it;
        (2) this party is in it, in its role, with its own keys;
        (3) it follows the version that was accepted before, if one was;
        (4) who must be asked for a fingerprint: an aggregator whose key was not told
            yet, and a model owner whose key is another than before.

    Raises:
        PeerError: FS-749, FS-750 as `handout.read`; FS-751 an older version, or one of
            another federation.
        OperatorError: FS-741, FS-746, FS-759 not the right party, FS-827 no longer a
            party, FS-801 to FS-803.
    """
    given = handout.read(path)  # (1)
    before = load_accepted(own.accepted) if own.accepted.exists() else None
    known = _known(own, before)
    _require_not_retired(given.federation, known, own.name)  # (2)
    require_own_place(given.federation, role, own)
    if before is not None:
        _require_follower(given.federation, before)  # (3)
    asked = _asked(given.federation, role, own.name, before)  # (4)
    return Candidate(
        own, given, before, tuple(changes(known, given.federation)), tuple(asked)
    )


def accept(candidate: Candidate, told: Mapping[str, str]) -> Accepted:
    """Take a version over into this party's own folder.

    Args:
        candidate: From `examine`.
        told: The fingerprints (digits) that were read out, at least of all `asked`.

    Raises:
        OperatorError: FS-754 when one is missing or another, FS-816.
    """
    federation = candidate.federation
    for party in candidate.asked:
        require_told(party, told.get(party.name))
    accepted = Accepted.of(
        federation, candidate.own.name, candidate.handout.authorities
    )
    handout.write(candidate.handout, candidate.own.federation)
    save_accepted(candidate.own.accepted, accepted)
    return accepted


def require_told(party: Party, told: str | None) -> None:
    """Check a party's key against what was read out.

    The words of the key in the file are not shown: they would only be typed.

    Raises:
        OperatorError: FS-754, with the party's name.
    """
    if told is None:
        raise OperatorError("FS-754", f"{party.name}'s was not told")
    if told != party.fingerprint:
        raise OperatorError(
            "FS-754", f"the key of {party.name} in the file has other words"
        )


def require_own_place(federation: Federation, role: Role, own: OwnParty) -> None:
    """Check that a party stands in a federation as it is.

    Raises:
        OperatorError: FS-741 it is not there, FS-746 with another key, FS-759 in
            another role or with another Flower key.
    """
    require_key_of(federation, own.name, load_signing_key(own.key))
    found, party = federation.find(own.name)
    if found is not role:
        raise OperatorError("FS-759", f"{own.name} is {found} there, and {role} here")
    if isinstance(party, DataOwnerParty) and own.flower_key is not None:
        here = node_key_text(load_node_key(own.flower_key))
        if here != party.flower_key:
            raise OperatorError("FS-759", f"{own.name} has another Flower key there")


def _require_not_retired(
    after: Federation, known: Federation | None, name: str
) -> None:
    def has(federation: Federation) -> bool:
        return name in {party.name for party in federation.parties()}

    if known is not None and has(known) and not has(after):
        raise OperatorError(
            "FS-827",
            f"{name} is in version {known.number} of {after.name}, which was accepted "
            f"here, and no longer in version {after.number}",
        )


def _known(own: OwnParty, before: Accepted | None) -> Federation | None:
    """Return the version that was accepted, if it still lies there unchanged."""
    if before is None:
        return None
    try:
        known = load_federation(own.federation)
        require_accepted(known, before, own.federation)
    except OperatorError:
        return None
    return known


def _require_follower(after: Federation, before: Accepted) -> None:
    where = f"version {after.number} of {after.name}"
    if after.digest == before.federation:
        return
    if before.name != after.name:
        raise PeerError("FS-751", f"{where}; accepted was {before.name}")
    if after.number <= before.number:
        raise PeerError("FS-751", f"{where}; accepted was version {before.number}")
    if after.number == before.number + 1 and after.previous != before.federation:
        raise PeerError("FS-751", f"{where} follows another version {before.number}")


def _asked(
    federation: Federation, role: Role, name: str, before: Accepted | None
) -> list[Party]:
    names = told_to(role, federation, name)
    told = {} if before is None else before.fingerprints
    owner = federation.model_owner
    if before is not None and before.model_owner != owner.fingerprint:
        names = list(dict.fromkeys([*names, owner.name]))
    parties = (federation.find(one)[1] for one in names if one != name)
    return [party for party in parties if told.get(party.name) != party.fingerprint]
