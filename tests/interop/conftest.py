"""Two aggregators as their organisations run them: our commands, and nothing of ours.

Everybody else is the independent client, which makes the federation file by the page.
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.interop.parties import (
    DataOwner,
    Federation,
    ModelOwner,
    Server,
    federation_digest,
)
from tests.interop.statements import (
    Signer,
    base64url,
    canonical,
    fingerprint,
    sha256,
    verify,
)

SERVERS = ("north", "south")
HOSPITALS = ("basel", "bern", "chur", "genf")
PATIENCE = 120.0  # seconds


@dataclass(frozen=True)
class World:
    owner: ModelOwner
    hospitals: dict[str, DataOwner]
    federation: Federation
    tls: ssl.SSLContext


def run(*command: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fedsecure", *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def make_server(root: Path, name: str, port: int) -> dict[str, Any]:
    """An aggregator's operator makes keys; what its identity file says, checked."""
    folder = root / name
    folder.mkdir(mode=0o700)
    run(
        *("keygen", "aggregator", "--name", name, "--tls-host", "127.0.0.1"),
        *("--url", f"https://127.0.0.1:{port}", "--listen", f"127.0.0.1:{port}"),
        folder=folder,
    )
    introduced = tomllib.loads((folder / f"{name}.identity.toml").read_text("utf-8"))
    signature = introduced.pop("signature")
    head, between, end = signature.split(".")
    assert between == ""
    token = f"{head}.{base64url(canonical(introduced))}.{end}"
    assert verify(token, "identity", name, introduced["key"]) == introduced
    assert introduced["role"] == "aggregator"
    return introduced


def hand_out(root: Path, owner: Signer, parties: list[Signer]) -> dict[str, Any]:
    """Make the federation, sign it, and hand it to both aggregators."""
    servers = [make_server(root, name, free_port()) for name in SERVERS]
    content: dict[str, Any] = {
        "protocol": 1,
        "name": "interop",
        "model_owner": {"name": owner.name, "key": owner.public},
        "aggregators": [
            {key: one[key] for key in ("name", "key", "url")} for one in servers
        ],
        "data_owners": [
            {"name": one.name, "key": one.public, "flower_key": flower_key()}
            for one in parties
        ],
    }
    authorities = "".join(sorted({one["authority"] for one in servers}))
    folder = root / "to-everybody"
    folder.mkdir()
    (folder / "federation.toml").write_text(toml(content), "utf-8")
    (folder / "authorities.pem").write_text(authorities, "utf-8")
    issue = {
        "federation": federation_digest(content),
        "number": 1,
        "authorities": sha256(authorities.encode()),
    }
    (folder / "federation.jws").write_text(owner.sign("federation-issue", issue))
    told = {one["name"]: fingerprint(one["key"]) for one in servers}
    told[owner.name] = fingerprint(owner.public)
    for name in SERVERS:
        others = [f"{one}={told[one]}" for one in told if one != name]
        options = [part for one in others for part in ("--fingerprint", one)]
        run(
            *("join", "--yes", *options, "../to-everybody/federation.toml"),
            folder=root / name,
        )
    return content


def flower_key() -> str:
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")


def toml(content: dict[str, Any]) -> str:
    """There are strings, numbers and tables; TOML writes strings as JSON does."""
    lines = [
        f"{key} = {json.dumps(value)}"
        for key, value in content.items()
        if not isinstance(value, dict | list)
    ]
    for key, value in content.items():
        tables = value if isinstance(value, list) else [value]
        mark = f"[[{key}]]" if isinstance(value, list) else f"[{key}]"
        for table in tables:
            if isinstance(table, dict):
                lines += [
                    "",
                    mark,
                    *(f"{k} = {json.dumps(v)}" for k, v in table.items()),
                ]
    return "\n".join(lines) + "\n"


def serve(root: Path, name: str, stack: ExitStack) -> None:
    log = stack.enter_context((root / f"{name}.log").open("wb"))
    process = subprocess.Popen(
        [sys.executable, "-m", "fedsecure", "aggregator"],
        cwd=root / name,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    stack.callback(stop, process)
    end = time.monotonic() + PATIENCE
    while b'"listening"' not in (root / f"{name}.log").read_bytes():
        assert process.poll() is None, (root / f"{name}.log").read_text()
        assert time.monotonic() < end
        time.sleep(0.1)


def stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(60)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("interop")
    owner, hospitals = Signer.new("study"), [Signer.new(name) for name in HOSPITALS]
    content = hand_out(root, owner, hospitals)
    with ExitStack() as stack:
        for name in SERVERS:
            serve(root, name, stack)
        tls = ssl.create_default_context(
            cafile=str(root / "to-everybody" / "authorities.pem")
        )
        servers = [
            Server(
                party["name"],
                party["key"],
                stack.enter_context(
                    httpx.Client(base_url=party["url"], verify=tls, timeout=60)
                ),
            )
            for party in content["aggregators"]
        ]
        first, second = sorted(servers, key=lambda one: one.name)
        federation = Federation(federation_digest(content), owner.name, (first, second))
        yield World(
            ModelOwner(owner, federation),
            {one.name: DataOwner(one, federation) for one in hospitals},
            federation,
            tls,
        )
