"""Makes a throw-away federation: every party's folder, keys and settings.

    FOLDER/federation.toml, ca.pem
    FOLDER/owner/           owner.toml, keys; later rounds.db and models
    FOLDER/aggregator-a/    aggregator.toml, keys; later aggregator.db and the spool
    FOLDER/aggregator-b/
    FOLDER/SITE/            agent.toml, keys, the site's data; later its state

One process makes everybody's keys here, which no real federation should let happen.
"""

import shutil
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import tomli_w
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedsecure.certificates import Authority
from fedsecure.encodings import from_base64url
from fedsecure.errors import OperatorError
from fedsecure.identity import (
    fingerprint,
    public_key_text,
    save_signing_key,
    write_private,
)

MARKER: Final = ".fedsecure-demo"  # a folder without it was not made here
HOST: Final = "127.0.0.1"
LIFETIME: Final = timedelta(days=30)
OWNER: Final = "consortium"
AGGREGATORS: Final = ("aggregator-a", "aggregator-b")
TAKEN: Final = frozenset({OWNER, *AGGREGATORS, "owner", "state"})  # names of ours


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """Where the parties of a demo live, and where they listen."""

    root: Path
    sites: tuple[str, ...]
    urls: Mapping[str, str]  # of the aggregators, by name

    @property
    def authority(self) -> Path:
        """The CA file that every party trusts."""
        return self.root / "ca.pem"

    def config(self, party: str) -> Path:
        """Return a party's own configuration file."""
        if party == OWNER:
            return self.root / "owner" / "owner.toml"
        if party in AGGREGATORS:
            return self.root / party / "aggregator.toml"
        return self.root / party / "agent.toml"


def provision(root: Path, study: Path, sites: Mapping[str, Path]) -> DemoFolder:
    """Make a federation of one model owner, two aggregators and the sites.

    Args:
        root: Folder to make; an earlier demo's is replaced.
        study: The study folder.
        sites: For each data owner its data, a file or a folder.

    Raises:
        OperatorError: FS-870 when `root` holds something else than a demo, FS-877 for
            a site with the name of another party.
    """
    names = tuple(sites)
    if taken := TAKEN & set(names):
        raise OperatorError("FS-877", f"{', '.join(sorted(taken))}")
    _clear(root)
    ports = dict(zip([*AGGREGATORS, OWNER], free_ports(3), strict=True))
    urls = {name: f"https://{HOST}:{ports[name]}" for name in AGGREGATORS}
    folder = DemoFolder(root, names, urls)
    _certify(folder)
    keys = {name: _signing_key(folder, name) for name in (OWNER, *AGGREGATORS, *names)}
    flower_keys = {name: _flower_key(folder, name) for name in names}
    _write_federation(folder, keys, flower_keys)
    superlink = f"{HOST}:{ports[OWNER]}"
    _write(folder.config(OWNER), _owner(study, superlink))
    for name in AGGREGATORS:
        _write(folder.config(name), _aggregator(name, f"{HOST}:{ports[name]}"))
    prints = {name: fingerprint(from_base64url(keys[name])) for name in AGGREGATORS}
    for name, data in sites.items():
        _copy(data, folder.config(name).parent / data.name)
        _write(folder.config(name), _agent(name, data.name, superlink, prints))
    return folder


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


def _certify(folder: DemoFolder) -> None:
    now = datetime.now(UTC)
    authority = Authority.create("fedsecure demo", now, LIFETIME)
    folder.authority.write_bytes(authority.pem)
    for name in (OWNER, *AGGREGATORS):
        home = folder.config(name).parent
        home.mkdir(mode=0o700)
        certified = authority.certify([HOST, "localhost"], now, LIFETIME)
        (home / "tls.pem").write_bytes(certified.certificate)
        write_private(home / "tls.key", certified.key)


def _signing_key(folder: DemoFolder, name: str) -> str:
    key = Ed25519PrivateKey.generate()
    save_signing_key(folder.config(name).parent / "signing.pem", key)
    return public_key_text(key)


def _flower_key(folder: DemoFolder, name: str) -> str:
    # Flower takes a second to import, which nobody else here needs.
    from fedsecure.flower.runtime import generate_node_key  # noqa: PLC0415

    private, public = generate_node_key()
    write_private(folder.config(name).parent / "flower.key", private)
    return public


def _write_federation(
    folder: DemoFolder, keys: Mapping[str, str], flower_keys: Mapping[str, str]
) -> None:
    content = {
        "protocol": 1,
        "name": "demo",
        "model_owner": {"name": OWNER, "key": keys[OWNER]},
        "aggregators": [
            {"name": name, "key": keys[name], "url": url}
            for name, url in folder.urls.items()
        ],
        "data_owners": [
            {"name": name, "key": keys[name], "flower_key": flower_keys[name]}
            for name in folder.sites
        ],
    }
    _write(folder.root / "federation.toml", content)


def _copy(data: Path, target: Path) -> None:
    if data.is_dir():
        shutil.copytree(data, target)
    else:
        shutil.copyfile(data, target)


def _owner(study: Path, superlink: str) -> dict[str, Any]:
    return {
        "name": OWNER,
        "federation": "../federation.toml",
        "key": "signing.pem",
        "authorities": "../ca.pem",
        "study": str(study.absolute()),
        "folder": ".",
        "round_seconds": 60.0,
        "join_seconds": 120.0,
        "superlink": {
            "listen": superlink,
            "authority": "../ca.pem",
            "certificate": "tls.pem",
            "key": "tls.key",
        },
    }


def _aggregator(name: str, listen: str) -> dict[str, Any]:
    return {
        "name": name,
        "federation": "../federation.toml",
        "key": "signing.pem",
        "listen": listen,
        "data": ".",
        "tls": {"certificate": "tls.pem", "key": "tls.key"},
    }


def _agent(
    name: str, data: str, superlink: str, prints: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "name": name,
        "federation": "../federation.toml",
        "key": "signing.pem",
        "flower_key": "flower.key",
        "superlink": superlink,
        "authorities": "../ca.pem",
        "data": data,
        "state": "state",
        "aggregators": dict(prints),
        # Nobody is asked to approve the study of a demo.
        "policy": {"studies": "any"},
    }


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(tomli_w.dumps(content), encoding="utf-8")
