"""docs/your-own-study.md: what it shows runs, what it says the code says too."""

import contextlib
import inspect
import io
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import flwr.serverapp.strategy
import keras
import numpy as np
import pytest

from fedsecure.core.params import Params
from fedsecure.errors import PROBLEMS
from fedsecure.frameworks.flower.linear import LINEAR, NOT_LINEAR
from fedsecure.owner.store.views import V_ROUND
from fedsecure.protocol.statements import Weighting
from fedsecure.study.config import load_study
from fedsecure.study.keras import allowlist
from fedsecure.study.keras.building import build_model
from fedsecure.study.schema.features import KINDS, load_schema
from fedsecure_clients.agent.config import AgentSettings
from fedsecure_clients.consent.policy import Policy
from fedsecure_clients.data.dataset import load
from fedsecure_clients.data.examples import MAX_BYTES
from fedsecure_clients.data.images import MAX_PIXELS
from tests.unit.docs import page

PAGE = page.read("your-own-study.md")
STUDY = """\
version = 1
name = "snippet"
title = "A snippet"
model = "model:build"
schema = "schema.toml"
[training]
rounds = 1
"""
CLIP = "[aggregation]\nclip = 1.0\n"


def table(name: str) -> list[list[str]]:
    (text,) = re.findall(rf"<!-- table: {name} -->\n(.*?)\n\n", PAGE, re.DOTALL)
    return page.table(text)


def files() -> list[tuple[str, str]]:
    return re.findall(r"<!-- file: (.+?) -->\n```\w*\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("name", "text"), files(), ids=[name for name, _ in files()])
def test_the_running_examples_are_studies_of_ours(name: str, text: str) -> None:
    assert text in (page.ROOT / name).read_text("utf-8")


def test_no_snippet_escapes_the_tests() -> None:
    marked = re.findall(r"<!-- (\w+)(?:: .+?)? -->\n```(\w+)\n", PAGE)
    assert len(marked) == len(re.findall(r"^```\w+$", PAGE, re.MULTILINE))
    assert {kind for kind, _ in marked} == {
        *("tree", "file", "schema", "model", "save", "study", "agent"),
        *("names", "commands", "run", "prints", "sql"),
    }


def trees() -> str:
    return "".join(re.findall(r"<!-- tree -->\n```text\n(.*?)```", PAGE, re.DOTALL))


def test_the_files_of_a_study_are_there() -> None:
    names = re.findall(r"^  (\S+) ", trees(), re.MULTILINE)
    assert names == ["model.py", "schema.toml", "study.toml", "data/"]
    for name in names:
        assert (page.ROOT / "studies" / "heart" / name).exists()


def test_the_folders_of_a_site_are_classes_of_the_example() -> None:
    classes = tomllib.loads(page.blocks(PAGE, "schema")["chest"])["label"]["classes"]
    assert set(re.findall(r"^north/(\w+)/", trees(), re.MULTILINE)) == set(classes)


def write_study(folder: Path, schema: str, model: str) -> None:
    (folder / "study.toml").write_text(STUDY + CLIP, encoding="utf-8")
    (folder / "schema.toml").write_text(schema, encoding="utf-8")
    (folder / "model.py").write_text(f"import keras\n\n{model}", encoding="utf-8")


@pytest.mark.parametrize("name", page.blocks(PAGE, "schema"))
def test_an_example_of_a_schema_and_its_model_fit(name: str, tmp_path: Path) -> None:
    schema = page.blocks(PAGE, "schema")[name]
    write_study(tmp_path, schema, page.blocks(PAGE, "model")[name])
    _, data = build_model(load_study(tmp_path))
    assert data.size > 0


def test_the_array_that_the_page_saves_is_one_of_its_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = tmp_path / "schema.toml"
    schema.write_text(page.blocks(PAGE, "schema")["ecg"], encoding="utf-8")
    known = {
        "np": np,
        "signals": np.ones((3, 1000, 12), dtype=np.float32),
        "class_numbers": np.array([0, 1, 2]),
    }
    monkeypatch.chdir(tmp_path)
    exec(page.blocks(PAGE, "save")["ecg"], known)  # noqa: S102 - our own page
    assert len(load(tmp_path / "north.npz", load_schema(schema))) == 3


@pytest.mark.parametrize("name", page.blocks(PAGE, "study"))
def test_a_part_of_study_toml_loads(name: str, tmp_path: Path) -> None:
    write_study(tmp_path, page.blocks(PAGE, "schema")["ecg"], "")
    part = page.blocks(PAGE, "study")[name]
    before = STUDY.partition("[training]")[0] if "[training]" in part else STUDY
    text = before + part
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    study = load_study(tmp_path)
    for section in ("training", "aggregation"):
        read = getattr(study, section).model_dump()
        assert tomllib.loads(text)[section].items() <= read.items()


def test_the_keys_of_agent_toml_are_some() -> None:
    texts = re.findall(r"<!-- agent -->\n```toml\n(.*?)```", PAGE, re.DOTALL)
    shown = {key for text in texts for key in tomllib.loads(text)}
    assert shown == {"app", "app_folder", "data"}
    assert shown <= AgentSettings.model_fields.keys()


@pytest.mark.parametrize("name", page.blocks(PAGE, "names"))
def test_the_names_that_a_model_may_use_are_those_of_the_list(name: str) -> None:
    listed = page.blocks(PAGE, "names")[name].split()
    assert sorted(listed) == sorted(getattr(allowlist, name))


def refused_parts() -> set[str]:
    rows = page.table(page.section(PAGE, "What a model may be made of"))
    return {name for row in rows for name in re.findall(r"`([A-Z]\w+)`", row[0])}


def test_what_the_page_says_is_refused_is_keras_own_and_not_on_the_list() -> None:
    assert len(refused_parts()) > 8
    for name in refused_parts():
        assert hasattr(keras.layers, name), name
        assert name not in allowlist.LAYERS


def test_strategies_are_listed_with_flower_s_own_defaults() -> None:
    rows = table("strategies")
    assert {page.code(row[0]) for row in rows} == {kind.__name__ for kind in LINEAR}
    for row in rows:
        kind = getattr(flwr.serverapp.strategy, page.code(row[0]))
        parameters = inspect.signature(kind).parameters
        for name, value in re.findall(r"`(\w+) = ([\d.]+)`", row[1]):
            assert parameters[name].default == float(value), name
    for kind in LINEAR:
        assert "fraction_train" in inspect.signature(kind).parameters


def test_refused_strategies_are_those_that_the_code_refuses() -> None:
    named = [
        name for row in table("refused") for name in re.findall(r"`(\w+)`", row[0])
    ]
    assert sorted(named) == sorted(NOT_LINEAR)


def test_weightings_are_those_of_a_spec() -> None:
    rows = page.table(page.section(PAGE, "Weights"))
    assert {page.code(row[0]) for row in rows} == set(Weighting)


def commands() -> list[str]:
    found = re.findall(r"<!-- commands -->\n```text\n(.*?)```", PAGE, re.DOTALL)
    return "".join(found).splitlines()


@pytest.mark.parametrize("line", commands())
def test_a_command_and_its_options_exist(line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "fedsecure"
    names = [word for word in words[:2] if re.fullmatch("[a-z]+", word)]
    ended = subprocess.run(
        [sys.executable, "-m", "fedsecure", *names, "--help"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    for word in words:
        assert not word.startswith("--") or f"{word} " in ended.stdout
        assert not word.startswith("studies/") or (page.ROOT / word).exists()


def test_the_query_is_answered() -> None:
    (query,) = re.findall(r"<!-- sql -->\n```sql\n(.*?)```", PAGE, re.DOTALL)
    columns = ", ".join(column.name for column in V_ROUND.columns)
    with contextlib.closing(sqlite3.connect(":memory:")) as store:
        store.execute(f"CREATE TABLE v_round ({columns})")
        assert store.execute(query).fetchall() == []


def test_the_lengths_of_updates_are_those_that_the_page_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(page.ROOT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(page.blocks(PAGE, "run")["norms"], {})  # noqa: S102 - our own page
    shown = lengths(page.blocks(PAGE, "prints")["norms"])
    assert lengths(printed.getvalue()) == pytest.approx(shown, abs=0.02)
    assert len(shown) == 4


def lengths(text: str) -> Mapping[str, float]:
    pairs = (line.split() for line in text.splitlines())
    return {site: float(length) for site, length in pairs}


def test_the_steps_of_the_fixed_point_are_computed() -> None:
    found = re.search(
        r"steps\n  are 2\^-(\d+) for four data owners with a clip of 2, and 2\^-(\d+) "
        r"for a hundred with 10",
        PAGE,
    )
    assert found is not None
    for bits, owners, clip in ((found[1], 4, 2.0), (found[2], 100, 10.0)):
        params = Params.derive(1, (), max_reports=owners, clip=clip, weight_cap=1)
        assert params.fraction_bits == int(bits)


def test_limits_that_stand_in_the_text_are_those_of_the_code() -> None:
    text = " ".join(PAGE.split())
    assert f"{MAX_BYTES // 2**30} GiB at most (FS-140)" in text
    images = MAX_BYTES // (4 * 64 * 64)
    assert f"about {round(images, -4):,} images of 64 x 64, gray" in text
    assert f"larger than {MAX_PIXELS // 10**6} million pixels (FS-134)" in text
    assert f"`max_clip` of its agent.toml, {Policy().max_clip:g} unless" in text


def test_every_code_exists() -> None:
    codes = set(re.findall(r"FS-\d+", PAGE))
    assert codes <= PROBLEMS.keys()
    assert len(codes) > 10


def test_every_kind_of_data_has_a_section() -> None:
    for title, kind in (
        ("Tables", "table"),
        ("Arrays", "arrays"),
        ("Images", "images"),
    ):
        text = page.section(PAGE, title)
        for suffix in filter(None, KINDS[kind].SUFFIXES):
            assert f"`{suffix}`" in text
