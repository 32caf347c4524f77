"""Secure training gives the model that plain Flower gives, on the real runtime.

Here with exact weights; with equal ones in test_training.py, where that federation is.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord
from flwr.serverapp.strategy import FedAvg
from numpy.typing import NDArray

from fedsecure.demo.provision import OWNER, DemoFolder, provision
from fedsecure.frameworks.flower.runtime import (
    TlsFiles,
    node_public_bytes,
    owned_run,
    superlink,
)
from fedsecure.owner.settings import load_owner_settings
from fedsecure.protocol.identity import load_federation
from fedsecure.study.config import load_study
from fedsecure.study.keras.building import build_model
from fedsecure.study.sites import find_sites
from tests.e2e.conftest import ROUNDS
from tests.e2e.federation import HEART, PYTHONPATH, ROOT, Federation, federation

pytestmark = pytest.mark.e2e

TOLERANCE = 1e-5  # of any weight, after ROUNDS rounds


@contextmanager
def plain_agents(folder: DemoFolder, weights: str) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.e2e.plain_agent"]
    agents = [
        subprocess.Popen(
            [*command, str(folder.config(site)), weights],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": PYTHONPATH},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for site in folder.sites
    ]
    try:
        yield
    finally:
        for agent in agents:
            agent.kill()
            agent.wait()


def plain_model(root: Path, weights: str) -> NDArray[np.float32]:
    """Train the heart study with Flower's own FedAvg over Flower alone."""
    folder = provision(root, HEART, find_sites(HEART))
    settings = load_owner_settings(folder.config(OWNER))
    tls = TlsFiles(
        settings.superlink.authority,
        settings.superlink.certificate,
        settings.superlink.key,
    )
    study = load_study(HEART)
    model, data = build_model(study)
    home = root / "owner" / "superlink"
    home.mkdir()
    sites = load_federation(settings.federation).data_owners
    with (
        superlink(settings.superlink.listen, tls, home, home / "log.txt") as link,
        plain_agents(folder, weights),
    ):
        link.register_nodes(node_public_bytes(site.flower_key) for site in sites)
        with owned_run(link) as run:
            n = len(sites)
            strategy = FedAvg(
                fraction_evaluate=0.0, min_train_nodes=n, min_available_nodes=n
            )
            result = strategy.start(
                grid=run.grid,
                initial_arrays=ArrayRecord(model.get_weights()),
                num_rounds=ROUNDS,
                timeout=120.0,
                train_config=ConfigRecord({"study": study.task(data).text}),
            )
    return np.concatenate([a.ravel() for a in result.arrays.to_numpy_ndarrays()])


def compare(running: Federation, expected: NDArray[np.float32]) -> None:
    query = "SELECT initial_model FROM runs"
    (run,) = running.rows(running.owner_db, query)
    start = np.load(running.folder.root / "owner" / run["initial_model"])
    secure = np.load(running.last_model())
    assert np.abs(secure - start).max() > 0.05  # it has learnt something
    np.testing.assert_allclose(secure, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.timeout(500)
def test_exact_weights_give_the_model_of_plain_fedavg(tmp_path: Path) -> None:
    secure = tmp_path / "secure"
    secure.mkdir()
    with federation(
        secure,
        agent={"policy": {"weightings": ["exact"]}},
        study={"aggregation": {"weighting": "exact", "weight_cap": 1000}},
    ) as running:
        running.train(ROUNDS)
    compare(running, plain_model(tmp_path / "plain", "exact"))
