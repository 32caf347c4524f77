"""Any process may die at any moment: SIGKILL at every named point of a round.

The process that is killed comes back as a supervisor would bring it back, and what the
model owner types is `fedsecure train --resume`. Afterwards everything is as if nobody
had been killed (`scene.check`). CI kills everybody once; `make slow` goes through all
points, whose result stands in docs/reliability.md.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from fedsecure.compute.inputs import contribute
from fedsecure.compute.numbers import Numbers
from fedsecure.compute.participant import open_participant
from fedsecure.compute.proposal import Request, propose
from fedsecure.compute.queries import Service
from fedsecure.core.mpc.program import MODEL, Linear
from fedsecure.demo.provision import AGGREGATORS, CLIENT, OWNER
from fedsecure.protocol.jobs.parts import JobKind
from fedsecure.system.crash_points import VARIABLE, Point
from tests.e2e.federation import PATIENCE, wait_until
from tests.kill.scene import Scene, scene
from tests.postgres import Cluster, cluster

pytestmark = [pytest.mark.kill, pytest.mark.timeout(600)]

A, B = AGGREGATORS
REPORTERS: Final = 4
OF_AGGREGATOR: Final = [one for one in Point if one.startswith("aggregator:")]
OF_OWNER: Final = [one for one in Point if one.startswith("owner:")]
OF_AGENT: Final = [one for one in Point if one.startswith("agent:")]
EACH_REPORT: Final = {
    Point.REPORT_SPOOLED,
    Point.REPORT_COMMITTED,
    Point.RECEIPT_SIGNED,
}
SITE: Final = "hungary"
LINEAR: Final = Linear(3, 1, 16, 14, 64.0, 4.0, 4.0)
WEIGHTS: Final = np.array([[0.5], [-1.0], [2.0], [0.25]])  # the last row is the bias
ROWS: Final = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]])
OF_CLIENT: Final = (
    Point.QUERY_NUMBERED,
    Point.QUERY_ANSWERED_A,
    Point.QUERY_ANSWERED_B,
)
ASKING: Final = """
import json, sys
from pathlib import Path
import numpy as np
from fedsecure.compute.handout import Handout
from fedsecure.compute.numbers import Numbers
from fedsecure.compute.participant import open_participant
from fedsecure.compute.queries import Service
config, file, rows = sys.argv[1:]
with open_participant(Path(config)) as clinic:
    service = Service(
        clinic, Handout.read(Path(file), clinic.federation), Numbers(clinic.folder)
    )
    print(json.dumps(service.ask(np.array(json.loads(rows))).tolist()))
"""  # a clinic, as a process that can be killed


def in_round(number: int, point: Point) -> str:
    """Name a point in one round of a run: there are models before it and after it."""
    before = number - 1
    return f"{point}@{REPORTERS * before + 2 if point in EACH_REPORT else number}"


def matrix(party: str, points: list[Point]) -> list[object]:
    return [pytest.param(point, id=f"{party}-{point}") for point in points]


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("kill"), str) as made:
        yield made


@pytest.fixture(scope="module")
def server(postgresql: Cluster) -> Iterator[Cluster]:
    """A database server of its own, to be killed."""
    assert postgresql.programs  # skipped with all others where there is none
    with cluster() as running:
        yield running


@pytest.fixture(scope="module")
def on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, server: Cluster
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("kill-postgresql")
    with scene(folder, lambda _file: server.new_database()) as made:
        yield made


def test_everybody_dies_once(
    on_postgresql: Scene, server: Cluster, tmp_path: Path
) -> None:
    """Both aggregators, an agent and the database; then the owner and its SuperLink."""
    made = on_postgresql
    held = tmp_path / "held"
    made.restart_aggregator(A, f"{Point.REPORT_COMMITTED}@2")
    made.restart_aggregator(B, f"{Point.OPENING_COMMITTED}@2")
    made.restart_agent(SITE, f"{Point.REPORTS_STORED}@3")
    training = made.train(f"{Point.GRANTS_RECORDED}@2={held}")

    assert made.aggregators[A].wait(PATIENCE) == -signal.SIGKILL  # in round 1
    made.start_aggregator(A)
    wait_until(held.exists, "round 2")
    server.kill()
    server.start()
    held.unlink()
    assert made.aggregators[B].wait(PATIENCE) == -signal.SIGKILL  # in round 2
    made.start_aggregator(B)
    agent = made.running.agents[SITE]
    assert agent.wait(PATIENCE) == -signal.SIGKILL  # in round 3
    made.running.start_agent(SITE)
    made.finish(training)
    made.check()

    training = made.train(f"{Point.SHARE_A_FETCHED}@2")
    assert training.wait(PATIENCE) == -signal.SIGKILL
    fault = f"{Point.RECEIPTS_COLLECTED}={held}"
    training = made.train(fault, resume=made.run())
    wait_until(held.exists, "the receipts of round 3")
    os.kill(made.superlink(training), signal.SIGKILL)
    held.unlink()
    made.finish(training)
    made.check()


def test_the_aggregators_die_before_and_after_they_commit_an_answer(
    on_postgresql: Scene, server: Cluster
) -> None:
    """And so does the database: the client hears one answer, both hold one query."""
    made, folder = on_postgresql, on_postgresql.running.folder
    for name, point in ((A, Point.QUERY_COMPUTED), (B, Point.QUERY_COMMITTED)):
        made.restart_aggregator(name, f"{point}@2")
    with (
        open_participant(folder.config(OWNER)) as owner,
        open_participant(folder.config(CLIENT)) as clinic,
        ThreadPoolExecutor(1) as pool,
    ):
        asked = Request("k", LINEAR, JobKind.LINEAR, clients=[CLIENT], rows=10)
        handout = propose(owner, asked)
        contribute(owner, handout, MODEL, WEIGHTS)
        service = Service(clinic, handout, Numbers(clinic.folder))
        first = service.ask(ROWS)
        again = pool.submit(service.ask, ROWS)
        for name in AGGREGATORS:
            assert made.aggregators[name].wait(PATIENCE) == -signal.SIGKILL
        server.kill()
        server.start()
        for name in AGGREGATORS:
            made.start_aggregator(name)
        np.testing.assert_allclose(again.result(PATIENCE), first, atol=1e-6)
        np.testing.assert_allclose(first, ROWS @ WEIGHTS[:-1] + WEIGHTS[-1], atol=1e-3)
    query = "SELECT client, query, query_id, rows, answered FROM queries ORDER BY query"
    held = [made.ask(name, query) for name in AGGREGATORS]
    assert held[0] == held[1]
    assert [row[3:] for row in held[0]] == [(2, 2), (2, 4)]


def test_the_client_dies_at_each_step_of_a_query_and_asks_again(
    on_postgresql: Scene, tmp_path: Path
) -> None:
    """A new process has a new number and the right answer; none is answered twice."""
    made, folder = on_postgresql, on_postgresql.running.folder
    file = tmp_path / "k.service.json"
    with open_participant(folder.config(OWNER)) as owner:
        asked = Request("dying", LINEAR, JobKind.LINEAR, clients=[CLIENT], rows=100)
        handout = propose(owner, asked)
        contribute(owner, handout, MODEL, WEIGHTS)
        handout.write(file)
    words = [sys.executable, "-c", ASKING, str(folder.config(CLIENT)), str(file)]
    words.append(json.dumps(ROWS.tolist()))
    for point in OF_CLIENT:
        for fault in ({VARIABLE: str(point)}, {}):
            done = subprocess.run(
                words,
                env={**os.environ, **fault},
                stdout=subprocess.PIPE,
                timeout=PATIENCE,
                check=False,
            )
            assert done.returncode == (-signal.SIGKILL if fault else 0), point
        exact = ROWS @ WEIGHTS[:-1] + WEIGHTS[-1]
        np.testing.assert_allclose(json.loads(done.stdout), exact, atol=1e-3)
    query = "SELECT query, query_id FROM queries WHERE spec = :spec ORDER BY query"
    first, second = (made.ask(n, query, spec=handout.digest) for n in AGGREGATORS)
    both = {*first} & {*second}
    assert len(both) >= len(OF_CLIENT)  # those whose process lived
    assert dict(first).items() | dict(second).items() == {*first, *second}
    numbers = [number for number, _ in {*first, *second}]
    assert len(numbers) == len({*numbers})  # no number stands for two queries


@pytest.mark.slow
@pytest.mark.parametrize("point", matrix("both aggregators", OF_AGGREGATOR))
def test_the_aggregators_die_one_after_the_other(
    on_sqlite: Scene, point: Point
) -> None:
    for number, name in ((2, A), (3, B)):
        on_sqlite.restart_aggregator(name, in_round(number, point))
    training = on_sqlite.train()
    for name in AGGREGATORS:
        assert on_sqlite.aggregators[name].wait(PATIENCE) == -signal.SIGKILL
        on_sqlite.start_aggregator(name)
    on_sqlite.finish(training)
    on_sqlite.check()


@pytest.mark.slow
@pytest.mark.parametrize("point", matrix("postgresql", OF_AGGREGATOR))
def test_the_database_server_dies_twice(
    on_postgresql: Scene, server: Cluster, point: Point, tmp_path: Path
) -> None:
    """At a point of an aggregator, and a round later at one of the model owner."""
    made, other = on_postgresql, OF_OWNER[OF_AGGREGATOR.index(point) % len(OF_OWNER)]
    first, second = tmp_path / "first", tmp_path / "second"
    made.restart_aggregator(A, f"{in_round(2, point)}={first}")
    training = made.train(f"{in_round(3, other)}={second}")
    for held in (first, second):
        wait_until(held.exists, held.name)
        server.kill()
        server.start()
        held.unlink()
    made.finish(training)
    made.check()


@pytest.mark.slow
@pytest.mark.parametrize("point", matrix("owner", OF_OWNER))
def test_the_model_owner_dies(on_sqlite: Scene, point: Point) -> None:
    training = on_sqlite.train(in_round(2, point))
    assert training.wait(PATIENCE) == -signal.SIGKILL
    on_sqlite.finish(on_sqlite.train(resume=on_sqlite.run()))
    on_sqlite.check()


@pytest.mark.slow
@pytest.mark.parametrize("point", matrix("agent", OF_AGENT))
def test_an_agent_dies(on_sqlite: Scene, point: Point) -> None:
    on_sqlite.restart_agent(SITE, in_round(2, point))
    training = on_sqlite.train()
    agent = on_sqlite.running.agents[SITE]
    assert agent.wait(PATIENCE) == -signal.SIGKILL
    on_sqlite.running.start_agent(SITE)
    on_sqlite.finish(training)
    on_sqlite.check()


@pytest.mark.slow
def test_the_whole_machine_dies(on_sqlite: Scene, tmp_path: Path) -> None:
    held = tmp_path / "held"
    training = on_sqlite.train(f"{Point.OPENING_RECORDED}@2={held}")
    wait_until(held.exists, "the opening")
    processes = [training, *on_sqlite.aggregators.values()]
    processes += on_sqlite.running.agents.values()
    os.kill(on_sqlite.superlink(training), signal.SIGKILL)
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()
    for name in AGGREGATORS:
        on_sqlite.start_aggregator(name)
    for site in on_sqlite.running.folder.sites:
        on_sqlite.running.start_agent(site)
    on_sqlite.finish(on_sqlite.train(resume=on_sqlite.run()))
    on_sqlite.check()


@pytest.mark.slow
@pytest.mark.parametrize("point", matrix("superlink", [*OF_OWNER, *OF_AGENT]))
def test_the_superlink_dies(on_sqlite: Scene, point: Point, tmp_path: Path) -> None:
    held = tmp_path / "held"
    fault = f"{in_round(2, point)}={held}"
    if point in OF_AGENT:
        on_sqlite.restart_agent(SITE, fault)
    training = on_sqlite.train(fault if point in OF_OWNER else "")
    wait_until(held.exists, f"{point}")
    os.kill(on_sqlite.superlink(training), signal.SIGKILL)
    held.unlink()
    on_sqlite.finish(training)
    on_sqlite.check()
