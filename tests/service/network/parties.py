"""An agent's end of a round, with its own client and its own state folder."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fedsecure.contributor.contribution import (
    Accepted,
    Contributor,
    Offer,
    ReceivedTask,
)
from fedsecure.contributor.settlement import Settlement
from fedsecure.core import scheme
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Receipt
from fedsecure.transport.aggregator_client import AggregatorClient
from fedsecure.transport.retries import Patience
from fedsecure_clients.state.agent_state import AgentState
from tests.service.aggregator.conftest import Federation, Process
from tests.unit.aggregator.world import WEIGHT, Round

START_PAUSE = 0.05  # seconds; an agent's own pauses are longer


def client(
    federation: Federation, name: str, port: int, seconds: float = 0.0
) -> AggregatorClient:
    """A client of ours that takes `127.0.0.1:port` for this aggregator."""
    party = federation.world.federation.find(name)[1]
    return AggregatorClient(
        party.model_copy(update={"url": f"https://127.0.0.1:{port}"}),
        federation.world.federation,
        authority_of(federation.servers[name]),
        Patience(seconds=seconds, longest_pause=START_PAUSE),
    )


def authority_of(server: Process) -> Path:
    return server.folder.parent / "ca.pem"


@dataclass
class Hospital:
    """One data owner's agent without Flower."""

    name: str
    federation: Federation
    contributor: Contributor
    settlement: Settlement
    state: AgentState
    outbox: Path
    drawn: list[bytes] = field(default_factory=list)

    def measurement(self, asked: Round) -> scheme.Measurement:
        update = self.federation.world.update(self.name, asked.params.dimension)
        return scheme.Measurement(update, WEIGHT, {"loss": 2.0})

    def accept(self, asked: Round, grants: Mapping[str, str]) -> Accepted:
        spec = asked.spec.statement
        facts = ReceivedTask(spec.purpose, spec.task, spec.model, spec.dimension)
        offer = Offer(asked.spec.token, [grants[name] for name in sorted(grants)])
        return self.contributor.accept(offer, facts)

    def report(
        self, asked: Round, grants: Mapping[str, str]
    ) -> dict[str, Signed[Receipt]]:
        """Take part as an agent does; again, when it is asked again."""
        accepted = self.accept(asked, grants)
        if not self.contributor.has_contributed(accepted):
            self.contributor.contribute(accepted, self.measurement(asked))
        return self.contributor.deliver(accepted)

    def fate(self, asked: Round) -> str:
        """Ask both aggregators what became of the report."""
        reports = self.state.reports(asked.digest)
        return self.settlement.settle(
            {report.header.statement.aggregator: report for report in reports}
        ).value

    def waiting(self) -> list[str]:
        """Sealed reports that lack a receipt."""
        return sorted(path.name for path in self.outbox.rglob("*") if path.is_file())


@contextmanager
def hospital(
    federation: Federation,
    name: str,
    folder: Path,
    ports: Mapping[str, int],
    seconds: float,
) -> Iterator[Hospital]:
    world, drawn = federation.world, list[bytes]()
    with ExitStack() as stack:
        clients = {
            server: client(federation, server, port, seconds)
            for server, port in ports.items()
        }
        for one in clients.values():
            stack.callback(one.close)
        state = stack.enter_context(AgentState(folder, Federations([world.federation])))
        author = world.author(name)
        contributor = Contributor(
            author=author,
            aggregators=clients,
            outbox=state,
            require_policy=lambda _spec, _task: None,
            clock=time.time,
            rand=noted(world.rand, drawn),
        )
        settlement = Settlement(author, clients, state, time.time)
        yield Hospital(
            name, federation, contributor, settlement, state, folder / "outbox", drawn
        )


def noted(rand: Callable[[int], bytes], drawn: list[bytes]) -> Callable[[int], bytes]:
    """Keep what was drawn: a test looks for it on the wire."""

    def draw(size: int) -> bytes:
        drawn.append(rand(size))
        return drawn[-1]

    return draw
