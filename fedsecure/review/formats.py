"""Rounds as files: CSV and JSON for other programs, HTML for people."""

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedsecure.errors import OperatorError
from fedsecure.review.records import ParticipationRow, RoundRow, RunRow


def save(path: Path, content: str) -> None:
    """Write a file.

    Raises:
        OperatorError: FS-648 when it cannot be written.
    """
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise OperatorError("FS-648", f"{path}: {error.strerror}") from error


def as_csv(rounds: Sequence[RoundRow]) -> str:
    """Return one line per attempt at a round, with the columns of v_round."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in dataclasses.fields(RoundRow)])
    writer.writerows(
        [_harmless(value) for value in dataclasses.astuple(row)] for row in rounds
    )
    return text.getvalue()


def as_json(
    run: RunRow, rounds: Sequence[RoundRow], people: Sequence[ParticipationRow]
) -> str:
    """Return a run, its rounds and who took part, as the views have them."""
    content: dict[str, Any] = {
        "run": dataclasses.asdict(run),
        "rounds": [dataclasses.asdict(row) for row in rounds],
        "participations": [dataclasses.asdict(row) for row in people],
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _harmless(value: object) -> object:
    # A spreadsheet takes text that begins so for a formula; a reason may be foreign.
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
