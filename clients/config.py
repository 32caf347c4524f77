"""`agent.toml`: what a data owner decides, in one file."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from clients.policy import Policy
from fedsecure import settings
from fedsecure.errors import OperatorError
from fedsecure.identity import Federation, Name
from fedsecure.settings import RelativePath

KERAS_APP: Final = "clients.app:app"
SUPERLINK: Final = r"^(?:[^\s:/]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$"  # host:port


class AgentSettings(settings.Settings):
    """The content of `agent.toml`; paths are taken from the file's own folder."""

    name: Name
    federation: RelativePath
    key: RelativePath
    flower_key: RelativePath
    superlink: Annotated[str, Field(pattern=SUPERLINK)]
    authorities: RelativePath | None = None  # CA file of all TLS servers
    data: RelativePath
    state: RelativePath
    app: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] = KERAS_APP
    poll_seconds: Annotated[float, Field(gt=0, le=60)] = 0.25
    aggregators: dict[Name, str]
    """Both aggregators' fingerprints, got from them and not from the model owner."""
    policy: Policy = Policy()


def load_agent_settings(path: Path) -> AgentSettings:
    """Read `agent.toml`; run by the agent at start.

    Raises:
        OperatorError: FS-801 to FS-803 with the file and the key.
    """
    return settings.load(path, AgentSettings)


def require_pinned(agent: AgentSettings, federation: Federation) -> None:
    """Check both aggregators' keys against what this data owner was told by them.

    Without it a model owner could put keys of its own in `federation.toml` and read
    every update.

    Raises:
        OperatorError: FS-821 naming the aggregator whose key differs or is missing.
    """
    for party in federation.aggregators:
        pinned = agent.aggregators.get(party.name)
        if pinned is None:
            raise OperatorError("FS-821", f"{party.name} has no fingerprint")
        if pinned != party.fingerprint:
            raise OperatorError(
                "FS-821",
                f"{party.name} is {party.fingerprint} in federation "
                f"{federation.name} and {pinned} in agent.toml",
            )
    strangers = set(agent.aggregators) - {p.name for p in federation.aggregators}
    if strangers:
        raise OperatorError(
            "FS-821", f"{', '.join(sorted(strangers))} is no aggregator"
        )
