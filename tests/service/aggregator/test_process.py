import signal
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aggregator.server import STOP_SECONDS
from fedsecure import PROTOCOL_VERSION
from tests.service.aggregator.conftest import Federation
from tests.unit.aggregator.world import HOSPITALS

pytestmark = pytest.mark.service
THREE = HOSPITALS[:3]


@pytest.fixture(scope="module")
def killed(start_federation: Callable[[str], Federation]) -> Federation:
    """A federation whose processes die in these tests."""
    return start_federation("killed")


def test_a_kill_between_reports_and_opening_changes_nothing(
    killed: Federation,
) -> None:
    asked = killed.propose(dimension=300_000)
    receipts = killed.collect(asked, "basel", "bern")
    killed.north.restart(signal.SIGKILL)
    assert len(killed.north.standing(asked)["receipts"]) == 2
    receipts |= killed.collect(asked, "chur")
    killed.north.restart(signal.SIGKILL)
    killed.require_mean(asked, receipts, *THREE)


def test_a_kill_after_the_opening_gives_the_same_share(killed: Federation) -> None:
    asked = killed.propose()
    receipts = killed.collect(asked, *THREE)
    token = killed.world.opening(asked, receipts).token
    first = killed.north.open(asked, token).content
    killed.north.restart(signal.SIGKILL)
    assert killed.north.open(asked, token).content == first


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_success_and_it_starts_again(
    killed: Federation, number: signal.Signals
) -> None:
    asked = killed.propose()
    receipts = killed.collect(asked, *THREE)
    assert killed.north.stop(number) == 0
    assert killed.north.log_lines()[-1]["event"] == "stopped"
    killed.north.start()
    killed.require_mean(asked, receipts, *THREE)


def test_a_client_that_sleeps_does_not_keep_it_from_stopping(
    killed: Federation,
) -> None:
    server = killed.north
    server.http.get("/health/live")  # its connection stays open, and idle
    server.child.send_signal(signal.SIGTERM)
    assert server.child.wait(STOP_SECONDS / 2) == 0
    server.http.close()
    server.start()


def test_it_says_who_it_is_and_how_it_is(federation: Federation) -> None:
    for name, server in federation.servers.items():
        party = federation.world.federation.find(name)[1]
        said = server.http.get("/v1/identity").json()
        assert said.pop("version")
        assert said == {
            "protocol": PROTOCOL_VERSION,
            "name": name,
            "federation": federation.world.federation.digest,
            "fingerprint": party.fingerprint,
        }
        assert server.http.get("/health/live").json() == {"status": "live"}
        assert server.http.get("/health/ready").json() == {"status": "ready"}


def test_metrics_and_logs_tell_nothing_about_who_takes_part(
    federation: Federation,
) -> None:
    north, asked = federation.north, federation.propose()
    receipts = federation.collect(asked, *THREE)
    federation.require_mean(asked, receipts, *THREE)
    north.http.get("/nowhere")
    page = north.http.get("/metrics").text
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert found["fedsecure_reports_total",] >= 3
    assert found["fedsecure_rounds", "opened"] >= 1
    assert found["fedsecure_refused_total", "FS-530"] >= 1
    assert found["process_resident_memory_bytes",] > 0
    lines = (north.folder / "log").read_text()
    assert asked.digest in lines
    for told in (page, lines):
        assert not [name for name in HOSPITALS if name in told]
    assert receipts["basel"]["north"][-40:] not in lines
    assert len(north.log_lines()) == len(lines.splitlines())
