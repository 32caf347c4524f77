"""The model owner's side: identity files become signed versions of the federation.

    identities/NAME.identity.toml   everybody's identity file, as it was handed over
    identities/retired/             those of parties that left, and old keys
    to-everybody/                   the newest version, to hand over

A version is always made of all identity files together; the next one has the next
number and names the digest of the one before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from fedsecure.errors import OperatorError, PeerError
from fedsecure.membership import handout, identity_file
from fedsecure.membership.files import write_public
from fedsecure.membership.handout import Handout
from fedsecure.membership.identity_file import SERVERS, SUFFIX, Identity
from fedsecure.membership.own_party import OwnParty
from fedsecure.protocol.identity import Federation, Role
from fedsecure.protocol.signing import Author
from fedsecure.protocol.signing_keys import load_signing_key, require_key_of
from fedsecure.system import toml_file

IDENTITIES: Final = "identities"
RETIRED: Final = "retired"
HANDED_OVER: Final = "to-everybody"
FEDERATION: Final = "federation.toml"

Given = tuple[Identity, Path]  # an identity, and the file it was read from


@dataclass(frozen=True, slots=True)
class Issuer:
    """The model owner, who alone makes versions; `folder` is its own."""

    own: OwnParty
    folder: Path

    @property
    def handed_over(self) -> Path:
        """Where the newest federation.toml lies, with what belongs to it."""
        return self.folder / HANDED_OVER / FEDERATION

    def start(self, name: str, paths: Sequence[Path]) -> Handout:
        """Make version 1 of a federation.

        Raises:
            OperatorError: FS-748 when there is one already, FS-756.
            PeerError: FS-747 for an identity file that its party did not sign.
        """
        if self.handed_over.exists():
            raise OperatorError("FS-748", f"{self.handed_over}")
        mine = self.folder / f"{self.own.name}{SUFFIX}"
        # Its own file may be named, too.
        given = [(identity_file.read(path), path) for path in (mine, *paths)]
        return self._issue(name, None, _by_name({}, given))

    def add(self, paths: Sequence[Path]) -> Handout:
        """Make the next version, with more parties in it.

        Raises:
            OperatorError: FS-756 for somebody who is in it already.
            PeerError: FS-747; FS-761 for the name of somebody else who was retired.
        """
        before, present = self._newest()
        given = [(identity_file.read(path), path) for path in paths]
        for identity, path in given:
            if identity.name in present:
                raise OperatorError("FS-756", f"{path}: {identity.name} is in it")
            self._require_free(identity)
        return self._issue(before.name, before, _by_name(present, given))

    def retire(self, names: Sequence[str]) -> Handout:
        """Make the next version, without some parties.

        Raises:
            OperatorError: FS-757 for somebody who is not in it, FS-756.
        """
        before, present = self._newest()
        for name in names:
            _require_present(present, name)
        staying = {name: one for name, one in present.items() if name not in names}
        return self._issue(before.name, before, staying)

    def rotate(self, paths: Sequence[Path]) -> Handout:
        """Make the next version, with new keys or addresses of parties that stay.

        Raises:
            OperatorError: FS-757 for somebody who is not in it, FS-756.
            PeerError: FS-747.
        """
        before, present = self._newest()
        given = [(identity_file.read(path), path) for path in paths]
        for identity, _ in given:
            _require_present(present, identity.name)
        staying = {
            name: one
            for name, one in present.items()
            if name not in {identity.name for identity, _ in given}
        }
        return self._issue(before.name, before, _by_name(staying, given))

    def _require_free(self, identity: Identity) -> None:
        """Refuse the name of somebody who was retired, but for that very party."""
        retired = (self.folder / IDENTITIES / RETIRED).glob(
            f"{identity.name}-*{SUFFIX}"
        )
        known = [identity_file.read(path) for path in retired]
        keys = {one.key for one in known if one.name == identity.name}
        if keys and identity.key not in keys:
            raise PeerError("FS-761", f"{identity.name} was retired, with another key")

    def _newest(self) -> tuple[Federation, Mapping[str, Given]]:
        before = handout.read(self.handed_over).federation
        paths = sorted((self.folder / IDENTITIES).glob(f"*{SUFFIX}"))
        given = [(identity_file.read(path), path) for path in paths]
        return before, _by_name({}, given)

    def _issue(
        self, name: str, before: Federation | None, parties: Mapping[str, Given]
    ) -> Handout:
        identities = [identity for identity, _ in parties.values()]
        federation = assemble(name, identities, before)
        key = load_signing_key(self.own.key)
        require_key_of(federation, self.own.name, key)
        if federation.model_owner.name != self.own.name:
            raise OperatorError("FS-756", f"{self.own.name} is not its model owner")
        author = Author(self.own.name, key, federation)
        made = handout.issue(author, authorities(identities))
        self._keep(parties)
        handout.write(made, self.handed_over)
        return made

    def _keep(self, parties: Mapping[str, Given]) -> None:
        """Leave exactly these identity files in the folder; move others away."""
        folder = self.folder / IDENTITIES
        contents = {name: path.read_bytes() for name, (_, path) in parties.items()}
        for path in folder.glob(f"*{SUFFIX}"):
            name = path.name.removesuffix(SUFFIX)
            if contents.get(name) != (old := path.read_bytes()):
                print_ = identity_file.read(path).fingerprint[:9]
                away = folder / RETIRED / f"{name}-{print_}{SUFFIX}"
                write_public(away, old)
                path.unlink()
        for name, content in contents.items():
            write_public(folder / f"{name}{SUFFIX}", content)


def assemble(
    name: str, identities: Iterable[Identity], before: Federation | None
) -> Federation:
    """Make a version of a federation of everybody's identities.

    Raises:
        OperatorError: FS-756, they are not one model owner, two aggregators, data
            owners, perhaps clients and one dealer, each with a key of its own.
    """
    of: dict[Role, list[dict[str, Any]]] = {role: [] for role in Role}
    for one in identities:
        party = one.content()
        of[one.role].append(
            {k: v for k, v in party.items() if k not in ("role", "authority")}
        )
    owners, dealers = of[Role.MODEL_OWNER], of[Role.DEALER]
    if len(owners) != 1:
        raise OperatorError("FS-756", f"{len(owners)} model owners")
    if len(dealers) > 1:
        raise OperatorError("FS-756", f"{len(dealers)} dealers, there may be one")
    content = {
        "protocol": 1,
        "name": name,
        "number": 1 if before is None else before.number + 1,
        "previous": None if before is None else before.digest,
        "model_owner": owners[0],
        "aggregators": of[Role.AGGREGATOR],
        "data_owners": of[Role.DATA_OWNER],
        "clients": of[Role.CLIENT],
        "dealer": dealers[0] if dealers else None,
    }
    try:
        return Federation.model_validate(content)
    except ValidationError as error:
        raise OperatorError("FS-756", toml_file.explain(error)) from error


def authorities(identities: Iterable[Identity]) -> bytes | None:
    """Return the CA file for everybody; None when no server brings a CA.

    Raises:
        OperatorError: FS-756, only some do: then the others could not be checked.
    """
    servers = [one for one in identities if one.role in SERVERS]
    given = sorted({one.authority for one in servers if one.authority is not None})
    without = [one.name for one in servers if one.authority is None]
    if given and without:
        raise OperatorError(
            "FS-756", f"{', '.join(without)} hands over no CA certificate, others do"
        )
    return "".join(given).encode("ascii") if given else None


def _by_name(present: Mapping[str, Given], more: Iterable[Given]) -> dict[str, Given]:
    parties = dict(present)
    for identity, path in more:
        known = parties.setdefault(identity.name, (identity, path))
        if known[0] != identity:
            raise PeerError(
                "FS-747", f"{path} and {known[1]} are both of {identity.name}"
            )
    return parties


def _require_present(present: Mapping[str, Given], name: str) -> None:
    if name not in present:
        raise OperatorError("FS-757", f"{name!r}; there are {', '.join(present)}")
