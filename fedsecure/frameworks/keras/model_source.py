"""A Keras study's model, for the model owner's jobs; implements `ModelSource`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fedsecure.errors import OperatorError, PeerError
from fedsecure.owner.jobs.model_source import Parts
from fedsecure.study.config import Study
from fedsecure.study.keras.building import build_model
from fedsecure.study.keras.statistics import as_declared
from fedsecure.study.model_data import ModelData
from fedsecure.study.round_task import GlobalModel, Weights, joined
from fedsecure.study.row_terms import require_rows
from fedsecure.study.terms import StudyRequest
from fedsecure.system.durability import sync

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, slots=True)
class KerasModel:
    """A compiled Keras model, and what data owners are asked to agree to.

    Args:
        model: The model; `save` overwrites its weights.
        request: The study.
        parts: What a server's step on the model has to mind.
    """

    model: "keras.Model"
    request: StudyRequest
    parts: Parts

    def initial(self) -> GlobalModel:
        """Return the weights that the model was built with."""
        return from_keras(self.model.get_weights())

    def save(self, model: GlobalModel, folder: Path) -> Path:
        """Write `model.keras` with these weights; whole or not at all.

        Raises:
            OperatorError: FS-606 when it cannot be written.
        """
        self.model.set_weights(model.arrays())
        path, part = folder / "model.keras", folder / "part.keras"
        try:
            self.model.save(part)
            sync(part)
            part.replace(path)
            sync(folder)
        except OSError as error:
            part.unlink(missing_ok=True)
            reason = error.strerror or error
            raise OperatorError("FS-606", f"{path}: {reason}") from error
        return path


def keras_model(study: Study) -> KerasModel:
    """Build a study's model; run by the model owner, whose file it is.

    Raises:
        OperatorError: As `build_model`; FS-200 for a clip that is too long beside
            unit_clip.
    """
    model, data = build_model(study)
    request = study.request(data)
    try:
        require_rows(request)
    except PeerError as error:
        raise OperatorError(error.code, error.detail) from error
    return KerasModel(model, request, parts_of(model, data))


def from_keras(weights: list[Weights]) -> GlobalModel:
    """Return the arrays of `model.get_weights()`, float32, as a global model.

    They are named by their place, as Flower names them: the same at every party.
    """
    return joined((str(place), array) for place, array in enumerate(weights))


def parts_of(model: "keras.Model", data: ModelData) -> Parts:
    """Tell a server's step what it leaves alone, by the names of a model's arrays."""
    names = [str(place) for place, apart in enumerate(data.statistics) if apart]

    def keep(stepped: GlobalModel) -> GlobalModel:
        kept = as_declared(model, stepped.arrays())
        names = [layer.name for layer in stepped.layers]
        return joined(zip(names, kept, strict=True))

    return Parts(frozenset(names), keep)
