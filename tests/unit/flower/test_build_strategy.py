"""Which strategy a study gets."""

import shutil
from pathlib import Path

import pytest
from flwr.serverapp.strategy import FedAdam, FedAvg

from fedsecure.errors import OperatorError
from fedsecure.flower.training import build_strategy
from fedsecure.study.config import Study, load_study
from tests.e2e.federation import HEART, change_toml

HALVED = """
from flwr.serverapp.strategy import FedAvg

class Halved(FedAvg):
    pass

def not_a_class():
    return FedAvg()
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
        ({"strategy": "Result"}, "FS-823 .*Result is no Flower strategy"),
        ({"strategy": "halved:not_a_class"}, "FS-823 .*not_a_class is no"),
        (
            {"strategy": "halved:Missing"},
            "FS-841 .*defines no function or class Missing",
        ),
        ({"strategy": "FedAvg", "options": {"speed": 9}}, "FS-823 .*FedAvg: .*speed"),
    ],
)
def test_what_cannot_be_built_is_refused(
    tmp_path: Path, aggregation: dict[str, object], message: str
) -> None:
    with pytest.raises(OperatorError, match=message):
        build_strategy(study_with(tmp_path, **aggregation))
