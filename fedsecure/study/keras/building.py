"""A study's Keras model, built by the model owner from the study's own model.py."""

from typing import TYPE_CHECKING

import numpy as np

from fedsecure.errors import OperatorError, PeerError
from fedsecure.study.config import Study, load_own, run_own
from fedsecure.study.keras.architecture import (
    MisfitError,
    model_from_data,
    model_to_data,
    require_fit,
    require_probabilities,
    require_range,
)
from fedsecure.study.keras.fidelity import require_same
from fedsecure.study.keras.single_rows import require_single_rows
from fedsecure.study.model_data import ModelData

if TYPE_CHECKING:
    import keras


def build_model(study: Study) -> tuple["keras.Model", ModelData]:
    """Run the study's model.py; only ever run by the model owner, whose file it is.

    The initial weights follow from the study's seed, or from `weights_seed`: then it is
    the same study, which begins elsewhere.

    Returns:
        The compiled model with its initial weights, and the model as data.

    Raises:
        OperatorError: FS-841, model.py is missing or raises; FS-842, it returns no
            compiled Keras model; FS-843, the model does not fit the schema; FS-425,
            FS-845, its loss does not fit its outputs; FS-420, FS-422, FS-434, data
            owners would refuse the model; FS-433, it fails on values that the schema
            allows; FS-234, there is nothing to train; FS-236, data owners would build
            another model; FS-432, it mixes rows, or draws, in a study whose step is
            their gradient.
    """
    import keras  # noqa: PLC0415, slow: loaded when needed

    build = load_own(study, study.model)
    keras.utils.set_random_seed(study.first_seed % 2**32)
    model = run_own(f"{study.folder}, {study.model}", build)
    if not isinstance(model, keras.Model):
        kind = type(model).__name__
        raise OperatorError("FS-842", f"{study.model} returned a {kind}")
    data = model_to_data(model)
    try:
        require_fit(model, study.features)
        if study.training.step == "gradient":
            require_single_rows(data.model)
    except MisfitError as error:
        raise OperatorError("FS-843", error.detail) from error
    except PeerError as error:
        raise OperatorError(error.code, error.detail) from error
    require_range(model, study.features)
    require_probabilities(model, np.random.default_rng(study.training.seed))
    require_same(model, model_from_data(data.model, data.compilation))
    # Else Keras warns whoever loads the trained model of variables that it lacks.
    model.optimizer.build(model.trainable_variables)
    return model, data
