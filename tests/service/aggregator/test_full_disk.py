"""The disk of one aggregator becomes full in the middle of an upload."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fedsecure.protocol.statements import Kind
from tests.service.aggregator.conftest import Federation, Process
from tests.service.aggregator.test_uploads import connect
from tests.unit.aggregator.world import HOSPITALS

pytestmark = pytest.mark.service

SIZE = 96 * 2**20  # bytes; 64 MiB of it have to be free when an upload begins
THREE = HOSPITALS[:3]


@contextmanager
def small_disk(server: Process) -> Iterator[None]:
    """Move a server's data folder to a disk of its own while the block lasts."""
    server.stop()
    kept = server.data.with_name("kept")
    shutil.copytree(server.data, kept)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", server.data]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode:
        server.start()
        pytest.skip(f"NOT TESTED: no tmpfs can be mounted here: {done.stderr!r}")
    try:
        shutil.copytree(kept, server.data, dirs_exist_ok=True)
        server.start()
        yield
    finally:
        server.stop()
        shutil.copytree(server.data, kept, dirs_exist_ok=True)
        subprocess.run(["umount", server.data], check=True)  # noqa: S607
        shutil.copytree(kept, server.data, dirs_exist_ok=True)
        server.start()


def fill(folder: Path) -> Path:
    """Leave no byte free."""
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return filler


def test_a_disk_that_becomes_full_in_an_upload_puts_it_off_and_loses_nothing(
    federation: Federation,
) -> None:
    north, world = federation.north, federation.world
    with small_disk(north):
        asked = federation.propose(dimension=10**6)
        receipts = federation.collect(asked, *THREE[:2])
        grants = federation.grant(asked)
        sealed = world.report(asked, grants, THREE[2], only=Kind.VECTOR)
        body = sealed["north"].body
        path = f"/v1/rounds/{asked.digest}/reports/{THREE[2]}"
        head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        with connect(north) as line:
            line.sendall(head.encode() + body[: len(body) // 2])
            wait_for_bytes(north.data / "incoming")
            filler = fill(north.data)
            with suppress(OSError):  # it may have answered and closed already
                line.sendall(body[len(body) // 2 :])
            answer = read(line)
        head_lines, _, problem = answer.partition(b"\r\n\r\n")
        assert head_lines.startswith(b"HTTP/1.1 503"), answer[:300]
        assert b"retry-after: 60" in head_lines.lower()
        assert json.loads(problem)["code"] == "FS-523"

        # With the disk still full it is ready for nothing, and says so.
        assert north.http.get("/health/ready").status_code == 503
        assert north.send(sealed["north"]).status_code == 503

        # Killed in that state and started again, with room: nothing was lost.
        filler.unlink()
        north.restart()
        answers = {name: federation.servers[name].send(sealed[name]) for name in sealed}
        assert {one.status_code for one in answers.values()} == {200}, answers
        receipts[THREE[2]] = {name: one.text for name, one in answers.items()}
        federation.require_mean(asked, receipts, *THREE)


def wait_for_bytes(incoming: Path) -> None:
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size for path in incoming.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def read(line: object) -> bytes:
    answer = b""
    with suppress(OSError):
        while piece := line.recv(65536):  # type: ignore[attr-defined]
            answer += piece
            if b"\r\n\r\n" in answer and answer.endswith(b"}"):
                break
    return answer
