"""A ClientApp that trains nothing: what a round costs beside the training.

Its reply differs from the model by one number drawn anew for every message, so that no
two replies are equal: Flower sends equal arrays once.
"""

import os

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()  # type: ignore[untyped-decorator]
def train(message: Message, _context: Context) -> Message:
    """Answer with the model, moved a little."""
    step = np.float32(int.from_bytes(os.urandom(2)) / 2**32)
    arrays = next(iter(message.content.array_records.values()))
    moved = {name: Array(array.numpy() + step) for name, array in arrays.items()}
    return _reply(message, ArrayRecord(moved))


@app.evaluate()  # type: ignore[untyped-decorator]
def evaluate(message: Message, _context: Context) -> Message:
    """Answer without having looked."""
    return _reply(message, None)


def _reply(message: Message, arrays: ArrayRecord | None) -> Message:
    metrics = MetricRecord({"num-examples": 1})
    content = RecordDict({"metrics": metrics})
    if arrays is not None:
        content["arrays"] = arrays
    return Message(content, reply_to=message)
