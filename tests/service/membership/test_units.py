"""The systemd units: what they take away, and that the programs live without it."""

import json
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aggregator.cli import app as aggregator_app
from clients.cli import app as agent_app
from fedsecure.errors import OperatorError
from fedsecure.services import quoted, require_user, unquoted
from tests.service.membership.test_doctor import Federation, is_ready, make
from tests.unit.membership.parties import Party

ANALYZE = shutil.which("systemd-analyze")
ORDINARY = next(one.pw_name for one in pwd.getpwall() if one.pw_uid > 0)
# Refuses memory that is both written and run, as MemoryDenyWriteExecute does.
DENY_WRITE_EXECUTE = """
import ctypes, runpy
assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0
runpy.run_module("aggregator", run_name="__main__")
"""

Unit = dict[str, list[str]]


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    return make(tmp_path / "with a space")


def printed(party: Party, *options: str) -> str:
    app = aggregator_app if party.config.name == "aggregator.toml" else agent_app
    arguments = ["install-service", "--config", str(party.config), "--print", *options]
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def parsed(text: str) -> Unit:
    unit: Unit = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        unit.setdefault(key, []).append(value)
    return unit


@pytest.mark.parametrize("name", ["north", "basel"])
def test_a_service_has_no_rights_and_writes_one_folder(
    federation: Federation, name: str
) -> None:
    party = federation[name]
    unit = parsed(printed(party, "--user", ORDINARY))
    written = {"north": "data", "basel": "state"}[name]
    assert unit["ReadWritePaths"] == [f'"{party.home / written}"']
    assert unit["User"] == [ORDINARY]
    assert f'"{party.home / "signing.pem"}"' in unit["ReadOnlyPaths"]
    expected = {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "CapabilityBoundingSet": "",
        "LimitCORE": "0",
        "MemorySwapMax": "0",
        "Restart": "on-failure",
    }
    assert {key: unit[key][-1] for key in expected} == expected
    kind = {"north": "aggregator", "basel": "agent"}[name]
    assert unit["ExecStart"][0].endswith(f' {kind} --config "{party.config}"')


def test_an_agents_data_are_read_only(federation: Federation) -> None:
    party = federation["basel"]
    unit = parsed(printed(party))
    assert f'"{party.home / "data.csv"}"' in unit["ReadOnlyPaths"]


@pytest.mark.parametrize("name", ["north", "basel"])
def test_systemd_takes_the_unit_and_finds_little_left(
    federation: Federation, name: str
) -> None:
    if ANALYZE is None:
        pytest.skip("systemd-analyze is not installed: the units were not verified")
    path = federation[name].home.parent.parent / f"fedsecure-{name}.service"
    path.write_text(printed(federation[name], "--user", ORDINARY))
    verified = subprocess.run(
        [ANALYZE, "verify", str(path)], check=False, capture_output=True, text=True
    )
    assert verified.returncode == 0, verified.stderr
    complaints = [line for line in verified.stderr.splitlines() if path.name in line]
    assert complaints == []
    rated = subprocess.run(
        [ANALYZE, "security", "--offline=yes", "--threshold=25", str(path)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert rated.returncode == 0, rated.stdout


def test_an_aggregator_lives_without_executable_memory(federation: Federation) -> None:
    party = federation["north"]
    assert parsed(printed(party))["MemoryDenyWriteExecute"] == ["yes"]
    # TensorFlow compiles code while it runs.
    assert parsed(printed(federation["basel"]))["MemoryDenyWriteExecute"] == ["no"]
    command = [sys.executable, "-c", DENY_WRITE_EXECUTE, "--config", str(party.config)]
    with (party.home / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not is_ready(party.config):
            assert process.poll() is None, (party.home / "log.txt").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    lines = (party.home / "log.txt").read_text().splitlines()
    assert json.loads(lines[-1])["event"] == "stopped"


def test_installing_writes_the_unit_and_says_what_to_type(
    federation: Federation, tmp_path: Path
) -> None:
    party = federation["north"]
    folder = tmp_path / "units"
    arguments = ["--config", str(party.config), "--folder", str(folder)]
    ended = CliRunner().invoke(
        aggregator_app, ["install-service", *arguments, "--user", ORDINARY]
    )
    assert ended.exit_code == 0, ended.output
    (unit,) = folder.iterdir()
    assert unit.name == "fedsecure-aggregator-north.service"
    assert unit.read_text() == printed(party, "--user", ORDINARY)
    assert "systemctl enable --now fedsecure-aggregator-north.service" in ended.stdout
    assert f"chown -R {ORDINARY}: '{party.home}'" in ended.stdout


def test_root_and_strangers_run_no_service() -> None:
    with pytest.raises(OperatorError, match=r"FS-817.*is root"):
        require_user("root")
    with pytest.raises(OperatorError, match=r"FS-817.*no user"):
        require_user("nobody-of-this-name")
    require_user(ORDINARY)


@pytest.mark.parametrize("path", ["/a\nb", '/a"b', "/a'b", "/a\\b", "/a\x1bb"])
def test_a_path_that_would_end_its_setting_is_refused(path: str) -> None:
    with pytest.raises(OperatorError, match="FS-818"):
        quoted(Path(path))


def test_specifiers_and_variables_in_a_path_mean_themselves() -> None:
    assert quoted(Path("/a b/%h/$x")) == '"/a b/%%h/$$x"'
    assert unquoted(Path("/a b/%h")) == "/a b/%%h"
