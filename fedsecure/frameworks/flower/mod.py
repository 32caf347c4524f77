"""The client mod: takes the update out of a ClientApp's reply and secret-shares it.

    restore the layers > accept the offer > ClientApp > subtract the global model >
    shard, seal, store, send > reply with two receipts

The app and inner mods see an ordinary Flower message and answer with an ordinary
reply; of that reply only the update, the counts of rows and the declared metrics are
used, and they leave this machine as input shares alone.

Noise cannot hide whether a data owner answers. So in a round with noise an app that
refuses because its numbers are not finite does not end the round here: it is answered
with a `Measurement` of NaN, of which the core makes zeros.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from numpy.typing import NDArray

from fedsecure.contributor.contribution import Contributor, ReceivedTask, weight_of
from fedsecure.core.params import Scalar
from fedsecure.core.scheme import Measurement
from fedsecure.errors import FedsecureError, PeerError
from fedsecure.frameworks.flower import wire
from fedsecure.protocol.parameters import sent_scalars
from fedsecure.protocol.statements import Purpose
from fedsecure.study.round_task import RoundTask
from fedsecure.study.row_terms import protects_rows
from fedsecure.study.terms import Terms, terms_of
from fedsecure.system.crash_points import Point, crash_point

Call = Callable[[Message, Context], Message]
Limit = Callable[[float], AbstractContextManager[None]]  # seconds since 1970
Mod = Callable[[Message, Context, Call], Message]
MetricValue = int | float | list[int] | list[float]

EXAMPLES = "num-examples"
MEASURED = "num-measured"


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
            terms = terms_of(accepted.spec.statement)
            with until(accepted.spec.statement.deadline):
                measurement = ask_app(terms, task, lambda: call_next(message, context))
            crash_point(Point.TRAINED)
            contributor.contribute(accepted, measurement)
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


def ask_app(terms: Terms, task: RoundTask, app: Callable[[], Message]) -> Measurement:
    """Ask an app, and return what is shared of its answer. Run by an agent.

    Raises:
        FedsecureError: What the app raised, but, in a round with noise, that its
            numbers are not finite; FS-365 to FS-367 as `measured`.
    """
    try:
        reply = app()
    except FedsecureError as error:
        if terms.privacy is None or not error.problem.not_finite:
            raise
        return _nothing(terms, task)
    return measured(terms, task, reply)


def measured(terms: Terms, task: RoundTask, reply: Message) -> Measurement:
    """Turn a ClientApp's reply into what is shared. Run by an agent.

    Where noise hides single rows, the reply's arrays are the update itself, for
    weights less an update would be rounded by what the weights are.

    Raises:
        PeerError: FS-365 to FS-367; told to the data owner alone.
    """
    if reply.has_error():
        raise PeerError("FS-365", "the ClientApp replied with an error")
    metrics = _metrics(reply.content)
    values = _declared(terms, task, metrics)
    train = task.purpose is Purpose.TRAIN
    arrays = _arrays(task, reply.content) if train else None
    if protects_rows(terms):
        rows, over = _count(metrics, EXAMPLES), _count(metrics, MEASURED)
        return Measurement(arrays, rows, values, over)
    update = None if arrays is None else arrays - task.weights
    return Measurement(update, _weight(terms, metrics), values)


def _nothing(terms: Terms, task: RoundTask) -> Measurement:
    """Return the measurement of who has none."""
    train = task.purpose is Purpose.TRAIN
    update = np.full(task.weights.size, np.nan, np.float32) if train else None
    values = {one.name: [np.nan] * one.size for one in _sent(terms, task)}
    return Measurement(update, 0, values, 0)


def _sent(terms: Terms, task: RoundTask) -> tuple[Scalar, ...]:
    """Return the declared metrics that this round sends."""
    return sent_scalars(terms.scalars, terms.privacy, task.purpose)


def _weight(terms: Terms, metrics: Mapping[str, MetricValue]) -> int:
    if terms.privacy is not None:  # equal weights; and no number of examples matters
        return terms.weight_cap
    return weight_of(_count(metrics, EXAMPLES), terms.weighting, terms.weight_cap)


def _metrics(content: RecordDict) -> dict[str, MetricValue]:
    records = list(content.metric_records.values())
    if len(records) != 1:
        raise PeerError("FS-366", f"the reply has {len(records)} MetricRecords, not 1")
    return dict(records[0])


def _count(metrics: Mapping[str, MetricValue], name: str) -> int:
    value = metrics.get(name)
    if not isinstance(value, int):
        raise PeerError("FS-366", f"{name} is missing or no whole number")
    return value


def _declared(
    terms: Terms, task: RoundTask, metrics: Mapping[str, MetricValue]
) -> dict[str, MetricValue]:
    names = [one.name for one in _sent(terms, task)]
    missing = [name for name in names if name not in metrics]
    if missing:
        raise PeerError("FS-366", f"the reply lacks {', '.join(missing)}")
    return {name: metrics[name] for name in names}


def _arrays(task: RoundTask, content: RecordDict) -> NDArray[np.float32]:
    records = list(content.array_records.values())
    if len(records) != 1:
        raise PeerError("FS-367", f"the reply has {len(records)} ArrayRecords, not 1")
    layers, values = wire.flatten(records[0])
    if layers != task.layers:
        raise PeerError("FS-367", "the reply's layers are not those of the task")
    return values
