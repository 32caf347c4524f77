"""Organisations with a folder each; files go from one to another by hand."""

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fedsecure.membership import joining, keygen
from fedsecure.membership.accepted import Accepted, Membership, open_membership
from fedsecure.membership.identity_file import SUFFIX, Identity
from fedsecure.membership.issuing import Issuer
from fedsecure.membership.keygen import Wanted
from fedsecure.membership.own_party import FILES, load_own
from fedsecure.protocol.identity import Role

NOW = datetime.now(UTC)
STUDY = Wanted(
    Role.MODEL_OWNER, "study", superlink="study.test:9092", tls_hosts=["study.test"]
)
NORTH, SOUTH = (
    Wanted(
        Role.AGGREGATOR, name, url=f"https://{name}.test:8443", tls_hosts=[f"{name}.t"]
    )
    for name in ("north", "south")
)
BASEL, BERN, CHUR = (
    Wanted(Role.DATA_OWNER, name) for name in ("basel", "bern", "chur")
)
CLINIC, DEALER = Wanted(Role.CLIENT, "clinic"), Wanted(Role.DEALER, "dealer")
EVERYBODY = (STUDY, NORTH, SOUTH, BASEL, BERN, CLINIC, DEALER)


@dataclass
class Party:
    """One party's folder."""

    wanted: Wanted
    home: Path
    identity: Identity = field(init=False)

    def __post_init__(self) -> None:
        self.identity = keygen.make(self.wanted, self.home, NOW)

    @property
    def config(self) -> Path:
        return self.home / FILES[self.wanted.role]

    @property
    def identity_file(self) -> Path:
        return self.home / f"{self.wanted.name}{SUFFIX}"

    @property
    def federation(self) -> Path:
        return self.home / "federation.toml"

    def receive(self, handed_over: Path) -> Path:
        """Get a copy of what the model owner handed over."""
        inbox = self.home / "inbox"
        shutil.rmtree(inbox, ignore_errors=True)
        shutil.copytree(handed_over.parent, inbox)
        return inbox / handed_over.name

    def join(self, federation: Path, told: dict[str, str]) -> Accepted:
        role, own = load_own(self.config)
        return joining.accept(joining.examine(federation, role, own), told)

    def start(self) -> Membership:
        return open_membership(load_own(self.config)[1])


@dataclass
class World:
    """Everybody, and the words that each would read out."""

    root: Path
    parties: dict[str, Party] = field(default_factory=dict)

    def make(self, wanted: Wanted, folder: str | None = None) -> Party:
        name = folder or wanted.name
        self.parties[name] = Party(wanted, self.root / name)
        return self.parties[name]

    def __getitem__(self, name: str) -> Party:
        return self.parties[name]

    @property
    def issuer(self) -> Issuer:
        home = self["study"].home
        return Issuer(load_own(self["study"].config)[1], home)

    @property
    def told(self) -> dict[str, str]:
        return {name: one.identity.fingerprint for name, one in self.parties.items()}

    def files(self, *names: str) -> list[Path]:
        return [self[name].identity_file for name in names]

    def hand_over(self, *names: str) -> None:
        """Have these parties take the newest version."""
        for name in names:
            party = self[name]
            party.join(party.receive(self.issuer.handed_over), self.told)
