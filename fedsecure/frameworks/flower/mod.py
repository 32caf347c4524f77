"""The client mod: takes the update out of a ClientApp's reply and secret-shares it.

    restore the layers > accept the offer > ClientApp > subtract the global model >
    shard, seal, store, send > reply with two receipts

The app and inner mods see an ordinary Flower message and answer with an ordinary
reply; of that reply only the update, the example count and the declared metrics are
used, and they leave this machine as input shares alone.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from numpy.typing import NDArray

from fedsecure.contributor.contribution import Contributor, ReceivedTask, weight_of
from fedsecure.core.scheme import Measurement
from fedsecure.errors import PeerError
from fedsecure.frameworks.flower import wire
from fedsecure.protocol.statements import Purpose
from fedsecure.study.round_task import RoundTask
from fedsecure.study.terms import Terms, terms_of
from fedsecure.system.crash_points import Point, crash_point

Call = Callable[[Message, Context], Message]
Limit = Callable[[float], AbstractContextManager[None]]  # seconds since 1970
Mod = Callable[[Message, Context, Call], Message]
MetricValue = int | float | list[int] | list[float]

EXAMPLES = "num-examples"


def _without_end(_deadline: float) -> AbstractContextManager[None]:
    return nullcontext()


def secret_sharing_mod(contributor: Contributor, until: Limit = _without_end) -> Mod:
    """Return the mod of one data owner; the agent puts it around every ClientApp.

    Args:
        contributor: The data owner's end of the protocol.
        until: Ends a ClientApp that still runs at the round's deadline.
    """

    def mod(message: Message, context: Context, call_next: Call) -> Message:
        task, offer = wire.unpack_task(message)
        dimension = task.weights.size if task.purpose is Purpose.TRAIN else 0
        facts = ReceivedTask(
            task.purpose, task.digest(), task.model, dimension, task.config
        )
        accepted = contributor.accept(offer, facts)
        if not contributor.has_contributed(accepted):
            message.content = for_app(task)
            with until(accepted.spec.statement.deadline):
                reply = call_next(message, context)
            crash_point(Point.TRAINED)
            terms = terms_of(accepted.spec.statement)
            contributor.contribute(accepted, measured(terms, task, reply))
        receipts = contributor.deliver(accepted)
        tokens = [receipts[name].token for name in sorted(receipts)]
        return Message(wire.pack_receipts(tokens), reply_to=message)

    return mod


def for_app(task: RoundTask) -> RecordDict:
    """Return what a ClientApp gets to see of a task. Run by an agent."""
    return RecordDict(
        {
            wire.ARRAYS: wire.restore(task.layers, task.weights),
            wire.CONFIG: ConfigRecord(dict(task.config)),
        }
    )


def measured(terms: Terms, task: RoundTask, reply: Message) -> Measurement:
    """Turn a ClientApp's reply into what is shared. Run by an agent.

    Raises:
        PeerError: FS-365 to FS-367; told to the data owner alone.
    """
    if reply.has_error():
        raise PeerError("FS-365", "the ClientApp replied with an error")
    metrics = _metrics(reply.content)
    weight = weight_of(_examples(metrics), terms.weighting, terms.weight_cap)
    train = task.purpose is Purpose.TRAIN
    update = _update(task, reply.content) if train else None
    return Measurement(update, weight, _declared(terms, metrics))


def _metrics(content: RecordDict) -> dict[str, MetricValue]:
    records = list(content.metric_records.values())
    if len(records) != 1:
        raise PeerError("FS-366", f"the reply has {len(records)} MetricRecords, not 1")
    return dict(records[0])


def _examples(metrics: Mapping[str, MetricValue]) -> int:
    value = metrics.get(EXAMPLES)
    if not isinstance(value, int):
        raise PeerError("FS-366", f"{EXAMPLES} is missing or no whole number")
    return value


def _declared(
    terms: Terms, metrics: Mapping[str, MetricValue]
) -> dict[str, MetricValue]:
    missing = [field.name for field in terms.scalars if field.name not in metrics]
    if missing:
        raise PeerError("FS-366", f"the reply lacks {', '.join(missing)}")
    return {field.name: metrics[field.name] for field in terms.scalars}


def _update(task: RoundTask, content: RecordDict) -> NDArray[np.float32]:
    records = list(content.array_records.values())
    if len(records) != 1:
        raise PeerError("FS-367", f"the reply has {len(records)} ArrayRecords, not 1")
    layers, weights = wire.flatten(records[0])
    if layers != task.layers:
        raise PeerError("FS-367", "the reply's layers are not those of the task")
    update: NDArray[np.float32] = weights - task.weights
    return update
