"""The answer to a round of statistics, on Flower's message API.

    request   config   "study", the task's text; no model
    reply     metrics  every vector that the task declares

It is part of the agent, beside whichever ClientApp trains here, and reads the same
`data` of the node's configuration. The agent wraps both in `secret_sharing_mod`.
"""

from pathlib import Path
from typing import Final

from flwr.app import Context, Message, MetricRecord, RecordDict

from fedsecure.errors import OperatorError, PeerError
from fedsecure.frameworks.flower import wire
from fedsecure.frameworks.flower.mod import EXAMPLES, MEASURED, Call
from fedsecure.protocol.statements import Purpose
from fedsecure.study.statistics.task import parse_statistics_task
from fedsecure.study.task import STUDY
from fedsecure_clients.statistics_app.counting import count

DATA: Final = "data"  # key of the node's configuration
# A round of statistics is no mean over rows, so no number of rows leaves beside them.
NOTHING_WEIGHED: Final = {EXAMPLES: 1, MEASURED: 1}


def beside(app: Call) -> Call:
    """Return a ClientApp that also answers rounds of statistics.

    Args:
        app: The one that this data owner installed; it never sees such a round.
    """

    def answer(message: Message, context: Context) -> Message:
        if message.metadata.message_type == wire.KINDS[Purpose.STATISTICS]:
            return counted(message, context)
        return app(message, context)

    return answer


def counted(message: Message, context: Context) -> Message:
    """Count this data owner's rows; run by the agent.

    Raises:
        FedsecureError: FS-1xx the data, FS-421 or FS-423 the task.
    """
    config, data = message.content[wire.CONFIG], context.node_config.get(DATA)
    if set(config) != {STUDY}:
        raise PeerError("FS-423", "a round of statistics has a task alone")
    if not isinstance(data, str):
        raise OperatorError("FS-100", "the agent names no data")
    task = parse_statistics_task(str(config[STUDY]))
    counts = count(task, Path(data))
    metrics = MetricRecord({**NOTHING_WEIGHED, **counts})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)
