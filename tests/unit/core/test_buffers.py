"""Working memory is used again, but never while somebody still holds a part of it."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fedsecure.core import buffers
from fedsecure.core.buffers import Memory, carve

MIB = 2**20


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "_pieces", [])


def place(buffer: Memory) -> int:
    return int(buffer.ctypes.data)


def test_buffers_do_not_overlap_and_begin_on_cache_lines() -> None:
    for sizes in ([1, 63, 65], [MIB + 16, MIB, 0, 3]):
        cut = carve(*sizes)
        assert [buffer.size for buffer in cut] == sizes
        cut = tuple(buffer for buffer in cut if buffer.size)
        ends = [place(buffer) + buffer.size for buffer in cut]
        assert all(place(b) >= end for b, end in zip(cut[1:], ends, strict=False))
        assert len({place(buffer) % 64 for buffer in cut}) == 1


def test_memory_that_nobody_holds_is_used_again() -> None:
    (first,) = carve(MIB)
    where = place(first)
    del first
    (again,) = carve(2 * MIB)
    assert place(again) == where


@pytest.mark.parametrize(
    "hold",
    [
        lambda buffer: buffer,
        lambda buffer: buffer[5:7],
        lambda buffer: buffer.data,
        lambda buffer: memoryview(buffer)[3:4],
        lambda buffer: buffer[:64].view(np.float64),
        lambda buffer: np.frombuffer(buffer[:8].data, np.uint32),
        lambda buffer: iter(buffer.data),
    ],
)
def test_memory_is_not_used_again_while_any_view_of_it_is_held(hold) -> None:
    (first,) = carve(MIB)
    where, held = place(first), hold(first)
    del first
    (other,) = carve(MIB)
    assert not where <= place(other) < where + MIB
    del held
    gc.collect()
    (again,) = carve(MIB)
    assert place(again) == where


def test_no_two_threads_get_the_same_memory() -> None:
    def job(number: int) -> bool:
        for _ in range(200):
            (mine,) = carve(MIB)
            mine[::4096] = number
            if not (mine[::4096] == number).all():
                return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(job, range(6)))


def test_large_memory_is_not_kept() -> None:
    carve(16 * MIB)
    assert not buffers._pieces


def test_what_is_kept_serves_any_size_and_can_be_let_go() -> None:
    for size in (MIB, 5 * MIB, MIB, 6 * MIB):
        carve(size)
    assert len(buffers._pieces) == 1
    held = [carve(MIB) for _ in range(6)]
    assert len(buffers._pieces) == 4
    buffers.forget()
    assert not buffers._pieces
    assert len(held) == 6
