"""docs/data_model.py is a script of the repository's root, not of a package."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3]))
