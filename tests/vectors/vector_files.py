"""Write files of vectors, or compare them with what is there; for the scripts here."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def write_or_compare(files: Mapping[str, Callable[[], Any]], script: str) -> None:
    """Write all files; with `--check`, end with an error at one that differs.

    Args:
        files: By name, what makes a file's content.
        script: The file name of the script that they are made by.
    """
    for name, cases in files.items():
        text = json.dumps(cases(), indent=1, allow_nan=False) + "\n"
        path = FOLDER / name
        if "--check" not in sys.argv[1:]:
            path.write_text(text, "utf-8")
        elif path.read_text("utf-8") != text:
            sys.exit(f"{name} is not what {script} writes")
