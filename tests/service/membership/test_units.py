"""The systemd units: what they take away, and that the programs live without it."""

import json
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fedsecure.errors import OperatorError
from fedsecure.system.systemd import (
    HIDDEN,
    Service,
    quoted,
    require_startable,
    require_user,
    unit_text,
    unquoted,
)
from fedsecure.terminal.install_service import Program, install
from fedsecure_aggregator.operations.cli import app as aggregator_app
from fedsecure_clients.cli.agent import app as agent_app
from tests.service.membership.test_doctor import Federation, is_ready, make
from tests.unit.membership.parties import Party

ANALYZE = shutil.which("systemd-analyze")
ORDINARY = next(one.pw_name for one in pwd.getpwall() if one.pw_uid > 0)
# Refuses memory that is both written and run, as MemoryDenyWriteExecute does.
DENY_WRITE_EXECUTE = """
import ctypes, runpy
assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0
runpy.run_module("fedsecure_aggregator", run_name="__main__")
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


def test_installing_refuses_files_that_the_unit_would_not_see(
    federation: Federation, tmp_path: Path
) -> None:
    """These lie below /tmp, which every unit has for itself."""
    party = federation["north"]
    folder = tmp_path / "units"
    arguments = ["--config", str(party.config), "--folder", str(folder)]
    ended = CliRunner().invoke(
        aggregator_app, ["install-service", *arguments, "--user", ORDINARY]
    )
    assert isinstance(ended.exception, OperatorError)
    assert ended.exception.code == "FS-829"
    hides = f"{party.config} is below /tmp, which the unit's PrivateTmp hides"
    assert hides in ended.exception.detail
    assert not folder.exists()


SYSTEM = Program(Path("/opt/fedsecure/bin/fedsecure"), [Path("/usr/bin/python3")])


def service_at(home: str, **changes: Any) -> Service:
    folder = Path(home)
    north = Service(
        kind="aggregator",
        name="north",
        user=ORDINARY,
        config=folder / "aggregator.toml",
        read=[folder / "signing.pem"],
        written=[folder / "data"],
        memory="1G",
        tasks=128,
        executable_memory=False,
    )
    return replace(north, **changes)


def test_installing_writes_the_unit_and_says_what_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = service_at("/srv/the north", written=[Path("/var/lib/north")])
    install(service, tmp_path, False, print, SYSTEM)
    (unit,) = tmp_path.iterdir()
    assert unit.name == "fedsecure-aggregator-north.service"
    assert unit.read_text() == unit_text(service, SYSTEM.command)
    assert parsed(unit.read_text())["ProtectHome"] == ["yes"]
    output = capsys.readouterr().out
    assert "systemctl enable --now fedsecure-aggregator-north.service" in output
    assert f"chown -R {ORDINARY}: '/srv/the north'" in output
    assert f"chown -R {ORDINARY}: /var/lib/north" in output


@pytest.mark.parametrize(
    ("changes", "program", "why"),
    [
        (
            {},
            Program(Path("/home/ada/fedsecure-venv/bin/fedsecure"), SYSTEM.code),
            "/home/ada/fedsecure-venv/bin/fedsecure is below /home, .*ProtectHome",
        ),
        (
            {},
            Program(SYSTEM.command, [Path("/root/.pyenv/versions/3.11/bin/python3")]),
            "/root/.pyenv/.*python3 is below /root, .*ProtectHome",
        ),
        (
            {"config": Path("/home/ada/federation/aggregator.toml")},
            SYSTEM,
            "/home/ada/federation/aggregator.toml is below /home",
        ),
        (
            {"read": [Path("/home/ada/patients.csv")]},
            SYSTEM,
            "/home/ada/patients.csv is below /home",
        ),
        ({"written": [Path("/dev/shm/data")]}, SYSTEM, "/dev, .*PrivateDevices"),  # noqa: S108
    ],
)
def test_what_the_unit_would_not_see_is_named_before_it_is_written(
    tmp_path: Path, changes: dict[str, Any], program: Program, why: str
) -> None:
    with pytest.raises(OperatorError, match=f"FS-829.*{why}"):
        install(service_at("/srv/north", **changes), tmp_path, False, print, program)
    assert list(tmp_path.iterdir()) == []


def test_a_link_into_a_home_is_followed(tmp_path: Path) -> None:
    home = Path.home()
    hiding = [
        hiding_by for root, hiding_by in HIDDEN.items() if home.is_relative_to(root)
    ]
    if not hiding:
        pytest.skip("this user's home is nowhere that a unit hides")
    link = tmp_path / "venv"
    link.symlink_to(home)
    with pytest.raises(OperatorError, match=f"FS-829.*{hiding[0]}"):
        require_startable(service_at("/srv/north"), link / "bin" / "fedsecure", [])


def test_a_folder_that_the_user_may_not_pass_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedsecure.system.systemd.HIDDEN", {})
    closed = tmp_path / "opt"
    closed.mkdir(mode=0o700)
    if closed.stat().st_uid == pwd.getpwnam(ORDINARY).pw_uid:
        pytest.skip("the folder is this user's own")
    program = Program(closed / "bin" / "fedsecure", [])
    with pytest.raises(OperatorError) as caught:
        require_startable(service_at("/srv/north"), program.command, [])
    assert f"{ORDINARY} cannot pass {closed}, mode 0700" in caught.value.detail


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
