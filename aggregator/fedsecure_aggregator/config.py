"""`aggregator.toml`: who this aggregator is, where it listens and stores, its policy.

    name = "north"
    federation = "federation.toml"
    accepted = "accepted.toml"
    key = "signing.pem"
    listen = "0.0.0.0:8443"
    data = "data"

    [tls]
    certificate = "tls.pem"
    key = "tls.key"

    [policy]
    min_cohort = 3

    [compute]
    enabled = true

Paths are taken from the file's own folder.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from fedsecure.errors import OperatorError
from fedsecure.membership.accepted import (
    ACCEPTED,
    AcceptedPath,
    Membership,
    open_membership,
)
from fedsecure.membership.own_party import load_of
from fedsecure.protocol.identity import Federation, Name, Role, load_federation
from fedsecure.protocol.signing import Author
from fedsecure.system.toml_file import RelativePath, Settings
from fedsecure.transport.connection_limits import Limits, canonical
from fedsecure_aggregator.rules.compute_policy import ComputePolicy
from fedsecure_aggregator.rules.limits import STILL_SECONDS, TIDY_SECONDS
from fedsecure_aggregator.rules.policy import Policy


class Tls(Settings):
    """The server's certificate chain and its private key, PEM files."""

    certificate: RelativePath
    key: RelativePath


class Connections(Settings):
    """Section `[connections]` of aggregator.toml: how many there may be.

    `most` is at most what the process's descriptors allow, `per_address` half of it
    if nothing is said. `proxies` are addresses behind which many parties sit.
    """

    most: Annotated[int | None, Field(ge=1)] = None
    per_address: Annotated[int | None, Field(ge=1)] = None
    proxies: Annotated[
        tuple[Annotated[str, AfterValidator(canonical)], ...], Field(strict=False)
    ] = ()

    def limits(self, files: int) -> Limits:
        """Return what holds for a process that may have so many descriptors."""
        return Limits.of(files, self.most, self.per_address, self.proxies)


class AggregatorSettings(Settings):
    """The content of `aggregator.toml`.

    `listen` is `host:port`, port 0 for any free one. `database` is a SQLAlchemy
    URL; without it the store is an SQLite file in the data folder.
    `database_password` is a file that holds the password, so that neither settings nor
    environment do. `still_seconds` is how long a connection may stand still,
    `tidy_seconds` how long keys and reports that have expired wait to be deleted.
    """

    name: Name
    federation: RelativePath
    accepted: AcceptedPath = Path(ACCEPTED)
    key: RelativePath
    listen: str
    tls: Tls
    data: Annotated[RelativePath, Field(validate_default=True)] = Path("data")
    database: str | None = Field(default=None, repr=False)
    database_password: RelativePath | None = None
    still_seconds: Annotated[int, Field(ge=1, le=3600)] = STILL_SECONDS
    tidy_seconds: Annotated[int, Field(ge=1, le=3600)] = TIDY_SECONDS
    connections: Connections = Connections()
    policy: Policy = Policy()
    compute: ComputePolicy = ComputePolicy()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on.

        Raises:
            OperatorError: FS-811.
        """
        host, colon, port = self.listen.rpartition(":")
        if not (colon and host and port.isdecimal() and int(port) < 2**16):
            raise OperatorError("FS-811", f"listen is {self.listen!r}")
        return host.strip("[]"), int(port)

    @property
    def store(self) -> str | Path:
        """Where the store is: a URL, which may hold a password, or a file.

        Raises:
            OperatorError: FS-890.
        """
        if self.database_password is not None:
            return with_password(self.database, self.database_password)
        return self.database or self.data / "aggregator.db"

    def membership(self) -> Membership:
        """Read federation and key, and check that they belong together.

        Raises:
            OperatorError: FS-741, FS-744 to FS-746, FS-750, FS-752 to FS-754, FS-760,
                FS-801 to FS-803, FS-810.
        """
        _require_aggregator(load_federation(self.federation), self.name)
        return open_membership(self)

    def author(self) -> Author:
        """Return who signs here; as `membership`."""
        return self.membership().author


def load(path: Path) -> AggregatorSettings:
    """Read `aggregator.toml`; run once at start.

    Raises:
        OperatorError: FS-801 to FS-803 with the file and the key, FS-813 when it is
            another role's.
    """
    return load_of(Role.AGGREGATOR, path, AggregatorSettings)


def with_password(database: str | None, file: Path) -> str:
    """Put the password that a file holds into a database's URL.

    Raises:
        OperatorError: FS-890 when there is no place for it, or others can read it.
    """
    try:
        mode, text = file.stat().st_mode, file.read_text(encoding="utf-8")
        url = make_url(database or "")
    except (OSError, ValueError, ArgumentError) as error:
        cause = getattr(error, "strerror", None) or "no URL, or no text"
        raise OperatorError("FS-890", f"{file}: {cause}") from error
    password = text.rstrip("\r\n")
    if mode & 0o007 or not password or not url.username:
        why = f"mode {mode & 0o777:04o}" if mode & 0o007 else "no password or no user"
        raise OperatorError("FS-890", f"{file}: {why}")
    return url.set(password=password).render_as_string(hide_password=False)


def _require_aggregator(federation: Federation, name: str) -> None:
    names = [party.name for party in federation.pair]
    if name not in names:
        raise OperatorError(
            "FS-810",
            f"name is {name!r}; {Role.AGGREGATOR}s of {federation.name} are "
            f"{' and '.join(names)}",
        )
