"""Which strategy a study gets."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomli_w
from flwr.serverapp.strategy import FedAdam, FedAvg

from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower.strategies import build_strategy
from fedsecure.study.config import Study, load_study
from tests.e2e.federation import HEART, change_toml

HALVED = """
from flwr.serverapp.strategy import FedAvg

class Halved(FedAvg):
    pass

def not_a_class():
    return FedAvg()
"""

ASKED = """
import sys
from fedsecure.cli import _mount, app
from fedsecure.errors import OperatorError
_mount()
try:
    app(sys.argv[1:], standalone_mode=False)
except OperatorError as error:
    print(error)
print("without TensorFlow" if "tensorflow" not in sys.modules else "too late")
"""


def study_with(folder: Path, **aggregation: object) -> Study:
    shutil.copytree(HEART, folder, dirs_exist_ok=True)
    (folder / "halved.py").write_text(HALVED, encoding="utf-8")
    change_toml(folder / "study.toml", {"aggregation": aggregation})
    return load_study(folder)


def test_options_reach_the_strategy_and_nodes_follow_min_cohort(tmp_path: Path) -> None:
    study = study_with(tmp_path, strategy="FedAdam", options={"eta": 0.5})
    strategy = build_strategy(study)
    assert isinstance(strategy, FedAdam)
    assert (strategy.eta, strategy.min_train_nodes) == (0.5, 3)


def test_a_strategy_of_ones_own_runs_when_declared_linear(tmp_path: Path) -> None:
    study = study_with(tmp_path, strategy="halved:Halved", linear=True)
    strategy = build_strategy(study)
    assert isinstance(strategy, FedAvg)
    assert type(strategy).__name__ == "Halved"


@pytest.mark.parametrize(
    ("aggregation", "message"),
    [
        ({"strategy": "halved:Halved"}, "FS-368 .*Halved: nobody declared"),
        ({"strategy": "Krum"}, "FS-368 .*Krum: it compares single updates"),
        ({"strategy": "FedBest"}, "FS-823 .*FedBest is no Flower strategy"),
        ({"strategy": "FedAdm"}, "FS-823 .*FedAdm is no .*did you mean 'FedAdam'"),
        ({"strategy": "fedavgm"}, "FS-823 .*fedavgm is no .*mean 'FedAvgM'"),
        ({"strategy": "Zz"}, "FS-823 .*Zz is no .*known are FedAvg, FedAvgM, FedAdam"),
        (
            {"strategy": "FedAdam", "options": {"eta_L": 0.1}},
            "FS-823 .*FedAdam has no 'eta_L'; did you mean 'eta_l'",
        ),
        ({"strategy": "Result"}, "FS-823 .*Result is no Flower strategy"),
        ({"strategy": "halved:not_a_class"}, "FS-823 .*not_a_class is no"),
        (
            {"strategy": "halved:Missing"},
            "FS-841 .*defines no function or class Missing",
        ),
        ({"strategy": "FedAvg", "options": {"speed": 9}}, "FS-823 .*FedAvg has no 'sp"),
    ],
)
def test_what_cannot_be_built_is_refused(
    tmp_path: Path, aggregation: dict[str, object], message: str
) -> None:
    with pytest.raises(OperatorError, match=message):
        build_strategy(study_with(tmp_path, **aggregation))


def test_train_and_export_refuse_a_strategy_before_tensorflow_is_loaded(
    tmp_path: Path,
) -> None:
    study_with(tmp_path / "study", strategy="FedAvgg")
    owner = {
        "name": "consortium",
        "federation": "federation.toml",
        "key": "signing.pem",
        "study": "study",
        "folder": ".",
        "superlink": {
            "listen": "127.0.0.1:9092",
            "authority": "ca.pem",
            "certificate": "tls.pem",
            "key": "tls.key",
        },
    }
    (tmp_path / "owner.toml").write_text(tomli_w.dumps(owner), "utf-8")
    for words in (["train"], ["study", "export"]):
        done = subprocess.run(
            [sys.executable, "-c", ASKED, *words, "--config", "owner.toml"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "FS-823" in done.stdout
        assert "did you mean 'FedAvg'" in done.stdout
        assert "without TensorFlow" in done.stdout
