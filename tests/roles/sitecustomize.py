"""Run by Python at the start of every party's program in a test.

A party installs training.lock or aggregator.lock, and a developer much more. What only
developers have is hidden here: no program of a party may need it, and Keras, which
imports scikit-learn and SciPy where it finds them, starts in two thirds of the time.
"""

import sys

for name in ("scipy", "sklearn"):
    sys.modules[name] = None  # type: ignore[assignment]  # importing it is an error
