"""The agent's loop: join the SuperLink, answer tasks, never tell more than receipts.

Only the app that is installed here runs; a bundle that a model owner's run carries
is never fetched. Every reply is built here: two receipts, or `not_reported`. What
went wrong is written to this data owner's own log and goes nowhere else.
"""

import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from flwr.app import Context, Error, Message, RecordDict

from fedsecure.errors import FedsecureError, OperatorError, RoundStateError
from fedsecure.frameworks.flower import wire
from fedsecure.frameworks.flower.mod import Call, Mod
from fedsecure.frameworks.flower.runtime import Backoff, Fleet, fleet, task_identity
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.node_keys import load_node_key
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import RoundSpec
from fedsecure.system.crash_points import Point, crash_point
from fedsecure_clients.agent.config import AgentSettings
from fedsecure_clients.agent.delivery import Delivery
from fedsecure_clients.agent.settling import Settling
from fedsecure_clients.agent.waiting import Waiting
from fedsecure_clients.agent.watchdog import Watchdog
from fedsecure_clients.state.agent_state import AgentState

NOT_REPORTED: Final = "not_reported"
ERROR_CODE: Final = 1  # one code for every failure, so that it tells nothing
APP_RAISED: Final = "FS-380"
SETTLE_SECONDS: Final = 2.0  # between two looks at what became of reports
CALL_PATIENCE: Final = 2.0  # for one call to the SuperLink; then the agent waits
KEEP_SECONDS: Final = 7 * 86400.0  # sealed reports that got no receipt, after deadline
FIRST_PAUSE: Final = 1.0  # seconds between two attempts to join
LONGEST_PAUSE: Final = 15.0

log = structlog.get_logger("agent")


@dataclass(frozen=True, slots=True)
class Agent:
    """Everything an agent needs to answer a task."""

    settings: AgentSettings
    federation: Federation
    superlink: str
    state: AgentState
    app: Call
    mod: Mod
    settling: Settling
    stop: threading.Event
    delivery: Delivery
    watchdog: Watchdog
    aggregators: Waiting
    contexts: dict[int, Context] = field(default_factory=dict)

    def run(self) -> None:
        """Answer tasks until told to stop, joining again whenever the link breaks."""
        pause = FIRST_PAUSE
        waiting = Waiting(f"the SuperLink at {self.superlink}", in_trainings=True)
        while not self.stop.is_set():
            try:
                self.state.tidy(time.time() - KEEP_SECONDS)
                self.between_tasks()
                with self._joined() as link:
                    pause = FIRST_PAUSE
                    waiting.back()
                    self._serve(link)
            except FedsecureError as error:
                cause = _described(error)
                waiting.away(cause["code"], cause["error"])
            except Exception as error:  # noqa: BLE001 - a library may raise anything
                waiting.away("FS-382", _place(error))
            self.stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def between_tasks(self) -> float:
        """Send what is left in the outbox, and ask what became of the rest.

        Returns:
            Seconds until the next time: more if an aggregator asked for more.
        """
        asked = self.delivery.run()
        # One that is busy is not asked something else at once.
        return max(SETTLE_SECONDS, asked or self.settling.run())

    @contextmanager
    def _joined(self) -> Iterator[Fleet]:
        address = self.superlink
        authorities = self.settings.authorities
        with fleet(
            address,
            authorities.read_bytes() if authorities else None,
            load_node_key(self.settings.flower_key),
            patience=CALL_PATIENCE,
            last_node_id=self.state.last_node(address),
        ) as link:
            self.state.joined(address, link.node_id)
            log.info("joined", superlink=address)
            yield link

    def _serve(self, link: Fleet) -> None:
        settled, pause = time.monotonic(), SETTLE_SECONDS
        backoff = Backoff(self.settings.poll_seconds)
        while not self.stop.is_set():
            try:
                message = link.receive()
                if message is not None:
                    self.watchdog.answer = partial(self._decline, link, message)
                    reply = self.answer(message, link.node_id)
                    crash_point(Point.REPLYING)
                    link.reply(reply)
                    backoff.restart()
                    continue
            except RoundStateError as error:
                log.info("run is over", **_described(error))
            if time.monotonic() - settled > pause:
                pause = self.between_tasks()
                settled = time.monotonic()
            self.stop.wait(backoff.pause())

    def answer(self, message: Message, node_id: int) -> Message:
        """Answer one task; every failure gives the same reply."""
        run_id = message.metadata.run_id
        with task_identity(run_id, node_id):
            reply, outcome = self._report(message, self._context(run_id, node_id))
        length = sum(len(part) for part in _texts(reply))
        self.state.replied(outcome, length, time.time())
        return reply

    def _decline(self, link: Fleet, message: Message) -> None:
        """Answer, from the watchdog's thread, a task that is still being worked on."""
        nothing = Error(code=ERROR_CODE, reason=NOT_REPORTED)
        link.reply(Message(nothing, reply_to=message))
        self.state.replied(NOT_REPORTED, len(NOT_REPORTED), time.time())

    def _report(self, message: Message, context: Context) -> tuple[Message, str]:
        kind = wire.asked_for(message)
        content = message.content if message.has_content() else RecordDict()
        started = time.monotonic()
        try:
            reply = self.mod(message, context, self.app)
        except FedsecureError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - an app may raise anything
            # The text of a foreign exception can hold rows; place and type cannot.
            failure = OperatorError(APP_RAISED, _place(error))
        else:
            seconds = round(time.monotonic() - started, 2)
            log.info("reported", task=kind, seconds=seconds)
            self.aggregators.back()
            return reply, "receipts"
        log.warning(NOT_REPORTED, task=kind, **_described(failure))
        spec = _signed(content, self.federation)
        self.state.refusals.add(spec, kind, failure.code, failure.detail, time.time())
        nothing = Error(code=ERROR_CODE, reason=NOT_REPORTED)
        return Message(nothing, reply_to=message), NOT_REPORTED

    def _context(self, run_id: int, node_id: int) -> Context:
        return self.contexts.setdefault(
            run_id,
            Context(
                run_id=run_id,
                node_id=node_id,
                node_config={"data": str(self.settings.data)},
                state=RecordDict(),
                run_config={},
            ),
        )


def _described(error: FedsecureError) -> dict[str, str]:
    return {"code": error.code, "error": f"{error.problem.title}: {error.detail}"}


def _signed(content: RecordDict, federation: Federation) -> RoundSpec | None:
    """Return the spec that a task came with, if the model owner signed it."""
    token = content.config_records.get(wire.OURS, {}).get("spec")
    with suppress(FedsecureError):
        if isinstance(token, str):
            return verify(token, RoundSpec, federation).statement
    return None


def _place(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"


def _texts(reply: Message) -> Iterator[str]:
    if reply.has_error():
        yield reply.error.reason
        return
    for record in reply.content.config_records.values():
        for value in record.values():
            yield from value if isinstance(value, list) else [str(value)]
