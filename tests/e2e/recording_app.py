"""The Keras ClientApp, and a note of every update in a folder the test names.

Installed at the data owners of the test in place of `clients.app:app`.
"""

import os
from pathlib import Path

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from clients import app as keras
from fedsecure.flower.wire import flatten

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    _, before = flatten(message.content["arrays"])
    reply = keras.train(message, context)
    _, after = flatten(reply.content["arrays"])
    site = Path(str(context.node_config["data"])).stem
    number = message.content["config"]["server-round"]
    examples = reply.content["metrics"]["num-examples"]
    np.savez(
        Path(os.environ["FEDSECURE_TEST_NOTES"]) / f"{site}-{number}.npz",
        update=after - before,
        examples=examples,
    )
    return reply


app.evaluate()(keras.evaluate)
