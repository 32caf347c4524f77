"""Each bench with real processes, at sizes that take seconds: what is reported."""

from pathlib import Path

import pytest
from rich.console import Console

from fedsecure_bench.compute import service as private_service
from fedsecure_bench.progress import Progress
from fedsecure_bench.results import Result
from fedsecure_bench.rounds import round_kinds, whole_rounds
from fedsecure_bench.rounds.stock_flower import stock_rounds
from fedsecure_bench.servers import scale, service

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]


@pytest.fixture
def told() -> Progress:
    return Progress(Console(), "test")


def steps(results: list[Result]) -> dict[str, Result]:
    assert all(line.median >= 0 for line in results)
    return {line.step: line for line in results}


def test_uploads_to_one_and_two_servers(tmp_path: Path, told: Progress) -> None:
    case = service.Case(size=1000, number=4, at_once=2)
    results = service.run([case], 1, tmp_path, told)
    found = steps(results)
    ways = (service.UNOPENED, service.STREAMED)
    for way in (service.ONE, service.TWO, *ways, service.DISK):
        for what, unit in service.UNITS.items():
            assert found[f"{way}: {what}"].unit == unit
    cpu = f"{service.ONE}: {service.CPU}"
    compared = {line.ratio_to for line in results if line.step == cpu}
    assert compared == {f"{way}: {service.CPU}" for way in ways}
    assert found[service.TO_MEAN].median > 0
    assert not list(tmp_path.iterdir())


def test_a_clinic_asks_two_real_aggregators(tmp_path: Path) -> None:
    asked: list[str] = []
    other = ["other"]

    def step() -> None:
        asked.append("one")

    found = private_service.waits(2, 10, tmp_path, lambda: other.append("one"), step)
    assert 0 < found.middle <= found.slow
    assert found.by_other is not None
    assert found.by_other > 0
    assert found.clinic > 0
    assert len(other) == 1 + private_service.BLOCKS
    assert len(asked) == 10 + private_service.BLOCKS
    assert not list(tmp_path.iterdir())


def test_rounds_of_all_kinds_on_flowers_runtime(told: Progress) -> None:
    effort = whole_rounds.Effort(rounds=1, turns=1, stock=False)
    results = whole_rounds.run([1000], effort, told)
    found = steps(results)
    assert {
        whole_rounds.PLAIN,
        whole_rounds.PLAIN_HERE,
        whole_rounds.SECURE,
        whole_rounds.NOISY,
        whole_rounds.SECAGG,
    } <= set(found)
    ratios = {line.ratio_to for line in results if line.step == whole_rounds.SECURE}
    assert ratios == {
        None,
        whole_rounds.PLAIN,
        whole_rounds.PLAIN_HERE,
        whole_rounds.SECAGG,
    }
    noisy = {line.ratio_to for line in results if line.step == whole_rounds.NOISY}
    assert noisy == {None, whole_rounds.SECURE}
    for stage in ("propose", "train", "open", "apply"):
        assert found[f"{whole_rounds.SECURE}: {stage}"].median > 0
    assert sum(f"{whole_rounds.SECAGG}: exchange" in step for step in found) == 4
    shares = found[f"{whole_rounds.SECURE}: {round_kinds.SHARE_BYTES}"]
    assert shares.median > 4 * 4000 / 10**6


def test_stock_flower_runs_the_same_rounds() -> None:
    (seconds,) = stock_rounds(1000, 1)
    assert seconds > 0


def test_one_round_with_many_data_owners(tmp_path: Path, told: Progress) -> None:
    scene = scale.Scene(owners=30, size=2000)
    found = steps(scale.run([scene], tmp_path, told))
    assert found["reports of the pair, memory"].median > 0
    assert found["memory of a server at 100%, memory"].median > 10
    on_disk = scale.Scene(owners=4, size=100, on_disk=True)
    assert "opening, disk" in steps(scale.run([on_disk], tmp_path, told))
    assert not list(tmp_path.iterdir())
