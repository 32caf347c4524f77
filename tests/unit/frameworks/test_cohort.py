"""Who is asked: an agent that once did not answer is not forgotten."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from fedsecure.frameworks.flower.runtime import LEASE
from fedsecure.owner.run.cohort import LONGEST_PAUSE, SHORTEST_PAUSE, Cohorts
from fedsecure.owner.run.participants import Agent, Answer, Question
from fedsecure.owner.run.plan import Plan
from fedsecure.protocol.statements import Weighting

ROSTER = ("basel", "bern", "chur", "genf")
ROUND_SECONDS = 300.0


@dataclass
class World:
    """A clock, and the agents that are online."""

    now: float = 0.0
    nodes: dict[str, Agent] = field(
        default_factory=lambda: {
            name: Agent(number, "first") for number, name in enumerate(ROSTER)
        }
    )

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def online(self) -> Mapping[str, Agent]:
        return dict(self.nodes)

    def ask(
        self,
        question: Question,
        asked: Mapping[str, Agent],
        seconds: float,
        enough: Callable[[], bool],
    ) -> Sequence[Answer]:
        raise NotImplementedError


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def cohorts(world: World) -> Cohorts:
    plan = Plan(
        run="run-1",
        rounds=9,
        config={},
        scalars=(),
        clip=1.0,
        weight_cap=1,
        weighting=Weighting.EQUAL,
        min_cohort=3,
        round_seconds=ROUND_SECONDS,
        join_seconds=60.0,
    )
    return Cohorts(
        world, roster=ROSTER, plan=plan, clock=world.clock, sleep=world.sleep
    )


def miss(cohorts: Cohorts, name: str) -> None:
    cohort = cohorts.gather()
    assert name in cohort
    cohorts.note(cohort, [name])


def test_who_did_not_answer_is_left_out_and_the_others_do_not_wait(
    world: World, cohorts: Cohorts
) -> None:
    miss(cohorts, "genf")
    started = world.now
    assert sorted(cohorts.gather()) == ["basel", "bern", "chur"]
    assert world.now == started


def test_nobody_is_left_out_when_nobody_answered(
    world: World, cohorts: Cohorts
) -> None:
    """Then this machine slept, and all of them may be there."""
    cohorts.note(cohorts.gather(), ROSTER)
    started = world.now
    assert sorted(cohorts.gather()) == sorted(ROSTER)
    assert world.now == started


def test_who_joins_anew_is_asked_at_once(world: World, cohorts: Cohorts) -> None:
    miss(cohorts, "genf")
    world.nodes["genf"] = Agent(3, "second")
    assert "genf" in cohorts.gather()


def test_who_is_still_there_after_a_pause_is_asked_again(
    world: World, cohorts: Cohorts
) -> None:
    """Its question was lost on the way, or it was slow: it does not join anew."""
    miss(cohorts, "genf")
    world.now += ROUND_SECONDS - 1
    assert "genf" not in cohorts.gather()
    world.now += 1
    assert "genf" in cohorts.gather()


def test_the_pause_doubles_each_time_and_an_answer_ends_that(
    world: World, cohorts: Cohorts
) -> None:
    pauses = []
    for _ in range(6):
        miss(cohorts, "genf")
        began = world.now
        while "genf" not in cohorts.gather():
            world.now += ROUND_SECONDS / 2
        pauses.append(world.now - began)
    doubled = [min(ROUND_SECONDS * 2**n, LONGEST_PAUSE) for n in range(6)]
    assert pauses == doubled
    cohorts.note(cohorts.gather(), [])
    miss(cohorts, "genf")
    world.now += ROUND_SECONDS
    assert "genf" in cohorts.gather()


def test_who_is_dead_is_offline_before_it_would_be_asked_again() -> None:
    assert SHORTEST_PAUSE > LEASE
