"""Each row of `fedsecure doctor` fails for a reason, and its fix makes it pass.

Real aggregators over TLS. A fix that is a command is typed as it is printed, by the
party that it names, in that party's folder.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from fedsecure import PROTOCOL_VERSION
from fedsecure.demo.provision import HOST, free_ports
from fedsecure.doctor import (
    client as client_doctor,
    dealer as dealer_doctor,
    own_machine,
    servers,
)
from fedsecure.doctor.findings import Check, Finding, State, run
from fedsecure.errors import OperatorError, PeerError
from fedsecure.frameworks.flower import doctor as owner_doctor
from fedsecure.membership.keygen import Wanted
from fedsecure.protocol.identity import Role
from fedsecure.system.toml_file import read_toml
from fedsecure_aggregator.config import load
from fedsecure_aggregator.operations import doctor as aggregator_doctor
from fedsecure_aggregator.operations.health import require_ready
from fedsecure_aggregator.storage.projection import EventKind
from fedsecure_aggregator.storage.store import open_store
from fedsecure_clients.agent import doctor as agent_doctor
from fedsecure_clients.state.storage import Storage
from fedsecure_clients.state.tables import PrivacySpentRow
from tests.e2e.federation import change_toml
from tests.unit.membership.parties import Party, World

HEART = Path(__file__).parents[3] / "studies" / "heart"
SCHEMA = HEART / "schema.toml"
BIN = Path(sys.executable).parent
DOCTORS = {
    Role.MODEL_OWNER: owner_doctor.checks,
    Role.AGGREGATOR: aggregator_doctor.checks,
    Role.DATA_OWNER: agent_doctor.checks,
    Role.CLIENT: client_doctor.checks,
    Role.DEALER: dealer_doctor.checks,
}
PATIENCE = 60.0  # seconds
NOTHING = {  # of a restore: no run is closed, no budget used up
    "runs": [],
    "studies": [],
    "without_noise": False,
    "data_owners": [],
}


@dataclass
class Federation:
    """Two running aggregators and everybody else, on loopback."""

    world: World
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Party:
        return self.world[name]

    def start(self, name: str) -> None:
        command = [BIN / "fedsecure", "aggregator", "--config", "aggregator.toml"]
        home = self[name].home
        with (home / "log.txt").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, cwd=home, stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE
        while not is_ready(self[name].config):
            assert time.monotonic() < deadline, (home / "log.txt").read_text()
            time.sleep(0.1)

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)

    def restart(self, name: str) -> None:
        self.stop(name)
        self.start(name)

    def rows(self, name: str) -> dict[str, Finding]:
        party = self[name]
        schema = SCHEMA if party.wanted.role is Role.DATA_OWNER else None
        found = run(DOCTORS[party.wanted.role](party.config, schema))
        return {one.check: one for one in found}

    def failing(self, name: str, row: str, code: str) -> str:
        """Assert that a row fails, and return its fix."""
        found = self.rows(name)[row]
        assert (found.state, found.code) == (State.FAILS, code), found
        assert found.fix
        return found.fix

    def require_ok(self, name: str, row: str) -> None:
        found = self.rows(name)[row]
        assert found.state is State.OK, found

    def type(self, name: str, command: str, answers: str = "") -> None:
        """Have a party type a command in its own folder."""
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", command],  # noqa: S607 - as a person would
            check=False,
            cwd=self[name].home,
            env={**os.environ, "PATH": path},
            input=answers,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def hand_over(self, *names: str) -> None:
        """Bring the newest version into the folders of these parties."""
        for name in names:
            target = self[name].home / "to-everybody"
            if name != "study":
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(self.world.issuer.handed_over.parent, target)


def is_ready(config: Path) -> bool:
    try:
        require_ready(load(config))
    except PeerError:
        return False
    return True


def make(root: Path) -> Federation:
    """Everybody has joined, all data fit; nothing runs yet."""
    ports = free_ports(3)
    world, tls = World(root), [HOST]
    link = f"{HOST}:{ports[2]}"
    parties = [
        Wanted(
            Role.MODEL_OWNER,
            "study",
            superlink=link,
            listen=link,
            study=str(HEART),
            tls_hosts=tls,
        ),
        *(
            Wanted(
                Role.AGGREGATOR,
                name,
                url=f"https://{HOST}:{port}",
                listen=f"{HOST}:{port}",
                tls_hosts=tls,
            )
            for name, port in zip(("north", "south"), ports[:2], strict=True)
        ),
        Wanted(Role.DATA_OWNER, "basel"),
        Wanted(Role.DATA_OWNER, "bern"),
        Wanted(Role.CLIENT, "clinic"),
        Wanted(Role.DEALER, "dealer"),
    ]
    for wanted in parties:
        world.make(wanted)
    world.issuer.start("heart", world.files(*(one.name for one in parties[1:])))
    world.hand_over(*(one.name for one in parties))
    for site in ("basel", "bern"):
        shutil.copy(HEART / "data" / "hungary.csv", world[site].home / "data.csv")
    return Federation(world)


@contextmanager
def running(root: Path) -> Iterator[Federation]:
    """The same, with both aggregators."""
    federation = make(root)
    try:
        for name in ("north", "south"):
            federation.start(name)
        yield federation
    finally:
        for name in list(federation.running):
            federation.stop(name)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """Shared: a test mends what it broke."""
    with running(tmp_path_factory.mktemp("federation")) as federation:
        yield federation


def test_nothing_fails_where_all_is_well(federation: Federation) -> None:
    for name in ("study", "north", "clinic"):
        assert {one.state for one in federation.rows(name).values()} == {State.OK}
    rest = {r: one.state for r, one in federation.rows("basel").items()}
    assert rest.pop("SuperLink reachable") is State.WAITS  # no training runs
    assert rest.pop("SuperLink TLS") is State.SKIPPED
    assert set(rest.values()) == {State.OK}
    joined = {r: one.state for r, one in federation.rows("dealer").items()}
    assert joined.pop("process") is State.WAITS  # of a later version
    assert set(joined.values()) == {State.OK}


def test_the_command_prints_a_table_and_json_and_ends_with_1(
    federation: Federation,
) -> None:
    home = federation["basel"].home
    command = [BIN / "fedsecure", "doctor", "--schema", SCHEMA]
    good = subprocess.run(
        command, check=False, cwd=home, capture_output=True, text=True
    )
    assert good.returncode == 0, good.stdout
    assert "Nothing fails." in good.stdout
    (home / "signing.pem").chmod(0o644)
    bad = subprocess.run(
        [*command, "--json"], check=False, cwd=home, capture_output=True, text=True
    )
    assert bad.returncode == 1
    (row,) = (
        r for r in json.loads(bad.stdout)["checks"] if r["check"] == "signing key"
    )
    assert row["state"] == "fails"
    assert row["code"] == "FS-744"
    assert row["fix"].startswith("chmod 600 ")


@pytest.mark.parametrize(
    ("name", "row", "file"),
    [
        ("basel", "signing key", "signing.pem"),
        ("basel", "Flower key", "flower.key"),
        ("north", "signing key", "signing.pem"),
        ("north", "TLS key", "tls.key"),
        ("study", "signing key", "signing.pem"),
        ("study", "TLS key", "tls.key"),
        ("clinic", "signing key", "signing.pem"),
        ("dealer", "signing key", "signing.pem"),
        ("north", "spool", "data"),
    ],
)
def test_private_files_that_others_can_read(
    federation: Federation, name: str, row: str, file: str
) -> None:
    path = federation[name].home / file
    path.chmod(path.stat().st_mode | 0o005)
    code = "FS-884" if row == "spool" else "FS-744"
    federation.type(name, federation.failing(name, row, code))
    federation.require_ok(name, row)


@pytest.mark.parametrize("name", ["study", "north", "basel", "clinic", "dealer"])
def test_a_federation_that_was_not_accepted(tmp_path: Path, name: str) -> None:
    federation = make(tmp_path)
    federation.world.issuer.retire(["bern"])
    federation.hand_over(name)
    home = federation[name].home
    shutil.copy(home / "to-everybody" / "federation.toml", home)
    federation.type(name, federation.failing(name, "federation", "FS-752"), "y\n")
    federation.require_ok(name, "federation")


def test_an_aggregator_with_another_version(tmp_path: Path) -> None:
    with running(tmp_path) as federation:
        require_versions_compared(federation)


def require_versions_compared(federation: Federation) -> None:
    federation.world.issuer.retire(["bern"])
    federation.hand_over("study", "north", "south", "basel")
    join = "fedsecure join to-everybody/federation.toml --yes"
    for name in ("north", "south"):
        federation.type(name, join)
        federation.restart(name)
    fix = federation.failing("basel", "north federation", "FS-705")
    federation.type("basel", fix.partition(",")[0], "y\n")
    federation.require_ok("basel", "north federation")
    federation.require_ok("basel", "south federation")


def test_a_fingerprint_in_agent_toml_that_is_another(federation: Federation) -> None:
    party = federation["basel"]
    told = {name: federation[name].identity.words for name in ("north", "south")}
    change_toml(party.config, {"aggregators": {**told, "south": told["north"]}})
    fix = federation.failing("basel", "fingerprints", "FS-821")
    assert "correct [aggregators] in agent.toml" in fix
    change_toml(party.config, {"aggregators": told})
    federation.require_ok("basel", "fingerprints")
    assert "in agent.toml" in federation.rows("basel")["fingerprints"].seen


def test_more_that_was_told_than_the_policy_allows(federation: Federation) -> None:
    party = federation["basel"]
    assert "no [policy.privacy]" in federation.rows("basel")["privacy"].seen
    before = tomllib.loads(party.config.read_text()).get("policy", {})
    change_toml(party.config, {"policy": {**before, "privacy": {"max_epsilon": 1.0}}})
    federation.require_ok("basel", "privacy")
    state = party.home / "state"
    storage = Storage(state)
    with storage.writing() as session:
        session.add(
            PrivacySpentRow(
                spec="1" * 64,
                study="2" * 64,
                unit="row",
                rho_pico=10**12,
                epsilon=8.0,
                delta=1e-5,
                state="spent",
            )
        )
    storage.close()
    assert federation.failing("basel", "privacy", "FS-431")
    assert "of your 1" in federation.rows("basel")["privacy"].seen
    shutil.rmtree(state)
    change_toml(party.config, {"policy": before})
    federation.require_ok("basel", "privacy")


@pytest.mark.parametrize("name", ["study", "bern", "clinic"])
def test_a_receiver_that_is_nobody(federation: Federation, name: str) -> None:
    config = federation[name].config
    federation.require_ok(name, "receivers")
    change_toml(config, {"policy": {"jobs": {"receivers": ["north", "stranger"]}}})
    assert "[policy.jobs]" in federation.failing(name, "receivers", "FS-741")
    change_toml(config, {"policy": {"jobs": {"receivers": ["clinic"]}}})
    federation.require_ok(name, "receivers")
    assert "clinic" in federation.rows(name)["receivers"].seen


def test_where_noise_is_asked_for_no_numbers_are_shared(federation: Federation) -> None:
    """Whatever [policy.jobs] says: jobs add none."""
    sections = {"jobs": {"receivers": ["clinic"]}, "privacy": {"max_epsilon": 1.0}}
    change_toml(federation["bern"].config, {"policy": sections})
    assert federation.rows("bern")["receivers"].seen.startswith("no numbers")


def test_a_service_for_who_is_no_client(federation: Federation) -> None:
    config = federation["study"].config
    assert federation.rows("study")["clients"].seen == "clinic"
    change_toml(config, {"serve": {"clients": ["clinic", "basel"]}})
    fix = federation.failing("study", "clients", "FS-741")
    assert fix == "correct clients in owner.toml, section [serve]"
    change_toml(config, {"serve": {"clients": ["clinic"]}})
    federation.require_ok("study", "clients")


@pytest.mark.parametrize("name", ["study", "north", "basel", "clinic"])
def test_a_disk_that_is_nearly_full(
    federation: Federation, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with monkeypatch.context() as patch:
        nearly = SimpleNamespace(free=own_machine.LEAST_FREE - 1)
        patch.setattr(own_machine.shutil, "disk_usage", lambda _: nearly)
        assert "on another disk" in federation.failing(name, "disk", "FS-881")
    federation.require_ok(name, "disk")


def test_data_that_do_not_fit(federation: Federation) -> None:
    data = federation["basel"].home / "data.csv"
    lines = data.read_text().splitlines()
    age = lines[0].split(",").index("age")
    cells = lines[1].split(",")
    broken = ",".join([*cells[:age], "forty", *cells[age + 1 :]])
    data.write_text("\n".join([lines[0], broken, *lines[2:]]))
    fix = federation.failing("basel", "data", "FS-103")
    assert "row 2" in federation.rows("basel")["data"].seen
    command = fix.partition("All of it: ")[2]
    with pytest.raises(AssertionError, match="row 2"):
        federation.type("basel", command)
    data.write_text("\n".join(lines))
    federation.type("basel", command)
    federation.require_ok("basel", "data")


def test_a_data_file_that_is_not_there(federation: Federation) -> None:
    data = federation["basel"].home / "data.csv"
    data.rename(data.with_name("moved.csv"))
    assert "Check the path" in federation.failing("basel", "data", "FS-100")
    data.with_name("moved.csv").rename(data)
    federation.require_ok("basel", "data")


def test_a_study_that_cannot_be_read(federation: Federation) -> None:
    party = federation["study"]
    change_toml(party.config, {"study": "elsewhere"})
    assert "Check the path" in federation.failing("study", "study", "FS-801")
    change_toml(party.config, {"study": str(HEART)})
    federation.require_ok("study", "study")


def test_an_aggregator_that_does_not_run(federation: Federation) -> None:
    federation.stop("north")
    for name in ("study", "basel", "clinic"):
        fix = federation.failing(name, "north reachable", "FS-551")
        assert "north types: fedsecure aggregator --config aggregator.toml;" in fix
        assert federation.rows(name)["north federation"].state is State.SKIPPED
    # South needs nobody.
    assert federation.rows("south")["north reachable"].state is State.WAITS
    assert federation.rows("north")["this server"].state is State.WAITS
    federation.start("north")
    for name in ("study", "basel"):
        federation.require_ok(name, "north reachable")
    federation.require_ok("north", "this server")


def test_a_certificate_of_another_host(federation: Federation) -> None:
    federation.type("north", "fedsecure renew-tls --host elsewhere.test")
    federation.restart("north")
    theirs = federation.failing("basel", "north TLS", "FS-882")
    assert HOST in theirs
    mine = federation.failing("north", "TLS host and CA", "FS-882")
    federation.type("north", mine)
    federation.restart("north")
    federation.require_ok("north", "TLS host and CA")
    federation.require_ok("basel", "north TLS")
    # What basel was told to have north type does the same.
    federation.type("north", "fedsecure renew-tls --host elsewhere.test")
    federation.type("north", theirs.partition("types: ")[2].partition(";")[0])
    federation.restart("north")
    federation.require_ok("basel", "north TLS")


def test_a_certificate_of_another_authority(federation: Federation) -> None:
    """North made a new CA by itself; its old one is what everybody was given."""
    home = federation["north"].home
    south = federation["south"].home
    for file in ("ca.pem", "ca.key"):
        (home / file).rename(home / f"old {file}")
    stranger = federation.world.make(federation["south"].wanted, "stranger").home
    for file in ("tls.pem", "tls.key"):
        shutil.copy(stranger / file, home / file)
    fix = federation.failing("north", "TLS host and CA", "FS-882")
    for file in ("ca.pem", "ca.key"):
        (home / f"old {file}").rename(home / file)
    federation.type("north", fix)
    federation.require_ok("north", "TLS host and CA")
    assert south.exists()


@pytest.mark.parametrize("name", ["study", "north"])
def test_a_certificate_that_ends_soon(
    federation: Federation, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    module = {"study": owner_doctor, "north": aggregator_doctor}[name]
    later = datetime.now(UTC) + timedelta(days=390)
    with monkeypatch.context() as patch:
        patch.setattr(module, "utc_now", lambda: later)
        fix = federation.failing(name, "TLS valid", "FS-883")
    federation.type(name, fix)
    with monkeypatch.context() as patch:
        patch.setattr(module, "utc_now", lambda: later - timedelta(days=30))
        federation.require_ok(name, "TLS valid")


def test_an_aggregators_certificate_that_ends_soon(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = datetime.now(UTC) + timedelta(days=390)
    with monkeypatch.context() as patch:
        patch.setattr(agent_doctor, "utc_now", lambda: later)
        fix = federation.failing("basel", "north TLS", "FS-883")
        assert federation.failing("basel", "clock", "FS-880")
    federation.type("north", fix.partition("types: ")[2].partition(";")[0])
    federation.restart("north")
    federation.require_ok("basel", "north TLS")


@pytest.mark.parametrize("seconds", [-60, 60])
def test_a_clock_that_is_off(
    federation: Federation, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    wrong = timedelta(seconds=seconds)
    for name, module in (
        ("basel", agent_doctor),
        ("study", owner_doctor),
        ("north", aggregator_doctor),
        ("clinic", client_doctor),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, "utc_now", lambda: datetime.now(UTC) + wrong)
            fix = federation.failing(name, "clock", "FS-880")
        assert fix == "timedatectl set-ntp true"
        federation.require_ok(name, "clock")  # with the clock set right


def test_a_database_of_another_version(federation: Federation) -> None:
    federation.stop("north")
    store = federation["north"].home / "data" / "aggregator.db"
    whole = store.read_bytes()
    store.write_bytes(b"not a database at all, but something else of some length" * 40)
    assert federation.failing("north", "database", "FS-525")
    store.write_bytes(whole)
    federation.require_ok("north", "database")
    federation.start("north")


def test_a_store_of_another_server(federation: Federation) -> None:
    federation.require_ok("north", "ledger")
    federation.stop("north")
    file = federation["north"].home / "data" / "aggregator.db"
    whole = file.read_bytes()
    file.unlink()
    south = load(federation["south"].config).author()
    with closing(open_store(file, south)) as theirs:
        restored = partial(theirs.append, kind=EventKind.RESTORED, body=NOTHING)
        theirs.change("begin", lambda session: restored(session, at=time.time()))
    assert "backup belongs to" in federation.failing("north", "ledger", "FS-548")
    file.write_bytes(whole)
    federation.require_ok("north", "ledger")
    federation.start("north")


@contextmanager
def in_the_way(path: Path) -> Iterator[None]:
    """Put a file where a folder must be, whatever rights this user has."""
    moved = path.with_name(f"{path.name}.moved")
    if path.exists():
        path.rename(moved)
    path.write_text("in the way")
    try:
        yield
    finally:
        path.unlink()
        if moved.exists():
            moved.rename(path)


@pytest.mark.parametrize(
    ("name", "row", "key", "code"),
    [
        ("basel", "state", "state", "FS-383"),
        ("study", "folder", "folder", "FS-606"),
        ("north", "spool", "data", "FS-521"),
        ("clinic", "queries", "queries", "FS-816"),
    ],
)
def test_a_folder_that_cannot_be_made_where_the_configuration_says(
    federation: Federation, name: str, row: str, key: str, code: str
) -> None:
    config = federation[name].config
    before = read_toml(config)[key]
    with in_the_way(config.parent / "occupied"):
        change_toml(config, {key: "occupied/inside"})
        assert federation.failing(name, row, code)
    change_toml(config, {key: before})
    federation.require_ok(name, row)


@pytest.mark.parametrize(
    ("name", "row", "file", "code"),
    [
        ("basel", "state's database", "state/agent.db", "FS-383"),
        ("study", "round store", "rounds.db", "FS-604"),
    ],
)
def test_a_store_that_is_no_database(
    federation: Federation, name: str, row: str, file: str, code: str
) -> None:
    store = federation[name].home / file
    store.parent.mkdir(exist_ok=True)
    assert federation.rows(name)[row].seen.endswith("is made at the start")
    store.write_bytes(b"not a database at all, but something else of some length" * 40)
    assert federation.failing(name, row, code)
    store.unlink()
    federation.require_ok(name, row)


def test_a_model_that_does_not_run_or_takes_not_what_the_schema_allows(
    federation: Federation, tmp_path: Path
) -> None:
    """What stands in study.toml can be read, and is not all of a study."""
    folder = tmp_path / "heart"
    shutil.copytree(HEART, folder)
    config = federation["study"].config
    change_toml(config, {"study": str(folder)})
    federation.require_ok("study", "model")
    (folder / "model.py").write_text("import nothing_of_that_name\n")
    assert "Mend model.py" in federation.failing("study", "model", "FS-841")
    federation.require_ok("study", "study")
    change_toml(config, {"study": str(HEART)})
    federation.require_ok("study", "model")


def test_an_app_that_is_not_installed(federation: Federation) -> None:
    config = federation["basel"].config
    before = read_toml(config).get("app", "fedsecure_clients.keras_app.app:app")
    change_toml(config, {"app": "hospital_app:app"})
    assert "Install its package" in federation.failing("basel", "app", "FS-822")
    change_toml(config, {"app": before})
    federation.require_ok("basel", "app")


def test_data_that_this_user_may_not_read_are_not_called_there(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a schema, too: that a name is in a folder says nothing."""
    data = federation["basel"].home / "data.csv"
    ends = agent_doctor.checks(federation["basel"].config, None)
    opened = Path.open

    def denied(path: Path, *args: Any, **more: Any) -> Any:
        if path == data:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", denied)
        found = {one.check: one for one in run(ends)}["data"]
    assert (found.state, found.code) == (State.FAILS, "FS-100")


def test_a_federation_that_does_not_say_where_the_superlink_is(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_: object) -> str:
        raise OperatorError("FS-825", "study's SuperLink")

    with monkeypatch.context() as patch:
        patch.setattr(agent_doctor, "require_superlink", nowhere)
        assert federation.failing("basel", "SuperLink address", "FS-825")
        assert federation.rows("basel")["clock"].state is State.OK  # of the others
    federation.require_ok("basel", "SuperLink address")


def test_a_check_that_meets_a_disk_error_fails_and_the_others_go_on() -> None:
    def look() -> str:
        raise OSError(5, "Input/output error", "/srv/x")

    (found,) = run([Check("disk", look)])
    assert (found.state, found.code) == (State.FAILS, "FS-801")
    assert found.seen.endswith("/srv/x: Input/output error")


def test_a_superlink_that_cannot_be_found(federation: Federation) -> None:
    party = federation["basel"]
    change_toml(party.config, {"superlink": "superlink.invalid:9092"})
    fix = federation.failing("basel", "SuperLink reachable", "FS-501")
    assert "superlink.invalid:9092" in fix
    owner = read_toml(party.federation)["model_owner"]
    change_toml(party.config, {"superlink": owner["superlink"]})
    assert federation.rows("basel")["SuperLink reachable"].state is State.WAITS


class Superlink(BaseHTTPRequestHandler):
    """Stands where a SuperLink or an aggregator would, and says what a test wants."""

    answer: Callable[[], dict[str, Any]]

    def do_GET(self) -> None:
        body = json.dumps(type(self).answer()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def serving(home: Path, port: int, answer: Callable[[], dict[str, Any]]) -> HTTPServer:
    """Answer over TLS with the files of a party."""
    handler = type("Handler", (Superlink,), {"answer": staticmethod(answer)})
    server = HTTPServer((HOST, port), handler)
    tls = SSLContext(PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(home / "tls.pem", home / "tls.key")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def impersonate() -> Iterator[Callable[..., None]]:
    started: list[HTTPServer] = []

    def start(*arguments: Any) -> None:
        started.append(serving(*arguments))

    yield start
    for server in started:
        server.shutdown()
        with closing(server.socket):
            server.server_close()


def test_the_superlinks_certificate(
    federation: Federation, impersonate: Callable[..., None]
) -> None:
    study = federation["study"]
    port = int(str(study.wanted.superlink).rpartition(":")[2])
    federation.type("study", "fedsecure renew-tls --host elsewhere.test")
    impersonate(study.home, port, dict)
    fix = federation.failing("basel", "SuperLink TLS", "FS-882")
    federation.type("study", fix.partition("types: ")[2].partition(";")[0])
    federation.require_ok("study", "TLS host and CA")


def test_an_aggregator_that_speaks_another_protocol(
    federation: Federation, impersonate: Callable[..., None]
) -> None:
    federation.stop("north")
    north = federation["north"]
    introduced = {
        "protocol": PROTOCOL_VERSION + 1,
        "version": "9.9.9",
        "name": "north",
        "federation": north.start().federation.digest,
        "fingerprint": north.identity.fingerprint,
    }
    port = int(str(north.wanted.listen).rpartition(":")[2])
    impersonate(north.home, port, lambda: introduced)
    fix = federation.failing("basel", "north protocol", "FS-555")
    assert fix.startswith("pip install fedsecure==9.9.9")
    introduced["fingerprint"] = federation["south"].identity.fingerprint
    introduced["protocol"] = PROTOCOL_VERSION
    assert federation.failing("basel", "north protocol", "FS-556")
    introduced["fingerprint"] = north.identity.fingerprint
    federation.require_ok("basel", "north protocol")


def test_every_row_of_every_party_is_made_to_fail_here(federation: Federation) -> None:
    """Rows that a test of this module names, against those that there are."""
    source = Path(__file__).read_text()
    rows = {
        row
        for name in ("study", "north", "basel", "clinic", "dealer")
        for row in federation.rows(name)
    }
    ours = {row.replace("south", "north") for row in rows} - {
        "this server",  # waits, and never fails
        "SuperLink port",
        "process",
    }
    assert {row for row in ours if f'"{row}"' not in source} == set()
    assert servers.MAX_OFFSET < 60
