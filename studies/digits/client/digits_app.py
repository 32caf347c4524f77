"""A ClientApp of numpy alone: softmax regression on 8 x 8 pixels.

Each data owner installs this file by itself and names it in its agent.toml:

    app = "digits_app:app"
    app_folder = "app"      # the folder that holds this file

It is an ordinary Flower app, and knows nothing of shares, noise or aggregators. Every
fifth row of a data owner's file is held out: the metrics are of the received model on
these, and training never sees them.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Model = dict[str, Floats]  # "weights" (64, 10) and "bias" (10,)
Rows = tuple[Floats, NDArray[np.intp]]  # features (n, 64) and digits (n,)

KNOWN = {"server-round", "local-epochs", "learning-rate"}  # what a study may set
BRIGHTEST = 16.0
MIDDLE = 0.3  # about the mean of all pixels, as published: 4.9 of 16
HELD_OUT = 5

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Measure the received model, then train it."""
    config, model = settings(message), model_in(message)
    training, held_out = rows(context)
    metrics = measured(model, held_out, len(training[1]))
    for _ in range(int(config["local-epochs"])):
        model = stepped(model, training, float(config["learning-rate"]))
    trained = {name: Array(one.astype(np.float32)) for name, one in model.items()}
    content = {"arrays": ArrayRecord(trained), "metrics": metrics}
    return Message(RecordDict(content), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Measure the received model."""
    settings(message)
    training, held_out = rows(context)
    metrics = measured(model_in(message), held_out, len(training[1]))
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


def settings(message: Message) -> Mapping[str, object]:
    """Return what the study sets; one value that nobody here acts on is refused."""
    config = message.content["config"]
    if unknown := set(config) - KNOWN:
        msg = f"the study sets {sorted(unknown)}"
        raise ValueError(msg)
    return config


def model_in(message: Message) -> Model:
    """Return the received arrays by name."""
    arrays = message.content["arrays"]
    return {name: array.numpy().astype(float) for name, array in arrays.items()}


def rows(context: Context) -> tuple[Rows, Rows]:
    """Read this data owner's file: the rows to train on, and those held out."""
    table = read(Path(str(context.node_config["data"])))
    held_out = np.arange(len(table)) % HELD_OUT == HELD_OUT - 1
    return as_rows(table[~held_out]), as_rows(table[held_out])


def read(path: Path) -> NDArray[np.int64]:
    """Return a file of 64 pixels and a digit in each line, shape (n, 65)."""
    return np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.int64, ndmin=2)


def as_rows(table: NDArray[np.int64]) -> Rows:
    """Return features near 0, and digits."""
    return table[:, :-1] / BRIGHTEST - MIDDLE, table[:, -1]


def probabilities(model: Model, features: Floats) -> Floats:
    """Return the softmax of the scores, shape (n, 10)."""
    scores = features @ model["weights"] + model["bias"]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def stepped(model: Model, rows: Rows, rate: float) -> Model:
    """Take one step down the gradient over all rows: an epoch of one batch."""
    features, digits = rows
    errors = probabilities(model, features)
    errors[np.arange(len(digits)), digits] -= 1.0
    errors *= rate / len(digits)
    return {
        "weights": model["weights"] - features.T @ errors,
        "bias": model["bias"] - errors.sum(axis=0),
    }


def measured(model: Model, held_out: Rows, examples: int) -> MetricRecord:
    """Return the metrics of a model, and how many rows it is trained on."""
    features, digits = held_out
    found = probabilities(model, features)
    chosen = found[np.arange(len(digits)), digits]
    return MetricRecord(
        {
            "num-examples": examples,
            "loss": float(-np.log(np.maximum(chosen, 1e-12)).mean()),
            "accuracy": float((found.argmax(axis=1) == digits).mean()),
        }
    )
