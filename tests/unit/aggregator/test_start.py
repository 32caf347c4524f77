import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from fedsecure.errors import PROBLEMS, OperatorError
from fedsecure.membership.accepted import Accepted, save_accepted
from fedsecure.protocol.signing_keys import save_signing_key
from fedsecure.transport.certificates import Authority
from fedsecure_aggregator.config import AggregatorSettings, load
from fedsecure_aggregator.rules.policy import Policy
from fedsecure_aggregator.storage.folder_spool import open_spool
from tests.unit.aggregator.world import World


@pytest.fixture
def settings(world: World, tmp_path: Path) -> dict[str, Any]:
    """Settings of an aggregator that would start; tests break one thing each."""
    now, day = datetime.now(UTC), timedelta(days=1)
    certified = Authority.create("test", now, day).certify(["127.0.0.1"], now, day)
    (tmp_path / "tls.pem").write_bytes(certified.certificate)
    (tmp_path / "tls.key").write_bytes(certified.key)
    (tmp_path / "federation.toml").write_text(tomli_w.dumps(world.federation_content()))
    save_signing_key(tmp_path / "key.pem", world.keys["north"])
    accepted = Accepted.of(world.federation, "north", authorities=None)
    save_accepted(tmp_path / "accepted.toml", accepted)
    return {
        "name": "north",
        "federation": "federation.toml",
        "key": "key.pem",
        "listen": "127.0.0.1:0",
        "tls": {"certificate": "tls.pem", "key": "tls.key"},
    }


def write(folder: Path, settings: dict[str, Any]) -> Path:
    path = folder / "aggregator.toml"
    path.write_text(tomli_w.dumps(settings))
    return path


def start(config: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fedsecure_aggregator", "--config", str(config)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60
    )


def test_defaults_are_paths_beside_the_file_and_the_cautious_policy(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    read = load(write(tmp_path, settings))
    assert read.data == tmp_path / "data"
    assert read.store == tmp_path / "data" / "aggregator.db"
    assert read.policy == Policy(min_cohort=3)
    assert read.author().name == "north"


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("FS-746", {"name": "south"}),
        ("FS-801", {"key": "other.pem"}),
        ("FS-803", {"policy": {"min_cohort": 1}}),
        ("FS-803", {"lissten": "127.0.0.1:0"}),
        ("FS-810", {"name": "basel"}),
        ("FS-811", {"listen": "127.0.0.1"}),
        ("FS-811", {"listen": "127.0.0.1:70000"}),
    ],
)
def test_wrong_settings_are_refused(
    settings: dict[str, Any], tmp_path: Path, code: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(OperatorError) as caught:
        _use(load(write(tmp_path, {**settings, **changes})))
    assert caught.value.code == code


def _use(settings: AggregatorSettings) -> None:
    settings.author()
    assert settings.address


@pytest.mark.parametrize(
    ("code", "breaks"),
    [
        ("FS-520", "port"),
        ("FS-521", "folder"),
        ("FS-522", "lock"),
        ("FS-527", "certificate"),
    ],
)
def test_a_start_that_cannot_be_says_why_and_what_to_do(
    settings: dict[str, Any], tmp_path: Path, code: str, breaks: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, open_spool(tmp_path / "used"):
        cases: dict[str, dict[str, Any]] = {
            "port": {"listen": f"127.0.0.1:{taken.getsockname()[1]}"},
            "folder": {"data": "key.pem/data"},
            "lock": {"data": "used"},
            "certificate": {"tls": {"certificate": "key.pem", "key": "tls.key"}},
        }
        ended = start(write(tmp_path, {**settings, **cases[breaks]}))
    assert ended.returncode == 1
    assert PROBLEMS[code].remedy in ended.stderr.replace("\n", " ")
    assert ended.stderr.startswith(code)
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_the_server_loads_neither_flower_nor_tensorflow() -> None:
    check = (
        "import sys, fedsecure_aggregator.__main__\n"
        "import fedsecure_aggregator.operations.server\n"
        "print(sorted({'flwr', 'tensorflow', 'keras'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", check], check=True, capture_output=True, text=True
    )
    assert ended.stdout == "[]\n"


CRASH = """
import sys
import fedsecure_aggregator.config
from fedsecure_aggregator.__main__ import main

def crash(path):
    key = "PRIVATE " + "KEY"
    raise RuntimeError("a fault of ours")

fedsecure_aggregator.config.load = crash
sys.argv = ["aggregator", "--config", "aggregator.toml"]
main()
"""


def test_a_traceback_shows_no_variable() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CRASH], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "RuntimeError: a fault of ours" in ended.stderr
    assert "PRIVATE KEY" not in ended.stdout + ended.stderr
