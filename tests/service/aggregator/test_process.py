import json
import os
import re
import signal
import time
from collections.abc import Callable
from typing import Any, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fedsecure import PROTOCOL_VERSION
from fedsecure.errors import OperatorError, PeerError
from fedsecure_aggregator.config import load
from fedsecure_aggregator.http.cached_answers import LONGEST
from fedsecure_aggregator.operations.health import require_ready
from fedsecure_aggregator.operations.server import STOP_SECONDS
from tests.organisations import ROOT
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


def test_health_says_why_a_server_is_not_ready_and_that_none_answers(
    killed: Federation,
) -> None:
    server = killed.north
    settings = load(server.folder / "aggregator.toml")
    here = settings.model_copy(update={"listen": f"127.0.0.1:{server.port}"})
    require_ready(here)
    key, away = server.folder / "key.pem", server.folder / "away.pem"
    key.rename(away)
    time.sleep(LONGEST)  # so long may a server give the answer that it found
    with pytest.raises(OperatorError, match=r"FS-801.*key\.pem"):
        require_ready(here)
    away.rename(key)
    mode = server.data.stat().st_mode
    server.data.chmod(0)
    time.sleep(LONGEST)
    try:
        if not os.access(server.data, os.W_OK):  # root may write anywhere
            with pytest.raises(PeerError, match=r"FS-52\d.*its log says more"):
                require_ready(here)
    finally:
        server.data.chmod(mode)
    server.stop()
    with pytest.raises(PeerError, match=r"FS-848.*north at 127\.0\.0\.1"):
        require_ready(here)
    server.start()


def test_it_says_who_it_is_and_how_it_is(federation: Federation) -> None:
    for name, server in federation.servers.items():
        party = federation.world.federation.find(name)[1]
        introduced = server.http.get("/v1/identity").json()
        assert introduced.pop("version")
        assert introduced == {
            "protocol": PROTOCOL_VERSION,
            "name": name,
            "federation": federation.world.federation.digest,
            "fingerprint": party.fingerprint,
        }
        assert server.http.get("/health/live").json() == {"status": "live"}
        ready = server.http.get("/health/ready").json()
        assert ready.pop("status") == "ready"
        assert {*ready.pop("done_before")} == {"deletion", "jobs", "warning"}
        assert not ready


def test_metrics_and_logs_tell_nothing_about_who_takes_part(
    federation: Federation,
) -> None:
    north, asked = federation.north, federation.propose()
    receipts = federation.collect(asked, *THREE)
    federation.require_mean(asked, receipts, *THREE)
    north.http.get("/nowhere")
    page = north.http.get("/metrics").text
    assert labels_of(page) <= {"state", "stage", "code", "le", "task", "why"}
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert found["fedsecure_reports_total",] >= 3
    assert found["fedsecure_rounds", "opened"] >= 1
    assert found["fedsecure_refused_total", "FS-530"] >= 1
    assert found["fedsecure_stage_seconds_count", "open"] >= 1
    assert found["fedsecure_sent_bytes_total",] > found["fedsecure_reports_total",]
    assert found["fedsecure_ready",] == 1
    assert found["fedsecure_disk_free_bytes",] > 0
    ends = found["fedsecure_certificate_expiry_timestamp_seconds",]
    assert 0 < ends - time.time() <= 86400  # the test's certificates live for a day
    assert any(line["event"] == "certificate ends soon" for line in north.log_lines())
    assert found["process_resident_memory_bytes",] > 0
    lines = (north.folder / "log").read_text()
    assert asked.digest in lines
    for told in (page, lines):
        assert not [name for name in HOSPITALS if name in told]
    assert receipts["basel"]["north"][-40:] not in lines
    assert len(north.log_lines()) == len(lines.splitlines())


def labels_of(page: str) -> set[str]:
    return {
        label
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        for label in sample.labels
    }


MONITORING: Final = ROOT / "docs" / "monitoring"
NAME: Final = re.compile(r"\b(?:fedsecure|process)_\w+")


def queries() -> list[str]:
    """Return every query of the board and of the alerts."""
    board = json.loads((MONITORING / "grafana.json").read_text())
    panels: list[dict[str, Any]] = board["panels"]
    variables = [one["query"] for one in board["templating"]["list"]]
    alerts = re.findall(r"expr: (.+)", (MONITORING / "alerts.yml").read_text())
    shown = [target["expr"] for panel in panels for target in panel["targets"]]
    return [*shown, *alerts, *(one for one in variables if "(" in one)]


def test_board_alerts_and_page_name_what_the_server_really_tells(
    federation: Federation,
) -> None:
    page = federation.north.http.get("/metrics").text
    served = {
        sample.name
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    } | {"fedsecure_refused_total"}  # without a sample before the first refusal
    asked = queries()
    assert len(asked) > 12
    named = {name for query in asked for name in NAME.findall(query)}
    assert named <= served
    for query in asked:
        for labels in re.findall(r"\{(.*?)\}", query):
            assert set(re.findall(r"(\w+)=", labels)) <= {
                "instance",
                "state",
                "job",
                "task",
                "why",
            }
    operating = (ROOT / "docs" / "operating.md").read_text()
    told = set(re.findall(r"^\| `(fedsecure_\w+)", operating, re.MULTILINE))
    families = {
        re.sub("_(bucket|sum|count|created)$", "", name)
        for name in served
        if name.startswith("fedsecure_")
    }
    assert told == {name for name in families if f"{name}_total" not in families}
    alerts = re.findall(r"alert: (\w+)", (MONITORING / "alerts.yml").read_text())
    assert re.findall(r"^\| `([A-Z]\w+)`", operating, re.MULTILINE) == alerts


def test_logs_of_a_server_hide_names_of_data_owners(killed: Federation) -> None:
    """A path with a name in it, as an error of the disk has one."""
    asked = killed.propose()
    receipts = killed.collect(asked, *THREE)
    spool = killed.north.data / "rounds" / asked.digest / "reports"
    killed.north.restart(signal.SIGKILL)  # what memory held is gone: it must be read
    for file in spool.iterdir():
        file.unlink()
    answer = killed.north.open(asked, killed.world.opening(asked, receipts).token)
    assert answer.json()["code"] == "FS-328"
    assert all(name in answer.json()["detail"] for name in THREE)  # to the owner alone
    lines = (killed.north.folder / "log").read_text()
    assert "report lost" in lines
    assert not [name for name in HOSPITALS if name in lines]
