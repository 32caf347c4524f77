"""What people type and see when they come together."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fedsecure.cli import _mount, app
from fedsecure.errors import FedsecureError
from tests.unit.membership.parties import World


@pytest.fixture(scope="module", autouse=True)
def _commands() -> None:
    _mount()


def typed(arguments: list[str], text: str | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=text, catch_exceptions=True)


def code(result: Result) -> str | None:
    return (
        result.exception.code if isinstance(result.exception, FedsecureError) else None
    )


@pytest.fixture
def issued(world: World) -> World:
    files = [str(one) for one in world.files("north", "south", "basel", "bern")]
    config = str(world["study"].config)
    made = typed(["init", "heart", *files, "--config", config])
    assert made.exit_code == 0, made.output
    assert "heart, version 1: 2 aggregators, 2 data owners" in made.stdout
    return world


def join(world: World, name: str, *options: str, text: str | None = None) -> Result:
    handed_over = str(world.issuer.handed_over)
    config = str(world[name].config)
    return typed(["join", handed_over, "--config", config, *options], text)


def words(world: World, *names: str) -> str:
    return "".join(f"{world[name].identity.words}\n" for name in names)


def test_keygen_prints_words_and_says_what_to_hand_over(tmp_path: Path) -> None:
    arguments = ["keygen", "data-owner", "--name", "basel", "--folder", str(tmp_path)]
    made = typed(arguments)
    assert made.exit_code == 0, made.output
    assert "basel.identity.toml" in made.stdout
    (line,) = (
        one
        for one in made.stdout.splitlines()
        if len(one.split()) == 12 and one[0] == " "
    )
    first = (tmp_path / "basel.identity.toml").read_text().splitlines()[1]
    assert first.removeprefix("# ") == line.strip()
    assert code(typed(arguments)) == "FS-748"


@pytest.mark.parametrize(
    ("role", "options", "said", "unsaid"),
    [
        (
            "model-owner",
            ["--superlink", "study.test:9092"],
            ["Both aggregators will call you", "fedsecure init FEDERATION-NAME"],
            ["Hand over to the model owner", "fedsecure join"],
        ),
        (
            "aggregator",
            ["--url", "https://north.test:8443"],
            ["All others will call you", "Hand over to the model owner", "join"],
            ["fedsecure init"],
        ),
        (
            "data-owner",
            [],
            ["If the model owner calls", "Hand over to the model owner", "join"],
            ["fedsecure init"],
        ),
    ],
)
def test_keygen_says_to_each_role_what_it_has_to_do(
    tmp_path: Path, role: str, options: list[str], said: list[str], unsaid: list[str]
) -> None:
    folder = ["--folder", str(tmp_path)]
    shown = typed(["keygen", role, "--name", "one", *options, *folder]).stdout
    for words_said in said:
        assert words_said in shown
    for words_unsaid in unsaid:
        assert words_unsaid not in shown
    first = (tmp_path / "one.identity.toml").read_text().splitlines()[0]
    assert ("for the model owner" in first) == (role != "model-owner")


def test_a_person_types_the_words_that_were_heard(issued: World) -> None:
    joined = join(issued, "basel", text=words(issued, "north", "south") + "y\n")
    assert joined.exit_code == 0, joined.output
    assert "You need the words of north and south." in joined.stdout
    assert "accepted: heart, version 1" in joined.stdout
    assert issued["basel"].start().federation.name == "heart"


def test_words_with_a_slip_are_asked_for_again(issued: World) -> None:
    slip = words(issued, "north").replace(" ", " zebra ", 1)
    text = slip + words(issued, "north", "south") + "y\n"
    joined = join(issued, "basel", text=text)
    assert joined.exit_code == 0, joined.output
    assert "try again" in " ".join(joined.stdout.split())


def test_words_of_another_key_end_it_and_the_right_ones_are_not_shown(
    issued: World,
) -> None:
    joined = join(issued, "basel", text=words(issued, "south", "south"))
    assert code(joined) == "FS-754"
    right = issued["north"].identity
    assert right.words not in f"{joined.output}{joined.exception}"
    assert right.fingerprint not in f"{joined.output}{joined.exception}"
    assert not issued["basel"].federation.exists()


def test_without_answers_nothing_is_accepted(issued: World) -> None:
    assert code(join(issued, "basel", text="")) == "FS-755"
    both = words(issued, "north", "south")
    assert code(join(issued, "basel", text=both)) == "FS-758"
    assert code(join(issued, "basel", text=both + "n\n")) == "FS-758"
    assert not issued["basel"].federation.exists()


def test_a_script_says_everything_in_options(issued: World) -> None:
    north, south = (issued[name].identity for name in ("north", "south"))
    told = ["--fingerprint", f"north={north.words}"]
    told += ["--fingerprint", f"south={south.fingerprint}"]
    assert code(join(issued, "basel", *told[:2], "--yes", text="")) == "FS-755"
    slip = f"north={north.words.replace(' ', 'x ', 1)}"
    refused = join(issued, "basel", "--fingerprint", slip, text="")
    assert code(refused) == "FS-826"
    assert f"did you mean {north.words.split()[0]}?" in str(refused.exception)
    assert join(issued, "basel", "--fingerprint", "north", text="").exit_code == 2
    joined = join(issued, "basel", *told, "--yes")
    assert joined.exit_code == 0, joined.output


def test_only_a_model_owners_configuration_makes_versions(issued: World) -> None:
    config = str(issued["north"].config)
    assert code(typed(["federation", "retire", "bern", "--config", config])) == "FS-813"


def test_a_folder_with_no_configuration_or_two_is_not_guessed(
    issued: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_over = str(issued.issuer.handed_over)
    monkeypatch.chdir(issued.root)
    assert code(typed(["join", handed_over])) == "FS-813"
    monkeypatch.chdir(issued["basel"].home)
    assert "You need the words" in typed(["join", handed_over], "").stdout
    (issued["basel"].home / "owner.toml").touch()
    assert code(typed(["join", handed_over])) == "FS-813"
    assert code(typed(["doctor", "--config", "owner.toml"])) == "FS-813"
