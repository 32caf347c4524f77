"""A study's digest: what is in it, what is not, and the file that carries it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.statements import (
    PrivacyField,
    RoundSpec,
    ScalarField,
    StatisticsField,
    Weighting,
)
from fedsecure.study.config import Study, declared_scalars
from fedsecure.study.handover import StudyFile, read_study_file
from fedsecure.study.task import ConfigValue, Task
from fedsecure.study.terms import (
    StudyRequest,
    Terms,
    require_declared,
    scalar_fields,
    study_digest,
    terms_of,
)

SCALARS = (ScalarField(name="loss", low=0.0, high=4.0),)
TERMS = Terms(
    scalars=SCALARS,
    clip=2.0,
    weight_cap=1000,
    weighting=Weighting.ROUNDED,
    min_cohort=3,
    suite="sum32",
)
PRIVACY = PrivacyField(
    unit=Unit.ROW,
    unit_clip=1.0,
    noise=20.5,
    scalar_noise=60.0,
    evaluation_noise=8.0,
    every_round=False,
    epsilon=2.0,
    delta=1e-5,
)
OTHER_TERMS: dict[str, Any] = {
    "another range": {"scalars": (ScalarField(name="loss", low=0.0, high=2.0),)},
    "another metric": {"scalars": (ScalarField(name="lass", low=0.0, high=4.0),)},
    "one more metric": {"scalars": (*SCALARS, ScalarField(name="rows"))},
    "finer bins": {"scalars": (ScalarField(name="loss", low=0.0, high=4.0, size=2),)},
    "no range": {"scalars": (ScalarField(name="loss"),)},
    "another clip": {"clip": 2.0000000000000004},
    "statistics apart": {"statistics": StatisticsField(clip=9.0, ranges=[[0, 2]])},
    "privacy": {"privacy": PRIVACY},
    "another budget": {"privacy": PRIVACY.model_copy(update={"epsilon": 3.0})},
    "another noise": {"privacy": PRIVACY.model_copy(update={"noise": 20.0})},
    "another cap": {"weight_cap": 999},
    "another weighting": {"weighting": Weighting.EXACT},
    "smaller sums": {"min_cohort": 2},
    "another suite": {"suite": "sum64"},
}
KERAS: Mapping[str, ConfigValue] = {"study": "text", "server-round": 1}
TEXTS = st.text(max_size=5)
CONFIGS = st.dictionaries(
    TEXTS, TEXTS | st.integers() | st.binary(max_size=5), max_size=4
)


@pytest.mark.parametrize("change", OTHER_TERMS)
def test_with_other_terms_it_is_another_study(change: str) -> None:
    other = TERMS.model_copy(update=OTHER_TERMS[change])
    assert study_digest(KERAS, other) != study_digest(KERAS, TERMS)


def test_every_term_is_in_the_digest() -> None:
    changed = {key for change in OTHER_TERMS.values() for key in change}
    assert changed == set(Terms.model_fields)


def test_terms_are_what_a_signed_spec_says() -> None:
    path = Path(__file__).parents[2] / "vectors" / "statements.json"
    content = json.loads(path.read_text("utf-8"))[0]["statement"]
    spec = RoundSpec.model_validate_json(json.dumps(content))
    said = terms_of(spec).model_dump(mode="json")
    assert said == {key: content[key] for key in Terms.model_fields}


@pytest.mark.parametrize(
    "config",
    [
        {"study": "text"},
        {"study": "text", "server-round": 2},
        {"study": "text", "server-round": 1, "proximal-mu": 0.5},
    ],
)
def test_a_keras_study_is_its_text_whatever_the_round(
    config: dict[str, ConfigValue],
) -> None:
    assert study_digest(config, TERMS) == study_digest(KERAS, TERMS)


@pytest.mark.parametrize(
    "config",
    [
        {"study": "texts"},
        {"study": b"text"},
        {"study": "text", "more": 1},
        {"server-round": 1},
        {},
    ],
)
def test_another_task_is_another_study(config: dict[str, ConfigValue]) -> None:
    assert study_digest(config, TERMS) != study_digest(KERAS, TERMS)


@given(CONFIGS, CONFIGS)
def test_of_another_app_every_value_counts_but_the_round(
    one: dict[str, ConfigValue], other: dict[str, ConfigValue]
) -> None:
    one["app"] = other["app"] = "mine"  # so that neither is a Keras study
    first, second = (StudyRequest(config, TERMS) for config in (one, other))
    assert (first.digest == second.digest) == (one == other)
    assert (first.content == second.content) == (one == other)
    again = StudyRequest({**one, "server-round": 7}, TERMS)
    assert again.digest == StudyRequest({**one, "server-round": 8}, TERMS).digest


def test_the_content_is_the_same_under_other_terms() -> None:
    other = TERMS.model_copy(update={"clip": 1.0})
    assert StudyRequest(KERAS, TERMS).content == StudyRequest(KERAS, other).content


def request_of(task: Task, scalars: tuple[ScalarField, ...]) -> StudyRequest:
    terms = TERMS.model_copy(update={"scalars": scalars})
    return StudyRequest({"study": task.text}, terms)


def test_the_metrics_of_a_spec_are_those_that_the_task_declares(task: Task) -> None:
    declared = scalar_fields(task.scalars)
    require_declared(request_of(task, declared))
    narrow = declared[0].model_copy(update={"high": 0.5})
    for wrong in (
        (),
        declared[:-1],
        declared[::-1],
        (*declared, ScalarField(name="rows")),
        (narrow, *declared[1:]),
    ):
        with pytest.raises(PeerError, match="FS-427"):
            require_declared(request_of(task, wrong))


def test_metrics_that_are_not_declared_are_named_but_not_all(task: Task) -> None:
    declared = scalar_fields(task.scalars)
    counts = tuple(ScalarField(name=f"c{number}") for number in range(6))
    for asked, said in (
        (declared[:-1], "3 in the spec, 4 in the task; not declared: none"),
        ((*declared, *counts), "10 in the spec, 4 in the task; not declared: "),
    ):
        with pytest.raises(PeerError) as caught:
            require_declared(request_of(task, asked))
        names = "c0, c1, c2, c3, c4" if len(asked) > 4 else ""
        assert caught.value.detail == said + names


def test_a_suite_that_is_not_known_here_is_refused(task: Task) -> None:
    declared = scalar_fields(task.scalars)
    terms = TERMS.model_copy(update={"scalars": declared, "suite": "sum8"})
    with pytest.raises(PeerError, match="FS-206"):
        require_declared(StudyRequest({"study": task.text}, terms))


# the file that is handed over


def handed_over(heart: Study, task: Task) -> StudyFile:
    declared = scalar_fields(declared_scalars(heart))
    terms = TERMS.model_copy(update={"scalars": declared})
    return StudyFile(study=task.text, terms=terms, parameters=369)


def test_a_study_file_has_the_digest_of_the_study(
    tmp_path: Path, heart: Study, task: Task
) -> None:
    file = handed_over(heart, task.model_copy(update={"metrics": heart.metrics}))
    (tmp_path / "heart.study.json").write_text(file.text, "utf-8")
    read = read_study_file(tmp_path / "heart.study.json")
    assert read == file
    assert read.request.digest == study_digest({"study": file.study}, file.terms).hex()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"study": "{}"},
        {"more": 1},
        {"parameters": -1},
        {"terms": {}},
        {"terms": {**TERMS.model_dump(mode="json"), "clip": 0}},
        # another metric than the task declares
        {"terms": TERMS.model_dump(mode="json")},
    ],
)
def test_a_file_that_is_no_study_file_is_refused(
    tmp_path: Path, heart: Study, task: Task, change: dict[str, object]
) -> None:
    content = json.loads(handed_over(heart, task).text)
    path = tmp_path / "study.json"
    path.write_text(json.dumps(content), "utf-8")
    read_study_file(path)
    path.write_text(json.dumps({**content, **change}), "utf-8")
    with pytest.raises(OperatorError, match=r"FS-429.*study\.json"):
        read_study_file(path)


@pytest.mark.parametrize("text", ["", "{", "[" * 10_000, "[]", "\0"])
def test_what_is_no_json_object_is_no_study_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.json"
    path.write_text(text, "utf-8")
    with pytest.raises(OperatorError, match="FS-429"):
        read_study_file(path)
    with pytest.raises(OperatorError, match="FS-429"):
        read_study_file(tmp_path / "other.json")
