"""Read a party's TOML file into a strict model, with errors a person can act on.

Used by every configuration file (`federation.toml`, `owner.toml`, `agent.toml`,
`aggregator.toml`, `client.toml`): unknown keys, wrong types and missing files are
refused with the file and the key.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
)

from fedsecure.errors import OperatorError, printable
from fedsecure.system.wording import say


class Settings(BaseModel):
    """Base of every settings model: strict, frozen, no unknown keys."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )


Model = TypeVar("Model", bound=BaseModel)


MAX_KEY: Final = 200  # characters of a key in an error
MAX_ERRORS: Final = 1000  # described one by one; making the texts takes long


def _as_path(value: object) -> object:
    return Path(value) if isinstance(value, str) else value


def _from_file(path: Path, info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder", Path())
    if "\0" in str(path):
        msg = "a path cannot hold a zero byte"
        raise ValueError(msg)
    try:
        absolute = (folder / path.expanduser()).absolute()
    except RuntimeError as error:
        msg = "nobody of that name has a home folder here"
        raise ValueError(msg) from error
    if not is_utf8(absolute):
        # Pydantic itself cannot carry such a text.
        shown = printable(str(absolute))
        msg = f"rename the folder: {shown} holds a name that is not UTF-8"
        raise ValueError(msg)
    return absolute


def is_utf8(path: Path | str) -> bool:
    """Tell whether databases and logs can hold a path; names may be any bytes."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


RelativePath = Annotated[Path, BeforeValidator(_as_path), AfterValidator(_from_file)]
"""A path; a relative one is taken from the folder of the file that names it."""


class KeysError(OperatorError):
    """A TOML file has other keys or values than it must have: FS-803."""


def read_toml(path: Path) -> dict[str, Any]:
    """Parse one TOML file.

    Raises:
        OperatorError: FS-801 when it cannot be read, FS-802 when it is not TOML.
    """
    try:
        # Editors on Windows put a byte order mark in front.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise OperatorError("FS-801", f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise OperatorError("FS-802", f"{path}: {error}") from error


def load(path: Path, model: type[Model]) -> Model:
    """Read `path` into `model`.

    Raises:
        OperatorError: FS-801, FS-802.
        KeysError: FS-803 with the first key that is wrong.
    """
    try:
        return model.model_validate(
            read_toml(path), context={"folder": path.absolute().parent}
        )
    except ValidationError as error:
        raise KeysError("FS-803", f"{path}: {explain(error, model)}") from error


def explain(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """Say which key is wrong and why, without repeating the value.

    Args:
        error: What was found.
        model: What was read, to offer the key that was meant for one that is unknown.
    """
    if error.error_count() > MAX_ERRORS:
        return f"{error.error_count()} values are wrong"
    first = error.errors(include_url=False)[0]
    why = say(first, model)
    where = ".".join(str(part) for part in first["loc"])[:MAX_KEY]
    # A key may come from another party, and what is printed may steer a terminal.
    where = where if where.isprintable() else ascii(where)
    return f"{where}: {why}" if where else why
