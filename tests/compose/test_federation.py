"""Seven organisations in containers, and what may happen to them.

The tests are one story and run in their order: each leaves the federation running.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from fedsecure_aggregator.operations.colocation import COLOCATED
from tests.compose.federation import Containers, Models, wait_until
from tests.compose.pages import HOSPITALS, SERVICES
from tests.compose.reference import ROUNDS

pytestmark = pytest.mark.timeout(840)

A, B = "north", "south"
SLOW: Final = HOSPITALS[-1]  # looks for tasks rarely, so that rounds have a middle
REPORTS: Final = "fedsecure_reports_total"


@pytest.fixture(scope="module")
def undisturbed(everybody: Containers) -> float:
    """Train once with nothing in the way; return how many seconds that takes here."""
    begin = time.monotonic()
    training = everybody.train("--rounds", str(ROUNDS))
    assert training.wait() == 0, training.output()
    return time.monotonic() - begin


def test_containers_get_to_the_model_that_processes_get_to(
    everybody: Containers, expected: Models, undisturbed: float
) -> None:
    assert undisturbed > 0
    assert everybody.rounds(everybody.newest_run()) == expected


def test_the_second_aggregator_on_a_machine_says_that_nothing_is_secret(
    everybody: Containers,
) -> None:
    output = [COLOCATED in everybody.logs(party) for party in (A, B)]
    assert sorted(output) == [False, True]


def test_rounds_are_recorded_in_postgresql(everybody: Containers) -> None:
    query = "SELECT purpose, count(*) FROM v_round WHERE state = 'opened' GROUP BY 1"
    psql = ("psql", "--username=fedsecure", "--tuples-only", "--no-align", "--csv")
    exec_ = ("exec", "-T", "postgres-a", *psql, "--command", query)
    rows = dict(line.split(",") for line in everybody.compose(A, *exec_).split())
    assert rows == {"train": str(ROUNDS), "evaluate": "1"}
    migrated = everybody.compose(A, "logs", "--no-log-prefix", "migrate-a")
    assert "postgres-a/fedsecure: empty -> aggregator_1" in migrated
    assert "aggregator.db: empty -> aggregator_1" in everybody.compose(
        B, "logs", "--no-log-prefix", "migrate-b"
    )


def test_nobody_but_its_aggregator_reaches_a_database(everybody: Containers) -> None:
    (facts,) = inspect(everybody, A, "postgres-a")
    networks = facts["NetworkSettings"]["Networks"]
    assert list(networks) == [f"{everybody.project}-{A}_store-a"]
    address = next(iter(networks.values()))["IPAddress"]
    assert not facts["HostConfig"]["PortBindings"]
    script = (
        "import socket, sys\n"
        "for host in sys.argv[1:]:\n"
        "    try: socket.create_connection((host, 5432), timeout=3).close()\n"
        "    except OSError as error: print(type(error).__name__)\n"
        "    else: print('reached')\n"
    )
    quick = ("env", "RES_OPTIONS=timeout:1 attempts:1")  # of names that nobody knows
    tried = (*quick, "python", "-c", script, "postgres-a", address)
    assert inside(everybody, A, *tried).split() == ["reached", "reached"]
    for party in (B, HOSPITALS[0]):
        assert "reached" not in inside(everybody, party, *tried), party


def test_containers_can_do_nothing_but_their_work(everybody: Containers) -> None:
    running = [*((one, everybody.service(one)) for one in (A, B, *HOSPITALS))]
    for party, service in [*running, (A, "postgres-a")]:
        (facts,) = inspect(everybody, party, service)
        exec_ = ("exec", "-T", service)
        status = dict(
            line.split(":\t", 1)
            for line in everybody.compose(
                party, *exec_, "cat", "/proc/self/status"
            ).splitlines()
        )
        user = 999 if service == "postgres-a" else 10001
        assert status["Uid"].split() == [str(user)] * 4
        assert {int(status[kind], 16) for kind in ("CapEff", "CapBnd", "CapPrm")} == {0}
        assert status["NoNewPrivs"] == "1"
        host = facts["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["Memory"] > 0
        assert host["NanoCpus"] > 0
        assert host["PidsLimit"] > 0
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        for bindings in host["PortBindings"].values():
            assert [one["HostIp"] for one in bindings] == ["127.0.0.1"]
        written = {one["Destination"] for one in facts["Mounts"] if one["RW"]}
        assert len(written) == 1, written  # the volume


def test_a_container_sees_no_file_of_its_organisation_that_it_does_not_need(
    everybody: Containers,
) -> None:
    assert (everybody.home(A) / "ca.key").exists()
    assert set(inside(everybody, A, "ls", "-A").split()) == {
        *("aggregator.toml", "federation.toml", "accepted.toml", "authorities.pem"),
        *("tls.pem", "tls.key", "signing.pem", "database.password", "data", "state"),
        "federation-versions",
    }
    assert set(inside(everybody, HOSPITALS[0], "ls", "-A").split()) == {
        *("agent.toml", "federation.toml", "accepted.toml", "authorities.pem"),
        *("signing.pem", "flower.key", "patients.csv", "data", "state"),
        "federation-versions",
    }


def test_faults_in_the_middle_of_rounds_change_nothing(
    everybody: Containers, expected: Models, undisturbed: float
) -> None:
    """B is killed, A is cut off, everything goes down: the same model, bit by bit."""
    config = everybody.home(SLOW) / "agent.toml"
    as_before = config.read_text()
    # In place: the container sees the file, not its name. The first look comes after a
    # fifth of it, so that is how long a round has a middle.
    poll = min(60.0, 5 * max(8.0, undisturbed / 2))
    config.write_text(f"poll_seconds = {poll}\n{as_before}")
    everybody.compose(SLOW, "restart", "agent")
    before = everybody.metric(A, REPORTS)
    training = everybody.train("--rounds", str(ROUNDS))

    @contextmanager
    def middle_of(number: int) -> Iterator[None]:
        """Do something when all but one have reported; that one is held meanwhile."""
        wanted = before + number * len(HOSPITALS) - 1

        def reported() -> bool:
            assert everybody.is_under_way(training), training.output()
            return everybody.metric(A, REPORTS) >= wanted

        wait_until(reported, training.output)
        everybody.compose(SLOW, "pause", "agent")
        assert everybody.metric(A, REPORTS) == wanted
        assert everybody.is_under_way(training)
        yield
        everybody.compose(SLOW, "unpause", "agent")

    with middle_of(1):
        everybody.kill(B)
    everybody.type_page(B, "start")

    with middle_of(2):
        everybody.unplug(A)
    wait_until(lambda: told_of(everybody, SLOW, A), lambda: everybody.logs(SLOW))
    doctor = everybody.try_compose(SLOW, "exec", "-T", "agent", "fedsecure", "doctor")
    everybody.plug_in(A)
    assert doctor.returncode == 1
    assert "FS-551" in doctor.stdout
    assert f"{A}.example:8443" in doctor.stdout

    with middle_of(3):
        config.write_text(as_before)
    everybody.everybody_down()
    everybody.everybody_up()
    run = everybody.newest_run()
    resumed = everybody.train("--resume", run)
    assert resumed.wait() == 0, resumed.output()
    assert everybody.rounds(run) == expected


def test_a_backup_is_restored_in_containers(everybody: Containers) -> None:
    for party in (A, B):
        everybody.type_operating(party, "backup")
        assert (everybody.home(party) / "monday.db").stat().st_size > 0
    everybody.type_operating(B, "restore")
    everybody.type_page("study", "look")
    assert everybody.metric(B, "fedsecure_ready") == 1
    events = [line["event"] for line in everybody.log_lines(B)]
    assert any("restored" in event for event in events), events


def test_a_server_that_is_told_to_stop_ends_in_good_order(
    everybody: Containers,
) -> None:
    everybody.compose(A, "stop", SERVICES[A])
    (facts,) = inspect(everybody, A, SERVICES[A])
    assert facts["State"]["ExitCode"] == 0
    assert everybody.log_lines(A)[-1]["event"] == "stopped"


def told_of(everybody: Containers, party: str, other: str) -> bool:
    """Tell whether an agent's log says clearly that it cannot reach an aggregator."""
    return any(
        "FS-551" in line and f"{other} at https://{other}.example:8443" in line
        for line in everybody.logs(party).splitlines()
    )


def inspect(everybody: Containers, party: str, service: str) -> list[Any]:
    found: list[Any] = json.loads(
        everybody.engine.docker("inspect", everybody.container(party, service))
    )
    return found


def inside(everybody: Containers, party: str, *command: str) -> str:
    return everybody.compose(party, "exec", "-T", everybody.service(party), *command)
