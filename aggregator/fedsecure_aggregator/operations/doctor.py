"""What an aggregator's `fedsecure doctor` looks at."""

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from fedsecure.core.homomorphic import gmp
from fedsecure.doctor import own_machine
from fedsecure.doctor.findings import Check, SkippedError, WaitsError
from fedsecure.doctor.server_probe import Need, aggregator_server
from fedsecure.doctor.servers import aggregator_checks, clock_check
from fedsecure.doctor.tls import ServerTls, tls_checks, utc_now
from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.protocol.identity import AggregatorParty
from fedsecure.storage import database, revisions
from fedsecure_aggregator.config import AggregatorSettings, load
from fedsecure_aggregator.operations.health import NotRunningError, require_ready
from fedsecure_aggregator.storage.disk import require_writable
from fedsecure_aggregator.storage.queries import require_own
from fedsecure_aggregator.storage.store import MIGRATIONS


def checks(config: Path, _schema: Path | None) -> Iterator[Check]:
    """Yield everything to look at, in the order in which it is needed.

    Raises:
        OperatorError: FS-801 to FS-803, the configuration itself.
    """
    settings = load(config)
    yield from own_machine.key_checks(settings, None)
    yield own_machine.federation_check(settings, config)
    yield own_machine.disk_check(settings.data)
    yield Check("spool", lambda: _spool(settings), lambda _: _spool_fix(settings))
    yield own_machine.store_check("database", settings.store, MIGRATIONS, "FS-525")
    yield Check("ledger", lambda: _ledger(settings))
    yield Check("jobs", lambda: _jobs(settings))
    yield from tls_checks(_tls(settings), config, utc_now)
    yield Check("this server", lambda: _running(settings))
    yield from _other(settings, config)


def _spool(settings: AggregatorSettings) -> str:
    folder = settings.data
    if not folder.exists():
        return own_machine.writable(folder, "FS-521")
    require_writable(folder)
    if folder.stat().st_mode & 0o007:
        raise OperatorError("FS-884", f"{folder}")
    return f"{folder} can be written"


def _spool_fix(settings: AggregatorSettings) -> str:
    return f"chmod u+rwx,o-rwx {quote(str(settings.data))}"


def _ledger(settings: AggregatorSettings) -> str:
    url = database.locate(settings.store)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return "it is begun at the first start"
    versions = own_machine.member(settings).versions
    with revisions.reading(url, MIGRATIONS, "FS-525") as session:
        if not require_own(session, settings.name, versions):
            return "it has no entry yet"
    return f"its last entry is {settings.name}'s, in this federation"


def _jobs(settings: AggregatorSettings) -> str:
    policy = settings.compute
    if not policy.enabled:
        return "none are computed: enabled is false in section [compute]"
    return f"{' and '.join(sorted(policy.kinds))} are computed; {_encrypted()}"


def _encrypted() -> str:
    try:
        gmp.library()
    except OperatorError:
        return "no encrypted rows are answered (FS-563)"
    return "encrypted rows are answered, too"


def _tls(settings: AggregatorSettings) -> ServerTls:
    def host() -> str:
        _, party = own_machine.member(settings).federation.find(settings.name)
        if not isinstance(party, AggregatorParty):
            msg = f"{settings.name} is no aggregator there"
            raise SkippedError(msg)
        return urlsplit(party.url).hostname or ""

    tls = settings.tls
    return ServerTls(
        tls.certificate, tls.key, host, lambda: own_machine.member(settings).authorities
    )


def _running(settings: AggregatorSettings) -> str:
    try:
        require_ready(settings)
    except NotRunningError as error:
        raise WaitsError(error.detail) from error
    return "it is ready"


def _other(settings: AggregatorSettings, config: Path) -> Iterator[Check]:
    try:
        membership = own_machine.member(settings)
        federation = membership.federation
        party = federation.other_aggregator(settings.name)
    except (SkippedError, FedsecureError):
        return
    server = aggregator_server(party, membership.authorities, utc_now, Need.NEVER)
    yield from aggregator_checks(server, party, federation, config)
    yield clock_check({party.name: server})
