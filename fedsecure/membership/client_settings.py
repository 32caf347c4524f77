"""`client.toml` and `dealer.toml`: what parties say that neither train nor serve.

    name = "clinic"
    federation = "federation.toml"
    accepted = "accepted.toml"
    key = "signing.pem"
    queries = "queries"

    [policy.jobs]
    receivers = []
    min_owners = 2

Paths are taken from the file's own folder.
"""

from pathlib import Path
from typing import Literal

from fedsecure.membership.accepted import (
    ACCEPTED,
    AcceptedPath,
    Membership,
    open_membership,
)
from fedsecure.membership.jobs_policy import SharingPolicy
from fedsecure.membership.own_party import load_of
from fedsecure.protocol.identity import Name, Role
from fedsecure.system.toml_file import RelativePath, Settings


class ClientSettings(Settings):
    """The content of `client.toml`.

    `queries` is a folder with the numbers of queries that were asked: an aggregator
    answers each number once, so what lies there must not be lost while a service is in
    use.
    """

    name: Name
    federation: RelativePath
    accepted: AcceptedPath = Path(ACCEPTED)
    key: RelativePath
    authorities: RelativePath | None = None  # instead of the federation's CA file
    queries: RelativePath
    policy: SharingPolicy = SharingPolicy()

    def membership(self) -> Membership:
        """Read federation and key, and check that they belong together.

        Raises:
            OperatorError: FS-741, FS-744 to FS-746, FS-750, FS-752 to FS-754, FS-760,
                FS-801 to FS-803.
        """
        return open_membership(self)


class DealerSettings(Settings):
    """The content of `dealer.toml`; `dealer` says no more than whose file it is."""

    name: Name
    federation: RelativePath
    accepted: AcceptedPath = Path(ACCEPTED)
    key: RelativePath
    dealer: Literal[True]


def load_client_settings(path: Path) -> ClientSettings:
    """Read `client.toml`; run by a client.

    Raises:
        OperatorError: FS-801 to FS-803 with the file and the key, FS-813 when it is
            another role's.
    """
    return load_of(Role.CLIENT, path, ClientSettings)


def load_dealer_settings(path: Path) -> DealerSettings:
    """Read `dealer.toml`; run by a dealer.

    Raises:
        OperatorError: FS-801 to FS-803 with the file and the key, FS-813 when it is
            another role's.
    """
    return load_of(Role.DEALER, path, DealerSettings)
