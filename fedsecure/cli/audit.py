"""`fedsecure audit`: do the records of a federation agree?"""

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from fedsecure.audit import verify as audits
from fedsecure.audit.page import audit_page, progress
from fedsecure.audit.stores import exports, owner as owners
from fedsecure.audit.stores.sources import snapshot
from fedsecure.errors import OperatorError
from fedsecure.membership.versions import load_federations
from fedsecure.review.reading import usual_place
from fedsecure.terminal.text_tables import screen

app = typer.Typer(
    help="Check the records of a federation against each other (auditor).",
    no_args_is_help=True,
)

FEDERATION: Final = Path("federation.toml")

Federation = Annotated[
    list[Path] | None,
    typer.Option(
        "--federation",
        metavar="FILE",
        help="federation.toml; again for each earlier version of it. Default: the one "
        "here.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


@app.command()
def verify(
    owner: Annotated[
        str,
        typer.Option(metavar="FILE|URL|EXPORT", help="The model owner's round store."),
    ],
    aggregator: Annotated[
        list[str],
        typer.Option(
            metavar="FILE|URL|EXPORT", help="An aggregator's store; give both."
        ),
    ],
    federation: Federation = None,
    files: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where files of models lie. Default: beside an SQLite round store.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check chains, signatures, sets, shares, models and tables; 1 unless all holds.

    Stores are databases (they may be in use) or exports. Nothing is changed, and
    nobody is asked.

    Example: fedsecure audit verify --owner rounds.db --aggregator north.jsonl
    --aggregator south.jsonl
    """
    keys = load_federations(federation or [FEDERATION])
    with progress() as telling:
        report = audits.audit(owner, aggregator, keys, telling, files)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2, allow_nan=False))
    else:
        screen().print(audit_page(report))
    if not report.holds:
        number = sum(report.found.values())
        raise OperatorError("FS-620", f"{number} findings, the first of them above")


@app.command()
def export(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")
    ] = Path("owner.jsonl"),
    db: Annotated[
        str | None,
        typer.Option(
            "--db",
            metavar="FILE|URL",
            envvar="FEDSECURE_ROUND_STORE",
            help="The round store. Default: as for `fedsecure rounds`.",
        ),
    ] = None,
) -> None:
    """Write the model owner's ledger as a file, for an audit somewhere else.

    It holds statements that others have seen, no key and no model.

    Example: fedsecure audit export --db owner/rounds.db --output owner.jsonl
    """
    with (
        snapshot(db or str(usual_place()), owners.KIND) as connection,
        progress() as telling,
    ):
        telling.begin(str(output), exports.count(connection, owners.KIND))
        rows = exports.write(connection, owners.KIND, output, telling.step)
    typer.echo(f"{output}: {rows:,} entries")
