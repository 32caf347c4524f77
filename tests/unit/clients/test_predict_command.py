"""What `fedsecure predict` says while it asks."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from fedsecure_clients.cli import predict
from fedsecure_clients.prediction.asking import Asking

ROWS = np.zeros((2500, 3), np.float32)


def asking(ask: Callable[..., Any], *, has_model: bool = False) -> Asking:
    return cast("Asking", SimpleNamespace(scores=ask, can_predict_alone=has_model))


def test_whoever_interrupts_is_told_what_counts_and_what_is_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def ask(_: object, tell: Callable[[int], None]) -> None:
        tell(1000)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict._scores(asking(ask), ROWS)
    said = " ".join(capsys.readouterr().err.split())
    assert "1,000 of 2,500 rows were answered, which count; nothing was written" in said
    assert "The same command asks about all of them anew" in said


@pytest.mark.parametrize("has_model", [True, False])
def test_a_data_owner_is_told_that_it_need_not_ask(
    capsys: pytest.CaptureFixture[str], *, has_model: bool
) -> None:
    scores = predict._scores(asking(lambda *_: ROWS, has_model=has_model), ROWS)
    assert scores is ROWS
    said = " ".join(capsys.readouterr().err.split())
    assert ("can predict without asking anybody" in said) == has_model
