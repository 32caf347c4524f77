"""`fedsecure join`: any party looks at a version of the federation and accepts it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import click
import typer
from rich.text import Text

from fedsecure.errors import OperatorError
from fedsecure.membership.changes import Change
from fedsecure.membership.joining import Candidate, accept, examine, require_fingerprint
from fedsecure.membership.own_party import find_config, load_own
from fedsecure.protocol.fingerprints import read_fingerprint
from fedsecure.protocol.identity import AggregatorParty, ModelOwnerParty, Party, Role
from fedsecure.terminal.screen import Console
from fedsecure.terminal.text_tables import Column, screen, table

STARTED: Final = {
    Role.AGGREGATOR: "`fedsecure aggregator`",
    Role.DATA_OWNER: "`fedsecure agent`",
    Role.MODEL_OWNER: "`fedsecure train`",
}
"""What goes on with a new version once it is started again; others run nothing."""


def command(
    federation: Annotated[
        Path,
        typer.Argument(
            metavar="FEDERATION", help="The federation.toml that was handed over."
        ),
    ],
    config: Annotated[
        Path | None,
        typer.Option(help="This party's configuration; default: the one here."),
    ] = None,
    fingerprint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WORDS", help="What a party read out; may be repeated."
        ),
    ] = None,
    new_keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="With this party's new keys: they take the place of the old ones.",
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Accept without being asked.")
    ] = False,
) -> None:
    """Check a version of the federation, and accept it.

    It shows what changed, and asks for the words that those parties read out whose
    keys you do not know yet: call them, at a number that you know. The version before
    is kept, and so are data and ledger: start your program again, and it goes on.

    Example: fedsecure join to-everybody/federation.toml
    """
    role, own = load_own(find_config(config, Path()))
    candidate = examine(federation, role, own, new_keys)
    console = screen()
    _show(console, candidate)
    fingerprints = _given(fingerprint or [])
    missing = [
        party.name for party in candidate.asked if party.name not in fingerprints
    ]
    if missing:
        console.print(f"You need the words of {' and '.join(missing)}.")
    for party in candidate.asked:
        if party.name not in fingerprints:
            fingerprints[party.name] = _ask(console, party)
        require_fingerprint(party, fingerprints[party.name])
        console.print(f"{party.name}: the words are right")
    if not yes:
        _require_consent(candidate)
    accepted = accept(candidate, fingerprints)
    console.print(f"accepted: {candidate.federation.name}, version {accepted.number}")
    before = candidate.before
    newer = before is not None and before.federation != accepted.federation
    if newer and role in STARTED:
        console.print(f"Start {STARTED[role]} again: it goes on with what it has.")


def _show(console: Console, candidate: Candidate) -> None:
    federation = candidate.federation
    console.print(
        f"[bold]{federation.name}[/], version {federation.number}, "
        f"digest {federation.digest[:12]}, signed by {federation.model_owner.name}"
    )
    if not candidate.changes:
        console.print("nothing changed since the version that was accepted")
        return
    console.print(table(COLUMNS, candidate.changes))


def _where(change: Change) -> Text:
    match change.party:
        case AggregatorParty(url=where):
            pass
        case ModelOwnerParty(superlink=where):
            pass
        case _:
            where = ""
    return Text(where or "")


COLUMNS: Final[tuple[Column[Change], ...]] = (
    Column("change", lambda one: Text(one.kind)),
    Column("role", lambda one: Text(one.role)),
    Column("name", lambda one: Text(one.party.name)),
    Column("where", _where),
)


def _given(options: Iterable[str]) -> dict[str, str]:
    fingerprints = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals:
            msg = f"{option!r} is not NAME=WORDS"
            raise typer.BadParameter(msg)
        try:
            fingerprints[name] = read_fingerprint(text)
        except ValueError as error:
            raise OperatorError("FS-826", f"{name}: {error}") from error
    return fingerprints


def _ask(console: Console, party: Party) -> str:
    console.print(f"\nCall [bold]{party.name}[/] and type the words that you hear.")
    while True:
        try:
            return read_fingerprint(typer.prompt(f"words of {party.name}"))
        except ValueError as error:
            console.print(f"{error}; try again")
        except click.Abort as error:
            raise OperatorError("FS-755", f"of {party.name}") from error


def _require_consent(candidate: Candidate) -> None:
    federation = candidate.federation
    question = f"accept version {federation.number} of {federation.name}?"
    try:
        yes = typer.confirm(question)
    except click.Abort:
        yes = False
    if not yes:
        raise OperatorError("FS-758", f"version {federation.number}")
