"""Flower's `Grid` over a SuperLink: instructions out, replies in, at our pace.

Flower's own grid asks for replies every 3 s, and waits a second or more for each
object that is announced but not there yet. This one asks more often (`Backoff`).
"""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from flwr.app import Message, RecordDict
from flwr.app.error import Error
from flwr.app.message import make_message, remove_content_from_message
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest
from flwr.proto.node_pb2 import Node
from flwr.proto.runtime_pb2 import (
    GetNodesRequest,
    PullAppMessagesRequest,
    PushAppMessagesRequest,
)
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_protobuf_utils import (
    make_pull_object_fn_protobuf,
    make_push_object_fn_protobuf,
)
from flwr.supercore.inflatable.inflatable_utils import (
    inflate_object_from_contents,
    pull_objects,
    push_objects,
)

from fedsecure.errors import FedsecureError
from fedsecure.frameworks.flower.runtime.polling import Backoff

log = logging.getLogger(__name__)

FIRST_LOOK: Final = 2.0  # seconds until `enough` is asked; then doubled
POLL: Final = 0.25  # seconds between two looks for replies, at most
PULL_FIRST_DELAY: Final = 0.05  # seconds until an announced object is asked for again
PULL_LONGEST_DELAY: Final = 0.5  # seconds
PULL_PATIENCE: Final = 300.0  # seconds


class PollingGrid(Grid):  # type: ignore[misc]  # Flower is not typed for us
    """The grid of one run of this process; any Flower strategy can drive it.

    Args:
        client: A runtime client that bears the run's token.
        call: Calls one of its methods, with our retries.
        run: The run, as the SuperLink described it.
        poll: Seconds between two looks for replies, at most.
    """

    def __init__(
        self,
        client: Any,
        call: Callable[[Any, object], Any],
        run: Any,
        poll: float = POLL,
    ) -> None:
        self._client = client
        self._call = call
        self._run = run
        self._poll = poll
        self._node = Node(node_id=SUPERLINK_NODE_ID)

    def set_run(self, run: Any) -> None:
        """Replace the description of the run; Flower's interface has it."""
        self._run = run

    @property
    def run(self) -> Any:
        """The run's description, with its `run_id`."""
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Build an instruction; Flower's interface still has it."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_nodes(self) -> list[Any]:
        """Return Flower's description of each agent that is online."""
        return list(self._call(self._client.GetNodes, GetNodesRequest()).nodes)

    def get_node_ids(self) -> list[int]:
        """Return the id of each agent that is online."""
        return [node.node_id for node in self.get_nodes()]

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Send instructions and their objects, each object once.

        Returns:
            The ids of the messages that were taken. One to a node that is not
            registered is left out.
        """
        batch = list(messages)
        if not batch:
            return []
        with no_object_id_recompute():
            for message in batch:
                message.metadata.__dict__["_message_id"] = message.object_id
            response = self._call(
                self._client.PushMessages,
                PushAppMessagesRequest(
                    messages_list=[
                        message_to_proto(remove_content_from_message(message))
                        for message in batch
                    ],
                    message_object_trees=[get_object_tree(m) for m in batch],
                ),
            )
            objects = {
                k: v for m in batch for k, v in get_all_nested_objects(m).items()
            }
            push_objects(
                objects,
                make_push_object_fn_protobuf(
                    self._through(self._client.PushObject),
                    self._node,
                    self._run.run_id,
                    response.session_id,
                ),
                object_ids_to_push=set(response.objects_to_push),
            )
        return [message_id for message_id in response.message_ids if message_id]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Look once for replies to these instructions and fetch all of each.

        A reply comes once. For a node that is gone, and for a reply whose objects
        never came, Flower's error reply is returned.
        """
        response = self._call(
            self._client.PullMessages, PullAppMessagesRequest(message_ids=message_ids)
        )
        return [
            self._pull(header, tree)
            for header, tree in zip(
                response.messages_list, response.message_object_trees, strict=True
            )
        ]

    def send_and_receive(
        self,
        messages: Iterable[Message],
        *,
        timeout: float | None = None,
        enough: Callable[[], bool] | None = None,
    ) -> list[Message]:
        """Send instructions and wait for the replies.

        Args:
            messages: The instructions.
            timeout: Seconds after which the replies so far are returned; None waits
                for all.
            enough: Asked now and then, and less and less often, whether the replies
                that are missing are still needed.
        """
        look, pause = time.monotonic() + FIRST_LOOK, FIRST_LOOK
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        waiting = set(self.push_messages(messages))
        replies: list[Message] = []
        backoff = Backoff(self._poll)
        while waiting:
            arrived = self.pull_messages(waiting)
            replies += arrived
            waiting -= {reply.metadata.reply_to_message_id for reply in arrived}
            if arrived:
                backoff.restart()
            left = deadline - time.monotonic()
            if left <= 0:
                break
            if waiting and enough is not None and time.monotonic() > look:
                if enough():
                    break
                pause *= 2
                look = time.monotonic() + pause
            if waiting:
                time.sleep(min(backoff.pause(), left))
        return replies

    def _pull(self, header: Any, tree: Any) -> Message:
        try:
            message = self._fetch(tree)
        except FedsecureError:
            raise
        except Exception as error:  # noqa: BLE001
            # Flower's decoder meets bytes that an agent chose: whatever it does,
            # the round must go on without that agent.
            log.warning("a reply could not be read: %s", type(error).__name__)
            return _unreadable(header)
        request = ConfirmMessageReceivedRequest(
            node=self._node, run_id=self._run.run_id, message_object_id=tree.object_id
        )
        self._call(self._client.ConfirmMessageReceived, request)
        message.metadata.__dict__["_message_id"] = tree.object_id
        return message

    def _fetch(self, tree: Any) -> Message:
        contents = pull_objects(
            [node.object_id for node in iterate_object_tree(tree)],
            make_pull_object_fn_protobuf(
                self._through(self._client.PullObject),
                self._node,
                self._run.run_id,
            ),
            max_time=PULL_PATIENCE,
            max_tries_per_object=None,
            initial_backoff=PULL_FIRST_DELAY,
            backoff_cap=PULL_LONGEST_DELAY,
        )
        message = inflate_object_from_contents(tree.object_id, contents)
        if not isinstance(message, Message):
            msg = f"a {type(message).__name__} is no message"
            raise TypeError(msg)
        return message

    def _through(self, method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda request: self._call(method, request)


def _unreadable(header: Any) -> Message:
    error = Error(ErrorCode.MESSAGE_UNAVAILABLE, "the reply could not be read")
    return make_message(message_from_proto(header).metadata, error=error)
