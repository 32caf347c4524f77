"""`fedsecure agent status`: what this agent sent, what was counted, what was not."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from fedsecure.membership import versions
from fedsecure.terminal.text_tables import Column, screen, table
from fedsecure.terminal.values import plain
from fedsecure_clients.agent.config import load_agent_settings
from fedsecure_clients.consent.privacy_spent import Told, told, told_table
from fedsecure_clients.consent.review_page import refusal_table
from fedsecure_clients.state.agent_state import AgentState
from fedsecure_clients.state.outcomes import Answered
from fedsecure_clients.state.refusals import Refusal

SHOWN: Final = 10  # rounds that are printed
SHOWN_REFUSALS: Final = 5
LISTED: Final = 100  # of both, in JSON
STYLES: Final = {"included": "green", "left out": "red", "disputed": "bold red"}


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """What an agent did so far.

    Args:
        name: The data owner.
        sent: Messages and bytes by receiver.
        fates: How many rounds ended how.
        answered: The newest rounds.
        waiting: Digests of studies that wait for a person's decision.
        refusals: The newest tasks that were not reported.
        refused: How many of them are kept.
        told: What was told so far, as cost in privacy; the last line is of all studies.
    """

    name: str
    sent: Mapping[str, tuple[int, int]]
    fates: Mapping[str, int]
    answered: Sequence[Answered]
    waiting: Sequence[str]
    refusals: Sequence[Refusal]
    refused: int
    told: Sequence[Told] = ()

    def as_json(self) -> dict[str, object]:
        """Return what `--json` prints; the keys are an interface."""
        return {
            "name": self.name,
            "sent": {
                name: {"messages": number, "bytes": size}
                for name, (number, size) in self.sent.items()
            },
            "rounds": dict(self.fates),
            "answered": [dataclasses.asdict(one) for one in self.answered],
            "privacy": [dataclasses.asdict(one) for one in self.told],
            "waiting": list(self.waiting),
            "not_reported": [dataclasses.asdict(one) for one in self.refusals],
        }


def status(
    config: Annotated[Path, typer.Option(help="This data owner's agent.toml.")] = Path(
        "agent.toml"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what this agent has sent, which rounds counted it, and what it refused.

    Example: fedsecure agent status --config agent.toml
    """
    found = read(config)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        screen().print(page(found))


def read(config: Path) -> Status:
    """Read an agent's state, also while the agent runs.

    Raises:
        OperatorError: FS-801 to FS-803 for its settings, FS-383 for its state.
    """
    settings = load_agent_settings(config)
    with AgentState(settings.state, versions.load(settings.federation)) as state:
        asks = settings.policy.studies == "approved"
        return Status(
            name=settings.name,
            sent=state.sent(),
            fates=state.fates(),
            answered=state.answered_rounds(LISTED),
            waiting=state.studies.undecided() if asks else (),
            refusals=state.refusals.newest(LISTED),
            refused=state.refusals.count(),
            told=list(told(state.privacy, settings.policy.privacy)),
        )


def page(found: Status) -> RenderableType:
    """Return the same for a person."""
    return Group(*_parts(found))


def _parts(found: Status) -> Iterator[RenderableType]:
    yield plain(f"Sent by {found.name}", "bold")
    yield table(_SENT, found.sent.items())
    yield Text()
    yield from _rounds(found)
    if found.told:
        yield told_table(found.told)
    if found.waiting:
        number = len(found.waiting)
        text = "1 study waits" if number == 1 else f"{number} studies wait"
        yield Text(f"\n{text} for a decision: `fedsecure agent review`", "yellow")
    if found.refusals:
        yield refusal_table(found.refusals[:SHOWN_REFUSALS], found.refused)


def _rounds(found: Status) -> Iterator[RenderableType]:
    if not found.answered:
        yield Text("No round was answered yet.")
        return
    shown = found.answered[:SHOWN]
    yield Text("Rounds that were answered, the newest first", "bold")
    yield table([*_ROUNDS, *map(_of, sorted({*shown[0].answers}))], shown)
    counts = ", ".join(f"{number} {fate}" for fate, number in found.fates.items())
    if counts:
        yield Text(f"in all: {counts}", "dim")


def _of(aggregator: str) -> Column[Answered]:
    return Column(
        aggregator, lambda one: plain(one.answers.get(aggregator)), folds=True
    )


def _round(one: Answered) -> str:
    number = str(one.round) if one.purpose == "train" else f"{one.round} (final)"
    return number if one.attempt == 1 else f"{number}, attempt {one.attempt}"


_SENT: Final[tuple[Column[tuple[str, tuple[int, int]]], ...]] = (
    Column("to", lambda row: plain(row[0])),
    Column("messages", lambda row: plain(f"{row[1][0]:,}"), "right"),
    Column("bytes", lambda row: plain(f"{row[1][1]:,}"), "right"),
)
_ROUNDS: Final[tuple[Column[Answered], ...]] = (
    Column("run", lambda one: plain(one.run)),
    Column("round", lambda one: plain(_round(one))),
    Column("counted", lambda one: plain(one.counted, STYLES.get(one.counted, ""))),
)
