"""A run as one HTML page that needs nothing else: no script, no network, no font.

For people who answer for a training and have no store: what was asked, how it went, who
was missing and why, which model came out of which round, and what the owner thinks.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from fedsecure.errors import OperatorError
from fedsecure.review import privacy
from fedsecure.review.plots.figure import picture
from fedsecure.review.records import ParticipationRow, RoundRow, RunRow, strange
from fedsecure.review.terminal import run_tables
from fedsecure.terminal import values

IN_SET: Final = "in set"
STYLE: Final = """
:root { color-scheme: light; --ink: #1d2733; --faint: #5b6876; --line: #dde3ea;
  --good: #00694b; --bad: #a3282c; --warn: #8a5a00; --paper: #ffffff; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; margin: 0;
  color: var(--ink); background: #f4f6f9; }
main { max-width: 68rem; margin: 2rem auto; padding: 2rem 2.5rem;
  background: var(--paper); border: 1px solid var(--line); border-radius: 8px; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
p { margin: .3rem 0; } .faint { color: var(--faint); }
.state { display: inline-block; padding: .05rem .6rem; border-radius: 1rem;
  border: 1px solid currentColor; font-size: .85rem; margin-right: .5rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr));
  gap: .8rem 1.5rem; margin: 1.2rem 0 0; }
dt { color: var(--faint); font-size: .8rem; } dd { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .85rem;
  font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--faint); font-weight: 600; white-space: nowrap; }
th, td { padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
.number { text-align: right; white-space: nowrap; }
.number + :not(.number) { padding-left: 1rem; }
code { font: .82rem ui-monospace, "DejaVu Sans Mono", monospace; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
figure { margin: 1rem 0 0; } figure svg { width: 100%; height: auto; }
footer { margin-top: 2.5rem; color: var(--faint); font-size: .8rem; }
@media print { body { background: none; } main { border: 0; margin: 0; padding: 0; } }
"""
COLOURS: Final = {
    "opened": "good",
    "completed": "good",
    "accepted": "good",
    "complete": "good",
    "void": "bad",
    "failed": "bad",
    "diverged": "bad",
    "rejected": "bad",
    "budget-spent": "warn",
    "stopped": "warn",
    "running": "warn",
}


def page(
    run: RunRow, rounds: Sequence[RoundRow], people: Sequence[ParticipationRow]
) -> str:
    """Return the page of a run.

    Args:
        run: The run.
        rounds: Attempts at its rounds, in order of proposal.
        people: Who was asked in them, and what became of it.
    """
    absent = [one for one in people if one.status != IN_SET]
    return "".join(
        [
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
            "style-src 'unsafe-inline'\">",
            f"<title>{_text(run.title)}: {_text(run.run)}</title>",
            f"<style>{STYLE}</style></head><body><main>",
            *_head(run, rounds),
            *_figure(run, rounds),
            _section("Rounds", _table(_ROUNDS, (_round(row) for row in rounds))),
            _section(
                "Who was not in the sum, and why",
                _table(_ABSENT, (_absent(one) for one in absent))
                if absent
                else "<p>Nobody was missing in any round.</p>",
            ),
            _section("Models", _table(_MODELS, _models(rounds))),
            _section("Digests", _table(_DIGESTS, (_digests(row) for row in rounds))),
            "<footer>Made from the model owner&#8217;s round store by <code>fedsecure "
            "rounds export</code>. Metrics of a train round are of the model that it "
            "started from. Signatures were not checked: <code>fedsecure audit "
            "verify</code> does so.</footer></main></body></html>\n",
        ]
    )


def _head(run: RunRow, rounds: Sequence[RoundRow]) -> Iterator[str]:
    colour = COLOURS.get(run.state, "faint")
    ended = f", ended {_moment(run.finished_at)} UTC" if run.finished_at else ""
    yield f"<h1>{_text(run.title)}</h1>"
    yield (
        f'<p><span class="state {colour}">{_text(run.state)}</span>'
        f'<code>{_text(run.run)}</code> <span class="faint">started '
        f"{_moment(run.started_at)} UTC{ended}</span></p>"
    )
    if run.reason:
        yield f'<p class="warn">{_text(run.reason)}</p>'
    for sentence in strange(rounds):
        yield f'<p class="warn">{_text(sentence)}</p>'
    origin = f"round {run.from_round} of {run.from_run}" if run.from_run else "new"
    sent = sum(row.bytes_up or 0 for row in rounds)
    facts = {
        "rounds opened": f"{run.opened_rounds:,} of {run.planned_rounds:,}",
        "void attempts": f"{run.void_rounds:,}",
        "strategy": run.strategy,
        "weights": run.weighting,
        "clip": f"{run.clip:g}",
        "smallest sum": f"{run.min_cohort:,} data owners",
        "sent to both aggregators": values.size(sent).plain,
        "first model": origin,
        "newest model (SHA-256)": run.model,
    }
    facts |= _privacy(run)
    yield "<dl>"
    for name, value in facts.items():
        yield f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>"
    yield "</dl>"
    if any(row.bare for row in rounds):
        yield f'<p class="faint">{_text(privacy.BARE)}</p>'


def _privacy(run: RunRow) -> dict[str, str]:
    """Return what noise protects and what was spent, if there is any."""
    whole = privacy.spent(run)
    if whole is None:
        return {}
    return {
        "noise protects": privacy.UNITS.get(run.unit or "", "-"),
        "spent by the study": f"{whole}, at delta {run.delta:g}",
        "of it by this run": f"epsilon {run.epsilon or 0.0:.2f}, one server corrupt",
        "this run, for outsiders": f"epsilon {run.epsilon_outsider or 0.0:.2f}",
    }


def _figure(run: RunRow, rounds: Sequence[RoundRow]) -> Iterator[str]:
    try:
        drawn = picture(run, rounds, "svg").decode("utf-8")
    except OperatorError:  # nothing was opened
        return
    yield f"<figure>{_inline(drawn)}</figure>"


def _inline(svg: str) -> str:
    """Return an SVG document as part of a page: without prolog, scaled by the page."""
    start = svg.index("<svg")
    return re.sub(
        r'(<svg[^>]*?) (?:width|height)="[^"]*pt"', r"\1", svg[start:], count=1
    )


_ROUNDS: Final = (
    *("round", "proposed (UTC)", "#set", "#weight", "#clipped", "#loss", "#accuracy"),
    *("#AUC", "#seconds", "#sent", "verdict", "outcome"),
)
_ABSENT: Final = ("round", "decided (UTC)", "data owner", "status", "reason")
_MODELS: Final = ("round", "started from", "made", "file", "verdict", "note")
_DIGESTS: Final = ("round", "spec", "set")


def _round(row: RoundRow) -> Iterator[str]:
    yield f"<b>{_text(row.label)}</b>"
    yield _moment(row.proposed_at)
    yield f"{'-' if row.in_set is None else row.in_set}/{row.cohort}"
    yield values.number(row.total_weight, 0).plain
    yield values.percent(row.clip_rate).plain
    yield run_tables.metric(row, "loss", 4).plain
    yield run_tables.metric(row, "accuracy", 3).plain
    yield run_tables.metric(row, "auc", 3).plain
    yield values.number(row.seconds, 1).plain
    yield values.size(row.bytes_up).plain
    yield _coloured(row.verdict or "-")
    colour = "warn" if row.missing or row.undefined else COLOURS.get(row.state, "")
    yield f'<span class="{colour}">{_text(run_tables.outcome(row).plain)}</span>'


def _absent(one: ParticipationRow) -> Iterator[str]:
    yield f"{one.round}.{one.attempt}" if one.attempt > 1 else str(one.round)
    yield _moment(one.decided_at)
    yield _text(one.data_owner)
    yield _text(one.status)
    yield _text(one.reason or "-")


def _models(rounds: Iterable[RoundRow]) -> Iterator[Iterator[str]]:
    return (_model(row) for row in rounds if row.model is not None)


def _model(row: RoundRow) -> Iterator[str]:
    yield f"<b>{_text(row.label)}</b>"
    yield _code(row.started_from[: values.SHORT])
    yield _code((row.made or "-")[: values.SHORT])
    yield _code(row.model_file or "-")
    yield _coloured(row.verdict or "-")
    yield _text(f"{row.verdict_by}: {row.verdict_note}" if row.verdict else "-")


def _digests(row: RoundRow) -> Iterator[str]:
    yield f"<b>{_text(row.label)}</b>"
    yield _code(row.spec_digest)
    yield _code(row.set_digest or "-")


def _table(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; a head that begins with # is of a column of numbers."""
    marks = [' class="number"' if head.startswith("#") else "" for head in heads]
    cells = "".join(
        f"<th{mark}>{_text(head.removeprefix('#'))}</th>"
        for head, mark in zip(heads, marks, strict=True)
    )
    lines = (
        "".join(f"<td{mark}>{cell}</td>" for mark, cell in zip(marks, row, strict=True))
        for row in rows
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f'<div class="scroll"><table><thead><tr>{cells}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _section(title: str, body: str) -> str:
    return f"<h2>{_text(title)}</h2>{body}"


def _coloured(word: str) -> str:
    return f'<span class="{COLOURS.get(word, "")}">{_text(word)}</span>'


def _code(words: str) -> str:
    return f"<code>{_text(words)}</code>"


def _moment(value: str | None) -> str:
    return _text(values.moment(value).plain)


def _text(words: str) -> str:
    return escape(values.plain(words).plain)
