"""An agent put together from its settings: everything is checked, nothing is joined."""

import secrets
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from flwr.clientapp import ClientApp

from fedsecure.contributor.contribution import Contributor
from fedsecure.contributor.settlement import Settlement
from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower.mod import secret_sharing_mod
from fedsecure.membership.accepted import Membership, open_membership
from fedsecure.protocol.identity import Federation
from fedsecure.study.keras.tensorflow import import_quietly
from fedsecure.transport.aggregator_client import AggregatorClient
from fedsecure.transport.proxies import way_to
from fedsecure.transport.retries import Patience
from fedsecure_clients.agent.config import (
    KERAS_APP,
    AgentSettings,
    require_pinned,
    require_superlink,
)
from fedsecure_clients.agent.delivery import Delivery
from fedsecure_clients.agent.loop import Agent, log
from fedsecure_clients.agent.settling import Settling
from fedsecure_clients.agent.waiting import Waiting
from fedsecure_clients.agent.watchdog import Watchdog
from fedsecure_clients.consent.checks import Consent
from fedsecure_clients.state.agent_state import AgentState
from fedsecure_clients.state.storage import alone
from fedsecure_clients.statistics_app.app import beside


@contextmanager
def open_agent(settings: AgentSettings, stop: threading.Event) -> Iterator[Agent]:
    """Load everything that an agent needs and check it; join nothing yet.

    Raises:
        OperatorError: FS-8xx settings, FS-7xx keys and versions, FS-821 aggregators'
            keys, FS-822 the app cannot be loaded, FS-825 no SuperLink, FS-383 its
            folder cannot be written, FS-653 another agent works with it.
    """
    membership = open_membership(settings)
    author, federation = membership.author, membership.federation
    require_pinned(settings, federation, membership.accepted.fingerprints)
    settings = _completed(settings, membership)
    app = load_app(settings.app, settings.app_folder)
    with ExitStack() as stack:
        stack.enter_context(alone(settings.state))
        state = stack.enter_context(AgentState(settings.state, membership.versions))
        aggregators = Waiting("an aggregator")
        patience = Patience(on_retry=lambda why: aggregators.away("FS-551", why))
        clients = _clients(settings, federation, stack, patience)
        # Asked between two tasks, so it may not wait for an aggregator that is away.
        asking = _clients(settings, federation, stack, Patience(seconds=0.0))
        settling = Settling(Settlement(author, asking, state, time.time), state)
        consent = Consent(
            policy=settings.policy,
            state=state,
            federation=federation,
            clock=time.time,
            settle=settling.run,
            foreign_app=None if settings.app == KERAS_APP else settings.app,
        )
        contributor = Contributor(
            author=author,
            aggregators=clients,
            outbox=state,
            require_policy=consent.require,
            clock=time.time,
            rand=secrets.token_bytes,
        )
        delivery = Delivery(replace(contributor, aggregators=asking), state, time.time)
        watchdog = Watchdog(time.time)
        mod = secret_sharing_mod(contributor, watchdog.until)
        where = require_superlink(settings, federation)
        _tell_ways(federation, where)
        yield Agent(
            settings=settings,
            federation=federation,
            superlink=where,
            state=state,
            app=beside(app),
            mod=mod,
            settling=settling,
            stop=stop,
            delivery=delivery,
            watchdog=watchdog,
            aggregators=aggregators,
        )


def _tell_ways(federation: Federation, superlink: str) -> None:
    """Write to the log how each server is reached: through which proxy, and why."""
    hosts = {party.name: urlsplit(party.url).netloc for party in federation.aggregators}
    for name, host in {**hosts, "superlink": superlink}.items():
        log.info("way", to=name, host=host, way=way_to(host))


def _completed(settings: AgentSettings, membership: Membership) -> AgentSettings:
    authorities = settings.authorities or membership.authorities
    return settings.model_copy(update={"authorities": authorities})


def load_app(reference: str, folder: Path | None = None) -> ClientApp:
    """Import the ClientApp that this data owner installed.

    Nothing but this data owner's own agent.toml says which code that is.

    Args:
        reference: `package.module:app`.
        folder: Where Python looks for it first; None: among what is installed.

    Raises:
        OperatorError: FS-822 with the cause.
    """
    module, _, name = reference.partition(":")
    if folder is not None:
        if not folder.is_dir():
            raise OperatorError("FS-822", f"{reference}: there is no folder {folder}")
        sys.path.insert(0, str(folder))
    try:
        app = getattr(import_quietly(module), name)
    except Exception as error:  # an app may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise OperatorError("FS-822", f"{reference}: {reason}") from error
    if not isinstance(app, ClientApp):
        raise OperatorError("FS-822", f"{reference} is a {type(app).__name__}")
    return app


def _clients(
    settings: AgentSettings,
    federation: Federation,
    stack: ExitStack,
    patience: Patience,
) -> Mapping[str, AggregatorClient]:
    clients = {
        party.name: AggregatorClient(party, federation, settings.authorities, patience)
        for party in federation.aggregators
    }
    for client in clients.values():
        stack.callback(client.close)
    return clients
