"""The agents of a run on Flower's SuperLink, as the run loop sees them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from flwr.app import Message

from fedsecure.contributor.contribution import Offer
from fedsecure.errors import PeerError
from fedsecure.frameworks.flower import wire
from fedsecure.frameworks.flower.runtime import OwnedRun, node_public_bytes
from fedsecure.owner.run.participants import Agent, Answer, Question
from fedsecure.protocol.identity import Federation


class Fleet(Protocol):
    """The agents of a run, by roster name; an agent's address is its node's number."""

    def online(self) -> Mapping[str, Agent]:
        """Return who is online now."""

    def ask(
        self, messages: Sequence[Message], seconds: float, enough: Callable[[], bool]
    ) -> Iterable[Message]:
        """Send messages and return the replies that came within the time.

        Or before, when nobody else is needed: `enough` is asked now and then.
        """


class RosterFleet:
    """The agents of Flower's SuperLink whose keys stand in `federation.toml`."""

    def __init__(self, run: OwnedRun, federation: Federation) -> None:
        self._run = run
        self._names = {
            node_public_bytes(party.flower_key): party.name
            for party in federation.data_owners
        }

    def online(self) -> Mapping[str, Agent]:
        """Return who is online now."""
        return {
            self._names[key]: Agent(state.node_id, state.activated_at)
            for key, state in self._run.nodes().items()
            if state.online and key in self._names
        }

    def ask(
        self, messages: Sequence[Message], seconds: float, enough: Callable[[], bool]
    ) -> Iterable[Message]:
        """Send messages and return the replies that came within the time."""
        return self._run.grid.send_and_receive(messages, timeout=seconds, enough=enough)


@dataclass(frozen=True, slots=True)
class FlowerParticipants:
    """Carries the run loop's questions in Flower's messages.

    Args:
        fleet: The agents.
    """

    fleet: Fleet

    def online(self) -> Mapping[str, Agent]:
        """Return who is online now."""
        return self.fleet.online()

    def ask(
        self,
        question: Question,
        asked: Mapping[str, Agent],
        seconds: float,
        enough: Callable[[], bool],
    ) -> Sequence[Answer]:
        """Send everybody the same content; replies of strangers are left out."""
        offer = Offer(question.spec, question.grants)
        content = wire.pack_task(question.task, offer)
        kind = wire.KINDS[question.task.purpose]
        names = {agent.address: name for name, agent in asked.items()}
        messages = [
            Message(content, dst_node_id=address, message_type=kind)
            for address in names
        ]
        replies = self.fleet.ask(messages, seconds, enough)
        # Flower answers itself, under its own node id, for a node that is gone.
        return [
            _answer(names[reply.metadata.src_node_id], reply)
            for reply in replies
            if reply.metadata.src_node_id in names
        ]


def _answer(name: str, reply: Message) -> Answer:
    try:
        return Answer(name, wire.unpack_receipts(reply))
    except PeerError as error:
        return Answer(name, declined=reply.has_error(), malformed=error)
