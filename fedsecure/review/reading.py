"""Open a round store for reading; run by the model owner and by auditors.

The database is opened read-only (SQLite `mode=ro`, PostgreSQL read-only transactions)
and a training that writes to it at the same time is not held up.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict
from sqlalchemy import URL
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError
from fedsecure.membership.own_party import FILES
from fedsecure.owner.store.rounds import MIGRATIONS
from fedsecure.protocol.identity import Role
from fedsecure.storage import database, revisions
from fedsecure.system import toml_file
from fedsecure.system.toml_file import RelativePath

ROUNDS: Final = "rounds.db"
OWNER: Final = Path(FILES[Role.MODEL_OWNER])
USUAL_PLACES: Final = (Path(ROUNDS), Path("runs/demo/owner") / ROUNDS)


class _Owner(BaseModel):
    """What owner.toml says about its round store; the rest is not looked at."""

    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)

    folder: RelativePath
    database: str | None = None


@contextmanager
def open_round_store(place: str | Path | None = None) -> Iterator[Session]:
    """Open a round store.

    Args:
        place: A file or a URL; None: as `usual_place`.

    Raises:
        OperatorError: FS-860 when there is none, FS-603 or FS-607 when it is another
            version's or something else, FS-604 when the database refuses.
    """
    location = database.locate(place or usual_place())
    _require_file(location)
    with revisions.reading(location, MIGRATIONS, "FS-604") as session:
        yield session


def usual_place() -> str | Path:
    """Return what owner.toml here names, or the first of `USUAL_PLACES` that exists.

    Raises:
        OperatorError: FS-860 when there is none, FS-801 to FS-803 for owner.toml.
    """
    if OWNER.is_file():
        owner = toml_file.load(OWNER, _Owner)
        return owner.database or owner.folder / ROUNDS
    for place in USUAL_PLACES:
        if place.exists():
            return place
    names = " nor ".join(str(place) for place in USUAL_PLACES)
    where = f"no {OWNER}, and neither {names} is below {Path.cwd()}"
    raise OperatorError("FS-860", where)


def _require_file(location: URL) -> None:
    if location.get_backend_name() != "sqlite":
        return
    path = Path(location.database or "")
    if not path.is_file():
        raise OperatorError("FS-860", f"{path} is not a file")
    if path.stat().st_size == 0:
        raise OperatorError("FS-860", f"{path} is empty")
