"""`--help` of every command: what it does, every option in words, an example."""

import re
from collections.abc import Iterator

import click
import pytest
import typer
from typer.testing import CliRunner

from fedsecure import cli
from fedsecure.cli import _mount, app
from fedsecure.errors import OperatorError

_mount()
WIDTHS = (80, 120)
PROGRAM = typer.main.get_command(app)


def commands(
    command: click.Command, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    for name, one in getattr(command, "commands", {}).items():
        yield from commands(one, (*words, name))


EVERY = dict(commands(PROGRAM))
TYPED = {
    words: one
    for words, one in EVERY.items()
    if not getattr(one, "commands", None) or getattr(one, "invoke_without_command", 0)
}


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_help_fits_the_terminal(words: tuple[str, ...]) -> None:
    for width in WIDTHS:
        shown = CliRunner().invoke(
            app, [*words, "--help"], env={"COLUMNS": str(width), "TERM": "dumb"}
        )
        assert shown.exit_code == 0
        assert max(map(len, shown.stdout.splitlines())) <= width
        assert "…" not in shown.stdout


@pytest.mark.parametrize("words", TYPED, ids=" ".join)
def test_what_can_be_typed_has_an_example(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "300"})
    name = " ".join(("fedsecure", *words))
    assert re.search(rf"Example: (sudo )?{name}\b", shown.stdout), shown.stdout


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_option_says_what_it_is_for(words: tuple[str, ...]) -> None:
    for one in EVERY[words].params:
        if isinstance(one, click.Option) or type(one).__name__ == "TyperOption":
            assert getattr(one, "help", None), one.name


def test_a_command_of_a_role_that_is_not_installed_says_which_package_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cli, "entry_points", lambda **_: ())
    with pytest.raises(OperatorError, match="needs fedsecure-clients") as caught:
        cli._mount(["agent", "status"])
    assert caught.value.code == "FS-885"
