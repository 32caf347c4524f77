"""Every party's side: look at a version that was handed over, and accept it.

What a program cannot know is whose keys they are. So a person hears the fingerprints
from those who have the keys, and types the words; only what was typed is compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fedsecure.errors import OperatorError, PeerError
from fedsecure.membership import handout, versions
from fedsecure.membership.accepted import (
    Accepted,
    load_accepted,
    parties_to_verify,
    save_accepted,
)
from fedsecure.membership.changes import Change, changes
from fedsecure.membership.files import replace
from fedsecure.membership.handout import Handout
from fedsecure.membership.own_party import OwnParty
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.identity import DataOwnerParty, Federation, Party, Role
from fedsecure.protocol.node_keys import load_node_key, node_key_text
from fedsecure.protocol.signing_keys import load_signing_key, require_key_of


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """Files of new keys of this party's own; None: it goes on with the one it has."""

    signing: Path | None = None
    flower: Path | None = None

    @classmethod
    def of(cls, own: OwnParty, folder: Path | None) -> Self:
        """Find the new keys in a folder, under the names of those in use.

        What a `join` that broke off has taken already is not there any more.
        """
        if folder is None:
            return cls()
        signing, flower = (
            None if name is None or not (folder / name).is_file() else folder / name
            for name in (own.key.name, own.flower_key and own.flower_key.name)
        )
        return cls(signing, flower)

    def take(self, own: OwnParty) -> None:
        """Put them in the place of the old ones, which are gone then.

        Raises:
            OperatorError: FS-816.
        """
        for new, old in ((self.signing, own.key), (self.flower, own.flower_key)):
            if new is not None and old is not None:
                replace(new, old)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that may be accepted once the fingerprints in `asked` are told."""

    own: OwnParty
    handout: Handout
    before: Accepted | None
    changes: tuple[Change, ...]
    asked: tuple[Party, ...]
    past: tuple[Federation, ...] = ()  # versions accepted before, in order
    keys: OwnKeys = OwnKeys()

    @property
    def federation(self) -> Federation:
        """The version itself."""
        return self.handout.federation


def examine(
    path: Path, role: Role, own: OwnParty, new_keys: Path | None = None
) -> Candidate:
    """Check everything that needs no person; run by every party.

    The steps, in order:
        (1) the model owner that it names signed it, and the CA file with it;
        (2) this party is in it, in its role, with its own keys;
        (3) it follows the version that was accepted before, if one was;
        (4) model owner and aggregators have their old names, and nobody has the name of
            somebody else who was retired;
        (5) who must be asked for a fingerprint: an aggregator or a dealer whose key was
            not told yet, and a model owner whose key is another than before.

    Args:
        path: The federation.toml that was handed over.
        role: This party's.
        own: Its configuration.
        new_keys: A folder with keys that take the place of its own.

    Raises:
        PeerError: FS-749, FS-750 as `handout.read`; FS-751 an older version, or one of
            another federation; FS-761 a name that was somebody else's.
        OperatorError: FS-636 other names; FS-741, FS-746, FS-759 not the right party,
            FS-827 no longer a party, FS-760, FS-801 to FS-803.
    """
    given, keys = handout.read(path), OwnKeys.of(own, new_keys)  # (1)
    before = load_accepted(own.accepted) if own.accepted.exists() else None
    past = [] if before is None else versions.past(own.federation, before.federation)
    accepted = before and before.federation
    known = next((one for one in past if one.digest == accepted), None)
    _require_not_retired(given.federation, known, own.name)  # (2)
    require_own_place(given.federation, role, own, keys)
    if before is not None:
        _require_follower(given.federation, before)  # (3)
    Federations([given.federation, *past])  # (4)
    require_names(past, given.federation)
    return Candidate(
        own=own,
        handout=given,
        before=before,
        changes=tuple(changes(known, given.federation)),
        asked=tuple(_asked(given.federation, role, own.name, before)),  # (5)
        past=tuple(past),
        keys=keys,
    )


def accept(candidate: Candidate, fingerprints: Mapping[str, str]) -> Accepted:
    """Take a version over into this party's own folder.

    Args:
        candidate: From `examine`.
        fingerprints: Those (digits) that were read out, at least of all `asked`.

    Every version that was ever accepted stays in the folder beside federation.toml.

    Raises:
        OperatorError: FS-754 when one is missing or another, FS-816.
    """
    federation = candidate.federation
    for party in candidate.asked:
        require_fingerprint(party, fingerprints.get(party.name))
    accepted = Accepted.of(
        federation, candidate.own.name, candidate.handout.authorities
    )
    path = candidate.own.federation
    if candidate.before is not None:
        versions.keep_present(path, candidate.before.federation)
    versions.keep(federation, candidate.handout.issue, path)
    candidate.keys.take(candidate.own)
    handout.write(candidate.handout, path)
    save_accepted(candidate.own.accepted, accepted)
    return accepted


def require_fingerprint(party: Party, fingerprint: str | None) -> None:
    """Check a party's key against what was read out.

    The words of the key in the file are not shown: they would only be typed.

    Raises:
        OperatorError: FS-754, with the party's name.
    """
    if fingerprint is None:
        raise OperatorError("FS-754", f"{party.name}'s was not told")
    if fingerprint != party.fingerprint:
        raise OperatorError(
            "FS-754", f"the key of {party.name} in the file has other words"
        )


def require_own_place(
    federation: Federation, role: Role, own: OwnParty, keys: OwnKeys
) -> None:
    """Check that a party stands in a federation as it is.

    Raises:
        OperatorError: FS-741 it is not there, FS-746 with another key, FS-759 in
            another role or with another Flower key.
    """
    require_key_of(federation, own.name, load_signing_key(keys.signing or own.key))
    found, party = federation.find(own.name)
    if found is not role:
        raise OperatorError("FS-759", f"{own.name} is {found} there, and {role} here")
    if isinstance(party, DataOwnerParty) and own.flower_key is not None:
        here = node_key_text(load_node_key(keys.flower or own.flower_key))
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


def require_names(past: Sequence[Federation], after: Federation) -> None:
    """Refuse a name that was somebody else's: openings and approvals go by names.

    Who was retired may come back under its name with the key that it had.

    Args:
        past: Versions accepted before, in order.
        after: The version that is to follow.

    Raises:
        PeerError: FS-761 with the name and both keys' fingerprints.
    """
    present = {party.name for one in past[-1:] for party in one.parties()}
    last = {party.name: party for one in past for party in one.parties()}
    for party in after.parties():
        was = last.get(party.name)
        if party.name not in present and was is not None and was.key != party.key:
            raise PeerError(
                "FS-761",
                f"{party.name} was {was.fingerprint[:9]} until it was retired, and is "
                f"{party.fingerprint[:9]} in version {after.number}",
            )


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
    names = parties_to_verify(role, federation, name)
    fingerprints = {} if before is None else before.fingerprints
    owner = federation.model_owner
    if before is not None and before.model_owner != owner.fingerprint:
        names = list(dict.fromkeys([*names, owner.name]))
    parties = (federation.find(one)[1] for one in names if one != name)
    return [
        party for party in parties if fingerprints.get(party.name) != party.fingerprint
    ]
