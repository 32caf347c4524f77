import os
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from fedsecure.system.lifeline import interruptible
from tests.compose.engine import (
    PROJECTS,
    Engine,
    NoEngineError,
    find_engine,
    machines_own,
)
from tests.compose.federation import Containers, Models, federation
from tests.compose.parties import Images
from tests.compose.reference import train_without_containers

T = TypeVar("T")


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A running engine, whatever it takes; without one these tests are skipped."""
    try:
        with interruptible(), find_engine() as found:
            version = found.docker("version", "--format", "{{.Server.Version}}").strip()
            say(request.config, f"Docker engine {version}: {found.origin}")
            yield found
    except NoEngineError as reason:
        if os.environ.get("CI") == "true" and os.geteuid() == 0:
            pytest.fail(f"in CI this stage must run, but {reason}")
        say(request.config, f"NOT TESTED: containers, because {reason}")
        pytest.skip(f"NOT TESTED: {reason}")


@pytest.fixture(scope="session")
def compose(request: pytest.FixtureRequest) -> Engine:
    """Compose v2, for what needs no running engine."""
    machine = machines_own()
    if machine.has_compose():
        return machine
    found: Engine = request.getfixturevalue("engine")
    return found


@pytest.fixture(scope="session")
def made(
    engine: Engine,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Containers, Models]]:
    """Images and a federation, nothing started; and what a run ought to come to.

    Images are built while keys are made and a federation without containers trains.
    """
    project = f"{PROJECTS}{secrets.token_hex(4)}"
    images = Images(*(f"{project}-{kind}" for kind in ("aggregator", "owner", "agent")))
    folder = tmp_path_factory.mktemp("federation")
    with federation(folder, engine, images, project) as everybody:
        with ThreadPoolExecutor(2) as threads:
            building = threads.submit(timed, everybody.build)
            keys, _ = timed(everybody.provision)
            reference = tmp_path_factory.mktemp("reference")
            plain, expected = timed(train_without_containers, reference)
            images_built, _ = building.result()
        say(
            request.config,
            f"seconds: images {images_built:.0f}; meanwhile keys and joining "
            f"{keys:.0f}, a training without containers {plain:.0f}",
        )
        yield everybody, expected


@pytest.fixture(scope="session")
def images(made: tuple[Containers, Models]) -> Images:
    return made[0].images


@pytest.fixture(scope="session")
def expected(made: tuple[Containers, Models]) -> Models:
    """The rounds of the same training without containers."""
    return made[1]


@pytest.fixture(scope="session")
def everybody(
    made: tuple[Containers, Models], request: pytest.FixtureRequest
) -> Containers:
    """All seven parties, started by docs/containers.md."""
    parties = made[0]
    seconds, _ = timed(parties.start_everybody)
    say(request.config, f"seconds: starting everybody {seconds:.0f}")
    return parties


def timed(work: Callable[..., T], *args: Any) -> tuple[float, T]:
    begin = time.monotonic()
    result = work(*args)
    return time.monotonic() - begin, result


def say(config: pytest.Config, what: str) -> None:
    """Show a line although output is captured: which engine a run was on matters."""
    plugins = config.pluginmanager
    with plugins.getplugin("capturemanager").global_and_fixture_disabled():
        plugins.getplugin("terminalreporter").write_line(f"\n{what}")
