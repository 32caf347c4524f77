"""What people are told to type exists: commands, options, arguments, settings.

Every remedy of the table, and every command that any text of the programs names.
"""

import ast
import itertools
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import click
import pytest
import typer
from pydantic import BaseModel

from fedsecure import cli
from fedsecure.errors import PROBLEMS
from fedsecure.owner.settings import OwnerSettings
from fedsecure.study.config import Aggregation, StudyFile
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.rules.compute_policy import ComputePolicy
from fedsecure_aggregator.rules.policy import Policy as AggregatorPolicy
from fedsecure_clients.agent.config import AgentSettings
from fedsecure_clients.consent.policy import Policy
from tests.unit.docs import page

TYPED: Final = re.compile(r"`(fedsecure [^`]+)`")
ALONE: Final = re.compile(r"`(--[a-z-]+)")
SETTING: Final = re.compile(r"`([a-z]+(?:_[a-z]+)*)` in (\w+\.toml)")
POLICY: Final = re.compile(r"\b([a-z]+(?:_[a-z]+)+) in (\w+\.toml), section \[policy\]")
SETTINGS: Final[dict[str, tuple[type[BaseModel], ...]]] = {
    "owner.toml": (OwnerSettings,),
    "agent.toml": (AgentSettings, Policy),
    "aggregator.toml": (AggregatorSettings, AggregatorPolicy, ComputePolicy),
    "study.toml": (StudyFile, Aggregation),
}
PLACEHOLDER: Final = re.compile(r"[A-Z][A-Z0-9:=|./-]*|\.\.\.|\{\}")


@cache
def program() -> click.Command:
    known = {info.name for info in cli.app.registered_groups}
    if "train" not in known:
        cli._mount()
    return typer.main.get_command(cli.app)


def require_typable(line: str) -> None:
    """Check that the programs take a line that a person is told to type."""
    _, *words = shlex.split(line)
    command = program()
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            if command.invoke_without_command or PLACEHOLDER.fullmatch(words[0]):
                break
            pytest.fail(f"{line!r}: there is no command {words[0]!r}")
        command = found
        words = words[1:]
    options = {
        one: parameter
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for one in (*parameter.opts, *parameter.secondary_opts)
    }
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    most = sum(1 if one.nargs > 0 else 1000 for one in arguments)
    while words:
        word, *words = words
        if word.startswith("-"):
            name = word.partition("=")[0]
            assert name in {*options, "--help"}, f"{line!r}: no option {name!r}"
            takes = name in options and not options[name].is_flag and "=" not in word
            words = words[1:] if takes else words
        else:
            most -= 1
    assert most >= 0, f"{line!r}: too many arguments"


def typed(text: str) -> Iterator[str]:
    """Yield each line that a text tells to type; `a|b` is one line for each."""
    for line in TYPED.findall(" ".join(text.split())):
        words = [word.split("|") for word in line.strip().split(" ")]
        yield from map(" ".join, itertools.product(*words))


@pytest.mark.parametrize("code", PROBLEMS)
def test_a_remedy_can_be_typed_as_it_stands(code: str) -> None:
    remedy = PROBLEMS[code].remedy
    for line in typed(remedy):
        require_typable(line)


@pytest.mark.parametrize("code", PROBLEMS)
def test_a_remedy_names_settings_that_exist(code: str) -> None:
    remedy = PROBLEMS[code].remedy
    for key, file in [*SETTING.findall(remedy), *POLICY.findall(remedy)]:
        models = SETTINGS[file]
        keys = {
            field.alias or name
            for model in models
            for name, field in model.model_fields.items()
        }
        assert key in keys, f"{code} names {key} in {file}"


@pytest.mark.parametrize("code", PROBLEMS)
def test_an_option_in_a_remedy_is_one_of_some_command(code: str) -> None:
    known = {one for command in commands(program()) for one in options_of(command)}
    assert set(ALONE.findall(PROBLEMS[code].remedy)) <= known


def commands(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            if inner is not None:
                yield from commands(inner)


def options_of(command: click.Command) -> set[str]:
    return {
        one
        for parameter in command.params
        for one in (*parameter.opts, *parameter.secondary_opts)
    }


def sources() -> list[Path]:
    folders = ("fedsecure", "clients", "aggregator", "bench")
    return [path for one in folders for path in sorted((page.ROOT / one).rglob("*.py"))]


def texts(path: Path) -> Iterator[str]:
    """Yield the texts of a module; what a text fills in stands as `X`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "X"
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_command_that_any_text_of_the_programs_names_can_be_typed() -> None:
    lines = {
        line
        for path in sources()
        for text in texts(path)
        for line in typed(text)
        if not PLACEHOLDER.fullmatch(line.split()[1])
    }
    assert len(lines) > 40
    for line in sorted(lines):
        require_typable(line)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("fedsecure trian", "no command 'trian'"),
        ("fedsecure train --resum RUN", "no option '--resum'"),
        ("fedsecure agent status one two", "too many arguments"),
    ],
)
def test_what_cannot_be_typed_is_found(line: str, why: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception), match=why):
        require_typable(line)
