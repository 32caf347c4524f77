"""What can be watched from outside: numbers that tell nothing about who takes part.

The only labels are states of rounds and jobs, stages of a request, codes of refusals
and names of what is done in the background.
docs/operating.md says what each number is good for.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from fedsecure.transport.connection_limits import WHY, Lines
from fedsecure_aggregator.http.background import Task
from fedsecure_aggregator.rules.job_states import JobState
from fedsecure_aggregator.rules.round_states import RoundState

_SECONDS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


class Stage(StrEnum):
    """What a request was about; its time ends with the answer's beginning.

    Requests that are refused count too.
    """

    GRANT = "grant"  # a spec is checked, a key made
    REPORT = "report"  # a report is taken off the wire, opened, added, stored
    FOLD = "fold"  # a set is added up before it is opened
    OPEN = "open"  # an opening is checked, the share made, sealed and stored
    VOID = "void"  # a round or a job is given up
    READ = "read"  # somebody asks how far a round or a job is, or for its output
    JOB = "job"  # a job is granted, or started
    INPUT = "input"  # an input is taken off the wire, opened, stored
    QUERY = "query"  # a query is taken off the wire, opened, answered, stored


class Metrics:
    """The metrics of one server, in a registry of its own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.reports = Counter(
            "fedsecure_reports", "Reports that got a receipt", registry=registry
        )
        self.received = Counter(
            "fedsecure_received_bytes",
            "Bytes of reports that got a receipt",
            registry=registry,
        )
        self.sent = Counter(
            "fedsecure_sent_bytes", "Bytes of aggregate shares sent", registry=registry
        )
        self.refused = Counter(
            "fedsecure_refused", "Requests refused", ["code"], registry=registry
        )
        self._stages = Histogram(
            "fedsecure_stage_seconds",
            "Seconds from a request to its answer",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        for stage in Stage:
            self._stages.labels(stage)  # so that each is there from the beginning
        self.rounds = Gauge(
            "fedsecure_rounds", "Rounds by state", ["state"], registry=registry
        )
        self.jobs = Gauge(
            "fedsecure_jobs", "Jobs by state", ["state"], registry=registry
        )
        self.queries = Counter(
            "fedsecure_queries", "Queries of services answered", registry=registry
        )
        self.query_rows = Counter(
            "fedsecure_query_rows", "Rows of answered queries", registry=registry
        )
        self.privacy_spent = Gauge(
            "fedsecure_privacy_spent_ratio",
            "Of the study charged last, the part of its budget that is spent, at most",
            registry=registry,
        )
        self.ready = Gauge(
            "fedsecure_ready",
            "1 if rounds can be granted and reports stored, else 0",
            registry=registry,
        )
        self.disk_free = Gauge(
            "fedsecure_disk_free_bytes",
            "Bytes free on the disk of the data folder",
            registry=registry,
        )
        self.certificate = Gauge(
            "fedsecure_certificate_expiry_timestamp_seconds",
            "When the TLS certificate in use ends, seconds since 1970",
            registry=registry,
        )

        self.ages = Gauge(
            "fedsecure_background_age_seconds",
            "Seconds since a task in the background was done",
            ["task"],
            registry=registry,
        )
        self.failures = Gauge(
            "fedsecure_background_failures",
            "How often a task in the background failed since the start",
            ["task"],
            registry=registry,
        )

        self.connections = Gauge(
            "fedsecure_connections", "Connections that are open", registry=registry
        )
        self.connections_most = Gauge(
            "fedsecure_connections_most",
            "Connections that may be open",
            registry=registry,
        )
        self.connections_ended = Gauge(
            "fedsecure_connections_ended",
            "Connections ended or refused since the start because there were too many",
            ["why"],
            registry=registry,
        )

    def watch_lines(self, lines: Lines) -> None:
        """Set how many connections there are, and how many had to go."""
        self.connections.set(len(lines))
        self.connections_most.set(lines.limits.most)
        for why in WHY:
            self.connections_ended.labels(why).set(lines.ended[why])

    def watch_tasks(self, tasks: Sequence[Task]) -> None:
        """Set how each task in the background stands."""
        for task in tasks:
            self.ages.labels(task.name).set(task.age)
            self.failures.labels(task.name).set(task.failures)

    def stage(self, stage: Stage) -> AbstractContextManager[object]:
        """Measure the block as one stage."""
        timing: AbstractContextManager[object] = self._stages.labels(stage).time()
        return timing

    def count_rounds(self, states: Mapping[RoundState, int]) -> None:
        """Set how many rounds there are of each state."""
        for state in RoundState:
            self.rounds.labels(state).set(states.get(state, 0))

    def count_jobs(self, states: Mapping[JobState, int]) -> None:
        """Set how many jobs there are of each state."""
        for state in JobState:
            self.jobs.labels(state).set(states.get(state, 0))

    def page(self) -> bytes:
        """Return all of them in Prometheus' text format."""
        return generate_latest(self._registry)
