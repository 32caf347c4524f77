"""The same training without containers: what a run in containers is compared with."""

from pathlib import Path
from typing import Final

from tests.compose.federation import QUERY, Models
from tests.e2e.federation import federation

ROUNDS: Final = 3


def train_without_containers(folder: Path) -> Models:
    """Train the heart study with processes of this machine; return its rounds."""
    with federation(folder) as running:
        running.train(ROUNDS)
        rows = running.rows(
            running.owner_db, QUERY.replace(":run", "(SELECT run FROM runs)")
        )
    return [tuple(row.values()) for row in rows]
