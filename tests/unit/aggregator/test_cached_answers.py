import asyncio
import threading
from collections.abc import Callable

from fedsecure_aggregator.http.cached_answers import LONGEST, CachedAnswer
from tests.unit.aggregator.world import Clock


def counted(clock: Clock, seconds: float) -> tuple[Callable[[], int], list[int]]:
    """Something that takes so long to find out, and how often it was."""
    found: list[int] = []

    def find() -> int:
        found.append(len(found))
        clock.now += seconds
        return found[-1]

    return find, found


def test_what_was_found_is_given_again_for_nine_times_as_long_as_it_took() -> None:
    clock = Clock(0.0)
    find, found = counted(clock, 0.01)
    answer = CachedAnswer(find, clock)

    async def ask() -> list[int]:
        answers = [await answer.get(), await answer.get()]
        clock.now += 0.08
        answers.append(await answer.get())
        clock.now += 0.02
        return [*answers, await answer.get()]

    assert asyncio.run(ask()) == [0, 0, 0, 1]
    assert found == [0, 1]


def test_an_answer_is_never_older_than_it_says() -> None:
    clock = Clock(0.0)
    answer = CachedAnswer(counted(clock, 60.0)[0], clock)

    async def ask() -> tuple[int, int]:
        first = await answer.get()
        clock.now += LONGEST
        return first, await answer.get()

    assert asyncio.run(ask()) == (0, 1)


def test_however_many_ask_one_at_a_time_finds_it_out() -> None:
    clock, running, most = Clock(0.0), threading.Lock(), []

    def find() -> int:
        assert running.acquire(blocking=False)
        most.append(len(most))
        clock.now += 0.01
        running.release()
        return most[-1]

    async def ask() -> list[int]:
        answer = CachedAnswer(find, clock)
        return await asyncio.gather(*(answer.get() for _ in range(50)))

    assert asyncio.run(ask()) == [0] * 50


def test_what_takes_no_time_is_found_out_each_time() -> None:
    find, found = counted(Clock(0.0), 0.0)
    answer = CachedAnswer(find, Clock(0.0))

    async def ask() -> list[int]:
        return [await answer.get() for _ in range(3)]

    assert asyncio.run(ask()) == found == [0, 1, 2]
