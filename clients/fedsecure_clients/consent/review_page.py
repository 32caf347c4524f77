"""Studies for a data owner's terminal: the list, and one of them in full."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fedsecure.errors import PROBLEMS
from fedsecure.study.schema.features import AnySchema
from fedsecure.study.schema.tabular import TableSchema
from fedsecure.study.task import Task
from fedsecure.study.terms import StudyRequest
from fedsecure.terminal.text_tables import Column, Listing, table
from fedsecure.terminal.values import SHORT, plain
from fedsecure_clients.consent.privacy_review import AFTER, MANY, shown as shown_epsilon
from fedsecure_clients.consent.review import Review, layers
from fedsecure_clients.consent.rules import Rule
from fedsecure_clients.state.refusals import Refusal

STYLES: Final = {
    "approved": "green",
    "refused": "red",
    "waits for you": "yellow",
    "needs no approval": "cyan",
}
MOST_NAMES: Final = 60  # columns or layers that are shown


def study_list(reviews: Sequence[Review]) -> RenderableType:
    """Return all studies that an agent knows, the newest first."""
    if not reviews:
        return Text("No study has asked yet.")
    rows = table(_COLUMNS, reviews)
    waiting = [one for one in reviews if one.state == "waits for you"]
    example = (waiting or reviews)[0].known.digest[:SHORT]
    hint = Text(f"`fedsecure agent review {example}` shows one in full.", "dim")
    return Group(rows, Text(), hint)


def study_page(review: Review) -> RenderableType:
    """Return everything that a person needs to decide about a study."""
    rules = list(review.rules())
    sections: list[tuple[str, RenderableType]] = [
        ("Who asks, and for what", _facts(_asked(review))),
        ("What is read here", _facts(_read(_features(review.study)))),
        ("What leaves this machine", _bullets(review.leaves())),
        ("What may be told at most", _facts(_told(review))),
        ("Against your policy, [policy] of agent.toml", _rules(rules)),
    ]
    shown = [_section(title, body) for title, body in sections]
    return Group(_title(review), *shown, Text(), _next(review, rules))


def refusal_table(refusals: Sequence[Refusal], total: int) -> RenderableType:
    """Return what an agent did not report lately, the newest first.

    Args:
        refusals: Those to show.
        total: How many the agent remembers.
    """
    heading = Text(f"not reported: {total:,}, the newest first", "bold")
    hint = Text("`fedsecure explain CODE` says what to do.", "dim")
    return Group(Text(), heading, table(_REFUSALS, refusals), Text(), hint)


def _title(review: Review) -> Text:
    return Text.assemble(
        ("Study ", "bold"),
        plain(review.name, "bold"),
        ": ",
        (review.state, STYLES[review.state]),
    )


def _section(title: str, body: RenderableType) -> RenderableType:
    heading = Text(title, style="bold cyan")
    return Group(Text(), heading, Padding(body, (0, 0, 0, 2), expand=False))


def _facts(facts: Iterable[tuple[str, Text]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(name, value)
    return grid


def _bullets(sentences: Iterable[str]) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column()
    grid.add_column()
    for sentence in sentences:
        grid.add_row("-", plain(sentence))
    return grid


def _asked(review: Review) -> Iterator[tuple[str, Text]]:
    known, owner = review.known, review.federation.model_owner
    yield "model owner", plain(owner.name)
    yield "fingerprint", plain(owner.fingerprint)
    how = "by a signed round" if known.asked_by else "by a study file, no round yet"
    yield "first seen", plain(f"{_moment(known.first_seen)}, {how}")
    yield "digest", plain(known.digest)
    if known.decision is not None and known.decided_at is not None:
        note = f": {known.note}" if known.note else ""
        yield "decided", plain(f"{known.decision} {_moment(known.decided_at)}{note}")
    if review.since:
        yield "since then", plain(", ".join(review.since))
    yield from _model(review)


def _model(review: Review) -> Iterator[tuple[str, Text]]:
    parameters, task = review.known.parameters, review.study.task
    source = "" if review.known.asked_by else ", says the file"
    if parameters:
        yield "parameters", plain(f"{parameters:,}{source}")
    if task is not None:
        yield "layers", plain(_few(layers(task), " > ") or "not allowed here")
        held_out = f"{task.holdout:.0%} of them held out to score models"
        yield "a round", plain(f"{_step(task)}; {held_out}")


def _step(task: Task) -> str:
    if task.step == "epochs":
        epochs = "epoch" if task.local_epochs == 1 else "epochs"
        return (
            f"{task.local_epochs} {epochs} over your rows, {task.batch_size} at a time"
        )
    if task.unit_clip is None:
        return "one step down the mean of your rows' gradients"
    return f"the sum of your rows' gradients, each cut to length {task.unit_clip:g}"


def _features(study: StudyRequest) -> AnySchema | None:
    asked = study.task or study.statistics
    return asked.features if asked else None


def _read(features: AnySchema | None) -> Iterator[tuple[str, Text]]:
    if features is None:
        yield "data", plain("not said: only the app that you installed knows")
        return
    kind, label = _kind(features)
    names = [name for name in features.reads if name != label]
    yield f"{len(names)} {kind}", plain(_few(names, ", "))
    if label:
        yield "label", plain(label)
    yield "classes", plain(_few(features.class_names, ", "))


def _kind(features: AnySchema) -> tuple[str, str | None]:
    """Return what is read, and the one of it that is the label."""
    if isinstance(features, TableSchema):
        return "columns", features.label.column
    if features.kind == "arrays":
        return "array", features.label.array
    return "folders", None


def _told(review: Review) -> Iterator[tuple[str, Text]]:
    privacy = review.privacy
    doubtful = {"protected", AFTER} if privacy.asked is None else set()
    if privacy.ends_early or privacy.after is None:
        doubtful.add(AFTER)
    for name, text in privacy.facts():
        yield name, plain(text, "yellow" if name in doubtful else "")


def _rules(rules: Sequence[Rule]) -> Listing:
    return table(_RULES, rules)


def _next(review: Review, rules: Sequence[Rule]) -> RenderableType:
    short, state = review.known.digest[:SHORT], review.state
    lines, others = [], _beyond_decision(rules)
    if others:
        codes = ", ".join(others)
        lines.append(Text(f"The agent refuses it now, whatever you decide: {codes}."))
    if state != "approved":
        lines.append(Text(f"-> fedsecure agent approve {short}"))
    if state != "refused":
        lines.append(Text(f"-> fedsecure agent refuse {short}"))
    return Group(*lines)


def _beyond_decision(rules: Iterable[Rule]) -> list[str]:
    """Return the codes of rules that an approval does not change."""
    codes = {rule.code for rule in rules if rule.code}
    return sorted(code for code in codes if not PROBLEMS[code].consent)


def _few(names: Sequence[str], between: str) -> str:
    shown = between.join(names[:MOST_NAMES])
    left = len(names) - MOST_NAMES
    return f"{shown}{between}and {left} more" if left > 0 else shown


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def _policy(review: Review) -> Text:
    codes = _beyond_decision(review.rules())
    return Text(", ".join(codes), "red") if codes else Text("ok", "green")


def _epsilon(review: Review) -> Text:
    asked = review.study.terms.privacy
    if asked is None:
        return Text("no noise", "yellow")
    return plain(f"{shown_epsilon(asked.epsilon)} ({MANY[asked.unit]})")


def _answered(review: Review) -> Text:
    answered = review.known.answered
    return plain(sum(answered.values()))


def _round(one: Refusal) -> str:
    return f"{one.run}, {one.round} {one.purpose}" if one.run else one.purpose


def _why(one: Refusal) -> str:
    return f"{PROBLEMS[one.code].title}: {one.detail}"


def _verdict(rule: Rule) -> Text:
    return Text(f"refused {rule.code}", "red") if rule.code else Text("ok", "green")


_COLUMNS: Final[tuple[Column[Review], ...]] = (
    Column("study", lambda one: plain(one.known.digest[:SHORT])),
    Column("name", lambda one: plain(one.name), folds=True),
    Column("state", lambda one: Text(one.state, STYLES[one.state])),
    Column("epsilon", _epsilon, folds=True),
    Column("rounds", _answered, justify="right"),
    Column("your policy", _policy, folds=True),
    Column("first seen", lambda one: plain(_moment(one.known.first_seen)), rank=1),
    Column("note", lambda one: plain(one.known.note or ""), folds=True, rank=2),
)
_REFUSALS: Final[tuple[Column[Refusal], ...]] = (
    Column("when", lambda one: plain(_moment(one.at).removesuffix(" UTC"))),
    Column("run, round", lambda one: plain(_round(one)), folds=True),
    Column("code", lambda one: plain(one.code)),
    Column("why", lambda one: plain(_why(one)), folds=True),
)
_RULES: Final[tuple[Column[Rule], ...]] = (
    Column("rule", lambda rule: plain(rule.name)),
    Column("the study", lambda rule: plain(rule.asked), folds=True),
    Column("your policy", lambda rule: plain(rule.allowed), folds=True),
    Column("", _verdict),
)
