"""Whose folder this is: a party's own configuration, whatever its role.

The files differ; all say a name, a federation.toml, a signing key.
"""

from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict

from fedsecure.errors import OperatorError
from fedsecure.membership.accepted import ACCEPTED, AcceptedPath
from fedsecure.protocol.identity import Name, Role
from fedsecure.system import toml_file
from fedsecure.system.toml_file import RelativePath

FILES: Final = {
    Role.MODEL_OWNER: "owner.toml",
    Role.AGGREGATOR: "aggregator.toml",
    Role.DATA_OWNER: "agent.toml",
    Role.CLIENT: "client.toml",
    Role.DEALER: "dealer.toml",
}
"""How each role's configuration is called."""

_TELLING: Final = {
    Role.MODEL_OWNER: "study",
    Role.AGGREGATOR: "listen",
    Role.DATA_OWNER: "flower_key",
    Role.CLIENT: "queries",
    Role.DEALER: "dealer",
}
"""A key of each role's configuration that no other has."""


Model = TypeVar("Model", bound=BaseModel)


class OwnParty(BaseModel):
    """What every configuration says; the rest of it is not looked at."""

    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)

    name: Name
    federation: RelativePath
    key: RelativePath
    flower_key: RelativePath | None = None
    accepted: AcceptedPath = Path(ACCEPTED)


def load_own(path: Path) -> tuple[Role, OwnParty]:
    """Read a configuration of any role.

    Raises:
        OperatorError: FS-801 to FS-803, FS-813 when it is of no role.
    """
    return role_of(path, toml_file.read_toml(path)), toml_file.load(path, OwnParty)


def load_of(role: Role, path: Path, model: type[Model]) -> Model:
    """Read the configuration of a role; another role's is called what it is.

    Raises:
        OperatorError: FS-801 to FS-803, FS-813 when it is another role's.
    """
    content = toml_file.read_toml(path)
    others = [one for one, key in _TELLING.items() if key in content]
    if others and role not in others:
        raise OperatorError("FS-813", f"{path} is of a {others[0]}, not of a {role}")
    return toml_file.load(path, model)


def role_of(path: Path, content: dict[str, Any]) -> Role:
    """Tell from its keys whose configuration a file is.

    Raises:
        OperatorError: FS-813.
    """
    for role, key in _TELLING.items():
        if key in content:
            return role
    raise OperatorError("FS-813", f"{path} has none of {', '.join(_TELLING.values())}")


def find_config(given: Path | None, folder: Path) -> Path:
    """Return the configuration that was named, or the one in this folder.

    Raises:
        OperatorError: FS-813 when there is none, or more than one.
    """
    if given is not None:
        return given
    found = [folder / name for name in FILES.values() if (folder / name).is_file()]
    if len(found) != 1:
        names = ", ".join(FILES.values())
        raise OperatorError("FS-813", f"{len(found)} of {names} in {folder}")
    return found[0]
