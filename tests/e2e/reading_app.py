"""A ClientApp without TensorFlow that needs its data file to be there."""

from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from tests.e2e import slow_app

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    Path(str(context.node_config["data"])).read_bytes()
    return slow_app.train(message, context)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    return slow_app.evaluate(message, context)
