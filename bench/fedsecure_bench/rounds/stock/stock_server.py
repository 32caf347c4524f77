"""The server of the stock app: FedAvg, which notes when each round ended."""

import json
import time
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from fedsecure_bench.rounds.model import NODES, layers

app = ServerApp()


@app.main()  # type: ignore[untyped-decorator]
def main(grid: Grid, context: Context) -> None:
    """Run rounds; the first counts from when all nodes are there."""
    ended: list[float] = []

    def note(_round: int, _arrays: ArrayRecord) -> None:
        while not ended and len(list(grid.get_node_ids())) < NODES:
            time.sleep(0.5)
        ended.append(time.time())

    FedAvg(
        fraction_evaluate=0.0, min_train_nodes=NODES, min_available_nodes=NODES
    ).start(
        grid=grid,
        initial_arrays=ArrayRecord(layers(int(context.run_config["dimension"]))),
        num_rounds=int(context.run_config["num-server-rounds"]),
        evaluate_fn=note,
    )
    seconds = np.diff(ended).tolist()
    Path(str(context.run_config["result"])).write_text(
        json.dumps(seconds), encoding="utf-8"
    )
