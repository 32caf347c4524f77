"""The Keras ClientApp, with a note of every update for the test.

Installed at the data owners of a test in place of `keras_app.app:app`.
"""

from pathlib import Path

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from fedsecure.frameworks.flower.wire import flatten
from fedsecure_clients.keras_app import app as keras
from tests.e2e.federation import note

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    _, before = flatten(message.content["arrays"])
    reply = keras.train(message, context)
    _, after = flatten(reply.content["arrays"])
    site = Path(str(context.node_config["data"])).stem
    number = message.content["config"]["server-round"]
    np.savez(
        note(f"{site}-{number}.npz"),
        update=after - before,
        examples=reply.content["metrics"]["num-examples"],
    )
    return reply


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    return keras.evaluate(message, context)
