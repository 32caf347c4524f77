"""`agent.toml`: what a data owner decides, in one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from fedsecure.errors import OperatorError
from fedsecure.membership.accepted import ACCEPTED, AcceptedPath
from fedsecure.membership.own_party import load_of
from fedsecure.protocol.fingerprints import Fingerprint
from fedsecure.protocol.identity import Federation, HostPort, Name, Role
from fedsecure.system import toml_file
from fedsecure.system.toml_file import RelativePath
from fedsecure.system.wording import form
from fedsecure_clients.consent.policy import Policy

KERAS_APP: Final = "fedsecure_clients.keras_app.app:app"
APP: Final = form(r"^[\w.]+:\w+$", "package.module:app")


class AgentSettings(toml_file.Settings):
    """The content of `agent.toml`; paths are taken from the file's own folder."""

    name: Name
    federation: RelativePath
    accepted: AcceptedPath = Path(ACCEPTED)
    key: RelativePath
    flower_key: RelativePath
    superlink: HostPort | None = None  # instead of the federation's
    authorities: RelativePath | None = None  # instead of the federation's CA file
    data: RelativePath
    state: RelativePath
    app: Annotated[str, Field(pattern=APP)] = KERAS_APP
    app_folder: RelativePath | None = None
    """Where the app lies, if it is not installed as a package."""
    poll_seconds: Annotated[float, Field(gt=0, le=60)] = 0.25
    aggregators: Annotated[dict[Name, Fingerprint], Field(default_factory=dict)]
    """Both aggregators' fingerprints, in words or digits, in front of the accepted."""
    policy: Policy = Policy()


def load_agent_settings(path: Path) -> AgentSettings:
    """Read `agent.toml`; run by the agent at start.

    Raises:
        OperatorError: FS-801 to FS-803 with the file and the key, FS-813 when it is
            another role's.
    """
    return load_of(Role.DATA_OWNER, path, AgentSettings)


def require_pinned(
    agent: AgentSettings, federation: Federation, accepted: Mapping[str, str]
) -> None:
    """Check both aggregators' keys against what this data owner was told by them.

    Without it a model owner could put keys of its own in `federation.toml` and read
    every update.

    Args:
        agent: The fingerprints in agent.toml count, if there are any.
        federation: Whose aggregators they are.
        accepted: Else those that were told to `fedsecure join`, by name.

    Raises:
        OperatorError: FS-821 naming the aggregator whose key differs or is missing.
    """
    names = {party.name for party in federation.aggregators}
    heard = {name: accepted[name] for name in names & accepted.keys()}
    told = agent.aggregators or heard
    for party in federation.aggregators:
        pinned = told.get(party.name)
        if pinned is None:
            raise OperatorError("FS-821", f"{party.name} has no fingerprint")
        if pinned != party.fingerprint:
            raise OperatorError(
                "FS-821",
                f"{party.name} is {party.fingerprint} in federation "
                f"{federation.name} and {pinned} here",
            )
    strangers = told.keys() - names
    if strangers:
        raise OperatorError(
            "FS-821", f"{', '.join(sorted(strangers))} is no aggregator"
        )


def require_superlink(settings: AgentSettings, federation: Federation) -> str:
    """Return where to join: agent.toml's word, or else the federation's.

    Raises:
        OperatorError: FS-825 when neither says it.
    """
    where = settings.superlink or federation.model_owner.superlink
    if where is None:
        raise OperatorError("FS-825", f"{federation.model_owner.name}'s SuperLink")
    return where
