"""One audit at a time, with marks of how far it is."""

import threading
import time
from collections.abc import Callable

import pytest

from fedsecure.audit.findings import Report
from fedsecure.audit.verify import Progress
from fedsecure.console.auditing import STEPS, Audits
from fedsecure.errors import RoundStateError
from tests.unit.aggregator.world import Clock


def finished(audits: Audits) -> None:
    for thread in threading.enumerate():
        if thread.name.endswith("(_run)"):
            thread.join(10)
    assert audits.going is None


def test_a_second_audit_waits_for_the_first() -> None:
    release = threading.Event()

    def work(_progress: Progress) -> Report:
        assert release.wait(10)
        return Report()

    audits = Audits(work, ("rounds.db",), Clock())
    audits.begin()
    with pytest.raises(RoundStateError, match="FS-588"):
        audits.begin()
    release.set()
    finished(audits)
    assert audits.last is not None
    assert audits.last.report == Report()
    audits.begin()
    finished(audits)


def test_an_audit_tells_how_far_it_is_a_few_times_only() -> None:
    told: list[tuple[str, float]] = []
    audits: list[Audits] = []

    def work(progress: Progress) -> Report:
        progress.begin("rounds.db", 10_000)
        before = audits[0].mark
        for _ in range(10_000):
            progress.step(1)
        assert audits[0].mark - before <= STEPS
        going = audits[0].going
        assert going is not None
        told.append((going.what, going.part))
        progress.begin("models", 0)
        progress.step(1)
        return Report()

    audits.append(Audits(work, (), Clock()))
    audits[0].begin()
    finished(audits[0])
    assert told == [("rounds.db", 1.0)]


def test_an_audit_ends_with_its_console() -> None:
    begun, cleaned = threading.Event(), threading.Event()

    def work(progress: Progress) -> Report:
        try:
            for _ in range(10_000):
                begun.set()
                progress.step(1)
                time.sleep(0.01)
        finally:
            cleaned.set()
        return Report()

    audits = Audits(work, (), Clock())
    audits.begin()
    assert begun.wait(10)
    audits.close()
    assert cleaned.wait(10)
    finished(audits)
    assert audits.last is None or audits.last.report is None


def test_an_audit_that_breaks_down_can_be_begun_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    broken: Callable[[Progress], Report] = lambda _: 1 / 0  # type: ignore[return-value]  # noqa: E731
    audits = Audits(broken, (), Clock())
    audits.begin()
    finished(audits)
    assert audits.last is not None
    assert audits.last.report is audits.last.error is None
    audits.begin()
    finished(audits)


def test_a_clock_that_is_set_back_makes_no_audit_shorter_than_nothing() -> None:
    clock, monotonic = Clock(), Clock(5.0)

    def work(_progress: Progress) -> Report:
        clock.now -= 3600
        monotonic.now += 2
        return Report()

    audits = Audits(work, (), clock, monotonic)
    audits.begin()
    finished(audits)
    assert audits.last is not None
    assert (audits.last.at, audits.last.seconds) == (Clock().now, 2.0)


def test_an_audit_that_finds_no_thread_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    audits = Audits(lambda _progress: Report(), (), Clock())
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError):
            audits.begin()
    assert audits.going is None
    audits.begin()
    finished(audits)
    assert audits.last is not None
    assert audits.last.report == Report()
