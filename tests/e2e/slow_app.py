"""A ClientApp without TensorFlow that can be held in the middle of a round.

While a file `hold` is in the notes, training waits and notes that it does, so that a
test can act within a round without guessing how long anything takes.
"""

import time
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from tests.e2e.federation import note

BINS = 64

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    site = Path(str(context.node_config["data"])).stem
    number = message.content["config"]["server-round"]
    while note("hold").exists():
        note(f"{site}.{number}.held").touch()
        time.sleep(0.05)
    arrays = ArrayRecord(
        {
            key: Array((array.numpy() + 0.01).astype(np.float32))
            for key, array in message.content["arrays"].items()
        }
    )
    return Message(
        RecordDict({"arrays": arrays, "metrics": metrics()}), reply_to=message
    )


@app.evaluate()
def evaluate(message: Message, _context: Context) -> Message:
    return Message(RecordDict({"metrics": metrics()}), reply_to=message)


def metrics() -> MetricRecord:
    halves = [0.5 / BINS] * BINS
    return MetricRecord(
        {
            "num-examples": 100,
            "loss": 0.7,
            "accuracy": 0.5,
            "scores-positive": halves,
            "scores-negative": halves,
        }
    )
