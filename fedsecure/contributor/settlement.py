"""What became of a report: the data owner asks both aggregators, and compares.

Once a round is opened or void, each aggregator signs for a data owner whether its
report was in the set. Both must say the same about the same opening; what they said
is kept as evidence for an audit.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from fedsecure.contributor.outbox import StoredReport
from fedsecure.errors import PeerError
from fedsecure.protocol.signing import Author, Signed
from fedsecure.protocol.statements import Inclusion, Read
from fedsecure.transport.aggregator_client import AggregatorClient

TICKET_SECONDS: Final = 300


class Fate(StrEnum):
    """What became of one data owner's report."""

    INCLUDED = "included"  # it is in the one sum that was opened
    LEFT_OUT = "left out"  # a sum was opened without it
    VOID = "void"  # nothing was opened, and never will be
    DISPUTED = "disputed"  # the aggregators do not say the same


class Evidence(Protocol):
    """Where inclusions are kept (`fedsecure_clients.state.agent_state`)."""

    def cost(self, spec: str) -> int:
        """Return what a round costs by this data owner's own computing, in 1e-12."""

    def settle(self, inclusions: Mapping[str, Signed[Inclusion]], fate: str) -> None:
        """Keep what both aggregators said about one round, in one step."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """Asks for inclusions; run by a data owner's agent when it has nothing to do."""

    author: Author
    aggregators: Mapping[str, AggregatorClient]
    evidence: Evidence
    clock: Callable[[], float]

    def settle(self, reports: Mapping[str, StoredReport]) -> Fate:
        """Learn what became of one round's report, and keep the evidence.

        Args:
            reports: By aggregator, the report that was sent to it.

        Raises:
            PeerError: FS-330 while the round is not decided, FS-350 when the two
                aggregators do not say the same, or one charges other than the round's
                cost (the evidence is kept all the same), FS-551 when one is away.
        """
        inclusions = {name: self._ask(reports[name]) for name in sorted(reports)}
        outcomes = {
            (one.included, one.opening, one.set, one.count)
            for one in (signed.statement for signed in inclusions.values())
        }
        spec = next(iter(reports.values())).spec
        disputes = list(self._other_charges(inclusions, self.evidence.cost(spec)))
        if len(outcomes) != 1 or disputes:
            self.evidence.settle(inclusions, Fate.DISPUTED.value)
            raise PeerError("FS-350", ", ".join([f"round {spec[:12]}", *disputes]))
        ((included, opening, _, _),) = outcomes
        fate = Fate.VOID if opening is None else Fate.LEFT_OUT
        fate = Fate.INCLUDED if included else fate
        self.evidence.settle(inclusions, fate.value)
        return fate

    @staticmethod
    def _other_charges(
        inclusions: Mapping[str, Signed[Inclusion]], cost: int
    ) -> Iterator[str]:
        for name, signed in inclusions.items():
            told = signed.statement
            due = cost if told.included else 0
            if told.charged != due:
                yield f"{name} charges {told.charged}e-12, it costs {due}e-12"

    def _ask(self, report: StoredReport) -> Signed[Inclusion]:
        statement = report.header.statement
        ticket = Read(
            federation=self.author.federation.digest,
            aggregator=statement.aggregator,
            reader=self.author.name,
            method="GET",
            path=f"/v1/rounds/{statement.spec}/inclusion/{statement.reporter}",
            expires=int(self.clock()) + TICKET_SECONDS,
        )
        client = self.aggregators[statement.aggregator]
        answer = client.inclusion(
            statement.spec, statement.reporter, self.author.sign(ticket)
        )
        got = answer.statement
        if (got.reporter, got.report) != (statement.reporter, statement.digest):
            raise PeerError(
                "FS-350", f"{statement.aggregator} speaks of another report"
            )
        if got.included and got.opening is None:
            raise PeerError("FS-350", f"{statement.aggregator} counts it in no opening")
        return answer
