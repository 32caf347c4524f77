"""What a comparison of models found, and how it reads; module `compare` trains them.

Every model is scored on the same rows, so that two of them are compared row by row. A
difference comes with its standard error over these rows, which for the AUC is that of
two correlated curves [DDC88]. It does not say what another split, or other first
weights, would have changed.

[DDC88] DeLong, DeLong, Clarke-Pearson, "Comparing the areas under two or more
correlated receiver operating characteristic curves", Biometrics 44, 1988.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.text import Text

from fedsecure.study.task import Step
from fedsecure.terminal.text_tables import Column, Listing, table

Kind = Literal["alone", "federated", "pooled"]
Values = NDArray[np.float64]

CLEAR: Final = 2.0  # standard errors; a smaller difference may well be chance


@dataclass(frozen=True, slots=True)
class Scored:
    """One model's figures on the held-out rows of all sites.

    `rows` is how many it was trained on. `auc` is None unless the study has two classes
    and rows of both are held out. `evidence` is what single rows add to the figure that
    models are compared by: arrays, each with that figure as its mean.
    """

    name: str
    kind: Kind
    rows: int
    loss: float
    accuracy: float
    auc: float | None
    evidence: tuple[Values, ...] = field(repr=False)

    @property
    def figure(self) -> float:
        """What models are compared by: the AUC, or the accuracy if there is none."""
        return self.accuracy if self.auc is None else self.auc

    @property
    def measured(self) -> bool:
        """Whether its outputs are numbers; if not, it has no figures."""
        return math.isfinite(self.accuracy)

    @property
    def rank(self) -> float:
        """Where it stands among others: the best first, what has no figure last."""
        return -self.figure if self.measured else math.inf

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.name} alone" if self.kind == "alone" else self.name

    def minus(self, other: "Scored") -> tuple[float, float]:
        """Return the difference of the figures, and its standard error.

        The error is infinite when there are too few rows to estimate it.
        """
        if not (self.measured and other.measured):
            return math.nan, math.inf
        variance = 0.0
        for ours, theirs in zip(self.evidence, other.evidence, strict=True):
            if len(ours) < 2:
                return self.figure - other.figure, math.inf
            variance += float(np.var(ours - theirs, ddof=1)) / len(ours)
        return self.figure - other.figure, math.sqrt(variance)

    def as_json(self) -> dict[str, Any]:
        """Return the figures; what is not finite is null."""
        return {
            "name": self.name,
            "kind": self.kind,
            "rows": self.rows,
            "loss": self.loss if math.isfinite(self.loss) else None,
            "accuracy": self.accuracy if self.measured else None,
            "auc": self.auc,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """All models, best first; `held_out` counts each site's part of the rows scored."""

    study: str
    seed: int
    rounds: int
    local_epochs: int
    held_out: Mapping[str, int]
    models: tuple[Scored, ...]
    step: Step = "epochs"  # of a round
    notes: tuple[str, ...] = ()  # what is strange about the federated training

    def best(self, kind: Kind) -> Scored | None:
        """Return the best model of one kind."""
        return next((one for one in self.models if one.kind == kind), None)

    @property
    def measure(self) -> str:
        """The name of the figure that models are compared by."""
        return "accuracy" if self.models[0].auc is None else "AUC"

    @property
    def verdict(self) -> str | None:
        """One sentence on what the federation brought; None when there is none."""
        federated, alone = self.best("federated"), self.best("alone")
        pooled = self.best("pooled")
        if federated is None or alone is None or pooled is None:
            return None
        if not (federated.measured and alone.measured and pooled.measured):
            return "There is no verdict: the outputs of a model are no numbers."
        gain, error = federated.minus(alone)
        loss, its_error = federated.minus(pooled)
        return (
            f"By {self.measure}, federated is {_gained(gain, error)} "
            f"({alone.name}: {_signed(gain, error)}), and {_kept(loss, its_error)} "
            f"pooled ({_signed(loss, its_error)})."
        )

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints; the keys are an interface."""
        return {
            "study": self.study,
            "seed": self.seed,
            "rounds": self.rounds,
            "step": self.step,
            "local_epochs": self.local_epochs,
            "held_out": dict(self.held_out),
            "models": [one.as_json() for one in self.models],
            "verdict": self.verdict,
            "notes": list(self.notes),
        }


def show(comparison: Comparison) -> RenderableType:
    """Return the table, the sentence and what the figures mean, for a terminal."""
    rows = sum(comparison.held_out.values())
    title = (
        f"Alone, federated, pooled: {comparison.measure} on the {rows:,} rows that the "
        "sites hold out"
    )
    parts: list[RenderableType] = [Text(title, "bold"), _table(comparison), Text()]
    if comparison.verdict is not None:
        parts.append(Text(comparison.verdict, "bold"))
    parts += [Text(note, "yellow") for note in comparison.notes]
    return Group(*parts, Text(_explanation(comparison), "dim"))


def _table(comparison: Comparison) -> Listing:
    federated, best = comparison.best("federated"), comparison.models[0]

    def column(title: str, figure: Callable[[Scored], str]) -> Column[Scored]:
        def cell(one: Scored) -> Text:
            return Text(figure(one), "bold green" if one is best else "")

        if title == "model":
            return Column(title, cell, folds=True)
        return Column(title, cell, "right")

    def against(one: Scored) -> str:
        if federated is None or one is federated:
            return ""
        return _signed(*one.minus(federated))

    columns = [
        column("model", lambda one: one.title + (" (best)" if one is best else "")),
        column("trained on", lambda one: f"{one.rows:,}"),
        column("AUC", lambda one: "n/a" if one.auc is None else f"{one.auc:.3f}"),
        column("accuracy", lambda one: _number(one.accuracy)),
        column("loss", lambda one: _number(one.loss)),
    ]
    if federated is not None:
        columns.append(column("vs federated", against))
    return table(columns, comparison.models)


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "n/a"


def _explanation(comparison: Comparison) -> str:
    sites = ", ".join(f"{name} {rows:,}" for name, rows in comparison.held_out.items())
    work = {
        "epochs": f"{comparison.rounds} x {comparison.local_epochs} local epochs",
        "gradient": f"{comparison.rounds} steps down the mean gradient",
    }
    return (
        f"Held out: {sites}. Training: {work[comparison.step]}. ± is the standard "
        f"error of a difference over these rows: one below {CLEAR:g} of them may well "
        "be chance."
    )


def _signed(value: float, error: float) -> str:
    shown = f"{error:.3f}" if math.isfinite(error) else "n/a"
    if math.isnan(value):
        return "n/a"
    return f"{round(value, 3) + 0.0:+.3f}±{shown}"  # never a negative zero


def _gained(value: float, error: float) -> str:
    """Say what federating brought, and no more than the rows can tell."""
    clear = abs(value) > CLEAR * error
    if value > 0:
        than = "" if clear else ", though not clearly"
        return f"{'better than' if clear else 'ahead of'} the best site alone{than}"
    return f"{'worse' if clear else 'not better'} than the best site alone"


def _kept(value: float, error: float) -> str:
    if abs(value) > CLEAR * error:
        return "better than" if value > 0 else "worse than"
    return "not clearly different from"
