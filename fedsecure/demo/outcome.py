"""What came out of a demo: the run's figures, and whether it was worth it.

The figures come from the model owner's store. What a hospital alone, or all rows in one
place, would have reached comes from `fedsecure agent compare`, which can be asked only
because the demo holds everybody's files.

    FOLDER/comparison.json   what that command found
    FOLDER/result.json       the demo's figures
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedsecure.demo.processes import Processes
from fedsecure.demo.provision import OWNER, DemoFolder
from fedsecure.errors import OperatorError
from fedsecure.owner.store import queries
from fedsecure.review import records as review
from fedsecure.review.reading import open_round_store


@dataclass(frozen=True, slots=True)
class Outcome:
    """The model owner's own record of the run.

    `auc` is what the model owner reads from the opened histograms of the final model,
    in which every site weighs the same; None when the study has none. `model` is the
    file of the final global model.
    """

    run: str
    rounds: int
    auc: float | None
    loss: float | None
    bytes_up: int
    model: Path


def read_outcome(folder: DemoFolder) -> Outcome:
    """Read the latest run from the model owner's store."""
    home = folder.config(OWNER).parent
    with open_round_store(home / "rounds.db") as store:
        run = review.find_run(store)
        rows = [row for row in review.rounds(store, run.run) if row.state == "opened"]
        model = queries.last_model(store, run.run)
    return Outcome(
        run=run.run,
        rounds=sum(row.purpose == "train" for row in rows),
        auc=rows[-1].auc,
        loss=rows[-1].loss,
        bytes_up=sum(row.bytes_up or 0 for row in rows),
        model=home / model.path,
    )


def compare(
    folder: DemoFolder, study: Path, files: Iterable[Path], outcome: Outcome
) -> Mapping[str, Any]:
    """Have the user's own command train each site alone and all together, and say so.

    Raises:
        OperatorError: FS-116 when it fails.
    """
    found = folder.root / "comparison.json"
    command = ["agent", "compare", str(study), *map(str, files)]
    command += ["--model", str(outcome.model), "--rounds", str(outcome.rounds)]
    with Processes() as processes:
        comparing = processes.start("compare", [*command, "--output", str(found)], None)
        code = comparing.wait()
    if code:
        raise OperatorError("FS-116", f"`fedsecure agent compare` ended with {code}")
    comparison: Mapping[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    return comparison


def write_result(
    folder: DemoFolder,
    outcome: Outcome,
    comparison: Mapping[str, Any],
    seconds: float,
) -> None:
    """Write result.json; `seconds` is how long the training took."""
    auc = {(one["kind"], one["name"]): one["auc"] for one in comparison["models"]}
    result = {
        "run": outcome.run,
        "rounds": outcome.rounds,
        "seconds": round(seconds, 1),
        "auc": {
            "federated": auc["federated", "federated"],
            "pooled": auc["pooled", "pooled"],
            "alone": {site: auc["alone", site] for site in folder.sites},
        },
        "auc_histogram": outcome.auc,
        "loss": outcome.loss,
        "bytes_up": outcome.bytes_up,
    }
    path = folder.root / "result.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
