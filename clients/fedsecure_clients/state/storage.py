"""The agent's state folder as storage: every way to it ends in FS-383 when it fails.

A disk that is full, read-only or away, a database that another program holds: the agent
says which, its log has one line, and no library's traceback reaches a person.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError
from fedsecure.storage import database, locks, revisions, sql_failures

DATABASE: Final = "agent.db"
MIGRATIONS: Final = Path(__file__).parent / "migrations"


class Storage:
    """A folder with an open database.

    Args:
        folder: Made if absent, readable by this user alone.

    Raises:
        OperatorError: FS-383 when it cannot be used, FS-603 or FS-607 when it is
            another version's or something else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with guarded(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            engine = database.open_for_writing(database.locate(folder / DATABASE))
            revisions.upgrade(engine, MIGRATIONS)
        self._reader, self._writer = engine, database.writer(engine)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Commit all that is done in the block, or nothing of it."""
        with (
            guarded(self.folder),
            Session(self._writer) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Read one state of the store; what was read can be used afterwards."""
        with (
            guarded(self.folder),
            Session(self._reader, expire_on_commit=False) as session,
        ):
            yield session

    def close(self) -> None:
        """Give the connections back."""
        self._reader.dispose()


@contextmanager
def guarded(folder: Path) -> Iterator[None]:
    """Say in our words what fails in a state folder.

    Raises:
        OperatorError: FS-383, with the place and the cause.
    """
    try:
        yield
    except SQLAlchemyError as error:
        where = f"{folder / DATABASE}: {sql_failures.cause(error)}"
        raise OperatorError("FS-383", where) from error
    except OSError as error:
        where = f"{error.filename or folder}: {error.strerror or error}"
        raise OperatorError("FS-383", where) from error


def alone(folder: Path) -> IO[str]:
    """Take a state folder for an agent, before anything in it is changed.

    Commands that look at it, or approve a study, do not need to: one agent answers.

    Raises:
        OperatorError: FS-383 when it cannot be written, FS-653 when another has it.
    """
    with guarded(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return locks.alone(folder / "lock", "FS-653", folder)
