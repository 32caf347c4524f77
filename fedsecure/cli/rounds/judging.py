"""`fedsecure rounds accept|reject`: the model owner's verdict."""

import dataclasses
import getpass
import json
from pathlib import Path
from typing import Annotated

import typer

from fedsecure.cli.rounds.options import Json, RunName, Which
from fedsecure.owner.store.records import Verdict
from fedsecure.review import records
from fedsecure.review.reading import open_round_store

Note = Annotated[str, typer.Option("--note", "-m", help="Why, in your words. Is kept.")]
Config = Annotated[Path, typer.Option(help="The model owner's owner.toml.")]
By = Annotated[
    str | None, typer.Option(help="Who says so. Default: this user of this machine.")
]


def accept_round(
    which: Which,
    note: Note,
    *,
    run: RunName = None,
    config: Config = Path("owner.toml"),
    by: By = None,
    as_json: Json = False,
) -> None:
    """Record that an opened round is good: `fedsecure train --from-round` may use it.

    It is signed into the ledger. A later verdict takes its place; both are kept.

    Example: fedsecure rounds accept 12 --note "AUC is stable" --config owner.toml
    """
    _judge(
        Verdict.ACCEPTED,
        which,
        note,
        run=run,
        config=config,
        by=by,
        as_json=as_json,
    )


def reject_round(
    which: Which,
    note: Note,
    *,
    run: RunName = None,
    config: Config = Path("owner.toml"),
    by: By = None,
    as_json: Json = False,
) -> None:
    """Record that an opened round is not to be used.

    Example: fedsecure rounds reject 13 --note "loss jumped" --config owner.toml
    """
    _judge(
        Verdict.REJECTED,
        which,
        note,
        run=run,
        config=config,
        by=by,
        as_json=as_json,
    )


def _judge(  # noqa: PLR0913 - the options of both commands
    verdict: Verdict,
    which: str,
    note: str,
    *,
    run: str | None,
    config: Path,
    by: str | None,
    as_json: bool,
) -> None:
    from fedsecure.owner.settings import load_owner_settings  # noqa: PLC0415
    from fedsecure.review.judging import judge  # noqa: PLC0415

    settings = load_owner_settings(config)
    place = settings.database_url
    with open_round_store(place) as session:
        row = records.find_round(session, records.find_run(session, run).run, which)
    judge_name = by or getpass.getuser()
    judge(place, settings.author(), row.spec_digest, verdict, note, judge_name)
    with open_round_store(place) as session:
        row = records.find_round(session, row.run, row.spec_digest)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(row), indent=2, allow_nan=False))
    else:
        typer.echo(f"round {row.label} of {row.run}: {row.verdict}")
