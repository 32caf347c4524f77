"""What came out of a demo: the run's figures, and whether it was worth it.

The figures come from the model owner's store. What a hospital alone, or all rows in one
place, would have reached comes from `fedsecure agent compare`, which can be asked only
because the demo holds everybody's files, and only of a Keras study. A study folder may
hold `score.py` instead, which is given the trained model and prints figures as JSON:
how good it is on rows of the model owner's own.

    FOLDER/comparison.json   what that command found
    FOLDER/result.json       the demo's figures
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fedsecure.demo.processes import Processes
from fedsecure.demo.provision import OWNER, DemoFolder
from fedsecure.errors import OperatorError
from fedsecure.owner.store import queries
from fedsecure.review import records as review
from fedsecure.review.reading import open_round_store
from fedsecure.study.app_study import load_any_study
from fedsecure.study.config import Study

SAVED: Final = "model.*"  # model.keras or model.npz
SCORE: Final = "score.py"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The model owner's own record of the run.

    `auc` is what the model owner reads from the opened histograms of the final model,
    None when the study has none; `epsilon` what the run has spent, None without noise.
    `model` is the final global model's file, `saved` that in its framework's own form.
    """

    run: str
    rounds: int
    auc: float | None
    accuracy: float | None
    loss: float | None
    epsilon: float | None
    bytes_up: int
    model: Path
    saved: Path


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
        accuracy=rows[-1].accuracy,
        loss=rows[-1].loss,
        epsilon=run.epsilon,
        bytes_up=sum(row.bytes_up or 0 for row in rows),
        model=home / model.path,
        saved=next((home / "models" / run.run).glob(SAVED)),
    )


def measure(
    folder: DemoFolder, study: Path, files: Iterable[Path], outcome: Outcome
) -> Mapping[str, Any]:
    """Return how good the model is, by what the study has for that.

    Raises:
        OperatorError: FS-116 when it fails.
    """
    if isinstance(load_any_study(study), Study):
        return _auc(folder, compare(folder, study, files, outcome))
    script = study / SCORE
    return {"score": score(script, outcome.saved)} if script.is_file() else {}


def score(script: Path, model: Path) -> Mapping[str, Any]:
    """Have the study's own script score the trained model.

    Raises:
        OperatorError: FS-116 when it fails.
    """
    done = subprocess.run(  # noqa: S603 - the model owner's own script
        [sys.executable, str(script), str(model)], check=False, capture_output=True
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise OperatorError("FS-116", f"{script} failed: {' '.join(last)}")
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


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
    measured: Mapping[str, Any],
    seconds: float,
) -> None:
    """Write result.json.

    Args:
        folder: Of the demo.
        outcome: The model owner's own record.
        measured: From `measure`.
        seconds: How long the training took.
    """
    result = {
        "run": outcome.run,
        "rounds": outcome.rounds,
        "seconds": round(seconds, 1),
        **measured,
        "auc_histogram": outcome.auc,
        "accuracy": outcome.accuracy,
        "loss": outcome.loss,
        "epsilon": outcome.epsilon,
        "bytes_up": outcome.bytes_up,
    }
    path = folder.root / "result.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _auc(folder: DemoFolder, comparison: Mapping[str, Any]) -> Mapping[str, Any]:
    auc = {(one["kind"], one["name"]): one["auc"] for one in comparison["models"]}
    return {
        "auc": {
            "federated": auc["federated", "federated"],
            "pooled": auc["pooled", "pooled"],
            "alone": {site: auc["alone", site] for site in folder.sites},
        }
    }
