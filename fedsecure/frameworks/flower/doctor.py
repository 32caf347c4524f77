"""What the model owner's `fedsecure doctor` looks at."""

from collections.abc import Iterator
from pathlib import Path

from fedsecure.doctor import own_machine
from fedsecure.doctor.findings import Check, SkippedError, WaitsError
from fedsecure.doctor.servers import pair_checks
from fedsecure.doctor.tls import ServerTls, tls_checks, utc_now
from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.frameworks.flower.runtime.calls import split_address
from fedsecure.frameworks.flower.runtime.superlink import PortTakenError, require_free
from fedsecure.frameworks.flower.strategies import build_strategy
from fedsecure.owner.jobs.array_model import array_model
from fedsecure.owner.settings import OwnerSettings, load_owner_settings
from fedsecure.owner.store.rounds import MIGRATIONS
from fedsecure.study.app_study import AppStudy, load_any_study
from fedsecure.study.config import load_study
from fedsecure.study.keras.building import build_model
from fedsecure.study.keras.tensorflow import import_quietly


def checks(config: Path, _schema: Path | None) -> Iterator[Check]:
    """Yield everything to look at, in the order in which it is needed.

    Raises:
        OperatorError: FS-801 to FS-803, the configuration itself.
    """
    settings = load_owner_settings(config)
    yield from own_machine.key_checks(settings, None)
    yield own_machine.federation_check(settings, config)
    yield own_machine.receivers_check(settings, settings.policy.jobs, config)
    yield Check(
        "clients",
        lambda: _clients(settings),
        f"correct clients in {config.name}, section [serve]",
    )
    yield own_machine.disk_check(settings.folder)
    yield Check("folder", lambda: own_machine.writable(settings.folder, "FS-606"))
    yield own_machine.store_check(
        "round store", settings.database_url, MIGRATIONS, "FS-604"
    )
    yield Check("study", lambda: _study(settings))
    yield Check("model", lambda: _model(settings))
    yield from tls_checks(_tls(settings), config, utc_now)
    yield Check("SuperLink port", lambda: _port(settings))
    yield from pair_checks(settings, settings.authorities, config, utc_now)


def _study(settings: OwnerSettings) -> str:
    study = load_any_study(settings.study)
    build_strategy(study)
    return study.title


def _model(settings: OwnerSettings) -> str:
    try:
        study = load_any_study(settings.study)
    except FedsecureError as error:
        msg = "there is no study to build it for"
        raise SkippedError(msg) from error
    if isinstance(study, AppStudy):
        return f"{array_model(study).initial().weights.size:,} parameters"
    import_quietly("keras")
    _, data = build_model(load_study(settings.study))
    return f"{data.size:,} parameters; it takes what the schema allows"


def _clients(settings: OwnerSettings) -> str:
    """Say whom a service answers; raise FS-741 for who is no client."""
    federation = own_machine.member(settings).federation
    known = {party.name for party in federation.clients}
    names = known if settings.serve.clients is None else settings.serve.clients
    if strangers := names - known:
        raise OperatorError(
            "FS-741", f"{', '.join(sorted(strangers))}: no client of {federation.name}"
        )
    return ", ".join(sorted(names)) or f"{federation.name} has no client"


def _tls(settings: OwnerSettings) -> ServerTls:
    link = settings.superlink

    def host() -> str:
        where = own_machine.member(settings).federation.model_owner.superlink
        if where is None:
            msg = "federation.toml does not say where the SuperLink is"
            raise SkippedError(msg)
        return split_address(where)[0]

    return ServerTls(
        link.certificate,
        link.key,
        host,
        lambda: settings.authorities or own_machine.member(settings).authorities,
    )


def _port(settings: OwnerSettings) -> str:
    try:
        require_free(settings.superlink.listen)
    except PortTakenError as error:
        msg = f"{settings.superlink.listen} is taken: does a training run?"
        raise WaitsError(msg) from error
    return f"{settings.superlink.listen} is free for `fedsecure train`"
