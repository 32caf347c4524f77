"""The demo refuses in good order what it cannot do."""

import fcntl
import shutil
from pathlib import Path

import pytest

from fedsecure.demo.play import play
from fedsecure.demo.provision import provision
from fedsecure.errors import OperatorError
from fedsecure.membership.client_settings import load_client_settings
from fedsecure.study.sites import find_sites
from fedsecure_aggregator.config import load as load_aggregator
from fedsecure_aggregator.rules.compute_policy import ComputePolicy
from fedsecure_clients.agent.config import load_agent_settings

HEART = Path(__file__).parents[3] / "studies" / "heart"
DIGITS = HEART.with_name("digits")


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


@pytest.mark.parametrize("name", ["owner", "aggregator-a", "clinic"])
def test_a_site_with_the_name_of_a_party_is_refused(tmp_path: Path, name: str) -> None:
    sites = {"cleveland": tmp_path / "a.csv", name: tmp_path / "b.csv"}
    with pytest.raises(OperatorError, match=rf"FS-877 .*{name}"):
        provision(tmp_path / "demo", HEART, sites)
    assert not (tmp_path / "demo").exists()


def test_each_site_of_the_demo_installs_the_app_that_the_study_asks_for(
    tmp_path: Path,
) -> None:
    names = ("owner-01", "owner-02", "owner-03")
    sites = {name: DIGITS / "data" / f"{name}.csv" for name in names}
    folder = provision(tmp_path / "demo", DIGITS, sites)
    for name in names:
        settings = load_agent_settings(folder.config(name))
        assert settings.app == "digits_app:app"
        assert settings.app_folder == tmp_path / "demo" / name / "app"
        app, theirs = "digits_app.py", DIGITS / "client"
        assert (settings.app_folder / app).read_bytes() == (theirs / app).read_bytes()
        assert settings.data.read_bytes() == sites[name].read_bytes()


def test_a_clinic_has_joined_the_demo_whose_aggregators_compute(
    tmp_path: Path,
) -> None:
    folder = provision(tmp_path / "demo", HEART, find_sites(HEART))
    clinic = load_client_settings(folder.config("clinic"))
    federation = clinic.membership().federation
    assert [party.name for party in federation.clients] == ["clinic"]
    assert not clinic.policy.jobs.receivers
    for name in ("aggregator-a", "aggregator-b"):
        settings = load_aggregator(folder.config(name))
        assert settings.compute == ComputePolicy(enabled=True)
        assert settings.author().federation.digest == federation.digest


def test_a_study_whose_app_is_not_in_its_folder_starts_nothing(tmp_path: Path) -> None:
    study = tmp_path / "digits"
    shutil.copytree(DIGITS, study, ignore=shutil.ignore_patterns("client", "__py*"))
    with pytest.raises(OperatorError, match=r"FS-822 .*digits_app:app.*client"):
        play(tmp_path / "demo", study, rounds=1)
    assert not (tmp_path / "demo").exists()
