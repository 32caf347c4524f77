"""The data owner's end of a round: accept, contribute, deliver.

    accept      is this offer one that this data owner agreed to? (numbered checks)
    contribute  shard and seal the update, and store both sealed reports
    deliver     send each report to its aggregator until both receipts are there

Whatever happens in between, only the bytes that were stored are ever sent: a data
owner never shards twice for one spec. Knows neither Flower nor a framework; clock,
randomness, storage and network come in from outside.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from fedsecure.contributor.grants import require_grants
from fedsecure.contributor.outbox import Outbox, StoredReport
from fedsecure.core import scheme
from fedsecure.core.params import Params
from fedsecure.core.sealing import seal, seal_info
from fedsecure.errors import OperatorError, PeerError, Spoiled
from fedsecure.protocol import signing
from fedsecure.protocol.encodings import from_base64url
from fedsecure.protocol.identity import AggregatorParty, Role
from fedsecure.protocol.parameters import params_of
from fedsecure.protocol.signing import Author, Signed
from fedsecure.protocol.statements import (
    Kind,
    Purpose,
    Receipt,
    ReportHeader,
    RoundGrant,
    RoundSpec,
    Weighting,
)
from fedsecure.study.task import ConfigValue
from fedsecure.study.terms import study_digest, terms_of
from fedsecure.system.crash_points import Point, crash_point
from fedsecure.transport.aggregator_client import AggregatorClient

UPLOAD_THREADS: Final = 2  # a report has two input shares, one per aggregator


@dataclass(frozen=True, slots=True)
class Offer:
    """What arrived with a task: the spec and both grants, not yet believed."""

    spec: str
    grants: Sequence[str]


@dataclass(frozen=True, slots=True)
class ReceivedTask:
    """What this data owner computed itself from the task that arrived."""

    purpose: Purpose
    digest: str
    model: str
    dimension: int
    config: Mapping[str, ConfigValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """An offer that passed every check."""

    spec: Signed[RoundSpec]
    grants: Mapping[str, Signed[RoundGrant]]
    params: Params
    study: str  # digest of what this data owner agreed to


@dataclass(frozen=True, slots=True)
class Contributor:
    """One data owner. `require_policy` raises when its own policy says no."""

    author: Author
    aggregators: Mapping[str, AggregatorClient]
    outbox: Outbox
    require_policy: Callable[[RoundSpec, ReceivedTask], None]
    clock: Callable[[], float]
    rand: Callable[[int], bytes] = field(repr=False)

    def accept(self, offer: Offer, task: ReceivedTask) -> Accepted:
        """Check an offer before any training. Run by the data owner.

        Raises:
            PeerError: FS-340 to FS-348, FS-4xx of the policy, FS-7xx of signatures.
        """
        federation, me = self.author.federation, self.author.name
        # (1) The model owner of this federation signed it.
        spec = signing.verify(offer.spec, RoundSpec, federation)
        statement = spec.statement
        # (2) It asks this data owner, and only data owners on the roster.
        if me not in statement.cohort:
            raise PeerError("FS-341", f"round {statement.round} asks others than {me}")
        for name in statement.cohort:
            if federation.find(name)[0] is not Role.DATA_OWNER:
                raise PeerError("FS-342", f"{name} is in the cohort")
        # (3) A sum of fewer than min_cohort is not even possible.
        if not statement.min_cohort <= len(statement.cohort):
            raise PeerError(
                "FS-343",
                f"{len(statement.cohort)} asked, at least {statement.min_cohort} "
                "needed",
            )
        # (4) The task that arrived is the one that everybody else gets.
        _require_task(statement, task)
        # (5) What it costs is charged to the study that it is of, by everybody.
        study = study_digest(task.config, terms_of(statement)).hex()
        _require_study(statement, study)
        # (6) Sums cannot wrap, by this party's own computation.
        params = params_of(statement)
        # (7) Both aggregators agreed to this very spec, each with its own key, and each
        # with noise of its own where there is to be noise.
        grants = require_grants(federation, spec, offer.grants, self.clock())
        # (8) There is still time.
        if not self.clock() < statement.deadline:
            raise PeerError("FS-347", f"round {statement.round} of {statement.run}")
        # (9) This data owner's own policy agrees, and its budget has room.
        self.require_policy(statement, task)
        # (10) No other spec was answered for this attempt of the round.
        if self.outbox.answered(statement) not in {None, spec.digest}:
            raise PeerError(
                "FS-348", f"round {statement.round}, attempt {statement.attempt}"
            )
        return Accepted(spec, grants, params, study)

    def has_contributed(self, accepted: Accepted) -> bool:
        """Tell whether reports for this spec are stored already."""
        return bool(self.outbox.reports(accepted.spec.digest))

    def contribute(self, accepted: Accepted, measurement: scheme.Measurement) -> None:
        """Shard, seal and store one update; nothing is sent.

        Raises:
            PeerError: FS-348 when reports for this spec exist already.
            FedsecureError: FS-2xx when the update is not finite.
        """
        spec = accepted.spec
        if self.has_contributed(accepted):
            raise PeerError("FS-348", f"round {spec.statement.round}")
        sharding = scheme.shard(
            accepted.params,
            bytes.fromhex(spec.digest),
            self.author.name,
            measurement,
            self.rand(scheme.RAND_BYTES),
        )
        first, second = self.author.federation.pair
        kinds = (
            (Kind.SEED, Kind.VECTOR)
            if sharding.seed_to_first
            else (Kind.VECTOR, Kind.SEED)
        )
        self.outbox.store(
            spec,
            accepted.study,
            accepted.params.cost,
            [
                self._seal(accepted, sharding, party, kind, key)
                for party, kind, key in zip(
                    (first, second), kinds, sharding.content_keys, strict=True
                )
            ],
        )
        crash_point(Point.REPORTS_STORED)

    def deliver(self, accepted: Accepted) -> dict[str, Signed[Receipt]]:
        """Send both stored reports and return the receipts by aggregator.

        Raises:
            PeerError: An aggregator refused, did not answer, or FS-349: its receipt
                is for another report.
            OperatorError: FS-543 when a stored report is damaged or gone.
        """
        return self.send_stored(accepted.spec.digest)

    def send_stored(self, spec: str) -> dict[str, Signed[Receipt]]:
        """Send what is stored for a spec, as `deliver`; a spec accepted long ago, too.

        Raises:
            PeerError: As `deliver`.
        """
        reports = self.outbox.reports(spec)
        with ThreadPoolExecutor(max_workers=UPLOAD_THREADS) as pool:
            sending = [pool.submit(self._send, report) for report in reports]
        receipts = {}
        for future in sending:
            if future.exception() is None:
                receipt = future.result()
                self.outbox.receive(receipt)
                receipts[receipt.signer] = receipt
        for future in sending:
            future.result()  # raises what went wrong, once the other's is kept
        return receipts

    def _send(self, report: StoredReport) -> Signed[Receipt]:
        if report.receipt is not None:
            return report.receipt
        statement = report.header.statement
        first = statement.aggregator == self.author.federation.pair[0].name
        report.require_length()
        try:
            receipt = self.aggregators[statement.aggregator].report(
                report.header, report.payload
            )
        except PeerError as error:
            if error.problem.spoiled is Spoiled.UPLOAD:  # on its way, or here?
                report.require_whole()
            raise
        got = receipt.statement
        if (got.reporter, got.report_id, got.digest) != (
            statement.reporter,
            statement.report_id,
            statement.digest,
        ):
            raise PeerError(
                "FS-349", f"{statement.aggregator}, report {statement.report_id}"
            )
        crash_point(Point.SENT_A if first else Point.SENT_B)
        return receipt

    def _seal(
        self,
        accepted: Accepted,
        sharding: scheme.Sharding,
        party: AggregatorParty,
        kind: Kind,
        content_key: bytes,
    ) -> StoredReport:
        spec, federation = accepted.spec, self.author.federation
        info = seal_info.report_info(
            bytes.fromhex(federation.digest),
            bytes.fromhex(spec.digest),
            self.author.name,
            party.name,
            sharding.report_id,
            kind.value,
        )
        chunks: Iterable[bytes | memoryview] = (
            [sharding.seed] if kind is Kind.SEED else sharding.vector
        )
        key = from_base64url(accepted.grants[party.name].statement.sealing_key)
        path = self.outbox.payload_path(spec.digest, party.name)
        try:
            with path.open("wb") as file:
                length, digest = seal.seal(key, info, content_key, chunks, file.write)
        except OSError as error:
            raise OperatorError("FS-383", f"{path}: {error.strerror}") from error
        header = ReportHeader(
            federation=federation.digest,
            spec=spec.digest,
            reporter=self.author.name,
            aggregator=party.name,
            report_id=sharding.report_id.hex(),
            kind=kind,
            length=length,
            digest=digest.hex(),
        )
        return StoredReport(self.author.sign(header), path)


def weight_of(examples: int, weighting: Weighting, cap: int) -> int:
    """Return the weight to report for a number of training examples.

    `equal` tells nothing (everybody weighs the cap), `rounded` the nearest power of
    two, `exact` the number; never more than the cap, never less than 1.

    Raises:
        PeerError: FS-346 when there are no examples to weigh.
    """
    if not examples >= 1:
        raise PeerError("FS-346", f"{examples} training examples")
    if weighting is Weighting.EQUAL:
        return cap
    if weighting is Weighting.ROUNDED:
        below = 1 << (examples.bit_length() - 1)
        examples = below if examples - below < 2 * below - examples else 2 * below
    return min(examples, cap)


def _require_task(spec: RoundSpec, task: ReceivedTask) -> None:
    for what, mine, theirs in (
        ("purpose", task.purpose, spec.purpose),
        ("digest", task.digest, spec.task),
        ("model", task.model, spec.model),
        ("number of parameters", task.dimension, spec.dimension),
    ):
        if mine != theirs:
            raise PeerError(
                "FS-340", f"the {what} is {mine} here and {theirs} in the spec"
            )


def _require_study(spec: RoundSpec, study: str) -> None:
    if spec.study not in {None, study}:
        raise PeerError(
            "FS-430",
            f"the spec charges study {str(spec.study)[:12]}, the task is of study "
            f"{study[:12]}",
        )
