"""A ClientApp without TensorFlow whose update follows from site and round alone."""

import zlib
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from tests.e2e.slow_app import metrics

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    site = zlib.crc32(Path(str(context.node_config["data"])).stem.encode())
    number = int(message.content["config"]["server-round"])
    rng = np.random.default_rng([site, number])
    arrays = ArrayRecord(
        {
            key: Array(
                (array.numpy() + rng.normal(0, 0.05, array.shape)).astype(np.float32)
            )
            for key, array in message.content["arrays"].items()
        }
    )
    return Message(
        RecordDict({"arrays": arrays, "metrics": metrics()}), reply_to=message
    )


@app.evaluate()
def evaluate(message: Message, _context: Context) -> Message:
    return Message(RecordDict({"metrics": metrics()}), reply_to=message)
