"""What the network does between agents and the SuperLink costs time, nothing else."""

import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.federation import Federation, federation, wait_until
from tests.e2e.rough_link import FAULTS, RoughLink
from tests.e2e.test_killed_agents import models_by_round

pytestmark = pytest.mark.e2e


@pytest.mark.timeout(600)
def test_training_survives_every_fault_of_the_links_to_the_superlink(
    tmp_path: Path,
) -> None:
    settings = {"round_seconds": 8.0, "join_seconds": 60.0, "attempts": 100}
    with federation(
        tmp_path, app="tests.e2e.slow_app:app", owner=settings, rough=True
    ) as running:
        link = running.link
        assert link is not None
        training = running.start_training(rounds=2000)
        wait_until(lambda: "accuracy" in running.output(), "a round")
        for fault in FAULTS:
            before, met = last_of_all_four(running), link.met
            link.set(fault)
            wait_until(partial(has_met, link, met + 4), f"{fault} to be met")
            link.set("")
            all_again = partial(goes_on_after, running, training, before + 1)
            wait_until(all_again, f"all four again after {fault}")
        training.terminate()
        assert training.wait(60) == 130
        # Whoever was in a round, each opened mean is what everybody computes.
        models = {
            number: np.load(running.folder.root / "owner" / path)
            for number, path in models_by_round(running).items()
        }
        for number in sorted(models)[1:]:
            np.testing.assert_allclose(
                models[number] - models[number - 1], 0.01, rtol=0, atol=1e-6
            )
        twice = (
            "SELECT run, round, purpose FROM openings "
            "GROUP BY run, round, purpose HAVING COUNT(*) > 1"
        )
        for name in running.folder.urls:
            assert running.rows(running.aggregator_db(name), twice) == []
        # One line for an outage, however often an agent tried.
        for site in running.folder.sites:
            log = running.folder.config(site).parent / "log.txt"
            lines = log.read_text(encoding="utf-8").splitlines()
            waits = [line for line in lines if "waiting for the SuperLink" in line]
            assert len(waits) <= 4 * len(FAULTS), waits


def last_of_all_four(running: Federation) -> int:
    query = "SELECT MAX(round) AS n FROM v_round WHERE in_set = 4"
    return int(running.rows(running.owner_db, query)[0]["n"] or 0)


def goes_on_after(
    running: Federation, training: "subprocess.Popen[bytes]", number: int
) -> bool:
    assert training.poll() is None, running.output()
    return last_of_all_four(running) > number


def has_met(link: RoughLink, number: int) -> bool:
    return link.met >= number
