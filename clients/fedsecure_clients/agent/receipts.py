"""`fedsecure agent receipts verify`: was every report counted, or is its round void?"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select

from fedsecure.audit.checks.receipts import Reader
from fedsecure.audit.findings import Report
from fedsecure.audit.stores.kinds import aggregator_kind
from fedsecure.audit.stores.receipts import Kept
from fedsecure.audit.verify import Progress, alone
from fedsecure.errors import OperatorError
from fedsecure.membership.versions import load_federations
from fedsecure.protocol.federation_versions import Federations
from fedsecure.storage import database, revisions
from fedsecure_clients.agent.config import AgentSettings
from fedsecure_clients.state.storage import DATABASE, MIGRATIONS
from fedsecure_clients.state.tables import ReportRow

READ_AHEAD: Final = 256  # rows


def verify(
    settings: AgentSettings,
    aggregators: Sequence[str],
    earlier: Sequence[Path],
    progress: Progress,
) -> Report:
    """Check this data owner's evidence; run by its operator, connects to nobody.

    Args:
        settings: From agent.toml.
        aggregators: Stores or exports of aggregators, to check against, too.
        earlier: Earlier versions of federation.toml.
        progress: Told how far it is.

    Raises:
        OperatorError: FS-860 when there is no state, FS-636 when a store is not an
            aggregator's of this federation; as `fedsecure.audit.verify.audit`.
    """
    keys = load_federations([settings.federation, *earlier])
    return check(settings.name, settings.state, aggregators, keys, progress)


def check(
    name: str,
    state: Path,
    aggregators: Sequence[str],
    keys: Federations,
    progress: Progress,
) -> Report:
    """Check the evidence in a state folder; as `verify`."""
    report = Report()
    with ExitStack() as stack:
        ledgers = {}
        for place in aggregators:
            kind = aggregator_kind()
            walked = stack.enter_context(alone(place, kind, keys, report, progress))
            if walked.sound and walked.party not in keys.pair:
                raise OperatorError("FS-636", f"{place} is {walked.party}'s")
            if walked.sound:
                connection = stack.enter_context(walked.engine.connect())
                ledgers[walked.party] = connection
        reader = Reader(name, keys, report, ledgers)
        with _kept(state) as kept:
            reader.check(kept)
    return report


@contextmanager
def _kept(state: Path) -> Iterator[Iterator[Kept]]:
    path = state / DATABASE
    if not path.is_file():
        raise OperatorError("FS-860", f"{path} is not a file")
    with revisions.reading(database.locate(path), MIGRATIONS, "FS-604") as session:
        yield _rows(session.connection())


def _rows(connection: Connection) -> Iterator[Kept]:
    table = ReportRow.__table__
    columns = [table.columns[name] for name in Kept.__dataclass_fields__]
    query = select(*columns).order_by(ReportRow.spec, ReportRow.aggregator)
    for row in connection.execute(query.execution_options(yield_per=READ_AHEAD)):
        yield Kept(*row)
