"""`[policy.jobs]` of agent.toml, client.toml and owner.toml: what jobs may tell."""

from typing import Annotated

from pydantic import Field

from fedsecure.protocol.identity import Name
from fedsecure.system.toml_file import Settings


class JobsPolicy(Settings):
    """What may be made of numbers that this party shares; the defaults give least away.

    `receivers` are who else than this party may receive an output that depends on its
    numbers. `min_owners` is the fewest parties, the receiver not counted, whose numbers
    such an output mixes: of one that mixes fewer the receiver learns them.
    """

    receivers: frozenset[Name] = Field(default=frozenset(), strict=False)
    min_owners: Annotated[int, Field(ge=1)] = 2


class SharingPolicy(Settings):
    """The section `[policy]` of client.toml and owner.toml."""

    jobs: JobsPolicy = JobsPolicy()
