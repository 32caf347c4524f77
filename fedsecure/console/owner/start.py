"""The model owner's console, from its settings or for somebody who only reads."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fedsecure.audit import verify as audits
from fedsecure.audit.findings import Report
from fedsecure.console.auditing import Audits
from fedsecure.console.owner.job_routes import JobRoutes
from fedsecure.console.owner.routes import Routes
from fedsecure.console.start import Parts
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.signing import Author
from fedsecure.review import records
from fedsecure.review.judging import judge
from fedsecure.review.participation import MARKS
from fedsecure.review.reading import open_round_store
from fedsecure.review.terminal.run_tables import outcome
from fedsecure.storage import database

ALONE = (
    "The aggregators' stores are not among them: --aggregator names them, or exports."
)
NO_KEYS = (
    "An audit needs everybody's public keys: start the console with --federation "
    "federation.toml, or with --config owner.toml."
)


@dataclass(frozen=True, slots=True)
class OwnerConsole:
    """What a model owner's console is started with.

    Args:
        place: The round store.
        user: Who is offered as the one who judges.
        author: Signs verdicts; None: this console only reads.
        keys: For audits; None: it makes none.
        aggregators: Stores or exports of aggregators, for audits.
        files: The folder of the models' files, if it is not the store's own.
    """

    place: str
    user: str
    author: Author | None = field(default=None, repr=False)
    keys: Federations | None = field(default=None, repr=False)
    aggregators: Sequence[str] = ()
    files: Path | None = None

    def parts(self, clock: Callable[[], float] = time.time) -> Parts:
        """Return what `start.run` serves.

        Raises:
            OperatorError: FS-603, FS-604, FS-607, FS-608 or FS-860 for the store.
        """
        with open_round_store(self.place):
            shown = database.shown(database.locate(self.place))
        party = self.author.name if self.author else "round store"
        return Parts(
            templates="fedsecure.console.owner",
            shared={
                "role": "model owner" if self.author else "read only",
                "party": party,
                "store": shown,
                "pages": [("/", "Runs"), ("/jobs", "Services"), ("/audit", "Audit")],
                "also": "" if self.aggregators else ALONE,
                "outcome": outcome,
                "marks": MARKS,
            },
            mark=lambda: str(self._entries()),
            entries=self._entries,
            routers=lambda console: [
                Routes(console, self.place, self.user, self._judge()).router(),
                JobRoutes(console, self.place).router(),
            ],
            audits=self._audits(clock, shown),
            without_audits=NO_KEYS,
        )

    def _entries(self) -> int:
        with open_round_store(self.place) as session:
            return records.last_entry(session)

    def _judge(self) -> Callable[..., None] | None:
        if self.author is None:
            return None
        return partial(judge, self.place, self.author)

    def _audits(self, clock: Callable[[], float], shown: str) -> Audits | None:
        keys = self.keys
        if keys is None:
            return None
        places = [database.shown(database.locate(one)) for one in self.aggregators]

        def work(progress: audits.Progress) -> Report:
            place, folder = self._audited()
            return audits.audit(place, self.aggregators, keys, progress, folder)

        return Audits(work, (shown, *places), clock)

    def _audited(self) -> tuple[str, Path | None]:
        """Return the store as an audit names it: an SQLite file by its path."""
        url = database.locate(self.place)
        if url.get_backend_name() != "sqlite":
            return self.place, self.files
        return str(url.database), self.files
