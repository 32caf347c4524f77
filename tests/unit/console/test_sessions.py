"""Tokens, sessions, and when they end."""

import pytest

from fedsecure.console.sessions import MOST, SECONDS, Sessions
from fedsecure.errors import PeerError
from tests.unit.aggregator.world import Clock, Entropy


def made() -> tuple[Sessions, Clock, list[str]]:
    clock, shown = Clock(0.0), list[str]()
    sessions = Sessions(Entropy("console"), clock, shown.append)
    sessions.begin()
    return sessions, clock, shown


def test_a_session_ends_by_itself() -> None:
    sessions, clock, shown = made()
    session = sessions.sign_in(shown[-1])
    clock.now = SECONDS - 1
    assert sessions.find(session.cookie) == session
    clock.now = SECONDS
    assert sessions.find(session.cookie) is None


def test_every_token_works_once() -> None:
    sessions, _, shown = made()
    for _ in range(3):
        sessions.sign_in(shown[-1])
    assert len(set(shown)) == 4
    for used in shown[:-1]:
        with pytest.raises(PeerError, match="FS-582"):
            sessions.sign_in(used)
    sessions.sign_in(shown[-1])


@pytest.mark.parametrize("token", ["", "a", "\N{SNOWMAN}", "a" * 10_000])
def test_a_wrong_token_changes_nothing(token: str) -> None:
    sessions, _, shown = made()
    with pytest.raises(PeerError, match="FS-582"):
        sessions.sign_in(token)
    sessions.sign_in(shown[-1])


def test_one_browser_does_not_end_anothers_session() -> None:
    sessions, _, shown = made()
    first, second = sessions.sign_in(shown[-1]), sessions.sign_in(shown[-1])
    assert first.form_token != second.form_token
    sessions.end(first)
    assert sessions.find(first.cookie) is None
    assert sessions.find(second.cookie) == second


def test_there_are_only_so_many_sessions() -> None:
    sessions, _, _ = made()
    first = sessions.open()
    for _ in range(MOST):
        last = sessions.open()
    assert sessions.find(first.cookie) is None
    assert sessions.find(last.cookie) == last


def test_nothing_secret_prints() -> None:
    sessions, _, shown = made()
    session = sessions.sign_in(shown[-1])
    assert session.cookie not in repr(session)
    assert session.form_token not in repr(session)
