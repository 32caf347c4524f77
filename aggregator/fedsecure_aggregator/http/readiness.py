"""Whether rounds can be granted and reports stored now, and after the next start.

Asked by `/health/ready`, which a supervisor and a load balancer look at, and shown as
the metric `fedsecure_ready`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from fedsecure.errors import OperatorError
from fedsecure.protocol.signing_keys import load_signing_key
from fedsecure.storage import database, revisions
from fedsecure.transport.certificates import LEAST_DAYS, ends_at
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.http.background import Task
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.storage.store import MIGRATIONS

DAY: Final = 86400.0  # seconds
RENEW: Final = "fedsecure renew-tls, then restart"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """The files of a server without which it could not start again."""

    signing_key: Path
    certificate: Path
    tls_key: Path

    @classmethod
    def of(cls, settings: AggregatorSettings) -> "ServerFiles":
        """Return those that aggregator.toml names."""
        return cls(settings.key, settings.tls.certificate, settings.tls.key)

    def require_readable(self) -> None:
        """Check that both private keys can still be read, as a start would.

        Raises:
            OperatorError: FS-527, FS-744, FS-745, FS-801.
        """
        load_signing_key(self.signing_key)
        try:
            self.tls_key.read_bytes()
        except OSError as error:
            cause = f"{self.tls_key}: {error.strerror}"
            raise OperatorError("FS-527", cause) from error


@dataclass(frozen=True, slots=True)
class Readiness:
    """What makes one server ready.

    Args:
        context: Its store and its spool.
        files: Its keys and certificate; None in tests without a server.
        ends: When the certificate ends that clients are shown, seconds since 1970.
            A newer file counts only after a restart.
        tasks: What must have been done lately.
        products: How matrices of jobs are multiplied here; None: it computes none.
    """

    context: Context
    files: ServerFiles | None = None
    ends: float | None = None
    tasks: Sequence[Task] = ()
    products: str | None = None

    def require(self) -> None:
        """Check everything, in this order.

        (1) the database answers, lies where it was, has this version's form, and has
            lost nothing;
        (2) the spool can be written, has room, and says how long the ledger is;
        (3) the private keys can be read, or a restart would fail;
        (4) the certificate has not ended, or no client would come;
        (5) what is done in the background was done lately: deletion above all.

        Raises:
            OperatorError: FS-523 to FS-527, FS-534, FS-541, FS-544, FS-545, FS-547,
                FS-603, FS-607, FS-608, FS-744, FS-745, FS-801, FS-891.
        """
        self._require_migrated()  # (1)
        self.context.spool.require_writable()  # (2)
        self.context.spool.require_space(0)
        self.context.spool.notes.require_ledger_head()
        if self.files is not None:
            self.files.require_readable()  # (3)
        left = self.seconds_left()
        if left is not None and not left > 0:  # (4)
            raise OperatorError("FS-891", f"{-left / DAY:.0f} days ago")
        for task in self.tasks:  # (5)
            task.require_done()

    def warn_of_end(self) -> None:
        """Write into the log that the certificate ends soon, if it does."""
        left = self.seconds_left()
        if left is not None and not left > LEAST_DAYS * DAY:
            days = math.floor(left / DAY)
            log.warning("certificate ends soon", code="FS-883", days=days, remedy=RENEW)

    def seconds_left(self) -> float | None:
        """Return how long the certificate in use is valid; None without one."""
        return None if self.ends is None else self.ends - self.context.clock()

    def _require_migrated(self) -> None:
        store = self.context.store
        name = database.shown(store.engine.url)
        with store.reading("look at its form") as session:
            database.require_in_place(session.connection())
            revisions.require_current(session.connection(), name, MIGRATIONS)
            store.require_sound(session)


def readiness(context: Context, settings: AggregatorSettings) -> Readiness:
    """Return what makes the server of these settings ready; run once at start.

    Raises:
        OperatorError: FS-527 when the certificate cannot be read.
    """
    files = ServerFiles.of(settings)
    return Readiness(context, files, ends_at(files.certificate).timestamp())
