"""Agents that are killed in the middle of a round."""

from pathlib import Path

import numpy as np
import pytest

from tests.e2e.federation import Federation, federation, wait_until

pytestmark = pytest.mark.e2e


def hold_all(running: Federation) -> int:
    """Hold every site in the middle of one and the same round; return its number."""
    (running.notes / "hold").touch()
    wait_until(lambda: held(running), "a round in which all four are held")
    return held(running)


def held(running: Federation) -> int:
    sites = [
        {int(path.suffixes[0][1:]) for path in running.notes.glob(f"{site}.*.held")}
        for site in running.folder.sites
    ]
    return max(set.intersection(*sites), default=0)


def release(running: Federation) -> None:
    (running.notes / "hold").unlink()
    for path in running.notes.glob("*.held"):
        path.unlink()


def rounds(running: Federation, number: int) -> list[dict[str, object]]:
    query = "SELECT * FROM v_round WHERE purpose = 'train' AND round = ?"
    return running.rows(running.owner_db, query + " ORDER BY attempt", number)


@pytest.mark.timeout(600)
def test_training_goes_on_with_three_is_void_with_two_and_recovers(
    tmp_path: Path,
) -> None:
    """One hospital is killed in round 2, comes back, and two are killed later."""
    settings = {"round_seconds": 8.0, "join_seconds": 60.0}
    with federation(tmp_path, app="tests.e2e.slow_app:app", owner=settings) as running:
        training = running.start_training(rounds=60)

        # One of four: the round is opened over the other three.
        number = hold_all(running)
        running.kill_agent("hungary")
        release(running)
        wait_until(lambda: rounds(running, number)[-1]["state"] == "opened", "three")
        (row,) = rounds(running, number)
        assert (row["in_set"], row["cohort"], row["missing"]) == (3, 4, "hungary")
        query = "SELECT status, reason FROM v_participation WHERE round = ?"
        (absent,) = running.rows(
            running.owner_db, query + " AND data_owner = 'hungary'", number
        )
        assert absent == {"status": "offline", "reason": "no answer in time"}

        # It comes back, and takes part again.
        running.start_agent("hungary")
        wait_until(lambda: four_again(running, number), "all four again")

        # Two of four: fewer than min_cohort are never opened.
        number = hold_all(running)
        for site in ("hungary", "cleveland"):
            running.kill_agent(site)
        release(running)
        wait_until(lambda: rounds(running, number)[0]["state"] == "void", "void")
        assert "2 reported, 3 needed" in running.output()
        (void,) = running.rows(
            running.owner_db,
            "SELECT model, mean FROM rounds WHERE round = ? AND attempt = 1 "
            "AND purpose = 'train'",
            number,
        )
        assert void == {"model": None, "mean": None}

        # They come back, and the same round is opened in a later attempt.
        for site in ("hungary", "cleveland"):
            running.start_agent(site)
        wait_until(lambda: rounds(running, number)[-1]["state"] == "opened", "recovery")
        models = {
            n: np.load(running.folder.root / "owner" / path)
            for n, path in models_by_round(running).items()
        }
        np.testing.assert_allclose(
            models[number] - models[number - 1], 0.01, rtol=0, atol=1e-6
        )
        training.terminate()
        assert training.wait(60) == 130


def four_again(running: Federation, since: int) -> bool:
    query = "SELECT 1 FROM v_round WHERE round > ? AND in_set = 4"
    return bool(running.rows(running.owner_db, query, since))


def models_by_round(running: Federation) -> dict[int, str]:
    query = "SELECT round, model FROM rounds WHERE model IS NOT NULL"
    return {row["round"]: row["model"] for row in running.rows(running.owner_db, query)}
