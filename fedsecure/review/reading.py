"""Open a round store for reading; run by the model owner and by auditors.

The database is opened read-only (SQLite `mode=ro`, PostgreSQL read-only transactions)
and a training that writes to it at the same time is not held up.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import URL
from sqlalchemy.orm import Session

from fedsecure import database
from fedsecure.errors import OperatorError
from fedsecure.store.rounds import MIGRATIONS

USUAL_PLACES: Final = (Path("rounds.db"), Path("runs/demo/owner/rounds.db"))


@contextmanager
def open_round_store(place: str | Path | None = None) -> Iterator[Session]:
    """Open a round store.

    Args:
        place: A file or a URL; None: the first of `USUAL_PLACES` that exists.

    Raises:
        OperatorError: FS-860 when there is none, FS-603 or FS-607 when it is another
            version's or something else, FS-604 when the database refuses.
    """
    location = database.locate(place or usual_place())
    _require_file(location)
    with database.reading(location, MIGRATIONS, "FS-604") as session:
        yield session


def usual_place() -> Path:
    """Return the first of `USUAL_PLACES` that exists.

    Raises:
        OperatorError: FS-860.
    """
    for place in USUAL_PLACES:
        if place.exists():
            return place
    names = " nor ".join(str(place) for place in USUAL_PLACES)
    raise OperatorError("FS-860", f"neither {names} is below {Path.cwd()}")


def _require_file(location: URL) -> None:
    if location.get_backend_name() != "sqlite":
        return
    path = Path(location.database or "")
    if not path.is_file():
        raise OperatorError("FS-860", f"{path} is not a file")
    if path.stat().st_size == 0:
        raise OperatorError("FS-860", f"{path} is empty")
