"""Sends what an earlier process stored and got no receipt for.

A task is handed to an agent once. If the agent died after it had stored its reports,
nobody asks again: the reports lie in the outbox, and are sent from there as long as
aggregators take them. The model owner finds them at the aggregators.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from fedsecure.contributor.contribution import Contributor
from fedsecure.errors import FedsecureError
from fedsecure.transport.retries import UnreachableError
from fedsecure_clients.state.agent_state import AgentState

log = structlog.get_logger("agent")


@dataclass(frozen=True, slots=True)
class Delivery:
    """Empties the outbox. `contributor` must not wait for a server that is away."""

    contributor: Contributor
    state: AgentState
    clock: Callable[[], float]
    refused: set[str] = field(default_factory=set)

    def run(self) -> float:
        """Send every report that still can count; nothing is made anew.

        Returns:
            Seconds that an aggregator asked to wait before the next time.
        """
        specs = self.state.undelivered(self.clock())
        return max(
            (self._send(spec) for spec in specs if spec not in self.refused),
            default=0.0,
        )

    def _send(self, spec: str) -> float:
        try:
            self.contributor.send_stored(spec)
        except UnreachableError as error:
            return error.retry_after  # the next time
        except FedsecureError as error:
            self.refused.add(spec)
            detail = f"{error.problem.title}: {error.detail}"
            log.warning("not delivered", round=spec[:12], code=error.code, error=detail)
        else:
            log.info("delivered from the outbox", round=spec[:12])
        return 0.0
