"""The data owner's ClientApp for Keras studies, on Flower's message API.

    request   arrays   the global model, one float32 array a layer ("0", "1", ...)
              config   "study", the task's text; "server-round"; "proximal-mu"
    reply     arrays   the trained weights (train only); of a task with `unit_clip`
                       the update alone
              metrics  "num-examples" (rows trained on), "num-measured" (held-out rows
                       that the others are means of) and the study's metrics of the
                       RECEIVED model on the held-out rows

The agent wraps this app in `secret_sharing_mod`: what is returned here stays on the
data owner's machine, and only shares of it leave. The received model is evaluated
inside the train round, so that a round is one exchange.

What to read, a file or a folder, is `data` in the node's configuration, which the data
owner sets.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final

from flwr.app import (
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp

from fedsecure.errors import OperatorError, PeerError
from fedsecure.study.task import (
    KERAS_CONFIG,
    PROXIMAL_MU,
    ROUND,
    STUDY,
    parse_task,
)
from fedsecure_clients.data.dataset import load, revision
from fedsecure_clients.keras_app.learners import learner_of
from fedsecure_clients.keras_app.training import Evaluated, Learner, Weights

ARRAYS: Final = "arrays"
CONFIG: Final = "config"
METRICS: Final = "metrics"
EXAMPLES: Final = "num-examples"
MEASURED: Final = "num-measured"

DATA: Final = "data"  # key of the node's configuration

app = ClientApp()


@app.train()  # type: ignore[untyped-decorator]
def train(message: Message, context: Context) -> Message:
    """Evaluate the received model, then train it; run by the agent.

    Raises:
        FedsecureError: FS-1xx the data, FS-23x the numbers, FS-42x the task.
    """
    return trained(message, _learner(_config(message), context))


@app.evaluate()  # type: ignore[untyped-decorator]
def evaluate(message: Message, context: Context) -> Message:
    """Evaluate the received model; run by the agent.

    Raises:
        FedsecureError: FS-1xx the data, FS-23x the numbers, FS-42x the task.
    """
    return evaluated(message, _learner(_config(message), context))


def trained(message: Message, learner: Learner) -> Message:
    """Answer a train message.

    Raises:
        PeerError: FS-23x the numbers, FS-42x the task.
    """
    config, weights = _config(message), _weights(message)
    evaluation = learner.evaluate(weights)
    after = learner.train(weights, _round(config), _proximal_mu(config))
    metrics = _metrics(after.rows, evaluation)
    content = RecordDict({ARRAYS: ArrayRecord(after.weights), METRICS: metrics})
    return Message(content, reply_to=message)


def evaluated(message: Message, learner: Learner) -> Message:
    """Answer an evaluate message.

    Raises:
        PeerError: FS-231 or FS-424, the weights are not a model of this study.
    """
    evaluation = learner.evaluate(_weights(message))
    metrics = _metrics(learner.examples, evaluation)
    return Message(RecordDict({METRICS: metrics}), reply_to=message)


def _metrics(examples: int, evaluation: Evaluated) -> MetricRecord:
    counts = {EXAMPLES: examples, MEASURED: evaluation.rows}
    return MetricRecord({**counts, **evaluation.metrics})


def _config(message: Message) -> ConfigRecord:
    config = message.content[CONFIG]
    # A value that nobody here acts on would change the training that was asked for.
    if unknown := sorted(config.keys() - KERAS_CONFIG):
        raise PeerError("FS-423", f"the task sets {', '.join(unknown)[:200]}")
    return config


def _weights(message: Message) -> Weights:
    return [array.numpy() for array in message.content[ARRAYS].values()]


def _round(config: ConfigRecord) -> int:
    server_round = config.get(ROUND)
    if not isinstance(server_round, int) or not server_round >= 0:
        raise PeerError("FS-423", f"{ROUND} is not a round number")
    return server_round


def _proximal_mu(config: ConfigRecord) -> float:
    mu = config.get(PROXIMAL_MU, 0.0)
    if not isinstance(mu, int | float) or not 0 <= mu < float("inf"):
        raise PeerError("FS-423", f"{PROXIMAL_MU} is not a finite number from 0")
    return float(mu)


def _learner(config: ConfigRecord, context: Context) -> Learner:
    text, data = config.get(STUDY), context.node_config.get(DATA)
    if not isinstance(text, str):
        raise PeerError("FS-423", "the task holds no study")
    if not isinstance(data, str):
        raise OperatorError("FS-100", "the agent names no data")
    path = Path(data)
    return _warm_learner(text, path, revision(path))


@lru_cache(maxsize=1)
def _warm_learner(text: str, path: Path, changed: str) -> Learner:  # noqa: ARG001
    """Return the learner of a task; `changed` makes edited data be read anew."""
    task = parse_task(text)
    return learner_of(task, load(path, task.features))
