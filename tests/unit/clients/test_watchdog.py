"""What an agent does about trainings that hang and servers that are away."""

import threading

from structlog.testing import capture_logs

from fedsecure_clients.agent.waiting import Waiting
from fedsecure_clients.agent.watchdog import Watchdog


def test_a_training_that_ends_in_time_is_left_alone() -> None:
    called: list[str] = []
    watchdog = Watchdog(
        clock=lambda: 100.0,
        restart=lambda: called.append("restart"),
        answer=lambda: called.append("answer"),
    )
    with watchdog.until(160.0):
        pass
    assert called == []
    assert threading.active_count() >= 1


def test_at_the_deadline_the_owner_is_answered_and_then_the_process_starts_anew() -> (
    None
):
    called: list[str] = []
    over = threading.Event()

    def restart() -> None:
        called.append("restart")
        over.set()

    watchdog = Watchdog(lambda: 100.0, restart, lambda: called.append("answer"))
    with capture_logs() as logs, watchdog.until(100.0):
        assert over.wait(30)  # hangs until the watchdog has done its work
    assert called == ["answer", "restart"]
    assert [line["code"] for line in logs] == ["FS-384"]


def test_the_process_starts_anew_even_if_the_owner_cannot_be_answered() -> None:
    over = threading.Event()

    def fail() -> None:
        raise OSError

    watchdog = Watchdog(lambda: 100.0, over.set, fail)
    with watchdog.until(0.0):
        assert over.wait(30)


def test_a_server_that_is_away_is_one_line_however_often_it_is_asked() -> None:
    waiting = Waiting("the SuperLink")
    with capture_logs() as logs:
        waiting.back()
        for attempt in range(50):
            waiting.away("FS-501", f"refused, attempt {attempt}")
        waiting.away("FS-503", "the key is not admitted")
        waiting.back()
        waiting.back()
        waiting.away("FS-501", "refused")
    assert [(line["event"], line.get("code")) for line in logs] == [
        ("waiting for the SuperLink", "FS-501"),
        ("waiting for the SuperLink", "FS-503"),
        ("the SuperLink is back", None),
        ("waiting for the SuperLink", "FS-501"),
    ]
