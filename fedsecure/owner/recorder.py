"""Writes each attempt of a round to the round store, models first.

Mean and model are files, on the disk before the one commit that names them; so a
round is either recorded with both or not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from fedsecure.core.dp import accountant
from fedsecure.core.encoding import MeanUpdate
from fedsecure.core.mask import SEED_BYTES
from fedsecure.core.sealing.payload_digest import sealed_length
from fedsecure.core.shares import Mean
from fedsecure.owner.rounds.proposal import Opened
from fedsecure.owner.run.outcome import WAIT, Outcome
from fedsecure.owner.store.files import save_array
from fedsecure.owner.store.records import (
    ModelKind,
    Participation,
    RoundResult,
    RoundVoided,
    ScalarMean,
    Status,
    StoredModel,
)
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.protocol.statements import Purpose, RoundSpec
from fedsecure.study.remarks import Figures
from fedsecure.study.round_task import GlobalModel
from fedsecure.system.crash_points import Point, crash_point

MeanMetrics = Mapping[str, float | None]
ReadDeviations = Callable[
    [Mapping[str, Sequence[float] | None], Mapping[str, float]], MeanMetrics
]


@dataclass(frozen=True, slots=True)
class RoundReport:
    """One line for people: how an attempt at a round ended.

    `figures` is None for a round that was not opened. `deviations` are the standard
    deviations that noise gives to metrics; `epsilon` is what all runs of the study have
    cost by now, of its budget; None: there is no noise. `seconds` counts from the
    proposal on, not the wait for agents to come online.
    """

    round: int
    purpose: Purpose
    attempt: int
    cohort: int
    included: int
    receipts: Mapping[str, int]
    figures: Figures | None
    metrics: MeanMetrics
    seconds: float
    bytes_up: int
    missing: Sequence[str]
    reason: str | None
    deviations: MeanMetrics = field(default_factory=dict)
    epsilon: float | None = None


@dataclass(frozen=True, slots=True)
class Recorder:
    """Records a run's attempts.

    Args:
        store: The round store.
        folder: Of the store's files.
        read_metrics: Turns opened means into the metrics to record.
        show: Told about every attempt once it is recorded.
        read_deviations: Turns opened means and their standard deviations into those of
            the metrics; asked where there is noise.
    """

    store: RoundStore
    folder: Path
    read_metrics: Callable[[Mapping[str, Sequence[float] | None]], MeanMetrics]
    show: Callable[[RoundReport], None] = field(repr=False)
    read_deviations: ReadDeviations = field(default=lambda _m, _d: {}, repr=False)

    def save_model(self, run: str, number: int, model: GlobalModel) -> StoredModel:
        """Store a global model, flat."""
        name = model_file(run, number)
        kind, weights = ModelKind.MODEL, model.weights
        return save_array(self.folder, name, weights, kind, model.digest)

    def record(self, outcome: Outcome) -> None:
        """Record one attempt, in one commit."""
        spec = outcome.proposal.spec.statement
        if outcome.opened is None:
            report = self._void(spec, outcome)
        else:
            report = self._finish(spec, outcome, outcome.opened)
        self.show(replace(report, epsilon=self._epsilon(spec)))

    def _finish(self, spec: RoundSpec, outcome: Outcome, opened: Opened) -> RoundReport:
        mean, model = None, None
        if spec.purpose is Purpose.TRAIN:
            mean = self._save_mean(spec, opened.mean.update)
            model = self.save_model(spec.run, spec.round, outcome.model)
            crash_point(Point.MEAN_ON_DISK)
        result = RoundResult(
            spec_digest=outcome.proposal.spec.digest,
            mean=mean,
            model=model,
            metrics=self._metrics(opened),
            deviations=self._deviations(opened),
            scalars=opened.mean.scalars,
            total_weight=opened.mean.total_weight,
            clipped=opened.mean.clipped,
            statistics_clipped=opened.mean.statistics_clipped,
            clamped=opened.mean.clamped,
            undefined=opened.mean.undefined,
            participations=_participations(outcome, Status.IN_SET),
            shares=[opened.shares[name].token for name in sorted(opened.shares)],
            seconds=outcome.seconds,
            bytes_up=_bytes_up(outcome),
        )
        self.store.finish_round(result)
        crash_point(Point.ROUND_RECORDED)
        report = _report(spec, outcome, result.metrics, _figures(spec, opened.mean))
        return replace(report, deviations=result.deviations)

    def _void(self, spec: RoundSpec, outcome: Outcome) -> RoundReport:
        self.store.void_round(
            RoundVoided(
                spec_digest=outcome.proposal.spec.digest,
                reason=outcome.reason,
                participations=_participations(outcome, Status.REPORTED),
                confirmations={
                    name: void.token for name, void in outcome.voids.items()
                },
            )
        )
        return _report(spec, outcome, {}, None)

    def _metrics(self, opened: Opened) -> MeanMetrics:
        means = _means(opened.mean)
        return self.read_metrics(means) if means else {}

    def _deviations(self, opened: Opened) -> MeanMetrics:
        means, noise = _means(opened.mean), opened.mean.deviations
        return self.read_deviations(means, noise.scalars) if means and noise else {}

    def _epsilon(self, spec: RoundSpec) -> float | None:
        """Return what all runs of the study have cost whom they cost most."""
        if spec.privacy is None or spec.study is None:
            return None
        spent = self.store.spent(spec.study).values()
        return accountant.epsilon(max(spent, default=0), spec.privacy.delta)

    def _save_mean(self, spec: RoundSpec, mean: MeanUpdate) -> StoredModel:
        name = f"models/{spec.run}/mean-{spec.round:05d}-{spec.attempt}.npy"
        return save_array(self.folder, name, mean, ModelKind.MEAN)


def model_file(run: str, number: int) -> str:
    """Return where the model after a round lies, below the store's folder."""
    return f"models/{run}/model-{number:05d}.npy"


def _means(mean: Mean) -> dict[str, Sequence[float] | None]:
    """Return the opened metrics; none in rounds that do not carry any."""
    return {name: _mean(value) for name, value in mean.scalars.items()}


def _mean(value: ScalarMean) -> Sequence[float] | None:
    if value is None:
        return None
    numbers: list[float] = np.atleast_1d(value).tolist()
    return numbers


def _participations(outcome: Outcome, status: Status) -> list[Participation]:
    present = [Participation(name, status) for name in outcome.included]
    return sorted([*present, *outcome.missing], key=lambda one: one.name)


def _bytes_up(outcome: Outcome) -> int:
    """Count the payload bytes that the set uploaded to both aggregators."""
    vector = sealed_length(outcome.proposal.params.layout.plaintext_bytes)
    return len(outcome.included) * (vector + sealed_length(SEED_BYTES))


def _figures(spec: RoundSpec, mean: Mean) -> Figures:
    train, apart = spec.purpose is Purpose.TRAIN, spec.statistics is not None
    return figures_of(mean, train=train, apart=apart)


def figures_of(mean: Mean, *, train: bool, apart: bool) -> Figures:
    """Return what may be strange about a mean; `apart`: there are statistics.

    With noise nobody knows how many updates were cut: it is larger than they are many.
    """
    cut = train and mean.deviations is None
    return Figures(
        train=train,
        in_set=mean.count,
        clip_rate=mean.clipped / mean.count if cut else None,
        statistics_clip_rate=mean.statistics_clipped / mean.count
        if cut and apart
        else None,
        clamped=mean.clamped,
        undefined=mean.undefined,
        moved=bool(mean.update.any()),
    )


def _report(
    spec: RoundSpec, outcome: Outcome, metrics: MeanMetrics, figures: Figures | None
) -> RoundReport:
    opened = outcome.opened is not None
    return RoundReport(
        round=spec.round,
        purpose=spec.purpose,
        attempt=spec.attempt,
        cohort=len(spec.cohort),
        included=len(outcome.included) if opened else 0,
        receipts=outcome.received,
        figures=figures,
        metrics=metrics,
        seconds=sum(t for stage, t in outcome.seconds.items() if stage != WAIT),
        bytes_up=_bytes_up(outcome),
        missing=[absent.name for absent in outcome.missing],
        reason=None if opened else outcome.reason,
    )
