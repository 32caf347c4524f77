import os
import secrets
from collections.abc import Iterator

import pytest

from fedsecure.demo.provision import AGGREGATORS
from fedsecure.lifeline import interruptible
from tests.compose.engine import (
    PROJECTS,
    Engine,
    NoEngineError,
    find_engine,
    machines_own,
)
from tests.compose.stack import CONTAINER_USER, Parties, Stack, meet, prepare


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A running engine, whatever it takes; without one these tests are skipped."""
    try:
        with interruptible(), find_engine() as found:
            version = found.docker("version", "--format", "{{.Server.Version}}").strip()
            _say(request.config, f"Docker engine {version}: {found.origin}")
            yield found
    except NoEngineError as reason:
        if os.environ.get("CI") == "true" and os.geteuid() == 0:
            pytest.fail(f"in CI this stage must run, but {reason}")
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
def stack(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Both aggregators built and configured, not started; nothing is left of them."""
    project = f"{PROJECTS}{secrets.token_hex(4)}"
    image = f"{project}:latest"
    folder = prepare(tmp_path_factory.mktemp("stack"), image)
    stack = Stack(engine, folder, project, image)
    stack.compose("build", AGGREGATORS[0], plus=engine.build_files)
    try:
        stack.give_configuration(CONTAINER_USER)
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "5")
        stack.give_configuration(os.geteuid())
        engine.docker("image", "rm", image)


@pytest.fixture(scope="session")
def served(stack: Stack) -> Stack:
    """Both aggregators, started one after the other by their organisations."""
    for name in AGGREGATORS:
        stack.start(name)
    return stack


@pytest.fixture(scope="session")
def parties(served: Stack) -> Iterator[Parties]:
    with meet(served.folder) as everybody:
        yield everybody


def _say(config: pytest.Config, what: str) -> None:
    """Show a line although output is captured: which engine a run was on matters."""
    plugins = config.pluginmanager
    with plugins.getplugin("capturemanager").global_and_fixture_disabled():
        plugins.getplugin("terminalreporter").write_line(f"\n{what}")
