"""An agent in one process that protects nothing, or by SecAgg+: for comparing.

python -m fedsecure.bench.agent PARENT_PID HOST:PORT AUTHORITY NODE_KEY

It joins the SuperLink over the same connection as a data owner's agent and looks for
messages as often; what it answers with is Flower's alone.
"""

import sys
import time
from pathlib import Path
from typing import Final

from flwr.app import Context, Message, RecordDict

from fedsecure.bench import idle, secagg
from fedsecure.errors import PeerError, RoundStateError
from fedsecure.flower.runtime import Fleet, fleet, task_identity
from fedsecure.lifeline import tie_to
from fedsecure.node_keys import load_node_key

POLL: Final = 0.25  # seconds; the default of agent.toml


def serve(link: Fleet, contexts: dict[int, Context]) -> None:
    """Answer one message, or wait."""
    message = link.receive()
    if message is None:
        time.sleep(POLL)
        return
    run_id = message.metadata.run_id
    fresh = Context(run_id, link.node_id, {}, RecordDict(), {})
    context = contexts.setdefault(run_id, fresh)
    with task_identity(run_id, link.node_id):
        reply = _answer(message, context)
    link.reply(reply)


def _answer(message: Message, context: Context) -> Message:
    app = secagg.app if secagg.is_for_secagg(message) else idle.app
    reply: Message = app(message=message, context=context)
    return secagg.told_apart(reply)


def main() -> None:
    """Answer until the parent is gone."""
    parent, address, authority, key = sys.argv[1:]
    tie_to(int(parent))
    contexts: dict[int, Context] = {}
    with fleet(address, Path(authority).read_bytes(), load_node_key(Path(key))) as link:
        while True:
            try:
                serve(link, contexts)
            except (RoundStateError, PeerError) as error:
                print(f"a reply is lost: {error}", flush=True)  # noqa: T201 - its log


if __name__ == "__main__":
    main()
