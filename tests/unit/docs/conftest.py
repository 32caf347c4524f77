"""The scripts in docs/ belong to the repository's root, not to a package."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3]))
