"""A site under plain Flower: the same ClientApp, no mod; replies hold the weights.

python -m tests.e2e.plain_agent AGENT_TOML equal|exact
"""

import sys
import time
from pathlib import Path

from flwr.app import Context, RecordDict

from fedsecure.errors import PeerError
from fedsecure.frameworks.flower.runtime import fleet
from fedsecure.membership.accepted import open_membership
from fedsecure.protocol.node_keys import load_node_key
from fedsecure_clients.agent.config import load_agent_settings, require_superlink
from fedsecure_clients.keras_app.app import app


def main(config: Path, weights: str) -> None:
    settings = load_agent_settings(config)
    membership = open_membership(settings)
    assert membership.authorities is not None
    address = require_superlink(settings, membership.federation)
    data = {"data": str(settings.data)}
    while True:
        try:
            with fleet(
                address,
                membership.authorities.read_bytes(),
                load_node_key(settings.flower_key),
            ) as link:
                context = Context(1, link.node_id, data, RecordDict(), {})
                while True:
                    message = link.receive()
                    if message is None:
                        time.sleep(0.1)
                        continue
                    reply = app(message=message, context=context)
                    if weights == "equal":
                        reply.content["metrics"]["num-examples"] = 1
                    link.reply(reply)
        except PeerError:
            time.sleep(0.5)  # the SuperLink is not there yet


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
