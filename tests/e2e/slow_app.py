"""A ClientApp without TensorFlow that can be held in the middle of a round.

While a file `hold` is in the notes, training waits and notes that it does, so that a
test can act within a round without guessing how long anything takes. A file `frozen`
keeps the weights where they are, and with a file `diverged` no evaluation gives a
number.
"""

import math
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
    step = 0.0 if note("frozen").exists() else 0.01
    arrays = ArrayRecord(
        {
            key: Array((array.numpy() + step).astype(np.float32))
            for key, array in message.content["arrays"].items()
        }
    )
    content = RecordDict({"arrays": arrays, "metrics": metrics()})
    return Message(content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, _context: Context) -> Message:
    loss = math.nan if note("diverged").exists() else 0.7
    return Message(RecordDict({"metrics": metrics(loss)}), reply_to=message)


def metrics(loss: float = 0.7) -> MetricRecord:
    halves = [0.5 / BINS] * BINS
    return MetricRecord(
        {
            "num-examples": 100,
            "loss": loss,
            "accuracy": 0.5,
            "scores-positive": halves,
            "scores-negative": halves,
        }
    )
