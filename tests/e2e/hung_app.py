"""A ClientApp that hangs at one site, in a library, while a file is there."""

import hashlib
from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from tests.e2e import slow_app
from tests.e2e.federation import note

SITE = "hungary"

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    site = Path(str(context.node_config["data"])).stem
    if site == SITE and note("hang").exists():
        note("hung").touch()
        hashlib.pbkdf2_hmac("sha256", b"for", b"ever", 2**31 - 1)
    return slow_app.train(message, context)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    return slow_app.evaluate(message, context)
