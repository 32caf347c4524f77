"""What a federation is worth: each site alone, all federated, all rows in one place.

Run by somebody who holds the files of several sites, which in a real federation nobody
does: a simulation, for public data. All models start at the same weights and train for
the same rounds, of the same local epochs or of one step each, as an agent trains:

    alone      on one site's training rows
    federated  on every site's, as `fedsecure train` would (module `rehearsal`); or a
               model that a federation trained before, which is scored as it is
    pooled     on all sites' training rows in one place

All are scored on the same rows: what the sites' agents hold out, together. The AUC is
that of the scores themselves; a model owner reads another one from a round, that of
histograms in which every site weighs the same.
"""

import math
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedsecure.errors import OperatorError
from fedsecure.frameworks.keras.model_source import parts_of
from fedsecure.study.config import Study
from fedsecure.study.keras.building import build_model
from fedsecure.study.task import Layer, Task
from fedsecure_clients.data.dataset import Dataset, load
from fedsecure_clients.keras_app.comparison import Comparison, Kind, Scored, Values
from fedsecure_clients.keras_app.learners import halves, learner_of, learner_over
from fedsecure_clients.keras_app.one_place import Training
from fedsecure_clients.keras_app.rehearsal import Rehearsal
from fedsecure_clients.keras_app.training import Learner, Weights


class Everybody:
    """All sites' rows in one place, each site's split as its agent splits them."""

    def __init__(self, task: Task, sites: Mapping[str, Dataset]) -> None:
        split = {name: halves(task, rows) for name, rows in sites.items()}
        self.held_out = {name: len(testing) for name, (_, testing) in split.items()}
        # As one table, all would be split differently.
        self.learner = learner_over(
            task,
            _union(training for training, _ in split.values()),
            _union(testing for _, testing in split.values()),
        )

    def score(self, name: str, kind: Kind, rows: int, weights: Weights) -> Scored:
        """Score a model that was trained on `rows` rows.

        Its weights are one float32 array a layer, of the layer's shape.

        Raises:
            PeerError: FS-231 or FS-424, the weights are not a model of this study.
        """
        loss, outputs = self.learner.outputs(weights)
        if not (len(outputs) and np.isfinite(outputs).all()):
            return Scored(name, kind, rows, math.nan, math.nan, None, evidence=())
        labels = self.learner.held_out.labels
        chosen = self.learner.probabilities(outputs).argmax(axis=1)
        right = np.equal(chosen, labels).astype(np.float64)
        places = self._placements(outputs)
        return Scored(
            name=name,
            kind=kind,
            rows=rows,
            loss=loss,
            accuracy=float(right.mean()),
            auc=None if places is None else float(places[0].mean()),
            evidence=places or (right,),
        )

    def _placements(self, outputs: NDArray[np.float32]) -> tuple[Values, Values] | None:
        held_out = self.learner.held_out
        if len(held_out.class_names) != 2:
            return None
        return placements(_margins(outputs), held_out.labels == 1)


def compare(
    study: Study,
    files: Sequence[Path],
    model: Path | None,
    *,
    simulate: bool,
    progress: Callable[[str], None],
    rand: Callable[[int], bytes] = secrets.token_bytes,
) -> Comparison:
    """Train what is to be compared, and score it.

    Args:
        study: Its section `[training]` says from which seed and for how long.
        files: One data file a site; the site is called as the file is.
        model: Weights of a federated model, trained with the same seed: a .npy file as
            the model owner's store keeps it. None: there is no such model.
        simulate: Whether to train a federated model here.
        progress: Hears what goes on.
        rand: For the shares of that training, of which nothing is left in a sum.

    Raises:
        OperatorError: FS-1xx the files, FS-230 a training left the finite numbers,
            FS-232 the federated model cannot be measured, FS-2xx its clip, FS-368 or
            FS-823 its strategy, FS-84x and FS-42x the study.
        PeerError: FS-231, the weights of `model` are not finite.
    """
    progress("building the model")
    built, data = build_model(study)
    federated = None if model is None else load_weights(model, data.layers)
    sites = load_sites(files, study)
    task, training = study.task(data), study.training
    request, parts = study.request(data), parts_of(built, data)
    everybody = Everybody(task, sites)
    learners = {name: learner_of(task, rows) for name, rows in sorted(sites.items())}
    rows, notes = everybody.learner.examples, tuple[str, ...]()
    if simulate:
        progress("training federated")
        rehearsal = Rehearsal(study, request, parts, learners, rand)
        federated = rehearsal.run(built.get_weights(), training.rounds)
        notes = tuple(rehearsal.notes)
    scored: list[Scored] = []
    if federated is not None:
        scored += [everybody.score("federated", "federated", rows, federated)]
    for name, kind, learner in _places(learners, everybody.learner):
        one = Training(study, request, parts, name, kind, learner)
        progress(f"training {one.name}" + " alone" * (one.kind == "alone"))
        weights = one.run(built.get_weights(), training.rounds)
        scored += [everybody.score(one.name, one.kind, one.rows, weights)]
    return Comparison(
        study=study.name,
        seed=training.seed,
        rounds=training.rounds,
        local_epochs=training.local_epochs,
        step=training.step,
        held_out=everybody.held_out,
        models=tuple(sorted(scored, key=lambda one: one.rank)),
        notes=notes,
    )


def load_sites(files: Sequence[Path], study: Study) -> Mapping[str, Dataset]:
    """Read every site's file.

    Raises:
        OperatorError: FS-100 to FS-110, a file; FS-113, there is only one; FS-114, two
            have the same name.
    """
    if len(files) < 2:
        raise OperatorError("FS-113", f"got only {', '.join(map(str, files))}")
    sites: dict[str, Dataset] = {}
    for path in files:
        name = path.name if path.is_dir() else path.stem
        if name in sites:
            raise OperatorError("FS-114", f"{path} and another are both {name}")
        sites[name] = load(path, study.features)
    return sites


def load_weights(path: Path, layers: Sequence[Layer]) -> Weights:
    """Read a model as the model owner's store keeps it: one flat float32 array.

    Its shape is (dimension,): the layers one after the other. Returned is an array a
    layer, of the layer's shape and float32.

    Raises:
        OperatorError: FS-111, it cannot be read; FS-112, it does not fill the layers.
    """
    try:
        with path.open("rb") as file:
            flat = np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise OperatorError("FS-111", f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise OperatorError("FS-111", f"{path} is no .npy file of numbers") from error
    size = sum(layer.size for layer in layers)
    if flat.shape != (size,) or flat.dtype != np.float32:
        raise OperatorError(
            "FS-112",
            f"{path} holds {flat.dtype} {flat.shape}, the study's model float32 "
            f"({size},)",
        )
    ends = np.cumsum([layer.size for layer in layers])[:-1]
    pieces = zip(np.split(flat, ends), layers, strict=True)
    return [piece.reshape(layer.shape) for piece, layer in pieces]


def placements(
    scores: NDArray[np.float32], positive: NDArray[np.bool_]
) -> tuple[Values, Values] | None:
    """Return what every row adds to the AUC.

    Guarantee: both means are the AUC, exactly: the share of pairs of a positive and a
    negative row in which the positive one scores higher, equal scores counting half.

    Args:
        scores: Shape (n,), float32, higher for the positive class.
        positive: Shape (n,), bool, which rows are of that class.

    Returns:
        For each positive row the share of negative rows below it, and for each negative
        row the share of positive rows above it: shapes (positives,) and (negatives,),
        float64. None when either class has no row.
    """
    up, down = scores[positive], scores[~positive]
    if not len(up) or not len(down):
        return None
    return _share_below(up, down), 1 - _share_below(down, up)


def _share_below(values: NDArray[np.float32], others: NDArray[np.float32]) -> Values:
    ranked = np.sort(others)
    below = np.searchsorted(ranked, values, "left")
    upto = np.searchsorted(ranked, values, "right")
    share: Values = (below + upto) / (2 * len(others))
    return share


def _margins(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return scores that rank rows as the probability of the second class does."""
    if outputs.shape[1] == 1:
        return outputs[:, 0]
    margins: NDArray[np.float32] = outputs[:, 1] - outputs[:, 0]
    return margins


def _places(
    learners: Mapping[str, Learner], pooled: Learner
) -> Iterator[tuple[str, Kind, Learner]]:
    for name, learner in learners.items():
        yield name, "alone", learner
    yield "pooled", "pooled", pooled


def _union(tables: Iterable[Dataset]) -> Dataset:
    parts = list(tables)
    return Dataset(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.labels for part in parts]),
        parts[0].class_names,
    )
