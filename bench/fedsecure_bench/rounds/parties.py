"""Who is there when whole rounds are measured, each a process of its own.

The model owner and its SuperLink are this process and its child; the aggregators and
the data owners' agents are the users' own commands. Beside them four agents that
protect nothing are online there, and at another SuperLink, as Flower ships it.
"""

import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tomli_w

from fedsecure.demo.processes import Processes
from fedsecure.demo.provision import HOST, OWNER, DemoFolder, free_ports, provision
from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower.runtime import (
    Superlink,
    TlsFiles,
    node_public_bytes,
    superlink,
)
from fedsecure.owner.process import Owner, open_owner
from fedsecure.owner.settings import SuperlinkSettings, load_owner_settings
from fedsecure.protocol.node_keys import generate_node_key
from fedsecure.system.private_files import write_private
from fedsecure_bench.progress import Progress
from fedsecure_bench.rounds import idle, plain_agent
from fedsecure_bench.rounds.model import NODES
from fedsecure_bench.servers.federation import READY_SECONDS, in_memory

SITES: Final = tuple(f"site-{number}" for number in range(1, NODES + 1))
JOIN_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Present:
    """The model owner, both SuperLinks, and the keys of agents that protect nothing."""

    owner: Owner
    link: Superlink
    bare_link: Superlink
    plain_keys: Sequence[bytes]


@contextmanager
def parties(progress: Progress) -> Iterator[Present]:
    """Start everybody, and stop them at the end."""
    with ExitStack() as stack:
        root = stack.enter_context(in_memory())
        folder = _provision(root)
        processes = stack.enter_context(Processes())
        for name in folder.urls:
            _start(processes, folder, "aggregator", name)
        processes.wait_ready(folder.urls, folder.authority, READY_SECONDS)
        settings = load_owner_settings(folder.config(OWNER))
        owner = stack.enter_context(open_owner(settings, progress.stage))
        where = settings.superlink
        bare_address = f"{HOST}:{free_ports(1)[0]}"
        link = stack.enter_context(_superlink(root / "superlink", where, where.listen))
        bare_link = stack.enter_context(
            _superlink(root / "bare-superlink", where, bare_address, bare=True)
        )
        own = [
            node_public_bytes(party.flower_key)
            for party in owner.federation.data_owners
        ]
        plain = _plain_keys(root)
        link.register_nodes([*own, *plain.values()])
        bare_link.register_nodes(plain.values())
        for site in folder.sites:
            _start(processes, folder, "agent", site)
        for place, key in enumerate(plain):
            addresses = [where.listen, bare_address]
            arguments = [str(folder.authority), str(key), *addresses]
            log = root / f"plain-{place}.log"
            processes.start(log.stem, arguments, log, plain_agent.__name__)
        _wait_online(link, len(own) + len(plain), processes)
        _wait_online(bare_link, len(plain), processes)
        yield Present(owner, link, bare_link, list(plain.values()))


def _superlink(
    home: Path, settings: SuperlinkSettings, listen: str, *, bare: bool = False
) -> AbstractContextManager[Superlink]:
    home.mkdir()
    tls = TlsFiles(settings.authority, settings.certificate, settings.key)
    return superlink(listen, tls, home, home / "superlink.log", bare=bare)


def _provision(root: Path) -> DemoFolder:
    """Make a federation whose agents run the app that trains nothing."""
    data = root / "nothing.csv"
    data.write_text("nothing\n", encoding="utf-8")
    folder = provision(root / "parties", root, dict.fromkeys(SITES, data))
    for site in SITES:
        config = folder.config(site)
        content = tomllib.loads(config.read_text(encoding="utf-8"))
        content["app"] = f"{idle.__name__}:app"
        config.write_text(tomli_w.dumps(content), encoding="utf-8")
    return folder


def _start(processes: Processes, folder: DemoFolder, command: str, name: str) -> None:
    config = folder.config(name)
    log = config.parent / "log.txt"
    processes.start(name, [command, "--config", str(config)], log)


def _plain_keys(root: Path) -> dict[Path, bytes]:
    """Make the node keys of the agents that protect nothing: file > public half."""
    keys = {}
    for number in range(NODES):
        private, public = generate_node_key()
        file = root / f"plain-{number}.key"
        write_private(file, private)
        keys[file] = node_public_bytes(public)
    return keys


def _wait_online(link: Superlink, number: int, processes: Processes) -> None:
    deadline = time.monotonic() + JOIN_SECONDS
    while sum(state.online for state in link.nodes().values()) < number:
        processes.require_alive()
        if time.monotonic() > deadline:
            raise OperatorError("FS-846", f"not all of {number} agents joined")
        time.sleep(0.2)
