"""Which `ModelSource` a study has: Keras, or arrays for an app of the data owners'."""

from fedsecure.owner.jobs.array_model import array_model
from fedsecure.owner.jobs.model_source import ModelSource
from fedsecure.study.app_study import AppStudy
from fedsecure.study.config import AnyStudy, Study
from fedsecure.study.keras.tensorflow import import_quietly


def load_framework(study: AnyStudy) -> None:
    """Import what building a study's model needs, which may take seconds."""
    if isinstance(study, Study):
        import_quietly("keras")


def build_source(study: AnyStudy) -> ModelSource:
    """Build a study's model; run by the model owner, whose files it runs.

    Raises:
        OperatorError: As `array_model` or `keras_model`.
    """
    if isinstance(study, AppStudy):
        return array_model(study)
    if isinstance(study, Study):
        from fedsecure.frameworks.keras.model_source import keras_model  # noqa: PLC0415

        return keras_model(study)
    msg = f"no model is known for a {type(study).__name__}"
    raise TypeError(msg)
