"""A whole agent of the federation in memory: all but the SuperLink."""

import threading
from pathlib import Path
from typing import Final

from flwr.clientapp import ClientApp

from clients.agent import Agent
from clients.config import AgentSettings
from clients.delivery import Delivery
from clients.waiting import Waiting
from clients.watchdog import Watchdog
from fedsecure.flower.mod import secret_sharing_mod
from fedsecure.rounds.settlement import Settlement
from tests.protocol.federation import Hospital, MemoryFederation

SUPERLINK: Final = "train.test:8000"


def agent_of(
    memory: MemoryFederation, hospital: Hospital, app: ClientApp, data: Path
) -> Agent:
    """Put an agent around a data owner's end."""
    contributor, state = hospital.contributor, hospital.state
    return Agent(
        settings=AgentSettings.model_construct(data=data),
        federation=memory.federation,
        superlink=SUPERLINK,
        state=state,
        app=app,
        mod=secret_sharing_mod(contributor),
        settlement=Settlement(
            contributor.author, contributor.aggregators, state, memory.clock
        ),
        stop=threading.Event(),
        delivery=Delivery(contributor, state, memory.clock),
        watchdog=Watchdog(memory.clock),
        aggregators=Waiting("an aggregator"),
    )
