"""What a job is, whom it asks for what, what it tells, and how it stands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from fedsecure.compute.folder import OwnJob
from fedsecure.compute.handout import Handout
from fedsecure.compute.inputs import owners
from fedsecure.compute.participant import Participant
from fedsecure.compute.programs.mixing import Mixing
from fedsecure.compute.programs.wording import OutputInWords, outputs_in_words
from fedsecure.compute.public import public_numbers, public_words, standings
from fedsecure.errors import PeerError
from fedsecure.terminal.text_tables import Column, Listing, table
from fedsecure.terminal.values import plain, stated
from fedsecure.transport.job_server import JobStanding

AWAY = "away"


@dataclass(frozen=True, slots=True)
class InputLine:
    """One input for a person: whose, how large, and which aggregators hold it."""

    name: str
    owner: str
    size: str
    bound: str
    held: tuple[str, ...]


def told_title(handout: Handout) -> str:
    """Return a job's title, in its proposer's words."""
    title = (handout.description or {}).get("title", handout.spec.statement.name)
    return title if isinstance(title, str) else handout.spec.statement.name


def until(job: Handout | OwnJob) -> str:
    """Return a job's deadline as people write it."""
    deadline = datetime.fromtimestamp(job.spec.statement.deadline, UTC)
    return f"{deadline:%Y-%m-%d %H:%M} UTC"


def mixing_of(handout: Handout) -> Mixing:
    """Return what a job's outputs mix, with the public numbers that are described.

    Raises:
        PeerError: FS-701.
    """
    return Mixing(handout.program, handout.plan, public_words(handout))


def outputs_of(p: Participant, handout: Handout) -> list[OutputInWords]:
    """Return a job's outputs in words."""
    statement = handout.spec.statement
    receiver = statement.receiver or statement.proposer
    public = public_numbers(handout)
    return list(outputs_in_words(mixing_of(handout), public, receiver, p.name))


def facts(handout: Handout) -> Table:
    """Return who proposed a job, who receives, and until when."""
    statement, grid = handout.spec.statement, Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in (
        ("job", f"{statement.name}, {handout.digest[:12]}"),
        ("title", f"{told_title(handout)} (in {statement.proposer}'s words)"),
        ("proposed by", statement.proposer),
        ("received by", statement.receiver or ", ".join(statement.clients)),
        ("until", until(handout)),
    ):
        grid.add_row(name, plain(value))
    return grid


def inputs_table(handout: Handout, found: Mapping[str, JobStanding] | None) -> Listing:
    """Return a job's inputs, and which aggregators hold them."""
    columns: list[Column[InputLine]] = [
        Column("input", lambda one: plain(one.name)),
        Column("of", lambda one: plain(one.owner)),
        Column("size", lambda one: plain(one.size), "right", 1),
        Column("within", lambda one: plain(one.bound), "right", 2),
    ]
    for place, aggregator in enumerate(sorted(found or {})):
        columns.append(Column(aggregator, lambda one, at=place: stated(one.held[at])))  # type: ignore[misc]
    return table(columns, _inputs(handout, found or {}))


def _inputs(handout: Handout, found: Mapping[str, JobStanding]) -> Iterator[InputLine]:
    for name, owner in owners(handout).items():
        value = handout.plan.inputs[name]
        bound = value.bound / 2**value.fraction_bits
        yield InputLine(
            name,
            owner if value.secret else f"{owner}, public",
            f"{value.rows} x {value.columns}",
            f"{bound:g}",
            tuple(
                "held" if name in found[one].inputs else "missing"
                for one in sorted(found)
            ),
        )


def outputs_table(p: Participant, handout: Handout) -> Listing:
    """Return a job's outputs: formulas, whose numbers, and what they tell."""
    columns: list[Column[OutputInWords]] = [
        Column("output", lambda one: plain(one.name)),
        Column("is", lambda one: plain(one.formula), folds=True),
        Column("of", lambda one: plain(", ".join(one.owners)), folds=True),
        Column("tells", lambda one: plain(one.tells), folds=True),
    ]
    return table(columns, outputs_of(p, handout))


def jobs_table(jobs: list[tuple[OwnJob, tuple[str, str]]], names: list[str]) -> Listing:
    """Return this party's jobs, and their states at both aggregators."""
    columns: list[Column[tuple[OwnJob, tuple[str, str]]]] = [
        Column("job", lambda one: plain(one[0].name)),
        Column("digest", lambda one: plain(one[0].spec.digest[:12])),
        Column("kind", lambda one: plain(one[0].spec.statement.kind.value), rank=2),
        Column("until", lambda one: plain(until(one[0])), rank=1),
        Column(names[0], lambda one: stated(one[1][0])),
        Column(names[1], lambda one: stated(one[1][1])),
    ]
    return table(columns, jobs)


def states(p: Participant, spec: str) -> dict[str, JobStanding] | None:
    """Ask both aggregators how a job stands; None when one does not say."""
    try:
        return standings(p, spec)
    except PeerError:
        return None


def as_data(
    p: Participant, handout: Handout, found: Mapping[str, JobStanding] | None
) -> dict[str, Any]:
    """Return what `--json` prints of a job; the keys are an interface."""
    statement = handout.spec.statement
    return {
        "job": statement.name,
        "digest": handout.digest,
        "title": told_title(handout),
        "proposer": statement.proposer,
        "receiver": statement.receiver,
        "clients": statement.clients,
        "until": until(handout),
        "states": {name: one.state for name, one in (found or {}).items()},
        "inputs": [
            {"name": one.name, "of": one.owner, "held": one.held}
            for one in _inputs(handout, found or {})
        ],
        "outputs": [
            {
                "name": one.name,
                "is": one.formula,
                "of": one.owners,
                "tells": one.tells,
            }
            for one in outputs_of(p, handout)
        ],
    }


def agreement(p: Participant, handout: Handout) -> Text:
    """Say whether this party's own rules agree to what its numbers are used for."""
    try:
        p.rules.require(p.name, handout.spec.statement, mixing_of(handout))
    except PeerError as error:
        return plain(f"your rules refuse it: {error}", "red")
    return plain("your rules, [policy.jobs], agree", "green")
