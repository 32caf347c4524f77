"""What can be watched from outside: numbers that tell nothing about who takes part."""

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from aggregator.rounds import RoundState

_SECONDS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


class Metrics:
    """The metrics of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.reports = Counter(
            "fedsecure_reports", "Reports that got a receipt", registry=self._registry
        )
        self.received = Counter(
            "fedsecure_received_bytes",
            "Bytes of reports that got a receipt",
            registry=self._registry,
        )
        self.refused = Counter(
            "fedsecure_refused", "Requests refused", ["code"], registry=self._registry
        )
        self.opening_seconds = Histogram(
            "fedsecure_opening_seconds",
            "From an opening's arrival to its stored share",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.rounds = Gauge(
            "fedsecure_rounds", "Rounds by state", ["state"], registry=self._registry
        )

    def page(self, states: dict[RoundState, int]) -> bytes:
        """Return all of them in Prometheus' text format."""
        for state in RoundState:
            self.rounds.labels(state).set(states.get(state, 0))
        return generate_latest(self._registry)
