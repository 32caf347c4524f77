"""What others rely on, read from the code as it is: the surface of the product.

    commands    every command with its arguments and options
    keys        every key of every configuration and study file: type, default, limits
    errors      code, title, remedy, HTTP status
    routes      of an aggregator
    statements  every signed statement with its fields, and who may sign it
    sql         tables and views of the three stores, as SQLite has them

`test_surface.py` compares it with the recording beside it. Whoever means to change the
surface records it anew, and the change of the recording shows what was changed:

    PYTHONPATH=. python -m tests.recordings.surface
"""

import json
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import click
from pydantic import BaseModel
from typer.main import get_command

from fedsecure import cli
from fedsecure.errors import PROBLEMS
from fedsecure.membership.accepted import Accepted
from fedsecure.membership.client_settings import ClientSettings, DealerSettings
from fedsecure.owner.settings import OwnerSettings
from fedsecure.owner.store.rounds import MIGRATIONS as OWNER
from fedsecure.protocol import statements
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.jobs import statements as jobs
from fedsecure.storage import database, revisions
from fedsecure.study.app_study import AppStudyFile
from fedsecure.study.config import StudyFile
from fedsecure.study.schema.features import KINDS
from fedsecure.study.terms import Terms
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.http.app import _router, _table
from fedsecure_aggregator.http.jobs.routes import table
from fedsecure_aggregator.storage.store import MIGRATIONS as AGGREGATOR
from fedsecure_clients.agent.config import AgentSettings
from fedsecure_clients.state.storage import MIGRATIONS as AGENT

RECORDING: Final = Path(__file__).parent / "surface.json"
FILES: Final[dict[str, type[BaseModel]]] = {
    "aggregator.toml": AggregatorSettings,
    "agent.toml": AgentSettings,
    "client.toml": ClientSettings,
    "dealer.toml": DealerSettings,
    "owner.toml": OwnerSettings,
    "federation.toml": Federation,
    "accepted.toml": Accepted,
    "study.toml": StudyFile,
    "study.toml, [app]": AppStudyFile,
    "terms": Terms,
    **{f"schema.toml, {kind}": model for kind, model in KINDS.items()},
}


def commands() -> dict[str, Any]:
    """Return every command's parameters, by its words."""
    cli._mount()
    found: dict[str, Any] = {}
    _walk(get_command(cli.app), "fedsecure", found)
    return found


def _walk(command: click.Command, name: str, found: dict[str, Any]) -> None:
    found[name] = [
        {
            "name": parameter.name,
            "options": sorted([*parameter.opts, *parameter.secondary_opts]),
            "required": parameter.required,
            "multiple": parameter.multiple or parameter.nargs != 1,
            "default": repr(parameter.default),
        }
        for parameter in command.params
    ]
    if isinstance(command, click.Group):
        for word, below in command.commands.items():
            _walk(below, f"{name} {word}", found)


def keys() -> dict[str, Any]:
    """Return the JSON schema of every file, without the texts for people."""
    return {name: _bare(model.model_json_schema()) for name, model in FILES.items()}


def _bare(schema: Any) -> Any:
    if isinstance(schema, list):
        items = [_bare(one) for one in schema]
        words = all(isinstance(item, str) for item in items)
        return sorted(items) if words else items  # of a set: it has no order
    if not isinstance(schema, dict):
        return schema
    return {
        key: _bare(value)
        for key, value in schema.items()
        if not (key in {"description", "title"} and isinstance(value, str))
    }


def errors() -> dict[str, Any]:
    """Return what people and programs read of every error."""
    return {
        code: [problem.title, problem.remedy, int(problem.status)]
        for code, problem in PROBLEMS.items()
    }


def routes() -> list[str]:
    """Return an aggregator's routes."""

    class Anything:
        def __getattr__(self, name: str) -> Any:
            def handler() -> None:
                return None

            return handler

    any_routes: Any = Anything()
    router = _router([*_table(any_routes), *table(any_routes)])
    return sorted(
        f"{method} {route.path}"  # type: ignore[attr-defined]
        for route in router.routes
        for method in route.methods  # type: ignore[attr-defined]
    )


def signed() -> dict[str, Any]:
    """Return every statement's fields, and the roles that may sign it."""
    authors = {**statements.AUTHOR_FIELD, **jobs.AUTHOR_FIELD}
    return {
        kind.typ: {
            "fields": _bare(kind.model_json_schema()),
            "signers": sorted(signers),
            "author": authors.get(kind),
        }
        for kind, signers in {**statements.SIGNERS, **jobs.SIGNERS}.items()
    }


def sql() -> dict[str, Any]:
    """Return the statements that made each store."""
    stores = {"aggregator": AGGREGATOR, "agent": AGENT, "model owner": OWNER}
    return {name: _made(migrations) for name, migrations in stores.items()}


def _made(migrations: Path) -> list[str]:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "store.db"
        engine = database.open_for_writing(database.locate(file))
        revisions.upgrade(engine, migrations)
        engine.dispose()
        connection = sqlite3.connect(file)
        try:
            rows = connection.execute(
                "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
            )
            return [" ".join(row[0].split()) for row in rows]
        finally:
            connection.close()


def surface() -> dict[str, Any]:
    """Return all of it, as JSON has it."""
    found = {
        "commands": commands(),
        "keys": keys(),
        "errors": errors(),
        "routes": routes(),
        "statements": signed(),
        "sql": sql(),
    }
    read: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return read


if __name__ == "__main__":
    text = json.dumps(surface(), indent=1, sort_keys=True, ensure_ascii=False)
    RECORDING.write_text(text + "\n", "utf-8")
