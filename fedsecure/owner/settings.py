"""`owner.toml`: what a model owner decides, in one file."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from fedsecure.membership.accepted import ACCEPTED, AcceptedPath, open_membership
from fedsecure.membership.jobs_policy import SharingPolicy
from fedsecure.membership.own_party import load_of
from fedsecure.protocol.identity import Name, Role
from fedsecure.protocol.signing import Author
from fedsecure.system import toml_file
from fedsecure.system.toml_file import RelativePath
from fedsecure.system.wording import form

DATABASE = "rounds.db"


class SuperlinkSettings(toml_file.Settings):
    """The section `[superlink]`: where agents join, and its TLS files."""

    listen: Annotated[
        str, Field(pattern=form(r"^[^\s:/]+:[0-9]{1,5}$", "ADDRESS:PORT"))
    ]
    authority: RelativePath
    certificate: RelativePath
    key: RelativePath


class ServeSettings(toml_file.Settings):
    """The section `[serve]`: who may ask a service, unless its command says otherwise.

    `clients` are names; None is every client of the federation. A service answers each
    of them `max_rows` rows in all: with as many as a linear model has features, and one
    more, its weights are known. It closes after `days`.
    """

    clients: frozenset[Name] | None = Field(default=None, strict=False)
    max_rows: Annotated[int, Field(ge=1, le=10**9)] = 1000
    days: Annotated[int, Field(ge=1, le=366)] = 30


class OwnerSettings(toml_file.Settings):
    """The content of `owner.toml`; paths are taken from the file's own folder.

    `folder` receives the round store, models and logs. `round_seconds` is how long
    a cohort may take to report, `join_seconds` how long to wait for all agents,
    `attempts` how often a round with too few reports is tried before training stops.
    Between two attempts it waits `pause_seconds`, doubled each time up to
    `longest_pause_seconds`.
    `stop_when_diverged`: whether a run ends at a model that most data owners cannot
    measure.
    """

    name: Name
    federation: RelativePath
    accepted: AcceptedPath = Path(ACCEPTED)
    key: RelativePath
    authorities: RelativePath | None = None  # instead of the federation's CA file
    study: RelativePath
    folder: RelativePath
    database: str | None = None  # URL; default SQLite in `folder`
    superlink: SuperlinkSettings
    round_seconds: Annotated[float, Field(gt=0, le=30 * 86400)] = 300.0
    join_seconds: Annotated[float, Field(ge=0, le=86400)] = 60.0
    attempts: Annotated[int, Field(ge=1, le=1000)] = 10
    pause_seconds: Annotated[float, Field(ge=0, le=86400)] = 5.0
    longest_pause_seconds: Annotated[float, Field(ge=0, le=86400)] = 300.0
    stop_when_diverged: bool = True
    serve: ServeSettings = ServeSettings()
    policy: SharingPolicy = SharingPolicy()

    @property
    def database_url(self) -> str:
        """Where the round store lies."""
        return self.database or f"sqlite:///{self.folder / DATABASE}"

    def author(self) -> Author:
        """Read federation and key, and check that they belong together.

        Raises:
            OperatorError: FS-741, FS-744 to FS-746, FS-750, FS-752 to FS-754, FS-801
                to FS-803.
        """
        return open_membership(self).author


def load_owner_settings(path: Path) -> OwnerSettings:
    """Read `owner.toml`; run by the model owner.

    Raises:
        OperatorError: FS-801 to FS-803 with the file and the key, FS-813 when it is
            another role's.
    """
    return load_of(Role.MODEL_OWNER, path, OwnerSettings)
