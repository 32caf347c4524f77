"""An agent's membership: who gets in, and what it does when something fails."""

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.proto.control_pb2 import StopRunRequest
from flwr.proto.message_pb2 import PullObjectResponse, PushObjectResponse
from flwr.supercore.control.control_http_client import ControlHttpClient

from fedsecure.errors import OperatorError, PeerError, RoundStateError
from fedsecure.frameworks.flower.runtime import fleet, owned_run
from fedsecure.frameworks.flower.runtime.calls import Pulse

pytestmark = pytest.mark.service


def test_a_superlink_out_of_reach_is_named(free_address, tls):
    address = free_address()
    key = ec.generate_private_key(ec.SECP384R1())
    with (
        pytest.raises(PeerError, match=f"{address}: .*refused") as caught,
        fleet(address, tls.ca.read_bytes(), key, patience=0.3),
    ):
        pass
    assert caught.value.code == "FS-501"


def test_a_certificate_of_another_authority_is_not_trusted(lab):
    with (
        pytest.raises(OperatorError, match=lab.address) as caught,
        fleet(lab.address, None, lab.admit(), patience=0.3),
    ):
        pass
    assert caught.value.code == "FS-502"


def test_root_certificates_that_are_none_are_refused(lab):
    with (
        pytest.raises(OperatorError) as caught,
        fleet(lab.address, b"no certificate", lab.admit()),
    ):
        pass
    assert caught.value.code == "FS-502"


def test_a_key_that_is_not_registered_is_refused(lab):
    with (
        pytest.raises(PeerError) as caught,
        lab.join(ec.generate_private_key(ec.SECP384R1())),
    ):
        pass
    assert caught.value.code == "FS-503"


def test_an_agent_without_a_key_is_refused_where_keys_are_asked_for(lab):
    with pytest.raises(PeerError) as caught, fleet(lab.address, lab.ca, None):
        pass
    assert caught.value.code == "FS-505"


@pytest.mark.parametrize("address", ["host", "host:0", "host:99999", "a b:80", ":80"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(OperatorError) as caught, fleet(address, None, None):
        pass
    assert caught.value.code == "FS-514"


def test_a_killed_agent_is_admitted_again_at_once_if_it_knows_its_node(lab):
    key = lab.admit()
    with lab.join(key) as killed:
        with pytest.raises(PeerError) as caught, lab.join(key):
            pass
        assert caught.value.code == "FS-503"
        with lab.join(key, last_node_id=killed.node_id) as restarted:
            assert restarted.node_id == killed.node_id
            assert restarted.receive() is None


def test_a_node_id_of_an_earlier_superlink_does_no_harm(lab):
    with lab.join(lab.admit(), last_node_id=12345) as member:
        assert member.receive() is None


def test_a_reply_that_got_lost_on_the_way_is_sent_again(lab, monkeypatch):
    with owned_run(lab.link) as run, lab.join(lab.admit()) as member:
        sent = run.grid.push_messages([instruction(member)])
        reply = answer(lab.wait_for(member.receive))
        push, lost = member._client.PushObject, []

        def lose_the_first(request):
            if not lost:
                lost.append(request)
                return PushObjectResponse(stored=False)
            return push(request)

        monkeypatch.setattr(member._client, "PushObject", lose_the_first)
        member.reply(reply)
        (arrived,) = lab.wait_for(lambda: run.grid.pull_messages(sent))
    assert lost
    assert arrived.content["receipt"]["x"] == 1


def test_a_reply_that_never_arrives_is_an_error(lab, monkeypatch):
    with owned_run(lab.link) as run, lab.join(lab.admit()) as member:
        run.grid.push_messages([instruction(member)])
        reply = answer(lab.wait_for(member.receive))
        monkeypatch.setattr(
            member._client, "PushObject", lambda _: PushObjectResponse(stored=False)
        )
        with pytest.raises(PeerError) as caught:
            member.reply(reply)
    assert caught.value.code == "FS-508"


def test_a_message_that_cannot_be_decoded_is_an_error_and_not_the_end(lab, monkeypatch):
    garbage = PullObjectResponse(
        object_found=True, object_available=True, object_content=b"Message 7\x00\xff"
    )
    with owned_run(lab.link) as run, lab.join(lab.admit()) as member:
        run.grid.push_messages([instruction(member)])
        monkeypatch.setattr(member._client, "PullObject", lambda _: garbage)
        with pytest.raises(PeerError) as caught:
            lab.wait_for(member.receive)
        assert caught.value.code == "FS-507"
        assert member.receive() is None


def test_a_reply_that_cannot_be_decoded_reads_as_an_error_reply(lab, monkeypatch):
    garbage = PullObjectResponse(
        object_found=True, object_available=True, object_content=b"Message 7\x00\xff"
    )
    with owned_run(lab.link) as run, lab.join(lab.admit()) as member:
        sent = run.grid.push_messages([instruction(member)])
        member.reply(answer(lab.wait_for(member.receive)))
        monkeypatch.setattr(run.grid._client, "PullObject", lambda _: garbage)
        (reply,) = run.grid.pull_messages(sent)
    assert reply.has_error()
    assert reply.metadata.reply_to_message_id == sent[0]


def test_a_reply_to_a_run_that_is_over_is_refused(lab):
    with lab.join(lab.admit()) as member:
        with owned_run(lab.link) as run:
            run.grid.push_messages([instruction(member)])
            reply = answer(lab.wait_for(member.receive))
        with pytest.raises(RoundStateError) as caught:
            member.reply(reply)
        assert caught.value.code == "FS-506"
        assert member.receive() is None


def test_a_run_that_ends_while_its_message_is_fetched_is_over(lab, monkeypatch):
    with owned_run(lab.link) as run, lab.join(lab.admit()) as member:
        run.grid.push_messages([instruction(member)])
        pull = member._client.PullMessages

        def end_the_run_after(request):
            response = pull(request)
            with lab.link.connect(ControlHttpClient) as control:
                control.StopRun(StopRunRequest(run_id=run.run_id))
            return response

        monkeypatch.setattr(member._client, "PullMessages", end_the_run_after)
        with pytest.raises(RoundStateError) as caught:
            member.receive()
    assert caught.value.code == "FS-506"


def test_a_superlink_that_vanishes_is_not_mistaken_for_a_lost_reply(lab, monkeypatch):
    def vanish(_):
        raise httpx.ConnectError("refused")

    with (
        owned_run(lab.link) as run,
        fleet(lab.address, lab.ca, lab.admit(), patience=0.2) as member,
    ):
        run.grid.push_messages([instruction(member)])
        reply = answer(lab.wait_for(member.receive))
        monkeypatch.setattr(member._client, "PushMessages", vanish)
        with pytest.raises(PeerError) as caught:
            member.reply(reply)
    assert caught.value.code == "FS-501"


def test_an_agent_whose_heartbeat_is_refused_learns_it(lab, monkeypatch):
    pulse = Pulse(lambda: False, interval=0.01)
    pulse.start()
    lab.wait_for(lambda: pulse.lost)
    with lab.join(lab.admit()) as member:
        monkeypatch.setattr(member, "_pulse", pulse)
        with pytest.raises(PeerError) as caught:
            member.receive()
    assert caught.value.code == "FS-503"


def instruction(member) -> Message:
    content = RecordDict({"config": ConfigRecord({"x": 1})})
    return Message(content, dst_node_id=member.node_id, message_type="train")


def answer(message: Message) -> Message:
    record = ConfigRecord({"x": message.content["config"]["x"]})
    return Message(RecordDict({"receipt": record}), reply_to=message)
