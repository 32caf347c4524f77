"""An owner and agents over a real SuperLink with TLS and node keys."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode
from flwr.proto.control_pb2 import ListRunsRequest, StartRunRequest, StopRunRequest
from flwr.proto.fab_pb2 import Fab
from flwr.serverapp.strategy import FedAvg
from flwr.supercore.control.control_http_client import ControlHttpClient

from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower.runtime import owned_run
from fedsecure.frameworks.flower.runtime.owned_run import stub_bundle

pytestmark = pytest.mark.service

PARAMETERS = 100_000
app = ClientApp()


@app.train()
def add_one(message: Message, _: Context) -> Message:
    """The same answer from every agent, which is when Flower may lose one."""
    weights = message.content["arrays"]["0"].numpy() + np.float32(1)
    content = RecordDict(
        {
            "arrays": ArrayRecord({"0": Array(weights)}),
            "metrics": MetricRecord({"num-examples": 1}),
        }
    )
    return Message(content, reply_to=message)


@app.query()
def receipt(message: Message, context: Context) -> Message:
    record = ConfigRecord({"run": str(context.run_id)})
    return Message(RecordDict({"receipt": record}), reply_to=message)


def test_any_strategy_trains_over_the_grid(lab, capfd):
    agents = lab.agents(app, number=2, asked=3)
    start = ArrayRecord({"0": Array(np.zeros(PARAMETERS, np.float32))})
    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=2, min_available_nodes=2)
    with owned_run(lab.link) as run:
        result = strategy.start(
            grid=run.grid, initial_arrays=start, num_rounds=3, timeout=30
        )
    for agent in agents:
        agent.finish()
    np.testing.assert_array_equal(
        result.arrays["0"].numpy(), np.full(PARAMETERS, 3, np.float32)
    )
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_replies_tell_no_work_time_and_the_bundle_is_never_fetched(lab):
    agents = lab.agents(app, number=1, asked=1)
    with owned_run(lab.link) as run:
        (here,) = run.grid.get_node_ids()
        assert here in {state.node_id for state in run.nodes().values()}
        (reply,) = run.grid.send_and_receive([query(here)], timeout=30)
        assert described(lab, run.run_id).clientapp_runtime == 0.0
    for agent in agents:
        agent.finish()
    assert reply.content["receipt"]["run"] == str(run.run_id)
    log = lab.link.log.read_text(encoding="utf-8")
    assert "/v1/control/start-run" in log
    assert "/v1/fleet/get-fab" not in log


def test_a_run_of_somebody_else_is_never_executed(lab):
    with lab.link.connect(ControlHttpClient) as control:
        other = control.StartRun(StartRunRequest(fab=Fab(content=stub_bundle()))).run_id
    with owned_run(lab.link) as run:
        assert status(lab, run.run_id).status == "running"
        assert status(lab, other).status == "starting"
        assert described(lab, other).running_at == ""
    assert status(lab, run.run_id).sub_status == "completed"


def test_a_run_whose_block_fails_ends_as_failed(lab):
    with pytest.raises(KeyboardInterrupt), owned_run(lab.link) as run:
        raise KeyboardInterrupt
    assert status(lab, run.run_id).sub_status == "failed"


def test_a_run_that_the_superlink_has_ended_is_an_error(lab):
    with owned_run(lab.link) as run:
        with lab.link.connect(ControlHttpClient) as control:
            control.StopRun(StopRunRequest(run_id=run.run_id))
        with pytest.raises(OperatorError) as caught:
            run.grid.get_node_ids()
    assert caught.value.code == "FS-513"
    assert status(lab, run.run_id).sub_status == "stopped"


def test_an_agent_that_leaves_unanswered_is_reported_at_once(lab):
    key = lab.admit()
    with owned_run(lab.link) as run:
        with lab.join(key) as member:
            sent = run.grid.push_messages([query(member.node_id)])
            lab.wait_for(member.receive)
        (reply,) = lab.wait_for(lambda: run.grid.pull_messages(sent))
    assert reply.error.code == ErrorCode.NODE_UNAVAILABLE


def test_a_late_agent_does_not_hold_up_the_round(lab):
    with owned_run(lab.link) as run, lab.join(lab.admit()) as member:
        replies = run.grid.send_and_receive([query(member.node_id)], timeout=0.5)
        unknown = run.grid.send_and_receive([query(12345)], timeout=30)
    assert replies == []
    assert unknown == []


def test_a_restarted_agent_keeps_its_id_and_shows_a_new_activation(lab):
    key = lab.admit()
    with lab.join(key) as member:
        first = lab.link.nodes()[lab.public(key)]
        assert first.online
        assert first.node_id == member.node_id
    assert not lab.link.nodes()[lab.public(key)].online
    with lab.join(key):
        second = lab.link.nodes()[lab.public(key)]
    assert second.node_id == first.node_id
    assert second.activated_at > first.activated_at > ""


def test_registering_the_roster_again_changes_nothing(lab):
    keys = [lab.public(ec.generate_private_key(ec.SECP384R1())) for _ in range(2)]
    first = lab.link.register_nodes(keys)
    assert lab.link.register_nodes(keys) == first
    assert {first[key] for key in keys} == {
        lab.link.nodes()[key].node_id for key in keys
    }
    assert not lab.link.nodes()[keys[0]].online
    assert lab.link.nodes()[keys[0]].activated_at == ""


def test_the_grid_has_the_rest_of_flowers_interface(lab):
    with owned_run(lab.link) as run:
        assert run.grid.run.run_id == run.run_id
        run.grid.set_run(run.grid.run)
        message = run.grid.create_message(RecordDict(), "train", 5, "group", ttl=9.0)
        assert run.grid.push_messages([]) == []
    assert message.metadata.run_id == run.run_id
    assert message.metadata.dst_node_id == 5


def query(node_id: int) -> Message:
    content = RecordDict({"config": ConfigRecord({"x": 1})})
    return Message(content, dst_node_id=node_id, message_type="query")


def described(lab, run_id):
    with lab.link.connect(ControlHttpClient) as control:
        return control.ListRuns(ListRunsRequest(run_id=run_id)).run_dict[run_id]


def status(lab, run_id):
    return described(lab, run_id).status
