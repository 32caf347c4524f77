"""What an agent's log says of servers that are away."""

from structlog.testing import capture_logs

from fedsecure_clients.agent.waiting import Waiting


def test_a_superlink_that_is_away_is_told_once_and_is_no_warning() -> None:
    waiting = Waiting("the SuperLink at train.test:8000", in_trainings=True)
    with capture_logs() as lines:
        for _ in range(100):
            waiting.away("FS-501", "train.test:8000: connection refused")
    (line,) = lines
    assert line["log_level"] == "info"
    assert line["event"] == "waiting for the SuperLink at train.test:8000"
    assert line["until"] == "a training"
    assert "code" not in line


def test_what_keeps_an_agent_from_joining_is_a_warning_with_its_code() -> None:
    waiting = Waiting("the SuperLink at train.test:8000", in_trainings=True)
    with capture_logs() as lines:
        waiting.away("FS-501", "connection refused")
        waiting.away("FS-502", "the certificate is not trusted")
        waiting.back()
        waiting.away("FS-501", "connection refused")
    told = [(one["log_level"], one.get("code")) for one in lines]
    assert told == [
        ("info", None), ("warning", "FS-502"), ("info", None), ("info", None)
    ]  # fmt: skip


def test_an_aggregator_that_is_away_in_a_round_is_a_warning() -> None:
    with capture_logs() as lines:
        Waiting("an aggregator").away("FS-551", "connection refused")
    assert [one["log_level"] for one in lines] == ["warning"]
