"""Every byte that agents send towards the SuperLink, looked at."""

import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.proto.fleet_pb2 import PushMessagesRequest
from flwr.proto.message_pb2 import PushObjectRequest
from flwr.supercore.inflatable.inflatable_object import (
    get_object_type_from_object_content,
)

from fedsecure.demo.provision import OWNER
from fedsecure.frameworks.flower.runtime import (
    TlsFiles,
    node_public_bytes,
    owned_run,
    superlink,
)
from fedsecure.owner.settings import load_owner_settings
from fedsecure.protocol.identity import load_federation
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import Receipt
from tests.e2e.federation import Federation, federation, wait_until
from tests.e2e.leaky_app import TELLTALE

pytestmark = pytest.mark.e2e

# What an agent may ask of a SuperLink. There is no way among them to fetch a bundle.
CALLS = {
    "activate-node",
    "deactivate-node",
    "send-node-heartbeat",
    "pull-messages",
    "pull-object",
    "confirm-message-received",
    "push-messages",
    "push-object",
}


def requests(sent: list[bytearray]) -> Iterator[tuple[str, bytes]]:
    """Cut what agents sent into HTTP requests: name of the call, body."""
    for stream in sent:
        rest = bytes(stream)
        while b"\r\n\r\n" in rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            first, *lines = head.decode("ascii").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            length = int(headers.get("content-length", "0"))
            body, rest = rest[:length], rest[length:]
            if len(body) == length:  # or the agent was stopped in the middle
                yield first.split(" ")[1].rpartition("/")[2], body


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """A training whose apps tell all they know; round 2 fails at every site."""
    root = tmp_path_factory.mktemp("leaky")
    app = "tests.e2e.leaky_app:app"
    owner = {"round_seconds": 60.0, "join_seconds": 60.0}
    owner |= {"attempts": 3, "pause_seconds": 1.0}
    with federation(root, app=app, owner=owner, tapped=True) as running:
        training = running.start_training(rounds=2)
        assert training.wait(240) == 1  # round 2 is void in every attempt
        assert "FS-369" in running.output()
        yield running


def test_agents_only_ever_make_these_calls(leaky: Federation) -> None:
    assert leaky.tap is not None
    made = {name for name, _ in requests(leaky.tap.sent)}
    assert {"push-messages", "push-object", "pull-messages"} <= made <= CALLS


def test_replies_hold_two_receipts_or_nothing_and_no_run_time(
    leaky: Federation,
) -> None:
    assert leaky.tap is not None
    trusted = load_federation(leaky.folder.federation)
    receipts, errors = 0, 0
    for name, body in requests(leaky.tap.sent):
        if name == "push-messages":
            pushed = PushMessagesRequest.FromString(body)
            assert list(pushed.clientapp_runtime_list) == [0.0]
            for message in pushed.messages_list:
                if message.HasField("error"):
                    assert (message.error.code, message.error.reason) == (
                        1,
                        "not_reported",
                    )
                    errors += 1
        if name == "push-object":
            content = PushObjectRequest.FromString(body).object_content
            kind = get_object_type_from_object_content(content)
            assert kind in {"Message", "RecordDict", "ConfigRecord"}
            if kind == "ConfigRecord":
                record = ConfigRecord.inflate(content)
                assert list(record) == ["receipts"]
                for token in record["receipts"]:
                    verify(token, Receipt, trusted)
                    receipts += 1
    sites = len(leaky.folder.sites)
    assert receipts == 2 * sites  # of round 1
    assert errors >= sites  # of round 2, in as many attempts as there were


def test_no_text_and_no_weight_of_a_site_is_in_it(leaky: Federation) -> None:
    assert leaky.tap is not None
    sent = b"|".join(bytes(stream) for stream in leaky.tap.sent)
    for text in (TELLTALE, "patient", "cholesterol", "RuntimeError", "leaky_app"):
        assert text.encode() not in sent
    for path in leaky.notes.glob("*-1.npz"):
        update = np.load(path)["update"]
        for start in range(0, update.size - 8, 8):
            piece = update[start : start + 8]
            if np.any(piece):  # weights of a column that a site lacks do not move
                assert piece.tobytes() not in sent


def test_the_site_itself_can_read_where_its_app_failed(leaky: Federation) -> None:
    for site in leaky.folder.sites:
        log = (leaky.folder.root / site / "log.txt").read_text(encoding="utf-8")
        assert "RuntimeError at leaky_app.py" in log
        assert TELLTALE not in log


# The package has a function of the same name.
OWNED_RUN = sys.modules["fedsecure.frameworks.flower.runtime.owned_run"]
EVIL = """
import pathlib
from flwr.clientapp import ClientApp
pathlib.Path({marker!r}).touch()
app = ClientApp()
@app.train()
def train(message, context):
    return message
"""


def evil_bundle(marker: Path) -> bytes:
    """Return a Flower app that leaves a mark when anybody imports it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        toml = OWNED_RUN.STUB.replace(b"nothing:runs", b"evil:app")
        bundle.writestr("pyproject.toml", toml)
        bundle.writestr("evil.py", EVIL.format(marker=str(marker)))
    return buffer.getvalue()


def test_code_that_a_dishonest_owner_sends_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "evil-was-here"
    monkeypatch.setattr(OWNED_RUN, "stub_bundle", lambda: evil_bundle(marker))
    root = tmp_path / "federation"
    root.mkdir()
    with federation(root, app="tests.e2e.slow_app:app", tapped=True) as running:
        settings = load_owner_settings(running.folder.config(OWNER))
        link = settings.superlink
        tls = TlsFiles(link.authority, link.certificate, link.key)
        keys = [
            node_public_bytes(site.flower_key)
            for site in load_federation(settings.federation).data_owners
        ]
        home = tmp_path / "home"
        home.mkdir()
        with superlink(link.listen, tls, home, home / "log.txt") as opened:
            opened.register_nodes(keys)
            with owned_run(opened) as run:
                wait_until(
                    lambda: sum(one.online for one in run.nodes().values()) == 4,
                    "four agents",
                )
                model = ArrayRecord({"0": Array(np.zeros(3, np.float32))})
                content = {"arrays": model, "config": ConfigRecord({"server-round": 1})}
                replies = run.grid.send_and_receive(
                    [
                        Message(
                            RecordDict(content),
                            dst_node_id=node.node_id,
                            message_type="train",
                        )
                        for node in run.nodes().values()
                    ],
                    timeout=60.0,
                )
        assert [reply.error.reason for reply in replies] == ["not_reported"] * 4
        assert running.tap is not None
        assert {name for name, _ in requests(running.tap.sent)} <= CALLS
    assert not marker.exists()
