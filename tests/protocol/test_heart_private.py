"""The study that protects patients trains, with the noise of its own budget."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from fedsecure.core.dp.accountant import epsilon
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.core.params import Params
from fedsecure.frameworks.keras.model_source import keras_model
from fedsecure.protocol.parameters import noise_of, sent_scalars
from fedsecure.protocol.statements import Purpose
from fedsecure.study.config import Study, load_study
from fedsecure.study.sites import find_sites
from fedsecure_clients.consent.policy import Policy
from fedsecure_clients.keras_app.compare import compare

STUDIES = Path(__file__).parents[2] / "studies"
FOLDER = STUDIES / "heart-private"
SEEDS = (1, 2, 3)


def trained(study: Study, seed: int) -> float:
    """Return the AUC of a federated model, with noise that follows from the seed."""
    training = study.training.model_copy(update={"seed": seed})
    found = compare(
        replace(study, training=training),
        list(find_sites(FOLDER).values()),
        None,
        simulate=True,
        progress=lambda _: None,
        rand=np.random.default_rng(seed).bytes,
    )
    federated = found.best("federated")
    assert federated is not None
    assert federated.auc is not None
    return federated.auc


def test_with_the_noise_of_epsilon_2_it_reaches_an_auc_of_086() -> None:
    study = load_study(FOLDER)
    assert study.privacy is not None
    assert (study.privacy.unit, study.privacy.epsilon) == (Unit.ROW, 2.0)
    found = [trained(study, seed) for seed in SEEDS]
    assert np.mean(found) >= 0.86
    assert min(found) >= 0.8


def test_its_rounds_cost_what_it_promises_and_nearly_all_of_it() -> None:
    study = load_study(FOLDER)
    request = keras_model(study).request
    terms, task = request.terms, request.task
    assert terms.privacy is not None
    assert task is not None
    assert task.unit_clip == terms.privacy.unit_clip == 1.0

    def cost(purpose: Purpose) -> int:
        params = Params.derive(
            dimension=22 if purpose is Purpose.TRAIN else 0,
            scalars=sent_scalars(terms.scalars, terms.privacy, purpose),
            max_reports=4,
            clip=terms.clip,
            weight_cap=terms.weight_cap,
            noise=noise_of(terms.privacy, purpose, terms.weighting),
        )
        assert params.cost is not None
        return params.cost

    whole = study.training.rounds * cost(Purpose.TRAIN) + cost(Purpose.EVALUATE)
    assert 1.98 < epsilon(whole, terms.privacy.delta) <= 2.0


def test_a_data_owner_s_usual_policy_takes_it() -> None:
    assert load_study(FOLDER).aggregation.clip <= Policy().max_clip


def test_its_rows_are_those_of_the_heart_study() -> None:
    ours, heart = (FOLDER / "schema.toml"), (STUDIES / "heart" / "schema.toml")
    assert ours.read_bytes() == heart.read_bytes()
    names = [path.name for path in find_sites(FOLDER).values()]
    assert names == [path.name for path in find_sites(STUDIES / "heart").values()]
