"""A command that is given another role's configuration says whose it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedsecure.errors import OperatorError
from fedsecure.membership.client_settings import (
    load_client_settings,
    load_dealer_settings,
)
from fedsecure.owner.settings import load_owner_settings
from fedsecure.protocol.identity import Role
from fedsecure_aggregator.config import load as load_aggregator
from fedsecure_clients.agent.config import load_agent_settings
from tests.unit.membership.parties import World

LOADERS: dict[Role, Callable[[Path], Any]] = {
    Role.MODEL_OWNER: load_owner_settings,
    Role.AGGREGATOR: load_aggregator,
    Role.DATA_OWNER: load_agent_settings,
    Role.CLIENT: load_client_settings,
    Role.DEALER: load_dealer_settings,
}
PARTIES = {
    Role.MODEL_OWNER: "study",
    Role.AGGREGATOR: "north",
    Role.DATA_OWNER: "basel",
    Role.CLIENT: "clinic",
    Role.DEALER: "dealer",
}


@pytest.mark.parametrize("wanted", Role)
@pytest.mark.parametrize("given", Role)
def test_each_roles_configuration_is_told_from_the_others(
    world: World, given: Role, wanted: Role
) -> None:
    config = world[PARTIES[given]].config
    if given is wanted:
        assert LOADERS[wanted](config).name == PARTIES[given]
        return
    expected = f"FS-813.*{config.name} is of a {given}, not of a {wanted}"
    with pytest.raises(OperatorError, match=expected):
        LOADERS[wanted](config)
