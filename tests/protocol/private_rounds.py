"""Rounds with noise, for tests of what data owners keep account of."""

from dataclasses import replace
from typing import Any, Final

import pytest

from fedsecure.core.dp.accountant import epsilon
from fedsecure.core.dp.sampler import table
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.core.gaussian_release import GaussianRelease
from fedsecure.core.scheme import Measurement
from fedsecure.core.sealing import sealing_key
from fedsecure.owner.rounds.proposal import RoundRequest
from fedsecure.owner.rounds.specs import spec_of
from fedsecure.protocol.parameters import params_of
from fedsecure.protocol.statements import PrivacyField, Purpose, RoundSpec, Weighting
from fedsecure.study.task import ConfigValue
from fedsecure.study.terms import study_digest, terms_of
from fedsecure_clients.consent import checks
from tests.protocol.federation import NOW, MemoryFederation, update_of

DELTA: Final = 1e-5
PRIVACY: Final = PrivacyField(
    unit=Unit.ROW,
    unit_clip=1.0,
    noise=4.0,
    scalar_noise=8.0,
    evaluation_noise=8.0,
    every_round=False,
    epsilon=8.0,
    delta=DELTA,
)
EVALUATION: Final[dict[str, Any]] = {"purpose": Purpose.EVALUATE, "dimension": 0}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let aggregators grant without the tables of noise, which take seconds to make."""
    monkeypatch.setattr(GaussianRelease, "warm_up", lambda _self: None)


@pytest.fixture
def any_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let agents take any task for one that keeps rows apart (`test_rows_apart`)."""
    monkeypatch.setattr(checks, "require_rows", lambda _study: None)


def make_tables(memory: MemoryFederation, request: RoundRequest) -> None:
    """Make the tables that the opening of such a round needs."""
    steps = params_of(_spec(memory, request))
    for one in (steps.noise_steps, steps.scalar_noise_steps):
        assert one
        table(one.sigma)


def asked(
    memory: MemoryFederation,
    privacy: PrivacyField | None = PRIVACY,
    config: dict[str, ConfigValue] | None = None,
    **changes: Any,
) -> RoundRequest:
    """Return what an honest model owner asks for in a round with noise."""
    fields = {"weighting": Weighting.EQUAL, "weight_cap": 1, "privacy": privacy}
    request = memory.request(**{**fields, **changes})
    if privacy is None:
        return request
    terms = terms_of(_spec(memory, replace(request, study="0" * 64)))
    return replace(request, study=study_digest(config or {}, terms).hex())


def _spec(memory: MemoryFederation, request: RoundRequest) -> RoundSpec:
    key = sealing_key.SealingKey.from_seed(bytes(32))
    return spec_of(request, memory.federation.digest, key, NOW)


def cost_of(memory: MemoryFederation, request: RoundRequest) -> int:
    """Return what a round costs, in 1e-12 of rho."""
    cost = params_of(_spec(memory, request)).cost
    assert cost
    return cost


def budget_for(memory: MemoryFederation, rounds: int, **changes: Any) -> PrivacyField:
    """Return a study whose budget holds so many train rounds, and not one more."""
    privacy = PRIVACY.model_copy(update=changes)
    cost = cost_of(memory, asked(memory, privacy))
    return privacy.model_copy(
        update={"epsilon": epsilon(rounds * cost + cost // 2, privacy.delta)}
    )


def private_measurement(name: str, purpose: Purpose = Purpose.TRAIN) -> Measurement:
    """Return what a data owner of 100 rows brings to a round with noise."""
    train = purpose is Purpose.TRAIN
    metrics = {} if train else {"loss": 0.5}
    return Measurement(update_of(name) if train else None, 100, metrics, 25)
