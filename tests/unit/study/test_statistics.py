"""Counts of a schema's columns: where a row counts, and what sums of them say."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import OperatorError
from fedsecure.protocol.statements import ScalarField
from fedsecure.study.config import Study, load_study
from fedsecure.study.schema.columns import (
    BooleanColumn,
    Bounds,
    CategoryColumn,
    NumberColumn,
    Scale,
)
from fedsecure.study.schema.tabular import Label, TableSchema
from fedsecure.study.statistics.cells import BINS, cells_of
from fedsecure.study.statistics.denoising import Histogram
from fedsecure.study.statistics.rescaling import rescaled
from fedsecure.study.statistics.task import (
    parse_statistics_task,
    statistics_task,
)
from fedsecure.study.statistics_study import Budget, statistics_request
from fedsecure_clients.statistics_app.counting import count
from tests.protocol.federation import refused

HEART = Path(__file__).parents[3] / "studies" / "heart"
SCHEMA = TableSchema(
    version=1,
    label=Label(column="ill", classes=("no", "yes")),
    columns=(
        NumberColumn(
            type="number",
            name="age",
            range=Bounds(low=0.0, high=64.0),
            missing=("",),
            impute=40.0,
            scale=Scale(centre=40.0, spread=10.0),
        ),
        CategoryColumn(type="category", name="cp", values=("a", "b"), missing=("?",)),
        BooleanColumn(type="boolean", name="sex"),
        BooleanColumn(type="boolean", name="fbs", missing=("",), impute=0.5),
    ),
)
ROWS = st.lists(
    st.tuples(
        st.one_of(st.just(""), st.floats(0, 64).map(repr)),
        st.sampled_from(["a", "b", "?"]),
        st.sampled_from(["TRUE", "FALSE"]),
        st.sampled_from(["TRUE", "FALSE", ""]),
        st.sampled_from(["no", "yes"]),
    ),
    max_size=8,
)


def table(path: Path, rows: list[tuple[str, ...]]) -> Path:
    lines = [",".join(row) for row in [("age", "cp", "sex", "fbs", "ill"), *rows]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@given(rows=ROWS, extra=ROWS.filter(bool))
@settings(max_examples=40, deadline=None)
def test_one_row_moves_exactly_one_cell_of_each_vector_by_one(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, ...]],
    extra: list[tuple[str, ...]],
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    task = statistics_task("s", SCHEMA, "counts")
    before = count(task, table(path, rows))
    after = count(task, table(path, [*rows, extra[0]]))
    assert list(before) == [one.name for one in task.scalars]
    for name in before:
        moved = np.subtract(after[name], before[name])
        assert sorted(moved)[-1] == np.abs(moved).sum() == 1


def test_cells_are_of_the_declared_range_and_values_and_not_of_the_rows(
    tmp_path: Path,
) -> None:
    rows = [
        ("0", "a", "TRUE", "", "no"),
        ("64", "b", "FALSE", "TRUE", "yes"),
        ("33", "?", "FALSE", "FALSE", "yes"),
        ("", "b", "FALSE", "FALSE", "yes"),
    ]
    task = statistics_task("s", SCHEMA, "exact")
    found = count(task, table(tmp_path / "rows.csv", rows))
    age = np.zeros(BINS + 1, int)
    age[[0, 16, BINS - 1, BINS]] = 1
    assert found["column-1"] == age.tolist()
    assert found["column-2"] == [1, 2, 1]
    assert found["column-3"] == [1, 3]  # true comes first; nothing may be missing
    assert found["column-4"] == [1, 2, 1]
    assert found["label"] == [1, 3]
    places = np.array([0.0, 1.0, 33 / 64])
    sums = [places.sum() * 2**32, (places**2).sum() * 2**32]
    assert found["column-1-sums"] == [round(one) for one in sums]


def test_a_row_that_is_none_for_training_is_none_for_counts(tmp_path: Path) -> None:
    rows = [("65", "a", "TRUE", "", "no"), ("3", "a", "TRUE", "", "no")]
    task = statistics_task("s", SCHEMA, "counts")
    with pytest.raises(OperatorError, match=r"FS-104.*row 2, column age"):
        count(task, table(tmp_path / "rows.csv", rows))


def test_a_data_owner_without_any_row_answers_like_others(tmp_path: Path) -> None:
    for form in ("exact", "counts", "fractions"):
        task = statistics_task("s", SCHEMA, form)
        found = count(task, table(tmp_path / "rows.csv", []))
        assert {name: sum(cells) for name, cells in found.items()} == dict.fromkeys(
            [one.name for one in task.scalars], 0
        )


def heart() -> Study:
    return load_study(HEART)


def test_each_form_is_of_one_kind_of_noise_and_another_study() -> None:
    study = heart()
    row, owner = (Budget(unit, 1.0, 1e-5) for unit in Unit)
    requests = [statistics_request(study, one) for one in (None, row, owner)]
    assert [one.statistics and one.statistics.form for one in requests] == [
        "exact",
        "counts",
        "fractions",
    ]
    assert len({one.digest for one in requests}) == 3
    again = statistics_request(study, Budget(Unit.ROW, 2.0, 1e-5))
    assert again.digest not in {one.digest for one in requests}
    assert requests[0].task is None
    assert requests[0].reads == study.features.reads


def test_a_task_comes_out_of_its_text_and_of_no_other_spelling() -> None:
    task = statistics_task("s", SCHEMA, "counts")
    assert parse_statistics_task(task.text) == task
    for text in (task.text + " ", task.text.replace("counts", "all"), "{}"):
        with refused("FS-421"):
            parse_statistics_task(text)


def test_a_category_too_wide_for_a_round_is_refused_before_anybody_is_asked() -> None:
    values = tuple(map(str, range(1025)))
    column = CategoryColumn(type="category", name="code", values=values)
    wide = SCHEMA.model_copy(update={"columns": (column,)})
    with pytest.raises(OperatorError, match=r"FS-375.*code has 1,025 cells"):
        statistics_task("s", wide, "counts")


def test_names_in_specs_are_of_places_for_a_column_may_have_any_name() -> None:
    declared = statistics_task("s", SCHEMA, "fractions").scalars
    assert declared[0] == ScalarField(name="column-1", low=0.0, high=1.0, size=33)
    assert [one.scalar for one in cells_of(SCHEMA)][-1] == "label"


def test_what_a_quantile_may_be_off_by_covers_the_truth_as_often_as_it_says() -> None:
    rand = np.random.default_rng(5)
    edges = np.linspace(50.0, 700.0, 33)
    truth, _ = np.histogram(rand.normal(245, 58, 718), edges)
    whole = Histogram(edges, truth.astype(float), 0.0, truth.sum(), 0.0)
    true = [whole.quantiles(0.5)[0], whole.moments()[0]]
    within = np.zeros(2)
    for _ in range(200):
        noisy = truth + rand.normal(0, 15.0, 32)
        total = truth.sum() + rand.normal(0, 15.0)
        found = Histogram(edges, noisy, 15.0, total, 15.0)
        errors = [
            found.quantile_errors(np.eye(1), 0.5)[0],
            found.moment_errors()[0],
        ]
        told = [found.quantiles(0.5)[0], found.moments()[0]]
        off = np.abs(np.subtract(told, true))
        within += off < 2 * np.array(errors)
    assert (within / 200 > 0.9).all(), within / 200


def test_noise_alone_is_no_histogram() -> None:
    edges = np.linspace(0.0, 1.0, 33)
    noise = np.random.default_rng(1).normal(0, 20.0, 32)
    assert not Histogram(edges, noise, 20.0, 12.0, 20.0).defined


def test_counts_without_noise_are_left_as_they_are() -> None:
    edges = np.linspace(0.0, 32.0, 33)
    counts = np.zeros(32)
    counts[[0, 31]] = 1.0, 3.0
    found = Histogram(edges, counts, 0.0, 4.0, 0.0)
    np.testing.assert_array_equal(found.likely, counts)
    assert found.moments()[0] == pytest.approx(0.25 * 0.5 + 0.75 * 31.5)


def test_a_schema_keeps_its_comments_and_gets_the_scale_that_was_found() -> None:
    study, text = heart(), (HEART / "schema.toml").read_text(encoding="utf-8")
    assert isinstance(study.features, TableSchema)
    scale = Scale(centre=245.5, spread=58.1)
    found = rescaled(text, study.features, {"chol": scale})
    before, after = text.splitlines(), found.splitlines()
    assert [line for line in after if line not in before] == [
        "scale = { centre = 245.5, spread = 58.1 }"
    ]
    assert len(after) == len(before)


def test_a_schema_that_lines_do_not_show_is_written_anew(tmp_path: Path) -> None:
    from fedsecure.study.schema.features import load_schema  # noqa: PLC0415

    text = (
        'version = 1\nlabel = { column = "y", classes = ["a", "b"] }\n'
        'columns = [{ name = "x", type = "number", range = [0, 9] }]\n'
    )
    path = tmp_path / "schema.toml"
    path.write_text(text, encoding="utf-8")
    schema = load_schema(path)
    assert isinstance(schema, TableSchema)
    scale = Scale(centre=4.0, spread=2.0)
    path.write_text(rescaled(text, schema, {"x": scale}), encoding="utf-8")
    column = schema.columns[0].model_copy(update={"scale": scale})
    assert load_schema(path) == schema.model_copy(update={"columns": (column,)})
