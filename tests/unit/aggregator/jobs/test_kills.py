"""An aggregator dies at every point of a job: nothing is lost, nothing answered twice.

The process ends at a crash point, comes back on what is on its disk, and is asked
again for the same thing. What was answered before is answered to the same bytes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fedsecure.system.crash_points import Point
from fedsecure_aggregator.jobs import grants, inputs, queries, running, starts
from tests.unit.aggregator.jobs.conftest import JobPair
from tests.unit.aggregator.jobs.world import BIAS, ROWS, A, B, W, went_in

MARKED = (grants, inputs, queries, running, starts)


class DiedError(BaseException):
    """The process is gone."""


def dies(
    patch: pytest.MonkeyPatch, both: JobPair, at: Point, doing: Callable[[], object]
) -> None:
    """End north's process at a point, and start it again."""

    def power_cut(point: Point) -> None:
        if point is at:
            raise DiedError

    with patch.context() as marked:
        for module in MARKED:
            marked.setattr(module, "crash_point", power_cut)
        with pytest.raises(DiedError):
            doing()
    both.restart("north")


@pytest.mark.parametrize("at", [Point.JOB_GRANTING, Point.JOB_GRANTED])
def test_it_dies_while_it_grants(
    both: JobPair, monkeypatch: pytest.MonkeyPatch, at: Point
) -> None:
    job = both.world.job()
    dies(monkeypatch, both, at, lambda: both.north.grant(job))
    granted = both.north.grant(job)
    assert both.north.grant(job) == granted
    assert both.north.files(job) == {"key"}


@pytest.mark.parametrize("at", [Point.JOB_STARTED, Point.CHANNEL_STORED])
def test_it_dies_while_it_starts(
    both: JobPair, monkeypatch: pytest.MonkeyPatch, at: Point
) -> None:
    job = both.world.job()
    tokens = both.granted(job)
    begin, south = both.world.start(job, tokens), both.servers["south"]
    if at is Point.JOB_STARTED:
        dies(monkeypatch, both, at, lambda: both.north.start(job, begin))
    own = both.north.start(job, begin)
    others = south.start(job, begin)
    south.channel(job, own)
    if at is Point.CHANNEL_STORED:
        dies(monkeypatch, both, at, lambda: both.north.channel(job, others))
    assert both.north.channel(job, others) == own == both.north.start(job, begin)
    assert both.north.standing(job)["channel"]
    finish(both, job, tokens)


@pytest.mark.parametrize("at", [Point.INPUT_SPOOLED, Point.INPUT_COMMITTED])
def test_it_dies_while_it_stores_an_input(
    both: JobPair, monkeypatch: pytest.MonkeyPatch, at: Point
) -> None:
    job = both.world.job()
    tokens = both.started(job)
    uploads = both.world.shared(job, tokens, "a", A)
    dies(monkeypatch, both, at, lambda: both.north.put(job, uploads["north"]))
    receipt = both.north.put(job, uploads["north"])
    assert both.north.put(job, uploads["north"]) == receipt
    both.servers["south"].put(job, uploads["south"])
    finish(both, job, tokens, a=uploads["north"])


@pytest.mark.parametrize("at", [Point.OUTPUT_ON_DISK, Point.JOB_DONE])
def test_it_dies_while_it_computes(
    both: JobPair, monkeypatch: pytest.MonkeyPatch, at: Point
) -> None:
    job = both.world.job()
    used = both.summed(job)
    dies(monkeypatch, both, at, both.north.run)
    both.north.run()
    opens(both, job, used)
    assert both.north.files(job) == {"output"}


@pytest.mark.parametrize("at", [Point.QUERY_COMPUTED, Point.QUERY_COMMITTED])
def test_it_dies_while_it_answers(
    both: JobPair, monkeypatch: pytest.MonkeyPatch, at: Point
) -> None:
    job = both.world.service()
    tokens = both.served(job)
    before = both.world.query(job, tokens, 1)
    first = both.ask(job, before)
    asked = both.world.query(job, tokens, 2)
    dies(monkeypatch, both, at, lambda: both.north.ask(job, asked["north"]))
    answers = both.ask(job, asked)
    assert both.ask(job, asked) == answers
    assert both.ask(job, before) == first
    logits = both.world.logits(job, asked, answers)
    np.testing.assert_allclose(logits, (ROWS @ W + BIAS)[:, 0], atol=1e-6)
    assert both.north.standing(job, "clinic")["rows"] == 4


def test_another_query_cannot_take_a_number_that_was_answered_before_a_kill(
    both: JobPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = both.world.service()
    tokens = both.served(job)
    asked, other = (both.world.query(job, tokens, 1) for _ in range(2))
    at = Point.QUERY_COMMITTED
    dies(monkeypatch, both, at, lambda: both.north.ask(job, asked["north"]))
    with pytest.raises(Exception, match="FS-395"):
        both.north.ask(job, other["north"])


def finish(both: JobPair, job: Any, tokens: dict[str, str], **stored: Any) -> None:
    """Give what is missing, compute, and open."""
    used = []
    for name, values in (("a", A), ("b", B)):
        upload = stored.get(name)
        if upload is None:
            uploads = both.world.shared(job, tokens, name, values)
            both.put(job, uploads)
            upload = uploads["north"]
        used.append(upload)
    both.north.run()
    opens(both, job, used)


def opens(both: JobPair, job: Any, used: list[Any]) -> None:
    both.servers["south"].run()
    answers = {name: one.output(job) for name, one in both.servers.items()}
    assert answers == {name: one.output(job) for name, one in both.servers.items()}
    opened = both.world.opened(job, answers, went_in(*used))
    np.testing.assert_array_equal(opened["total"], A + B)
