"""The agent's end: one node of a SuperLink, in this process.

    join       with the node key; a key that the owner did not register is refused
    receive    one message with all its objects, or None; the caller sets the pace
    reply      push the answer; a second try sends the same message again
    leave      sign off, so that the next start is admitted at once

A stock SuperNode would next fetch the run's app bundle and start a process for
it. This one has no call that could: the bundle of a run never reaches a data
owner. Replies say nothing about how long the work took.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import Message
from flwr.app.message import remove_content_from_message
from flwr.common.serde import message_to_proto
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    DeactivateNodeRequest,
    PullMessagesRequest,
    PushMessagesRequest,
    RegisterNodeFleetRequest,
)
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
from flwr.proto.node_pb2 import Node
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_protobuf_utils import (
    make_confirm_message_received_fn_protobuf,
    make_pull_object_fn_protobuf,
    make_push_object_fn_protobuf,
)
from flwr.supercore.inflatable.inflatable_utils import (
    ObjectPushError,
    pull_and_inflate_object_from_tree,
    push_objects,
)
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from fedsecure.errors import FedsecureError, PeerError
from fedsecure.frameworks.flower.runtime.calls import (
    Caller,
    NotAdmittedError,
    Peer,
    Pulse,
    RefusedError,
    Version,
    split_address,
    trust_authorities,
)
from fedsecure.frameworks.flower.runtime.environment import (
    quiet,
    require_supported_flower,
)

log = logging.getLogger(__name__)

LEASE: Final = 30.0  # seconds without a heartbeat until a node counts as gone
BEATS_PER_LEASE: Final = 6
REPLY_TRIES: Final = 3
REPLY_PAUSE: Final = 0.2  # seconds between the first two tries, then doubled

# A message is announced before its objects have arrived, so the first look often
# comes too early; Flower's own delays of 1 to 10 s would dominate a round.
PULL_FIRST_DELAY: Final = 0.05  # seconds
PULL_LONGEST_DELAY: Final = 0.5  # seconds
PULL_PATIENCE: Final = 300.0  # seconds


class Fleet:
    """An open membership in a SuperLink; use `fleet` to get one."""

    def __init__(self, client: Any, call: Caller, node_id: int, pulse: Pulse) -> None:
        self.node_id = node_id
        self._client = client
        self._call = call
        self._ask_once = replace(call, patience=0.0)
        self._node = Node(node_id=node_id)
        self._pulse = pulse

    def receive(self) -> Message | None:
        """Ask once for a message and fetch all of it; run by the agent.

        A message comes once: one that is lost on the way, or whose agent dies over
        it, is not sent again. So a look that fails is not repeated here: whoever
        leaves and joins anew is asked again in the next round.

        Raises:
            PeerError: FS-501 the SuperLink is out of reach, FS-503 it does not know
                this agent any more (leave, and join again), FS-507 the message
                cannot be read and is lost.
            RoundStateError: FS-506, the run ended meanwhile.
        """
        self._require_known()
        response = self._ask_once(
            self._client.PullMessages, PullMessagesRequest(node=self._node)
        )
        if not response.messages_list:
            return None
        try:
            run_id = response.messages_list[0].metadata.run_id
            return self._pull(run_id, response.message_object_trees[0])
        except FedsecureError:
            raise
        except Exception as error:
            # Flower's decoder meets bytes that the owner chose: whatever it does,
            # this agent must go on.
            what = type(error).__name__
            raise PeerError("FS-507", f"{self._call.address}: {what}") from error

    def reply(self, message: Message) -> None:
        """Send a reply and all its objects; run by the agent.

        Objects are known by their content. When two nodes send an equal object at
        the same moment Flower may drop one of them: it is sent again.

        Raises:
            PeerError: FS-501 or FS-503 as in `receive`, FS-508 when no try arrived.
            RoundStateError: FS-506, the run is over and nobody waits for the reply.
        """
        self._require_known()
        for tried in range(REPLY_TRIES):
            try:
                self._push(message)
            except (ObjectPushError, RefusedError) as error:
                if tried == REPLY_TRIES - 1:
                    raise PeerError(
                        "FS-508", f"{self._call.address}: {error}"
                    ) from error
                log.info("a reply is sent again: %s", error)
                time.sleep(REPLY_PAUSE * 2**tried)
            else:
                return

    def _require_known(self) -> None:
        if self._pulse.lost:
            raise NotAdmittedError(
                "FS-503", f"{self._call.address}: node {self.node_id} was signed off"
            )

    def _pull(self, run_id: int, tree: Any) -> Message:
        pull = make_pull_object_fn_protobuf(
            self._through(self._client.PullObject), self._node, run_id
        )
        confirm = make_confirm_message_received_fn_protobuf(
            self._through(self._client.ConfirmMessageReceived), self._node, run_id
        )
        message = pull_and_inflate_object_from_tree(
            tree,
            pull,
            confirm,
            return_type=Message,
            max_time=PULL_PATIENCE,
            max_tries_per_object=None,
            initial_backoff=PULL_FIRST_DELAY,
            backoff_cap=PULL_LONGEST_DELAY,
        )
        message.metadata.__dict__["_message_id"] = tree.object_id
        return message

    def _push(self, message: Message) -> None:
        message.metadata.__dict__["_message_id"] = message.object_id
        with no_object_id_recompute():
            response = self._call(
                self._client.PushMessages,
                PushMessagesRequest(
                    node=self._node,
                    messages_list=[
                        message_to_proto(remove_content_from_message(message))
                    ],
                    message_object_trees=[get_object_tree(message)],
                    # Real work time would grow with the number of examples.
                    clientapp_runtime_list=[0.0],
                ),
            )
            push = make_push_object_fn_protobuf(
                self._through(self._client.PushObject),
                self._node,
                message.metadata.run_id,
                response.session_id,
            )
            push_objects(
                get_all_nested_objects(message),
                push,
                object_ids_to_push=set(response.objects_to_push),
            )

    def _through(self, method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda request: self._call(method, request)


@contextmanager
def fleet(
    address: str,
    root_certificates: bytes | None,
    node_key: ec.EllipticCurvePrivateKey | None,
    *,
    lease: float = LEASE,
    patience: float = 10.0,
    last_node_id: int | None = None,
) -> Iterator[Fleet]:
    """Join a SuperLink as one node and leave it at the end; run by the agent.

    Several may be open in one process, each on its own thread: replies do not need
    Flower's process-wide task identity.

    Args:
        address: `host:port` of the SuperLink; always TLS.
        root_certificates: PEM; None trusts what the system trusts.
        node_key: The key of the roster. None joins under a throw-away key, which
            only a SuperLink without node authentication admits.
        lease: Seconds (20 to 3600) without a heartbeat until this node counts as
            gone.
        patience: Seconds for which a call is tried again when nobody answers.
        last_node_id: `node_id` of this agent's last membership. If it was killed it
            is still counted online, and Flower would refuse this one until the
            lease ends: it is signed off first. Harmless when it is out of date.

    Raises:
        PeerError: FS-501 out of reach, FS-503 the key is not admitted (yet).
        OperatorError: FS-502 the certificate is not trusted, FS-509 another
            version of Flower, FS-514 no address.
    """
    quiet()
    require_supported_flower()
    split_address(address)
    key = node_key or ec.generate_private_key(ec.SECP384R1())
    peer = Peer(address, trust_authorities(root_certificates))
    call = Caller(address, patience)
    client = peer.connect(
        FleetHttpClient,
        [Version("SuperNode"), NodeAuthHttpInterceptor(key, key.public_key())],
    )
    try:
        if last_node_id is not None:
            _sign_off(client, last_node_id)
        if node_key is None:
            public = public_key_to_bytes(key.public_key())
            call(client.RegisterNode, RegisterNodeFleetRequest(public_key=public))
        node_id = _activate(client, call, key, lease)
        pulse = _pulse(client, node_id, lease)
        try:
            yield Fleet(client, call, node_id, pulse)
        finally:
            pulse.stop()
            _sign_off(client, node_id)
    finally:
        client.close()


def _activate(
    client: Any,
    call: Caller,
    key: ec.EllipticCurvePrivateKey,
    lease: float,
) -> int:
    request = ActivateNodeRequest(
        public_key=public_key_to_bytes(key.public_key()), heartbeat_interval=lease / 2
    )
    node_id: int = call(client.ActivateNode, request).node_id
    return node_id


def _pulse(client: Any, node_id: int, lease: float) -> Pulse:
    request = SendNodeHeartbeatRequest(
        node=Node(node_id=node_id), heartbeat_interval=lease / 2
    )
    pulse = Pulse(
        lambda: bool(client.SendNodeHeartbeat(request).success), lease / BEATS_PER_LEASE
    )
    pulse.start()
    return pulse


def _sign_off(client: Any, node_id: int) -> None:
    with suppress(httpx.HTTPError, ValueError):
        client.DeactivateNode(DeactivateNodeRequest(node_id=node_id))
