"""The trained model of a run, from the round store's files, without its framework.

Weights come from the store, which knows their digest; layers from model.keras, which
`fedsecure train` wrote beside them. The digest of the global model is over the shapes
of arrays, too, so layers of other arrays are refused; what a layer without any does
stands in model.keras alone.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from fedsecure.errors import OperatorError, PeerError
from fedsecure.owner.store.files import load_array
from fedsecure.owner.store.records import RunRecord
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.study.config import Study
from fedsecure.study.lowering.linear import array_shapes
from fedsecure.study.round_task import laid_out
from fedsecure.study.task import Layer

MODEL_FILE: Final = "model.keras"
LAYERS_FILE: Final = "config.json"  # within it
MAX_LAYERS: Final = 8 * 2**20  # bytes of that


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model as its layers' JSON and its arrays, in the order of Keras' weights.

    `run` and `digest` say which global model it is; None for one of a file.
    """

    layers: str
    arrays: Sequence[NDArray[Any]] = field(repr=False)
    run: str | None = None
    digest: str | None = None


def recorded_model(
    store: RoundStore, folder: Path, study: Study, name: str | None
) -> TrainedModel:
    """Return the last global model of a run; by default of the newest.

    Args:
        store: The round store.
        folder: Of the store's files.
        study: Whose schema the model is for.
        name: The run.

    Raises:
        OperatorError: FS-861 or FS-863 when there is no such run, FS-356 when it is of
            another study or schema, FS-221 when its layers cannot be served, FS-605 or
            FS-606 for its files.
    """
    run = _run(store, name)
    _require_study(run, study)
    layers = _layers(folder / "models" / run.run / MODEL_FILE, run)
    stored = store.last_model(run.run)
    shapes = enumerate(array_shapes(layers))
    try:
        model = laid_out(
            [Layer(str(place), shape) for place, shape in shapes],
            load_array(folder, stored),
        )
    except PeerError as error:
        raise OperatorError("FS-605", f"{run.run}: {error.detail}") from error
    if model.digest != stored.digest:
        raise OperatorError("FS-605", f"{run.run}: {MODEL_FILE} has other layers")
    return TrainedModel(layers, model.arrays(), run.run, model.digest)


def _run(store: RoundStore, name: str | None) -> RunRecord:
    if name is not None:
        return store.run(name)
    newest = store.latest_run()
    if newest is None:
        raise OperatorError("FS-863", "its table of runs is empty")
    return newest


def _require_study(run: RunRecord, study: Study) -> None:
    """Check that a run trained this study, on rows of this schema."""
    if run.study != study.name:
        raise OperatorError(
            "FS-356",
            f"run {run.run} trained {run.study}, owner.toml names {study.name}",
        )
    if run.settings.get("schema") != study.settings()["schema"]:
        raise OperatorError(
            "FS-356", f"run {run.run} was trained with another schema.toml"
        )


def _layers(path: Path, run: RunRecord) -> str:
    """Return the layers' JSON of a .keras file."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(LAYERS_FILE) as file:
            content = file.read(MAX_LAYERS + 1)
        if len(content) > MAX_LAYERS:
            raise OperatorError("FS-606", f"{path}: {LAYERS_FILE} is too large")
        return json.dumps(json.loads(content))
    except FileNotFoundError as error:
        raise OperatorError(
            "FS-606", f"{path} is not there: run {run.run} is {run.state.value}"
        ) from error
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise OperatorError("FS-606", f"{path}: {error}") from error
