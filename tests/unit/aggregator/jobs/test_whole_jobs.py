"""Jobs and services from their grant to what is opened, without HTTP."""

import numpy as np

from tests.unit.aggregator.jobs.conftest import JobPair
from tests.unit.aggregator.jobs.world import BIAS, ROWS, A, B, W, went_in


def test_two_parties_numbers_are_added_and_only_the_sum_is_opened(
    both: JobPair,
) -> None:
    job = both.world.job()
    used = both.summed(job)
    assert both.north.state(job) == "running"
    for one in both.servers.values():
        one.run()
        assert one.state(job) == "done"
        assert one.files(job) == {"output"}
    answers = {name: one.output(job) for name, one in both.servers.items()}
    opened = both.world.opened(job, answers, went_in(*used))
    np.testing.assert_array_equal(opened["total"], A + B)


def test_a_service_answers_rows_with_the_models_logits(both: JobPair) -> None:
    job = both.world.service()
    tokens = both.served(job)
    for number, rows in enumerate((ROWS, ROWS[::-1], 2 * ROWS), start=1):
        asked = both.world.query(job, tokens, number, rows)
        answers = both.ask(job, asked)
        logits = both.world.logits(job, asked, answers)
        np.testing.assert_allclose(logits, (rows @ W + BIAS)[:, 0], atol=1e-6)
    assert both.north.standing(job, "clinic")["rows"] == 6
