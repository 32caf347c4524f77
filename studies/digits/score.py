"""How good a trained model is on the model owner's own rows, which no party had.

python studies/digits/score.py model.npz
"""

import json
import sys
from pathlib import Path

import numpy as np

ROWS = Path(__file__).with_name("test.csv")


def score(model: Path) -> dict[str, float]:
    """Return the share of the rows of test.csv whose digit a model names."""
    table = np.loadtxt(ROWS, delimiter=",", skiprows=1)
    with np.load(model) as arrays:
        scores = (table[:, :-1] / 16 - 0.3) @ arrays["weights"] + arrays["bias"]
    right = scores.argmax(axis=1) == table[:, -1]
    return {"accuracy": float(right.mean()), "rows": len(right)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(score(Path(sys.argv[1]))) + "\n")
