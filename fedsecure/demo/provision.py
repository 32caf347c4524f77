"""Makes a throw-away federation: every party's folder, keys and settings.

    FOLDER/owner/           owner.toml, keys; later rounds.db and models
    FOLDER/aggregator-a/    aggregator.toml, keys; later data/ with database and spool
    FOLDER/aggregator-b/
    FOLDER/SITE/            agent.toml, keys, the site's data; later its state; the app
                            that it installed, if the study asks for another than ours
    FOLDER/clinic/          client.toml, keys: it trains nothing, and may ask for
                            predictions

Each also holds what it accepted: federation.toml and accepted.toml. It is made as
`fedsecure keygen`, `init` and `join` make it, but by one process, which no real
federation should let happen.
"""

import shutil
import socket
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import tomli_w

from fedsecure.errors import OperatorError
from fedsecure.membership import joining, keygen
from fedsecure.membership.handout import AUTHORITIES
from fedsecure.membership.identity_file import SUFFIX, Identity
from fedsecure.membership.issuing import FEDERATION, Issuer
from fedsecure.membership.keygen import Wanted
from fedsecure.membership.own_party import load_own
from fedsecure.protocol.identity import Role
from fedsecure.study.app_study import AppStudy, load_any_study
from fedsecure.study.config import STUDY_FILE, AnyStudy

MARKER: Final = ".fedsecure-demo"  # a folder without it was not made here
HOST: Final = "127.0.0.1"
OWNER: Final = "consortium"
AGGREGATORS: Final = ("aggregator-a", "aggregator-b")
CLIENT: Final = "clinic"
APP_FOLDER: Final = "app"  # of a site, where its app lies
WAITS: Final = {"round_seconds": (60.0, 2.0), "join_seconds": (100.0, 5.0)}
"""Of the model owner: so many seconds, and so many for each site."""
POLLS: Final = 16  # a second, of all sites together
TAKEN: Final = frozenset({OWNER, *AGGREGATORS, CLIENT, "owner", "state"})
"""Names that are ours, and so no site's."""


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """Where the parties of a demo live, and where they listen."""

    root: Path
    sites: tuple[str, ...]
    urls: Mapping[str, str]  # of the aggregators, by name

    @property
    def authority(self) -> Path:
        """The CA file that every party trusts, in the model owner's copy."""
        return self.root / "owner" / AUTHORITIES

    @property
    def federation(self) -> Path:
        """Who takes part, in the model owner's copy; the others' are the same."""
        return self.root / "owner" / FEDERATION

    def store(self, aggregator: str) -> Path:
        """Return an aggregator's database."""
        return self.root / aggregator / "data" / "aggregator.db"

    def identity(self, party: str) -> Path:
        """Return a party's public identity file."""
        return self.config(party).parent / f"{party}{SUFFIX}"

    def config(self, party: str) -> Path:
        """Return a party's own configuration file."""
        if party == OWNER:
            return self.root / "owner" / "owner.toml"
        if party in AGGREGATORS:
            return self.root / party / "aggregator.toml"
        if party == CLIENT:
            return self.root / party / "client.toml"
        return self.root / party / "agent.toml"


def provision(root: Path, study: Path, sites: Mapping[str, Path]) -> DemoFolder:
    """Make a federation of one model owner, two aggregators, the sites and a client.

    Args:
        root: Folder to make; an earlier demo's is replaced.
        study: The study folder; for rounds that train nothing any other folder.
        sites: For each data owner its data, a file or a folder.

    Raises:
        OperatorError: FS-870 when `root` holds something else than a demo, FS-877 for
            a site with the name of another party, FS-822 when the app that the study
            asks for does not lie in its folder.
    """
    names = tuple(sites)
    if taken := TAKEN & set(names):
        raise OperatorError("FS-877", f"{', '.join(sorted(taken))}")
    loaded = load_any_study(study) if (study / STUDY_FILE).is_file() else None
    if isinstance(loaded, AppStudy):
        loaded.require_client()
    _clear(root)
    ports = dict(zip([*AGGREGATORS, OWNER], free_ports(3), strict=True))
    urls = {name: f"https://{HOST}:{ports[name]}" for name in AGGREGATORS}
    folder = DemoFolder(root, names, urls)
    identities = _make_keys(folder, study, sites, ports)
    for name, data in sites.items():
        _copy(data, folder.config(name).parent / data.name)
    # All start at once, and share the processors of one machine.
    seconds = {key: least + len(sites) * each for key, (least, each) in WAITS.items()}
    _change(folder.config(OWNER), seconds)
    for name in AGGREGATORS:
        _change(folder.config(name), {"compute": {"enabled": True}})
    for name in names:
        home = folder.config(name).parent
        # Nobody is asked to approve the study of a demo.
        settings = {"policy": {"studies": "any"}, "poll_seconds": len(sites) / POLLS}
        _change(folder.config(name), {**settings, **_install(loaded, home)})
    fingerprints = {name: one.fingerprint for name, one in identities.items()}
    _join(folder, _issue(folder), fingerprints)
    return folder


def _install(study: AnyStudy | None, home: Path) -> Mapping[str, str]:
    """Put the app where its data owner would; return what agent.toml says of it."""
    if not isinstance(study, AppStudy):
        return {}
    _copy(study.require_client(), home / APP_FOLDER)
    return {"app": study.app.client, "app_folder": APP_FOLDER}


def free_ports(count: int) -> Sequence[int]:
    """Return TCP ports of the loopback interface that nobody uses just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def _clear(root: Path) -> None:
    if root.exists():
        if not (root / MARKER).is_file():
            raise OperatorError("FS-870", f"{root}")
        shutil.rmtree(root)
    root.mkdir(parents=True)
    (root / MARKER).touch()


def _make_keys(
    folder: DemoFolder, study: Path, sites: Mapping[str, Path], ports: Mapping[str, int]
) -> Mapping[str, Identity]:
    """Have every party make its keys, each in its own folder."""
    tls = [HOST, "localhost"]
    owner = Wanted(
        Role.MODEL_OWNER,
        OWNER,
        superlink=f"{HOST}:{ports[OWNER]}",
        listen=f"{HOST}:{ports[OWNER]}",
        study=str(study.absolute()),
        tls_hosts=tls,
    )
    servers = [
        Wanted(
            Role.AGGREGATOR,
            name,
            url=folder.urls[name],
            listen=f"{HOST}:{ports[name]}",
            tls_hosts=tls,
        )
        for name in AGGREGATORS
    ]
    holders = [
        Wanted(Role.DATA_OWNER, name, data=data.name) for name, data in sites.items()
    ]
    asking = Wanted(Role.CLIENT, CLIENT)
    now = datetime.now(UTC)
    return {
        wanted.name: keygen.make(wanted, folder.config(wanted.name).parent, now)
        for wanted in (owner, *servers, *holders, asking)
    }


def _issue(folder: DemoFolder) -> Path:
    home = folder.config(OWNER).parent
    issuer = Issuer(load_own(folder.config(OWNER))[1], home)
    others = (*AGGREGATORS, *folder.sites, CLIENT)
    issuer.start("demo", [folder.identity(name) for name in others])
    return issuer.handed_over


def _join(
    folder: DemoFolder, handed_over: Path, fingerprints: Mapping[str, str]
) -> None:
    for name in (OWNER, *AGGREGATORS, *folder.sites, CLIENT):
        role, own = load_own(folder.config(name))
        joining.accept(joining.examine(handed_over, role, own), fingerprints)


def _copy(data: Path, target: Path) -> None:
    if data.is_dir():
        shutil.copytree(data, target)
    else:
        shutil.copyfile(data, target)


def _change(config: Path, settings: Mapping[str, Any]) -> None:
    """Decide otherwise than a party that begins, which is cautious."""
    content = tomllib.loads(config.read_text(encoding="utf-8"))
    config.write_text(tomli_w.dumps({**content, **settings}), encoding="utf-8")
