"""A message comes once: an agent that may have lost one says so by joining anew."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from fedsecure.errors import PeerError
from fedsecure.frameworks.flower.runtime import Fleet
from fedsecure.frameworks.flower.runtime.calls import Caller, Pulse


def test_a_look_for_messages_whose_answer_was_lost_is_not_repeated_in_silence() -> None:
    looks: list[Any] = []

    def look(request: Any) -> Any:
        looks.append(request)
        raise httpx.ReadError("the connection was cut")

    link = Fleet(
        SimpleNamespace(PullMessages=look),
        Caller("superlink.example:9092", patience=60.0),
        7,
        Pulse(lambda: True, 5.0),
    )
    with pytest.raises(PeerError, match="FS-501"):
        link.receive()
    assert len(looks) == 1
