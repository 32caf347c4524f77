"""An agent in one process that protects nothing, or by SecAgg+: for comparing.

python -m fedsecure_bench.rounds.plain_agent PARENT_PID AUTHORITY NODE_KEY HOST:PORT...

It joins each SuperLink over the same connection as a data owner's agent and looks for
messages as often; what it answers with is Flower's alone.
"""

import sys
import time
from pathlib import Path
from threading import Thread
from typing import Final

from flwr.app import Context, Message, RecordDict

from fedsecure.errors import PeerError, RoundStateError
from fedsecure.frameworks.flower.runtime import Backoff, Fleet, fleet, task_identity
from fedsecure.protocol.node_keys import load_node_key
from fedsecure.system.lifeline import tie_to
from fedsecure_bench.rounds import idle, secagg

POLL: Final = 0.25  # seconds; the default of agent.toml


def serve(link: Fleet, contexts: dict[int, Context], backoff: Backoff) -> None:
    """Answer one message, or wait."""
    message = link.receive()
    if message is None:
        time.sleep(backoff.pause())
        return
    run_id = message.metadata.run_id
    fresh = Context(run_id, link.node_id, {}, RecordDict(), {})
    context = contexts.setdefault(run_id, fresh)
    with task_identity(run_id, link.node_id):
        reply = _answer(message, context)
    link.reply(reply)
    backoff.restart()


def _answer(message: Message, context: Context) -> Message:
    app = secagg.app if secagg.is_for_secagg(message) else idle.app
    reply: Message = app(message=message, context=context)
    return secagg.told_apart(reply)


def main() -> None:
    """Answer until the parent is gone."""
    parent, authority, key, *addresses = sys.argv[1:]
    tie_to(int(parent))
    members = [
        Thread(target=be_there, args=(address, Path(authority), Path(key)))
        for address in addresses
    ]
    for member in members:
        member.start()
    for member in members:
        member.join()


def be_there(address: str, authority: Path, key: Path) -> None:
    """Be a member at one SuperLink."""
    contexts: dict[int, Context] = {}
    backoff = Backoff(POLL)
    with fleet(address, authority.read_bytes(), load_node_key(key)) as link:
        while True:
            try:
                serve(link, contexts, backoff)
            except (RoundStateError, PeerError) as error:
                print(f"a reply is lost: {error}", flush=True)  # noqa: T201 - its log


if __name__ == "__main__":
    main()
