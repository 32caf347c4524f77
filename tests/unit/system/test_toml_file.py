from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import HealthCheck, example, given, settings as budget, strategies as st
from pydantic import Field, ValidationError

from fedsecure.errors import OperatorError
from fedsecure.system import toml_file
from fedsecure.system.toml_file import RelativePath, explain


class Database(toml_file.Settings):
    url: str


class Example(toml_file.Settings):
    name: str = "example"
    number: int = 1
    share: Annotated[float, Field(allow_inf_nan=False)] = 0.5
    file: RelativePath = Path("default")
    database: Database | None = None


def load(folder: Path, content: str | bytes) -> Example:
    path = folder / "example.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return toml_file.load(path, Example)


@pytest.mark.parametrize(
    "content", ["number = 2", "\ufeffnumber = 2", "# ä\r\nnumber = 2\r\n"]
)
def test_toml_is_read_as_editors_write_it(tmp_path: Path, content: str) -> None:
    assert load(tmp_path, content).number == 2


@pytest.mark.parametrize(
    ("file", "found"),
    [("key.pem", "key.pem"), ("../key.pem", "../key.pem"), ("./a/b", "a/b")],
)
def test_paths_start_at_the_file_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, found: str
) -> None:
    (tmp_path / "conf").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "example.toml").write_text(f'file = "{file}"')
    loaded = toml_file.load(Path("conf/example.toml"), Example)
    assert loaded.file == tmp_path / "conf" / found


def test_a_home_folder_and_a_whole_path_stay_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert load(tmp_path, 'file = "~/key"').file == Path("/home/somebody/key")
    assert load(tmp_path, 'file = "/etc/key"').file == Path("/etc/key")


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("color = 1", "color"),
        ("number = 1.0", "number"),
        ("number = true", "number"),
        ('number = "1"', "number"),
        ("share = nan", "share"),
        ("share = inf", "share"),
        ("name = 2020-01-01", "name"),
        ("file = 3", "file"),
        ('file = "a\\u0000b"', "file"),
        ('file = "~nobody-of-this-name/key"', "file"),
        ("[database]", "database.url"),
        ('[database]\nurl = "x"\npool = 3', "database.pool"),
        ("[[database]]", "database"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(
    tmp_path: Path, content: str, key: str
) -> None:
    with pytest.raises(OperatorError, match="FS-803") as caught:
        load(tmp_path, content)
    assert caught.value.detail.startswith(f"{tmp_path / 'example.toml'}: {key}: ")


@pytest.mark.parametrize(
    "content",
    [
        b"number",
        b"number = 1\nnumber = 2",
        b"\xff",
        b"name = '\x00'",
        "number = 1".encode("utf-16"),
        b"number = " + b"[" * 100_000,
        b"number = " + b"9" * 5000,
    ],
    ids=lambda content: repr(content[:20]),
)
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(OperatorError, match=r"FS-802.*example\.toml"):
        load(tmp_path, content)


@given(content=st.binary() | st.text().map(str.encode))
@example(content=b"name = '''" + b"a" * 10_000)
@budget(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    try:
        load(tmp_path, content)
    except OperatorError as error:
        code = error.code
    else:
        code = ""
    assert code in {"", "FS-802", "FS-803"}


@pytest.mark.parametrize("path", ["missing.toml", ".", "missing/example.toml"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(OperatorError, match="FS-801") as caught:
        toml_file.load(tmp_path / path, Example)
    assert str(tmp_path / path) in caught.value.detail


def test_a_value_is_not_repeated(tmp_path: Path) -> None:
    # A database URL holds a password; --debug prints the causes of an error too.
    with pytest.raises(OperatorError) as caught:
        load(tmp_path, 'database = "postgresql://me:secret@host/db"')
    assert "secret" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    ("key", "shown"),
    [("\\u001b[2J", "\\x1b[2J"), ("a\\nb", "a\\nb"), ("k" * 10_000, "k" * 200 + ":")],
)
def test_a_key_cannot_steer_a_terminal_or_fill_a_log(
    tmp_path: Path, key: str, shown: str
) -> None:
    with pytest.raises(OperatorError, match="FS-803") as caught:
        load(tmp_path, f'"{key}" = 1')
    assert shown in caught.value.detail
    assert caught.value.detail.isprintable()
    assert len(caught.value.detail) < 500


def test_many_wrong_values_are_counted() -> None:
    with pytest.raises(ValidationError) as caught:
        Example.model_validate({str(number): 0 for number in range(2000)})
    assert explain(caught.value) == "2000 values are wrong"
