"""A whole agent of the federation in memory: all but the SuperLink."""

import threading
from pathlib import Path
from typing import Final

from fedsecure.contributor.settlement import Settlement
from fedsecure.frameworks.flower.mod import Call, secret_sharing_mod
from fedsecure_clients.agent.config import AgentSettings
from fedsecure_clients.agent.delivery import Delivery
from fedsecure_clients.agent.loop import Agent
from fedsecure_clients.agent.settling import Settling
from fedsecure_clients.agent.waiting import Waiting
from fedsecure_clients.agent.watchdog import Watchdog
from fedsecure_clients.statistics_app.app import beside
from tests.protocol.federation import Hospital, MemoryFederation

SUPERLINK: Final = "train.test:8000"


def agent_of(
    memory: MemoryFederation, hospital: Hospital, app: Call, data: Path
) -> Agent:
    """Put an agent around a data owner's end."""
    contributor, state = hospital.contributor, hospital.state
    return Agent(
        settings=AgentSettings.model_construct(data=data),
        federation=memory.federation,
        superlink=SUPERLINK,
        state=state,
        app=beside(app),
        mod=secret_sharing_mod(contributor),
        settling=Settling(
            Settlement(
                contributor.author, contributor.aggregators, state, memory.clock
            ),
            state,
        ),
        stop=threading.Event(),
        delivery=Delivery(contributor, state, memory.clock),
        watchdog=Watchdog(memory.clock),
        aggregators=Waiting("an aggregator"),
    )
