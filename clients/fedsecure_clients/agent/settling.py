"""Asks what became of rounds that were answered, as far as it is decided."""

from dataclasses import dataclass

import structlog

from fedsecure.contributor.settlement import Settlement
from fedsecure.errors import FedsecureError
from fedsecure.transport.retries import UnreachableError
from fedsecure_clients.state.agent_state import AgentState

log = structlog.get_logger("agent")


@dataclass(frozen=True, slots=True)
class Settling:
    """Settles what is open. `settlement` must not wait for a server that is away."""

    settlement: Settlement
    state: AgentState

    def run(self) -> float:
        """Ask about every round that both aggregators have a report of.

        Returns:
            Seconds that an aggregator asked to wait before the next time.
        """
        for spec in self.state.unsettled():
            try:
                reports = self.state.reports(spec)
                fate = self.settlement.settle(
                    {report.header.statement.aggregator: report for report in reports}
                )
            except UnreachableError as error:
                return error.retry_after  # the next time
            except FedsecureError as error:
                if not error.problem.undecided:
                    why = f"{error.problem.title}: {error.detail}"
                    log.warning(
                        "not settled", round=spec[:12], code=error.code, error=why
                    )
            else:
                log.info("settled", round=spec[:12], fate=fate.value)
        return 0.0
