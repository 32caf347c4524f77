"""The committed vectors of noise and its cost, made by a second implementation."""

import json
import subprocess
import sys
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedsecure.core import domains
from fedsecure.core.dp import accountant
from fedsecure.core.dp.sampler import MEMORY_BYTES, Sampler, table
from fedsecure.core.dp.sensitivity import Noise, Unit
from fedsecure.core.mask import KeyStream
from fedsecure.core.params import Params, Scalar, Statistics
from fedsecure.core.release import ReleaseContext, keys_of
from fedsecure.errors import PeerError

FOLDER = Path(__file__).parents[2] / "vectors"
LABELS = {"tensor": domains.NOISE_TENSOR, "scalars": domains.NOISE_SCALARS}


def cases(name: str) -> list[Any]:
    loaded = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return [
        pytest.param(case, id=case.get("name", str(number)))
        for number, case in enumerate(loaded)
    ]


def context_of(case: dict[str, Any]) -> ReleaseContext:
    digests = (case["spec_digest"], case["opening_digest"])
    return ReleaseContext(*(bytes.fromhex(digest) for digest in digests))


def sampler_of(case: dict[str, Any], seed: bytes, label: bytes) -> Sampler:
    key = keys_of(seed, context_of(case))(label)
    return Sampler(KeyStream(key), case["sigma"])


def params_of(case: dict[str, Any]) -> Params:
    noise = Noise(
        Unit(case["unit"]),
        float(case["unit_clip"]),
        float(case["noise"]),
        float(case["scalar_noise"]),
        case["equal_weights"],
    )
    return Params(
        dimension=case["dimension"],
        scalars=tuple(
            Scalar(f"s{number}", 0.0, 1.0, size)
            for number, size in enumerate(case["scalars"])
        ),
        max_reports=case["max_reports"],
        clip=float(case["clip"]),
        weight_cap=1,
        fraction_bits=case["fraction_bits"],
        statistics=Statistics(1.0, ((0, 1),)) if case["statistics"] else None,
        noise=noise,
    )


def test_files_are_what_their_script_writes() -> None:
    script = [sys.executable, str(FOLDER / "generate_noise.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("case", cases("noise"))
def test_seeds_expand_to_the_noise_of_the_vectors(case: dict[str, Any]) -> None:
    seed, label = bytes.fromhex(case["seed"]), LABELS[case["section"]]
    sampler = sampler_of(case, seed, label)
    words = np.zeros(case["size"], "<u8")
    sampler.add_to(words, 0, np.empty(MEMORY_BYTES, np.uint8))
    draws = words.view("<i8")
    assert draws[:40].tolist() == case["first"]
    assert draws[-3:].tolist() == case["last"]
    assert sha256(draws.tobytes()).hexdigest() == case["sha256"]


@pytest.mark.parametrize("case", cases("noise_ties"))
def test_uniform_numbers_become_the_draws_of_the_vectors(case: dict[str, Any]) -> None:
    uniform = int(case["uniform"], 16)
    halves = uniform >> 64, uniform % 2**64
    magnitude = table(case["sigma"]).magnitude(*halves)
    assert (-magnitude if case["negative"] else magnitude) == case["draw"]


@pytest.mark.parametrize("case", cases("bad_noise"))
def test_bad_noise_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(PeerError) as caught:
        sampler_of(case, bytes(32), domains.NOISE_TENSOR)
    assert caught.value.code == case["code"]


@pytest.mark.parametrize("case", cases("noise_params"))
def test_params_give_the_noise_of_the_vectors(case: dict[str, Any]) -> None:
    params = params_of(case)
    assert params.metric_steps == case["metric_steps"]
    assert params.cost == case["rho_pico"]
    tensor, scalars = params.noise_steps, params.scalar_noise_steps
    assert tensor is not None
    assert scalars is not None
    found = [tensor.sensitivity, tensor.sigma, scalars.sensitivity, scalars.sigma]
    names = ("sensitivity", "sigma", "scalar_sensitivity", "scalar_sigma")
    assert found == [case[name] for name in names]


@pytest.mark.parametrize("case", cases("bad_noise_params"))
def test_bad_params_of_noise_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(PeerError) as caught:
        params_of(case)
    assert caught.value.code == case["code"]


@pytest.mark.parametrize("case", cases("privacy"))
def test_openings_cost_what_the_vectors_say(case: dict[str, Any]) -> None:
    rho = accountant.rho_pico(case["sensitivity"], case["sigma"])
    assert rho == case["rho_pico"]
    found = accountant.epsilons(case["openings"] * rho, float(case["delta"]))
    for who in ("one_server_corrupt", "outsider"):
        exact = Decimal(case[who])  # to 25 digits
        assert exact * (1 - Decimal("1e-24")) <= Decimal(getattr(found, who))
        assert Decimal(getattr(found, who)) <= exact * (1 + Decimal("1e-6"))


@pytest.mark.parametrize("case", cases("bad_privacy"))
def test_bad_numbers_of_privacy_are_refused(case: dict[str, Any]) -> None:
    numbers = [float(one) if isinstance(one, str) else one for one in case["arguments"]]
    with pytest.raises(PeerError) as caught:
        getattr(accountant, case["function"])(*numbers)
    assert caught.value.code == case["code"]
