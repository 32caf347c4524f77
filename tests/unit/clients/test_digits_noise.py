"""The digits study under its noise: the app, the shares and both aggregators' noise.

All the arithmetic of a run, without its processes; the noise is drawn from seeds of the
test's, so the figure is the same every time.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from fedsecure.core import scheme
from fedsecure.core.dp.accountant import largest_rho
from fedsecure.core.gaussian_release import mechanism_of
from fedsecure.core.params import Params
from fedsecure.core.release import ReleaseContext, keys_of, release
from fedsecure.core.scheme import AggregateShare, Measurement
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.protocol.parameters import noise_of, sent_scalars
from fedsecure.protocol.statements import Purpose, Weighting
from fedsecure.study.app_study import AppStudy, load_any_study
from fedsecure_clients.agent.assembly import load_app
from tests.unit.clients.test_digits_app import (
    FOLDER,
    OWNERS,
    Model,
    added,
    ask,
    first_model,
    own_module,
)

RUNS = 3


@pytest.fixture(scope="module")
def app() -> Iterator[ClientApp]:
    with task_identity(run_id=1):
        yield load_app("digits_app:app", FOLDER / "client")


@pytest.fixture(scope="module")
def study() -> AppStudy:
    loaded = load_any_study(FOLDER)
    assert isinstance(loaded, AppStudy)
    return loaded


def params_of(study: AppStudy, purpose: Purpose) -> Params:
    """What every party derives from a round's spec."""
    terms = study.request.terms
    return Params.derive(
        650 if purpose is Purpose.TRAIN else 0,
        sent_scalars(terms.scalars, terms.privacy, purpose),
        len(OWNERS),
        terms.clip,
        terms.weight_cap,
        noise=noise_of(terms.privacy, purpose, terms.weighting),
    )


def test_all_openings_of_a_run_cost_no_more_than_the_budget(study: AppStudy) -> None:
    assert study.privacy is not None
    assert (study.privacy.unit, study.privacy.epsilon) == ("data-owner", 8.0)
    assert study.request.terms.weighting is Weighting.EQUAL
    train = params_of(study, Purpose.TRAIN).cost or 0
    evaluation = params_of(study, Purpose.EVALUATE).cost or 0
    spent = study.training.rounds * train + evaluation
    rho = largest_rho(study.privacy.epsilon, study.privacy.delta)
    assert 0.99 * rho < spent <= rho


def test_runs_at_epsilon_8_reach_an_accuracy_of_87_percent(
    app: ClientApp, study: AppStudy, tmp_path: Path
) -> None:
    score, path = own_module("score").score, tmp_path / "model.npz"
    found = []
    for run in range(RUNS):
        model = first_model(study)
        for number in range(study.training.rounds):
            model = noisy_round(app, study, model, bytes([run, number]))
        np.savez(path, **model)
        found.append(score(path)["accuracy"])
    assert np.mean(found) >= 0.87, found


def noisy_round(app: ClientApp, study: AppStudy, model: Model, rand: bytes) -> Model:
    params, spec = params_of(study, Purpose.TRAIN), rand.ljust(32, b"s")
    sums = AggregateShare.empty(params), AggregateShare.empty(params)
    for path in OWNERS:
        share_out(params, spec, path.stem, update_of(app, study, model, path), sums)
    shares = [
        released(params, spec, total, rand + name)
        for total, name in zip(sums, (b"a", b"b"), strict=True)
    ]
    mean = scheme.unshard(params, *shares)
    return added(model, mean.update.astype(np.float32))


def update_of(
    app: ClientApp,
    study: AppStudy,
    model: Mapping[str, NDArray[np.float32]],
    path: Path,
) -> Measurement:
    reply = ask(app, "train", path, dict(model), **study.app.config).content["arrays"]
    flat = np.concatenate([(reply[n].numpy() - model[n]).ravel() for n in model])
    return Measurement(flat, 1, {})


def share_out(
    params: Params,
    spec: bytes,
    name: str,
    measurement: Measurement,
    sums: tuple[AggregateShare, AggregateShare],
) -> None:
    """Add one data owner's two shares to both aggregators' sums."""
    rand = name.encode().ljust(scheme.RAND_BYTES, b"r")
    sharding = scheme.shard(params, spec, name, measurement, rand)
    context = scheme.ReportContext(spec, sharding.report_id, name)
    memory = np.empty(scheme.EXPANSION_BYTES, np.uint8)
    contents = {"seed": sharding.seed, "vector": b"".join(sharding.vector)}
    for total, (kind, content) in zip(sums, contents.items(), strict=True):
        scheme.aggregate(
            params,
            total,
            lambda kind=kind, content=content: scheme.prepare(  # type: ignore[misc]
                params, context, kind, [content], memory
            ),
        )


def released(
    params: Params, spec: bytes, total: AggregateShare, seed: bytes
) -> AggregateShare:
    """What one aggregator lets go of: its sum, with noise of its own."""
    keys = keys_of(seed.ljust(32, b"n"), ReleaseContext(spec, b"o" * 32))
    records = release(params, total, mechanism_of(params), keys)
    plaintext = b"".join(bytes(record) for record in records)
    return AggregateShare.from_plaintext(params, plaintext, total.count)
