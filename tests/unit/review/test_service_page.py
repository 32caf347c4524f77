"""What a model owner reads once a service is open, at any width."""

import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from fedsecure.owner.jobs.serve import Offer, Served
from fedsecure.protocol.jobs.parts import Method
from fedsecure.review.terminal.service import service_json, service_page
from fedsecure.study.lowering.linear import LinearModel
from fedsecure.terminal.screen import Console
from tests.unit.owner_store.round_story import FEDERATION

FILE, CONFIG = Path("heart.service.json"), Path("owner/owner.toml")
OFFER = Offer("heart", "Heart", ["clinic"], Method.SHARES, 1000, 86400.0)


def served(**changes: Any) -> Served:
    """A service of 21 features, whose spec says when it ends."""
    model = LinearModel(np.ones((21, 1)), np.ones(1), "sigmoid", ())
    statement = SimpleNamespace(deadline=1_798_747_380)
    spec = SimpleNamespace(statement=statement)
    handout = cast("Any", SimpleNamespace(spec=spec, digest="ab" * 32))
    return Served(handout, replace(OFFER, **changes), model, "heart-1", 20, 8.3e-9)


def printed(one: Served, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(service_page(one, FEDERATION, FILE, CONFIG))
    return cast("io.StringIO", console.file).getvalue()


@pytest.mark.parametrize("width", [80, 100, 1_000_000])
def test_what_a_client_types_can_be_copied_at_any_width(width: int) -> None:
    lines = printed(served(), width).splitlines()
    (first,) = [n for n, line in enumerate(lines) if "fedsecure predict" in line]
    typed = "\n".join(lines[first : first + 2])
    assert typed.replace("\\\n", "").split() == [
        *("fedsecure", "predict", "--config", "client.toml", "heart.service.json"),
        *("patients.csv", "--output", "predictions.csv"),
    ]
    assert max(map(len, lines)) <= min(width, 200)
    assert "fedsecure serve --config owner/owner.toml --close heart" in lines[-1]


def test_it_says_who_learns_what_by_the_method() -> None:
    shares = " ".join(printed(served(), 100).split())
    assert "aggregator-a, aggregator-b the model; who asks" in shares
    assert "Both together: the rows, too" in shares
    encrypted = " ".join(printed(served(method=Method.PAILLIER), 100).split())
    assert "Both together: the model, but no row" in encrypted
    assert "consortium nothing of rows or answers" in encrypted


@pytest.mark.parametrize(("rows", "warned"), [(21, False), (22, True)])
def test_it_warns_from_the_row_on_that_tells_the_model(rows: int, warned: bool) -> None:
    text = " ".join(printed(served(rows=rows), 100).split())
    assert ("After 22 answers a client can compute the model" in text) == warned


def test_programs_get_the_same() -> None:
    found = json.loads(service_json(served(), FILE))
    assert found["known_after"] == 22
    assert (found["run"], found["method"], found["rows"]) == ("heart-1", "shares", 1000)
