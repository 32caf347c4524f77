"""A training that hangs where no exception reaches it."""

from pathlib import Path

import pytest

from tests.e2e.federation import federation, wait_until
from tests.e2e.hung_app import SITE

pytestmark = pytest.mark.e2e


@pytest.mark.timeout(300)
def test_a_training_that_hangs_in_c_ends_at_the_deadline_and_frees_the_node(
    tmp_path: Path,
) -> None:
    settings = {"round_seconds": 6.0, "join_seconds": 30.0}
    with federation(tmp_path, app="tests.e2e.hung_app:app", owner=settings) as running:
        training = running.start_training(rounds=200)
        opened = "SELECT round FROM v_round WHERE in_set = ? AND round > ?"
        wait_until(lambda: "accuracy" in running.output(), "a round")
        (running.notes / "hang").touch()
        wait_until((running.notes / "hung").exists, "a training that hangs")
        (running.notes / "hang").unlink()
        rounds = lambda members, after: running.rows(  # noqa: E731
            running.owner_db, opened, members, after
        )
        wait_until(lambda: rounds(3, 0), "the others to be opened")
        without = rounds(3, 0)[0]["round"]
        wait_until(lambda: rounds(4, without), "all four again")
        agent = running.agents[SITE]
        assert agent.poll() is None  # the same process, begun anew
        log = running.folder.config(SITE).parent / "log.txt"
        assert "FS-384" in log.read_text(encoding="utf-8")
        training.terminate()
        assert training.wait(60) == 130
        assert "--resume heart-" in running.output()
