"""For every test: time, and databases (SQLite and a PostgreSQL server of our own)."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import Cluster, MissingError, cluster

# A machine that is busy is no failure.
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")

Databases = Callable[[Path], str]

MISSING = "no PostgreSQL server here: NOT TESTED ON IT (apt-get install postgresql)"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A running PostgreSQL server; without one, CI fails and others skip aloud."""
    try:
        with cluster() as running:
            yield running
    except MissingError:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """Yield what gives the place of an empty database: this file, or a URL.

    Asked again for the same file it gives the same place.
    """
    if request.param == "sqlite":
        yield str
        return
    server: Cluster = request.getfixturevalue("postgresql")
    made: dict[Path, str] = {}

    def place(path: Path) -> str:
        if path not in made:
            made[path] = server.new_database()
        return made[path]

    yield place
    for url in made.values():
        server.drop(url)
