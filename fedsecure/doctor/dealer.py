"""What a dealer's `fedsecure doctor` looks at: that it stands in the federation."""

from collections.abc import Iterator
from pathlib import Path

from fedsecure.doctor import own_machine
from fedsecure.doctor.findings import Check, WaitsError
from fedsecure.membership.client_settings import load_dealer_settings


def checks(config: Path, _schema: Path | None) -> Iterator[Check]:
    """Yield everything to look at, in the order in which it is needed.

    Raises:
        OperatorError: FS-801 to FS-803, the configuration itself.
    """
    settings = load_dealer_settings(config)
    yield from own_machine.key_checks(settings, None)
    yield own_machine.federation_check(settings, config)
    yield Check("process", _process)


def _process() -> str:
    msg = "there is nothing to start: a dealer's process comes with a later version"
    raise WaitsError(msg)
