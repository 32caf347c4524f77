import os
from pathlib import Path

import pytest

from fedsecure.study.config import Study, load_study
from fedsecure.study.metrics import Metrics
from fedsecure.study.task import Task

# TensorFlow looks for a graphics card and says at length that there is none.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


@pytest.fixture(scope="session")
def heart() -> Study:
    return load_study(Path(__file__).parents[3] / "studies" / "heart")


@pytest.fixture
def task(heart: Study) -> Task:
    return Task(
        study="test",
        model="{}",
        compilation="{}",
        features=heart.features,
        local_epochs=2,
        batch_size=16,
        seed=5,
        holdout=0.25,
        metrics=Metrics(),
    )
