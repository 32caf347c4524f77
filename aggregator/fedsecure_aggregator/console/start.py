"""An aggregator's console, from its own settings."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from sqlalchemy.orm import Session

from fedsecure.audit.findings import Report
from fedsecure.audit.verify import Progress, alone
from fedsecure.console.auditing import Audits
from fedsecure.console.start import Parts
from fedsecure.membership import versions
from fedsecure.protocol.federation_versions import Federations
from fedsecure.storage import database
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.console.job_routes import JobRoutes
from fedsecure_aggregator.console.reading import entries, mark, open_aggregator_store
from fedsecure_aggregator.console.routes import Routes
from fedsecure_aggregator.storage.audit import KIND

ALONE = (
    "It is this ledger by itself; `fedsecure audit verify` holds all three stores "
    "against each other."
)


def parts(
    settings: AggregatorSettings, clock: Callable[[], float] = time.time
) -> Parts:
    """Return what a console serves.

    Raises:
        OperatorError: FS-525, FS-603, FS-607 or FS-608 for the store, FS-760 or FS-801
            to FS-803 for federation.toml and the versions before it.
    """
    return parts_of(settings, versions.load(settings.federation), clock)


def parts_of(
    settings: AggregatorSettings, keys: Federations, clock: Callable[[], float]
) -> Parts:
    """Return the same for a federation that was read, in all its versions.

    Raises:
        OperatorError: FS-525, FS-603, FS-607 or FS-608.
    """
    store: Callable[[], AbstractContextManager[Session]] = partial(
        open_aggregator_store, settings.store
    )
    with store():
        shown = database.shown(database.locate(settings.store))

    def asked(question: Callable[[Session], str]) -> str:
        with store() as session:
            return question(session)

    def audit(progress: Progress) -> Report:
        report = Report()
        with alone(str(settings.store), KIND, keys, report, progress):
            return report

    return Parts(
        templates="fedsecure_aggregator.console",
        shared={
            "role": "aggregator",
            "party": settings.name,
            "store": shown,
            "pages": [("/", "Rounds"), ("/jobs", "Jobs"), ("/audit", "Audit")],
            "also": ALONE,
        },
        mark=lambda: asked(mark),
        entries=lambda: int(asked(lambda session: str(entries(session)))),
        routers=lambda console: [
            Routes(console, store, settings.policy).router(),
            JobRoutes(console, store, settings.compute).router(),
        ],
        audits=Audits(audit, (shown,), clock),
    )
