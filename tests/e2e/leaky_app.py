"""A ClientApp that tries to tell more than it may, and fails loudly in round 2."""

from flwr.app import ConfigRecord, Context, Message
from flwr.clientapp import ClientApp

from tests.e2e import recording_app

TELLTALE = "patient-4711"

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    if message.content["config"]["server-round"] == 2:
        msg = f"{TELLTALE} has cholesterol 233"
        raise RuntimeError(msg)
    reply = recording_app.train(message, context)
    reply.content["metrics"][TELLTALE] = 4711.0
    reply.content["rows"] = ConfigRecord({"name": TELLTALE})
    return reply


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    return recording_app.evaluate(message, context)
