"""Real aggregators, and agents' own clients that reach them through taps."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.service.aggregator.conftest import (  # noqa: F401 - both are fixtures
    Federation,
    federation,
    start_federation,
)
from tests.service.network.parties import Hospital, hospital
from tests.tap import Tap, any_tls, ended_tls, tapping
from tests.unit.aggregator.world import SERVERS

Taps = dict[str, Tap]


@contextmanager
def tapped(federation: Federation) -> Iterator[Taps]:  # noqa: F811
    """Sit in front of both servers, with their TLS keys: the strongest reader."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                tapping(
                    server.port,
                    ended_tls(server.folder / "tls.pem", server.folder / "tls.key"),
                    any_tls(),
                )
            )
            for name, server in federation.servers.items()
        }


@pytest.fixture
def taps(federation: Federation) -> Iterator[Taps]:  # noqa: F811
    with tapped(federation) as both:
        yield both


Admit = Callable[..., Hospital]


@pytest.fixture
def admit(federation: Federation, tmp_path: Path) -> Iterator[Admit]:  # noqa: F811
    """Start the end of a data owner's agent; `taps` are what it takes for servers."""
    numbers = count()
    with ExitStack() as stack:

        def start(
            name: str, taps: Taps, seconds: float = 0.0, of: Federation = federation
        ) -> Hospital:
            ports = {server: taps[server].port for server in SERVERS}
            folder = tmp_path / f"{name}-{next(numbers)}"
            return stack.enter_context(hospital(of, name, folder, ports, seconds))

        yield start
