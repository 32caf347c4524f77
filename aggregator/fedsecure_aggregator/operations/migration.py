"""Brings a store of an older form to this version's, and keeps a copy of it first.

Compose runs it before every start, so a store that is of this form already is left
alone, also while its aggregator runs.
"""

from pathlib import Path

from sqlalchemy import URL

from fedsecure.storage import database, revisions
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.operations.backup import failing, keep_aside, opened
from fedsecure_aggregator.storage import store
from fedsecure_aggregator.storage.folder_spool import open_spool


def migrate(settings: AggregatorSettings) -> str:
    """Migrate a store and say what was done; the aggregator must not run.

    The copy lies in the data folder. It is what the version that wrote the store takes
    for a backup: `fedsecure aggregator restore` of that version goes back to it.

    Raises:
        OperatorError: FS-522 or FS-547 while the aggregator runs and there is something
            to do, FS-521, FS-523 to FS-526 for disk and database, FS-603, FS-607,
            FS-890.
    """
    url = database.locate(settings.store)
    if _is_current(url):
        return f"{database.shown(url)} has the form of this version"
    with open_spool(settings.data) as spool, store.taken(url):
        kept = keep_aside(url, spool.folder, "before-migration")
        outcome = revisions.migrate(url, store.MIGRATIONS, "FS-525")
    return outcome if kept is None else f"{outcome}; as it was before: {kept}"


def _is_current(url: URL) -> bool:
    if not _exists(url):
        return False
    try:
        with (
            failing("look at its form"),
            opened(database.open_for_reading(url)) as engine,
            engine.connect() as connection,
        ):
            revisions.require_current(connection, database.shown(url), store.MIGRATIONS)
    except revisions.OlderFormError:
        return False
    return True


def _exists(url: URL) -> bool:
    return url.get_backend_name() != "sqlite" or Path(url.database or "").is_file()
