"""What a client's `fedsecure doctor` looks at."""

from collections.abc import Iterator
from pathlib import Path

from fedsecure.doctor import own_machine
from fedsecure.doctor.findings import Check
from fedsecure.doctor.servers import pair_checks
from fedsecure.doctor.tls import utc_now
from fedsecure.membership.client_settings import load_client_settings


def checks(config: Path, _schema: Path | None) -> Iterator[Check]:
    """Yield everything to look at, in the order in which it is needed.

    Raises:
        OperatorError: FS-801 to FS-803, the configuration itself.
    """
    settings = load_client_settings(config)
    yield from own_machine.key_checks(settings, None)
    yield own_machine.federation_check(settings, config)
    yield own_machine.receivers_check(settings, settings.policy.jobs, config)
    yield own_machine.disk_check(settings.queries)
    yield Check("queries", lambda: own_machine.writable(settings.queries, "FS-816"))
    yield from pair_checks(settings, settings.authorities, config, utc_now)
