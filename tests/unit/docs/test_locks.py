"""The locks of single parties are parts of the lock that all tests run with."""

import re

import pytest

from tests.unit.docs import page

PACKAGE = re.compile(r"^([a-z0-9-]+==[^\n]+?) \\\n((?:    --hash=.*\n)+)", re.MULTILINE)


def packages(name: str) -> dict[str, frozenset[str]]:
    """Return the hashes of every package of a lock, by name and version."""
    found = PACKAGE.findall((page.ROOT / name).read_text("utf-8"))
    return {
        requirement.partition(";")[0].strip(): frozenset(hashes.split())
        for requirement, hashes in found
    }


@pytest.mark.parametrize(
    ("lock", "holds", "lacks"),
    [
        ("aggregator.lock", "fastapi", {"tensorflow", "gmpy2"}),
        ("training.lock", "tensorflow", {"pytest"}),
    ],
)
def test_a_party_installs_nothing_that_was_not_tested(
    lock: str, holds: str, lacks: set[str]
) -> None:
    own, tested = packages(lock), packages("requirements.lock")
    assert len(own) > 30
    assert {name: own[name] for name in own if own[name] != tested.get(name)} == {}
    names = {name.partition("==")[0] for name in own}
    assert holds in names
    assert names.isdisjoint(lacks)


@pytest.mark.parametrize("lock", ["aggregator.lock", "training.lock"])
def test_every_line_of_a_lock_is_a_package_or_a_hash(lock: str) -> None:
    for line in (page.ROOT / lock).read_text("utf-8").splitlines():
        assert re.match(r"([a-z0-9-]+==\S|    --hash=sha256:)", line), line
