"""SecAgg+ of Flower as the peer that it is: its legacy API, and its arithmetic.

Beside `frameworks.flower.runtime` the only place that uses what lies below Flower's
public parts; the same test holds it against the version that is supported.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.client import NumPyClient
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp
from flwr.common import ndarrays_to_parameters
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    factor_combine,
    parameters_addition,
    parameters_mod,
    parameters_multiply,
)
from flwr.common.secure_aggregation.quantization import quantize
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen
from flwr.compat.common.recorddict_compat import parameters_to_arrayrecord
from flwr.server import ServerConfig, SimpleClientManager
from flwr.server.compat.grid_client_proxy import GridClientProxy
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import (
    MAIN_CONFIGS_RECORD,
    MAIN_PARAMS_RECORD,
    Key,
)
from numpy.typing import NDArray

from fedsecure.errors import OperatorError

CLIPPING: Final = 8.0  # these three are the defaults of SecAggPlusWorkflow
TARGET: Final = 2**22
MODULUS: Final = 2**32
WEIGHT: Final = 1000.0
TIMEOUT: Final = 300.0  # seconds, of one exchange

Update = NDArray[np.float32]


class Idle(NumPyClient):  # type: ignore[misc]  # Flower is not typed for us
    """Trains nothing."""

    def fit(
        self,
        parameters: Sequence[NDArray[Any]],
        config: dict[str, Any],  # noqa: ARG002
    ) -> tuple[list[NDArray[Any]], int, dict[str, Any]]:
        """Answer with the model, moved a little."""
        step = np.float32(int.from_bytes(os.urandom(2)) / 2**32)
        return [array + step for array in parameters], 1, {}


def _client(_context: Context) -> Any:
    return Idle().to_client()


app = ClientApp(client_fn=_client, mods=[secaggplus_mod])


def told_apart(reply: Message) -> Message:
    """Put a number of its own into every record that other nodes have, too.

    Flower keeps equal objects once, and may lose one that two nodes send at the same
    time; SecAgg+ sends records that are the same from everybody.
    """
    for name, record in reply.content.items():
        if name == RECORD_KEY_CONFIGS:
            continue
        nonce = int.from_bytes(os.urandom(6))
        if not isinstance(record, ArrayRecord):
            record["nonce"] = nonce
        elif not record:
            record["nonce"] = Array(np.array([nonce], np.float64))
    return reply


def is_for_secagg(message: Message) -> bool:
    """Tell whether a message belongs to one of its four exchanges."""
    return RECORD_KEY_CONFIGS in message.content.config_records


@dataclass(frozen=True, slots=True)
class SecAggRound:
    """Rounds of SecAgg+ over the nodes of a grid, all of them neighbours."""

    grid: Any
    nodes: Sequence[int]
    run_id: int

    def run(self, number: int, arrays: Sequence[Update]) -> None:
        """Run one round.

        Raises:
            OperatorError: FS-846 when it was halted.
        """
        context = self._context(number, arrays)
        before = context.state.array_records[MAIN_PARAMS_RECORD]
        workflow = SecAggPlusWorkflow(1.0, 0.5, max_weight=WEIGHT, timeout=TIMEOUT)
        workflow(self.grid, context)
        if context.state.array_records[MAIN_PARAMS_RECORD] is before:
            raise OperatorError("FS-846", f"round {number} of SecAgg+ was halted")

    def _context(self, number: int, arrays: Sequence[Update]) -> Any:
        manager = SimpleClientManager()
        for node in self.nodes:
            manager.register(GridClientProxy(node, self.grid, self.run_id))
        parameters = ndarrays_to_parameters(list(arrays))
        state = RecordDict(
            {
                MAIN_CONFIGS_RECORD: ConfigRecord({Key.CURRENT_ROUND: number}),
                MAIN_PARAMS_RECORD: parameters_to_arrayrecord(parameters, True),
            }
        )
        n = len(self.nodes)
        strategy = FedAvg(min_fit_clients=n, min_available_clients=n)
        plain = Context(self.run_id, 1, {}, state, {})
        return LegacyContext(plain, ServerConfig(num_rounds=1), strategy, manager)


def protecting(update: Update, masks: int) -> Callable[[], object]:
    """Return what a data owner computes, as `secaggplus_mod` does.

    Args:
        update: The weights of one model.
        masks: Its own, and one for each neighbour.
    """

    def run() -> object:
        words = quantize(parameters_multiply([update], 1.0), CLIPPING, TARGET)
        words = factor_combine(TARGET, words)
        shapes = [array.shape for array in words]
        for number in range(masks):
            mask = pseudo_rand_gen(bytes([number] * 32), MODULUS, shapes)
            words = parameters_addition(words, mask)
        return parameters_mod(words, MODULUS)

    return run
