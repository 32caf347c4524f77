"""Runs and rounds for a terminal of any width.

Everything is `rich.Text`, never markup, and what is not printable is replaced: a
reason may quote what another party sent.
"""

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from fedsecure.owner.store.states import RunState
from fedsecure.review import privacy
from fedsecure.review.records import RoundRow, RunRow, strange
from fedsecure.terminal.text_tables import Column, Listing, table
from fedsecure.terminal.values import (
    STYLES,
    digest,
    measured,
    moment,
    number,
    percent,
    plain,
    size,
    stated,
)


def metric(row: RoundRow, name: str, digits: int) -> Text:
    """Return a metric of a round, with its noise if it has any.

    It is n/a where an opened round should have it, and has not.
    """
    value: float | None = getattr(row, name)
    if value is None:
        return plain("n/a" if row.state == "opened" and not row.bare else None)
    return measured(value, digits, getattr(row, f"{name}_deviation"))


def run_list(runs: Sequence[RunRow]) -> RenderableType:
    """Return a table of runs."""
    return table(RUN_COLUMNS, runs)


def round_table(rounds: Sequence[RoundRow]) -> Listing:
    """Return a table of rounds; verdicts only if there is one."""
    return table(columns_for(rounds), rounds)


def round_list(
    run: RunRow,
    rounds: Sequence[RoundRow],
    others: Sequence[str],
    more: str | None = None,
) -> RenderableType:
    """Return a run, its rounds, and the names of the other runs.

    `more` says which part of the rounds it is, if it is not all.
    """
    parts = [*run_heading(run), Text(), round_table(rounds), Text()]
    notes = [
        "Metrics are of the model that a round started from; of the final model "
        "in `final`."
    ]
    if any(row.bare for row in rounds):
        notes = [privacy.BARE]
    parts += [plain(sentence, "yellow") for sentence in strange(rounds)]
    if more:
        notes.insert(0, more)
    if others:
        notes.append(f"Other runs (--run): {', '.join(others)}")
    return Group(*parts, *(plain(note, "dim") for note in notes))


def run_heading(run: RunRow) -> list[RenderableType]:
    """Return what is worth knowing about a run, in a few lines."""
    done = f"{run.opened_rounds} of {run.planned_rounds} rounds opened"
    if run.void_rounds:
        done += f", {run.void_rounds} void"
    rules = (
        f"{run.strategy}, weights {run.weighting}, clip {run.clip:g}, sums of at least "
        f"{run.min_cohort} data owners"
    )
    return [
        Text.assemble(plain(run.run, "bold"), "  ", plain(run.title)),
        Text.assemble(stated(run.state), ", ", done, *_because(run)),
        _times(run),
        plain(rules),
        *([plain(noise)] if (noise := privacy.told(run)) else []),
        *_how_to_go_on(run),
    ]


def _how_to_go_on(run: RunRow) -> list[Text]:
    """Say what to type when a run is not completed; nobody sees whether it is alive."""
    if run.state == RunState.COMPLETED:
        return []
    if run.state == RunState.DIVERGED:
        return [
            plain("to go on: fedsecure train --from-round RUN:N, its last sound one")
        ]
    if run.state == RunState.BUDGET_SPENT:
        return [
            plain("to go on: a new study, approved anew (fedsecure explain FS-374)")
        ]
    when = "if it was killed" if run.state == RunState.RUNNING else "to go on"
    return [plain(f"{when}: fedsecure train --resume {run.run}", "yellow")]


def _because(run: RunRow) -> list[Text]:
    return [plain(f": {run.reason}")] if run.reason else []


def _times(run: RunRow) -> Text:
    text = Text.assemble("started ", moment(run.started_at), " UTC")
    if run.finished_at:
        text.append_text(Text.assemble(", ended ", moment(run.finished_at), " UTC"))
    return text


def outcome(row: RoundRow) -> Text:
    """Say in words how an attempt at a round ended."""
    if row.state == "void":
        return plain(row.outcome, "red")
    if row.state != "opened":
        return plain(f"{row.outcome} ({row.state})", "cyan")
    if row.missing:
        return plain(f"missing: {row.missing}", "yellow")
    if row.undefined:
        return plain(row.outcome, "yellow")
    return plain(row.outcome, "green")


def judged(row: RoundRow) -> Text:
    """Say what the model owner thinks of a round."""
    return plain(row.verdict, STYLES.get(row.verdict or "", ""))


def columns_for(rounds: Sequence[RoundRow]) -> Sequence[Column[RoundRow]]:
    """Return the columns of a table of rounds; verdicts only if there is one."""
    if any(row.verdict for row in rounds):
        return ROUND_COLUMNS
    return [one for one in ROUND_COLUMNS if one.title != "verdict"]


def _set(row: RoundRow) -> Text:
    return plain(f"{'-' if row.in_set is None else row.in_set}/{row.cohort}")


RUN_COLUMNS: Final[tuple[Column[RunRow], ...]] = (
    Column("run", lambda row: plain(row.run, "bold")),
    Column("state", lambda row: stated(row.state)),
    Column("rounds", lambda row: plain(f"{row.opened_rounds}/{row.planned_rounds}")),
    Column("void", lambda row: plain(row.void_rounds), "right", rank=2),
    Column("started (UTC)", lambda row: moment(row.started_at), rank=1),
    Column("strategy", lambda row: plain(row.strategy), rank=3),
    Column("model", lambda row: digest(row.model), rank=4),
    Column("title", lambda row: plain(row.title), folds=True),
)

ROUND_COLUMNS: Final[tuple[Column[RoundRow], ...]] = (
    Column("round", lambda row: plain(row.label, "bold"), "right"),
    Column("decided (UTC)", lambda row: moment(row.decided_at), rank=5),
    Column("set", _set, "right"),
    Column("weight", lambda row: number(row.total_weight, 0), "right", rank=6),
    Column("clipped", lambda row: percent(row.clip_rate), "right", rank=2),
    Column("loss", lambda row: metric(row, "loss", 4), "right"),
    Column("accuracy", lambda row: metric(row, "accuracy", 3), "right", rank=3),
    Column("AUC", lambda row: metric(row, "auc", 3), "right", rank=1),
    Column("seconds", lambda row: number(row.seconds, 1), "right", rank=3),
    Column("sent", lambda row: size(row.bytes_up), "right", rank=4),
    Column("model", lambda row: digest(row.model), "left", rank=6),
    Column("verdict", judged, rank=1),
    Column("outcome", outcome, folds=True),
)
