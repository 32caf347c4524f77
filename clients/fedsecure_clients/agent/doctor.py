"""What a data owner's `fedsecure doctor` looks at."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote

from fedsecure.doctor import own_machine
from fedsecure.doctor.findings import Check, SkippedError
from fedsecure.doctor.server_probe import aggregator_server, superlink_server
from fedsecure.doctor.servers import aggregator_checks, clock_check, superlink_checks
from fedsecure.doctor.tls import utc_now
from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.storage import database, revisions
from fedsecure.study.schema.features import load_schema
from fedsecure_clients.agent.config import (
    AgentSettings,
    load_agent_settings,
    require_pinned,
    require_superlink,
)
from fedsecure_clients.consent.privacy_review import MANY, UNBOUNDED, shown
from fedsecure_clients.data.dataset import inspect
from fedsecure_clients.state.privacy import Total, total_of
from fedsecure_clients.state.storage import DATABASE, MIGRATIONS


def checks(config: Path, schema: Path | None) -> Iterator[Check]:
    """Yield everything to look at, in the order in which it is needed.

    Args:
        config: This data owner's agent.toml.
        schema: The study's schema.toml, if it was handed over.

    Raises:
        OperatorError: FS-801 to FS-803, the configuration itself.
    """
    settings = load_agent_settings(config)
    yield from own_machine.key_checks(settings, settings.flower_key)
    yield own_machine.federation_check(settings, config)
    yield Check("fingerprints", lambda: _pinned(settings))
    yield own_machine.disk_check(settings.state)
    yield Check("state", lambda: own_machine.writable(settings.state, "FS-383"))
    place = settings.state / DATABASE
    yield own_machine.store_check("state's database", place, MIGRATIONS, "FS-383")
    yield Check("privacy", lambda: _privacy(settings))
    # Jobs add no noise: with [policy.privacy] they get nothing.
    jobs = None if settings.policy.privacy else settings.policy.jobs
    yield own_machine.receivers_check(settings, jobs, config)
    yield Check("app", lambda: _app(settings))
    yield _data_check(settings, schema)
    yield from _servers(settings, config)


def _pinned(settings: AgentSettings) -> str:
    membership = own_machine.member(settings)
    told = membership.accepted.fingerprints
    require_pinned(settings, membership.federation, told)
    where = "agent.toml" if settings.aggregators else settings.accepted.name
    return f"of both aggregators, in {where}"


def _privacy(settings: AgentSettings) -> str:
    """Say what must be protected here, and what was told so far.

    That nothing must be is a policy like another: it is said, and fails nothing.
    """
    policy, place = settings.policy.privacy, settings.state / DATABASE
    if policy is None:
        return "no [policy.privacy]: rounds without noise are answered, too"
    total = Total()
    if place.exists():
        with revisions.reading(database.locate(place), MIGRATIONS, "FS-383") as session:
            total = total_of(session, policy.unit)
    means = total.at(policy.max_delta)
    spent = shown(means.one_server_corrupt) if means else UNBOUNDED
    if policy.budget is not None and not policy.budget.holds(total.rho):
        raise OperatorError(
            "FS-431", f"epsilon {spent} of your {shown(policy.budget.epsilon)}"
        )
    limit = f" of your {shown(policy.budget.epsilon)}" if policy.budget else ""
    return f"{MANY[policy.unit]}: epsilon {spent}{limit} is told"


def _app(settings: AgentSettings) -> str:
    from fedsecure_clients.agent.assembly import load_app  # noqa: PLC0415 - loads TensorFlow

    load_app(settings.app, settings.app_folder)
    return f"{settings.app} is installed"


def _data_check(settings: AgentSettings, schema: Path | None) -> Check:
    def look() -> str:
        if not settings.data.exists():
            raise OperatorError("FS-100", f"there is no {settings.data}")
        if schema is None:
            _require_readable(settings.data)
            return f"{settings.data.name} can be read; --schema FILE looks into it"
        found = inspect(settings.data, load_schema(schema))
        if found.problems:
            first = found.problems[0]
            raise OperatorError(first.code, f"{settings.data} {first}")
        return f"{found.rows} examples fit the study"

    def fix(error: FedsecureError) -> str:
        if schema is None:
            return ""
        command = f"fedsecure agent data check {quote(str(settings.data))}"
        return f"{error.problem.remedy} All of it: {command} --schema {schema}"

    return Check("data", look, fix)


def _require_readable(data: Path) -> None:
    try:
        if data.is_dir():
            next(data.iterdir(), None)
        else:
            with data.open("rb") as file:
                file.read(1)
    except OSError as error:
        raise OperatorError("FS-100", f"{data}: {error.strerror}") from error


def _servers(settings: AgentSettings, config: Path) -> Iterator[Check]:
    try:
        membership = own_machine.member(settings)
    except SkippedError:
        return
    federation = membership.federation
    authorities = settings.authorities or membership.authorities
    servers = {
        party.name: aggregator_server(party, authorities, utc_now)
        for party in federation.aggregators
    }
    for party in federation.aggregators:
        yield from aggregator_checks(servers[party.name], party, federation, config)
    yield Check("SuperLink address", lambda: require_superlink(settings, federation))
    owner = federation.model_owner
    with suppress(OperatorError):
        where = require_superlink(settings, federation)
        link = servers[owner.name] = superlink_server(
            owner, where, authorities, utc_now
        )
        yield from superlink_checks(link)
    yield clock_check(servers)
