"""What is wrong with a file is said in words, with the key that was meant."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from fedsecure.errors import OperatorError
from fedsecure.membership.accepted import Accepted
from fedsecure.membership.identity_file import Identity
from fedsecure.owner.settings import OwnerSettings
from fedsecure.protocol.identity import Federation
from fedsecure.study.config import StudyFile, load_study
from fedsecure.study.schema.arrays import ArraysSchema
from fedsecure.study.schema.images import ImagesSchema
from fedsecure.study.schema.tabular import TableSchema
from fedsecure.system.toml_file import load
from fedsecure.system.wording import _FORMS, keys, nearest, say
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.rules.policy import Policy as AggregatorPolicy
from fedsecure_clients.agent.config import AgentSettings
from fedsecure_clients.consent.policy import Policy

FILES = (
    OwnerSettings,
    AgentSettings,
    AggregatorSettings,
    AggregatorPolicy,
    Policy,
    Federation,
    Accepted,
    Identity,
    StudyFile,
    TableSchema,
    ArraysSchema,
    ImagesSchema,
)
WRONG: tuple[Any, ...] = (
    3, -1, 0, 2.5, True, "", "?!", "x" * 5000, [], [1], {}, {"x": 1}, None,
    float("nan"),
)  # fmt: skip
RAW = re.compile(
    r"Input|should|permitted|Field required|pydantic|\bstr\b|NoneType|pattern|\^|\\"
)
ROOT = Path(__file__).parents[3]


def places(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (field.alias or name,)
        for inner in models(field):
            yield from ((field.alias or name, *rest) for rest in places(inner))


def models(field: FieldInfo) -> Iterator[type[BaseModel]]:
    for one in (field.annotation, *get_args(field.annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            yield one


def wrong_at(place: tuple[str, ...], value: object) -> dict[str, Any]:
    for key in reversed(place):
        value = {key: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("model", FILES, ids=lambda model: model.__module__)
def test_no_sentence_of_the_library_reaches_a_person(model: type[BaseModel]) -> None:
    seen = 0
    for place in places(model):
        for value in WRONG:
            try:
                model.model_validate(wrong_at(place, value))
            except ValidationError as error:
                for one in error.errors(include_url=False):
                    sentence = say(one, model)
                    assert not RAW.search(sentence), sentence
                    seen += 1
    assert seen > 20


@pytest.mark.parametrize(
    ("model", "typed", "meant"),
    [
        (OwnerSettings, ("foldr",), "folder"),
        (OwnerSettings, ("superlink", "listn"), "listen"),
        (AgentSettings, ("fedration",), "federation"),
        (AgentSettings, ("policy", "max_round"), "max_rounds"),
        (AggregatorSettings, ("tls", "cert"), None),
        (AggregatorSettings, ("policy", "min_cohorts"), "min_cohort"),
        (StudyFile, ("training", "local_epoch"), "local_epochs"),
        (StudyFile, ("aggregation", "Strategy"), "strategy"),
        (TableSchema, ("label", "colum"), "column"),
    ],
)
def test_the_key_that_was_meant_is_offered_or_those_there_are(
    model: type[BaseModel], typed: tuple[str, ...], meant: str | None
) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(wrong_at(typed, 1))
    unknown = [one for one in caught.value.errors() if one["type"] == "extra_forbidden"]
    sentence = say(unknown[0], model)
    assert sentence.startswith("no such key is known here; ")
    if meant is None:
        assert "known are certificate, key" in sentence
    else:
        assert sentence.endswith(f"did you mean {meant!r}?")


def test_file_and_key_are_named_with_what_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text('nam = "basel"\nfederation = "f.toml"\n', "utf-8")
    with pytest.raises(OperatorError, match=r"FS-803.*agent\.toml: .*is missing"):
        load(path, AgentSettings)
    path.write_text("[polcy]\n", "utf-8")
    with pytest.raises(OperatorError) as caught:
        load(path, AgentSettings)
    assert caught.value.detail.startswith(f"{path}: ")


def test_a_study_file_names_line_and_key_and_the_word_that_was_meant(
    tmp_path: Path,
) -> None:
    text = (ROOT / "studies/heart/study.toml").read_text("utf-8")
    schema = (ROOT / "studies/heart/schema.toml").read_text("utf-8")
    (tmp_path / "schema.toml").write_text(schema, "utf-8")
    study = tmp_path / "study.toml"
    study.write_text(text.replace("[training]", "[training]\nlocal_epoch = 3"), "utf-8")
    expected = r"FS-840.*line \d+, training.local_epoch: .*mean 'local_epochs'\?"
    with pytest.raises(OperatorError, match=expected):
        load_study(tmp_path)
    other = re.sub("weighting = .*", 'weighting = "rounds"', text)
    study.write_text(other, "utf-8")
    with pytest.raises(OperatorError, match=r"must be .*; did you mean 'rounded'"):
        load_study(tmp_path)


def test_keys_are_those_that_a_file_writes() -> None:
    assert "schema" in keys(StudyFile, ())
    assert "features" not in keys(StudyFile, ())
    assert keys(AggregatorSettings, ("tls",)) == ["certificate", "key"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("FEDAVG", "FedAvg"), ("FedAvgg", "FedAvg"), ("Fedadam", "FedAdam"), ("?", None)],
)
def test_the_nearest_word_ignores_case(typed: str, meant: str | None) -> None:
    assert nearest(typed, ["FedAvg", "FedAdam", "FedYogi"]) == meant


def test_every_form_of_a_text_has_words() -> None:
    written = set()
    for part in ("fedsecure", "clients", "aggregator", "bench"):
        for path in (ROOT / part).rglob("*.py"):
            text = path.read_text("utf-8")
            raw = re.findall(r'pattern=r?"', text)
            assert raw == [], path
            written |= set(re.findall(r"form\(\s*r?\"", text))
    assert written
    for pattern, words in _FORMS.items():
        assert re.search(r"[A-Za-z]{3}", words)
        assert pattern != words
