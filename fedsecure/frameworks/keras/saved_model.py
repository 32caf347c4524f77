"""A Keras model of a file, for the model owner, whose file it is."""

from pathlib import Path
from typing import TYPE_CHECKING

from fedsecure.errors import OperatorError
from fedsecure.owner.jobs.recorded_model import TrainedModel
from fedsecure.study.keras.tensorflow import import_quietly

if TYPE_CHECKING:
    import keras


def read_saved(path: Path) -> TrainedModel:
    """Read layers and weights of a .keras file; it runs no code of the file.

    Raises:
        OperatorError: FS-606 when it cannot be read.
    """
    import_quietly("keras")
    import keras  # noqa: PLC0415, slow: loaded when needed

    try:
        model = keras.saving.load_model(path, safe_mode=True)
    except Exception as error:  # whatever Keras raises on a file it cannot use
        reason = " ".join(str(error).split())[:200]
        raise OperatorError("FS-606", f"{path}: {reason}") from error
    return of_keras(model)


def of_keras(model: "keras.Model") -> TrainedModel:
    """Return a model's layers and weights."""
    return TrainedModel(model.to_json(), model.get_weights())
