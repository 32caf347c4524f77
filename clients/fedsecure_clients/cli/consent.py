"""`fedsecure agent review|approve|refuse`: a person decides about studies.

They change the agent's state and nothing else, also while the agent runs: it looks
there at every round.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fedsecure.membership import versions
from fedsecure.protocol.identity import Federation
from fedsecure.study.handover import read_study_file
from fedsecure.terminal.screen import Console
from fedsecure.terminal.text_tables import screen
from fedsecure_clients.agent.config import AgentSettings, load_agent_settings
from fedsecure_clients.consent.privacy_review import spent
from fedsecure_clients.consent.review import Review, request_of
from fedsecure_clients.consent.review_page import study_list, study_page
from fedsecure_clients.state.agent_state import AgentState
from fedsecure_clients.state.roster import roster_of
from fedsecure_clients.state.studies import Decision, KnownStudy

Config = Annotated[Path, typer.Option(help="This data owner's agent.toml.")]
Which = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="A digest, its first digits (8 or more), or a study file.",
    ),
]
Note = Annotated[str, typer.Option(help="Kept with the decision, for later readers.")]
AGENT: Path = Path("agent.toml")


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a data owner looks at studies."""

    settings: AgentSettings
    federation: Federation
    state: AgentState

    def find(self, which: str) -> KnownStudy:
        """Return the study that a person means; one from a file is remembered.

        Raises:
            OperatorError: FS-428 no such study, FS-429 no such file.
        """
        path = Path(which)
        if path.suffix or path.is_file():
            file = read_study_file(path)
            self.state.studies.remember(
                file.request, None, file.parameters, time.time()
            )
            which = file.request.digest
        return self.state.studies.named(which)

    def review(self, known: KnownStudy) -> Review:
        """Return a study beside this data owner's policy."""
        before = self.state.studies.answered_terms(known.content)
        other = before[0] if before and known.digest not in before else None
        return Review(
            known,
            request_of(known),
            self.settings.policy,
            self.federation,
            other,
            time.time(),
            spent(self.state.privacy, known.digest),
        )


@contextmanager
def _desk(config: Path) -> Iterator[Desk]:
    settings = load_agent_settings(config)
    federations = versions.load(settings.federation)
    with AgentState(settings.state, federations) as state:
        yield Desk(settings, federations.newest, state)


def review(
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="[STUDY]",
            help="A digest, its first digits (8 or more), or a study file.",
        ),
    ] = None,
    config: Config = AGENT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the studies that asked; or show one: who asks, what is read, what leaves.

    Example: fedsecure agent review 3f9a0c41
    """
    with _desk(config) as desk:
        if which is None:
            reviews = [desk.review(known) for known in desk.state.studies.all()]
            content = {"studies": [one.as_json() for one in reviews]}
            view = study_list(reviews)
        else:
            one = desk.review(desk.find(which))
            content, view = one.as_json(), study_page(one)
    if as_json:
        typer.echo(json.dumps(content, indent=2, allow_nan=False))
    else:
        screen().print(view)


def approve(which: Which, config: Config = AGENT, note: Note = "") -> None:
    """Let this data owner's agent take part in a study, from its next round on.

    Example: fedsecure agent approve 3f9a0c41 --note "ethics board, 12 May"
    """
    _decide(which, config, Decision.APPROVED, note)


def refuse(which: Which, config: Config = AGENT, note: Note = "") -> None:
    """Keep this data owner's agent out of a study, from its next round on.

    Example: fedsecure agent refuse 3f9a0c41 --note "reads the postcode"
    """
    _decide(which, config, Decision.REFUSED, note)


def _decide(which: str, config: Path, decision: Decision, note: str) -> None:
    with _desk(config) as desk:
        known = desk.find(which)
        roster = roster_of(desk.federation)
        desk.state.studies.decide(known.digest, decision, note, time.time(), roster)
        decided = desk.review(desk.state.studies.named(known.digest))
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{decision.value} {known.digest} ({decided.name})", markup=False)
    if decision is Decision.APPROVED:
        for rule in decided.objections():
            console.print(
                f"  but {rule.code} refuses it: {rule.name} {rule.asked}, "
                f"your policy: {rule.allowed}",
                markup=False,
            )
