"""Many data owners at once: every sum exact, memory flat, no error but "try later"."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from fedsecure.core import scheme
from tests.service.aggregator.conftest import Federation, Process
from tests.unit.aggregator.world import SERVERS, Report, Round, World

pytestmark = [pytest.mark.service, pytest.mark.timeout(3600)]

CROWD: Final = tuple(f"site{number:05d}" for number in range(64))
DIMENSION: Final = 10**6  # 4 MB a report
MULTITUDE: Final = tuple(f"site{number:05d}" for number in range(10_000))
WIDTH: Final = 16  # uploads at once of the multitude
MEGABYTE: Final = 2**20
PATIENCE: Final = 600.0  # seconds for one report


def units(number: int, name: str, size: int) -> NDArray[np.int64]:
    """Return an update in units of the fixed point's last place: it is exact then."""
    rng = np.random.default_rng([number, *name.encode()])
    return rng.integers(-3, 4, size)


def resident(server: Process) -> int:
    """Return the memory of a server in MB."""
    status = Path(f"/proc/{server.child.pid}/status").read_text()
    (line,) = [one for one in status.splitlines() if one.startswith("VmRSS")]
    return int(line.split()[1]) // 1024


class Uploader:
    """Sends reports as agents do, and counts what the servers put off."""

    def __init__(self, federation: Federation) -> None:
        self.federation = federation
        self.put_off = 0
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=256)
        self.clients = {
            name: httpx.Client(
                base_url=server.http.base_url,
                verify=server.tls,
                timeout=120.0,
                limits=limits,
            )
            for name, server in federation.servers.items()
        }

    def close(self) -> None:
        for client in self.clients.values():
            client.close()

    def send(self, reports: Mapping[str, Report]) -> dict[str, str]:
        return {name: self._send(name, report) for name, report in reports.items()}

    def _send(self, name: str, report: Report) -> str:
        statement = report.header.statement
        path = f"/v1/rounds/{statement.spec}/reports/{statement.reporter}"
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer = self.clients[name].put(path, content=report.body)
            if answer.status_code == 200:
                return answer.text
            assert answer.status_code == 503, answer.text
            self.put_off += 1
            time.sleep(float(answer.headers["Retry-After"]))
        pytest.fail(f"{statement.reporter} was put off for ever")


@contextmanager
def uploading(federation: Federation) -> Iterator[Uploader]:
    with ExitStack() as stack:
        uploader = Uploader(federation)
        stack.callback(uploader.close)
        yield uploader


def run_round(
    federation: Federation, uploader: Uploader, number: int, size: int, width: int
) -> None:
    """Report by everybody, as many at once as `width`; then open and compare."""
    world = federation.world
    asked = federation.propose(
        round=number, dimension=size, deadline=int(time.time()) + 3600
    )
    grants = federation.grant(asked)

    def report(name: str) -> dict[str, str]:
        update = (units(number, name, size) / asked.params.scale).astype(np.float32)
        return uploader.send(world.report(asked, grants, name, update=update))

    with ThreadPoolExecutor(width) as pool:
        answers = list(pool.map(report, world.hospitals))
    receipts = dict(zip(world.hospitals, answers, strict=True))
    mean = open_round(federation, asked, receipts)
    exact = np.zeros(size, np.int64)
    for name in world.hospitals:
        exact += units(number, name, size)
    opened = np.rint(mean.update * mean.count * asked.params.scale)
    np.testing.assert_array_equal(opened, exact)
    assert mean.count == len(world.hospitals)


def open_round(
    federation: Federation, asked: Round, receipts: Mapping[str, Mapping[str, str]]
) -> scheme.Mean:
    opening = federation.world.opening(asked, receipts)
    shares = []
    for name in SERVERS:
        answer = federation.servers[name].http.post(
            f"/v1/rounds/{asked.digest}/open", content=opening.token, timeout=1200
        )
        assert answer.status_code == 200, answer.text
        shares.append(federation.world.unseal(asked, opening, answer.content))
    return scheme.unshard(asked.params, *shares)


@pytest.fixture(scope="module")
def crowd(start_federation: Callable[..., Federation]) -> Federation:
    return start_federation("crowd", World("crowd", CROWD, secrets.token_bytes))


def require_flat_memory(federation: Federation, rounds: int) -> None:
    """Run rounds; memory after the last is what it was after the second."""
    sizes: list[dict[str, int]] = []
    with uploading(federation) as uploader:
        for number in range(1, rounds + 1):
            run_round(federation, uploader, number, DIMENSION, len(CROWD))
            servers = federation.servers.items()
            sizes.append({name: resident(server) for name, server in servers})
    grown = {name: sizes[-1][name] - sizes[1][name] for name in SERVERS}
    # How many uploads overlap is chance, and what the allocator keeps of it with it; a
    # payload of each data owner left behind would be 256 MB a round.
    assert max(grown.values()) <= 64, sizes
    # 100 MB, 8 bytes a parameter, 3 MB an open upload.
    most = 100 + 8 * DIMENSION // MEGABYTE + 3 * len(CROWD)
    assert max(max(one.values()) for one in sizes) <= most, sizes


def test_64_uploaders_with_4_mb_each_at_once_for_5_rounds(crowd: Federation) -> None:
    require_flat_memory(crowd, 5)


@pytest.mark.slow
def test_64_uploaders_with_4_mb_each_at_once_for_200_rounds(crowd: Federation) -> None:
    require_flat_memory(crowd, 200)


@pytest.mark.slow
def test_10_000_reports_in_one_round(
    start_federation: Callable[..., Federation],
) -> None:
    world = World("multitude", MULTITUDE, secrets.token_bytes)
    federation = start_federation("multitude", world)
    with uploading(federation) as uploader:
        run_round(federation, uploader, 1, 10**5, WIDTH)
    for server in federation.servers.values():
        assert resident(server) <= 400
