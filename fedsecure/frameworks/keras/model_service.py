"""A Keras model in memory as a service, for the model owner (`fedsecure.private`)."""

from pathlib import Path
from typing import TYPE_CHECKING

from fedsecure.frameworks.keras.saved_model import of_keras
from fedsecure.owner.jobs.serve import Served
from fedsecure.owner.jobs.service_offer import Wish, offer_of, open_serving
from fedsecure.study.config import load_study

if TYPE_CHECKING:
    import keras


def serve_model(model: "keras.Model", config: Path, wish: Wish) -> Served:
    """Serve a linear or logistic model over rows of the study that owner.toml names.

    Raises:
        FedsecureError: As `Serving.open` and `open_serving`.
    """
    with open_serving(config, lambda _: None) as (serving, settings):
        study = load_study(settings.study)
        offer = offer_of(wish, serving, settings, study)
        return serving.open(of_keras(model), study.features, offer)
