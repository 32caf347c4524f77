"""The demo refuses in good order what it cannot do."""

import fcntl
from pathlib import Path

import pytest

from fedsecure.demo.play import play
from fedsecure.demo.provision import provision
from fedsecure.errors import OperatorError

HEART = Path(__file__).parents[3] / "studies" / "heart"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match=r"FS-876 .*file/demo\.lock"):
        play(tmp_path / "file" / "demo", HEART, rounds=1)


def test_a_second_demo_leaves_the_first_ones_folder_alone(tmp_path: Path) -> None:
    with (tmp_path / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(OperatorError, match="FS-875"):
            play(tmp_path / "demo", HEART, rounds=1)
    assert not (tmp_path / "demo").exists()


def test_a_study_without_sites_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(OperatorError, match="FS-801"):
        play(tmp_path / "demo", tmp_path / "empty", rounds=1)
    assert not (tmp_path / "demo").exists()


def test_a_site_with_the_name_of_a_party_is_refused(tmp_path: Path) -> None:
    sites = {"cleveland": tmp_path / "a.csv", "owner": tmp_path / "b.csv"}
    with pytest.raises(OperatorError, match=r"FS-877 .*owner"):
        provision(tmp_path / "demo", HEART, sites)
    assert not (tmp_path / "demo").exists()
