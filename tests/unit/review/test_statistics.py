"""What a round of statistics told, as tables, files, pages and pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.review.statistics import wording
from fedsecure.review.statistics.files import write_statistics
from fedsecure.review.statistics.table import statistics_tables
from fedsecure.review.statistics.told import Told
from fedsecure.study.config import load_study, schema_file
from fedsecure.study.schema.features import load_schema
from fedsecure.study.statistics.reading import Estimate, read_statistics
from fedsecure.study.statistics.task import form_for, statistics_task
from fedsecure.study.statistics_study import Budget

HEART = load_study(Path(__file__).parents[3] / "studies" / "heart")


def told(budget: Budget | None) -> Told:
    """Return statistics of 600 rows that nobody has."""
    form = form_for(budget.privacy() if budget else None)
    task = statistics_task("heart", HEART.features, form)
    error = 0.0 if budget is None else 8.0
    rand = np.random.default_rng(4)
    opened: dict[str, list[int] | list[float]] = {}
    for one in task.cells:
        parts = np.exp(-(np.linspace(-3, 3, one.size) ** 2))
        rows = rand.multinomial(600, parts / parts.sum())
        noisy = rows + error * rand.standard_normal(one.size)
        opened[one.scalar] = np.rint(noisy).astype(int).tolist()
    for one in task.cells:
        if form == "exact" and one.range is not None:
            known = sum(opened[one.scalar]) - (opened[one.scalar][-1] * one.missing)
            sums = [known * 0.5 * 2**32, known * 0.3 * 2**32]
            opened[f"{one.scalar}-sums"] = [int(number) for number in sums]
    statistics = read_statistics(task, opened, error, 4)
    epsilon = budget.epsilon if budget else None
    delta = budget.delta if budget else None
    return Told(
        "heart-statistics-1", "ab" * 32, "A <title>", epsilon, delta, statistics
    )


NOISY = Budget(Unit.ROW, 1.0, 1e-5)


@pytest.mark.parametrize("budget", [None, NOISY])
def test_all_files_are_there_and_say_the_same(
    tmp_path: Path, budget: Budget | None
) -> None:
    found = told(budget)
    text = schema_file(HEART).read_text(encoding="utf-8")
    write_statistics(tmp_path, found, text, HEART.features)
    content = json.loads((tmp_path / "statistics.json").read_text("utf-8"))
    assert content["epsilon"] == (budget and budget.epsilon)
    assert [one["column"] for one in content["columns"]] == [
        one.column for one in found.statistics.columns
    ]
    page = (tmp_path / "statistics.html").read_text("utf-8")
    assert page.count("<svg") == 11
    assert "A &lt;title&gt;" in page
    assert "<script" not in page
    assert ("±" in page) == (budget is not None)
    pictures = sorted((tmp_path / "columns").iterdir())
    assert [path.name for path in pictures][:2] == ["001-age.png", "002-sex.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    scaled, before = load_schema(tmp_path / "schema.toml"), HEART.features
    assert scaled != before
    assert scaled.reads == before.reads


def test_the_same_statistics_give_the_same_bytes(tmp_path: Path) -> None:
    text = schema_file(HEART).read_text(encoding="utf-8")
    for name in ("one", "other"):
        write_statistics(tmp_path / name, told(NOISY), text, HEART.features)
    for path in (tmp_path / "one").rglob("*.*"):
        again = tmp_path / "other" / path.relative_to(tmp_path / "one")
        assert again.read_bytes() == path.read_bytes()


def test_a_terminal_shows_each_number_with_what_noise_may_have_done() -> None:
    console = Console(width=100, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(statistics_tables(told(NOISY).statistics))
    shown = captured.get()
    assert "age (years)" in shown
    assert "typical angina" in shown
    assert "600" in shown or "±" in shown
    assert "one time in three" in shown


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (None, "n/a"),
        (Estimate(53.51087), "53.51"),
        (Estimate(54.0432, 0.6123), "54.04 ± 0.61"),
        (Estimate(1240.3, 52.1), "1,240 ± 52"),
        (Estimate(0.57512, 0.0412), "0.575 ± 0.041"),
    ],
)
def test_a_number_is_written_to_two_digits_of_its_error(
    estimate: Estimate | None, text: str
) -> None:
    assert wording.shown(estimate) == text
