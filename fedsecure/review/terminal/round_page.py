"""One round in full, for a terminal."""

from collections.abc import Iterable, Mapping
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.protocol.statements import PrivacyField
from fedsecure.review.details import FileRow, RoundDetail, StatementRow
from fedsecure.review.privacy import BARE
from fedsecure.review.records import EventRow, ParticipationRow, RoundRow
from fedsecure.review.terminal.run_tables import judged, outcome
from fedsecure.study.remarks import remarks
from fedsecure.terminal.text_tables import Column, Listing, table
from fedsecure.terminal.values import (
    digest,
    measured,
    moment,
    number,
    percent,
    plain,
    size,
    stated,
)

INDENT: Final = 2


def round_page(detail: RoundDetail) -> RenderableType:
    """Return everything about one attempt at a round."""
    sections: list[tuple[str, RenderableType]] = [
        ("What was asked", _facts(asked(detail))),
        ("What came of it", _facts(came(detail))),
        (metrics_title(detail), _facts(metrics(detail))),
        ("Data owners", table(PARTICIPATIONS, detail.participations)),
        ("Signed statements", table(STATEMENTS, detail.statements)),
        ("Entries of the ledger", table(EVENTS, detail.events)),
        ("Files", table(FILES, detail.files)),
        ("Other attempts", _facts(_attempts(detail))),
    ]
    shown = [_section(title, body) for title, body in sections if _holds(body)]
    return Group(_title(detail), *shown)


def _title(detail: RoundDetail) -> Text:
    row = detail.round
    name = row.label if row.purpose == "train" else f"{row.round} ({row.label})"
    return Text.assemble(
        plain(f"Round {name} of {detail.run.run}", "bold"),
        ": ",
        stated(detail.round.state),
        ", " if detail.round.state == "opened" else " ",
        outcome(detail.round) if detail.round.state == "opened" else _why(detail),
    )


def _why(detail: RoundDetail) -> Text:
    return plain(f"({detail.round.outcome.removeprefix('void: ')})")


def _section(title: str, body: RenderableType) -> RenderableType:
    heading = Text(title, style="bold cyan")
    return Group(Text(), heading, Padding(body, (0, 0, 0, INDENT), expand=False))


def _holds(body: RenderableType) -> bool:
    return not isinstance(body, Table | Listing) or body.row_count > 0


def _facts(facts: Iterable[tuple[str, Text]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(name, value)
    return grid


def asked(detail: RoundDetail) -> Iterable[tuple[str, Text]]:
    """Yield what the model owner asked for."""
    spec, row = detail.spec, detail.round
    scalars = ", ".join(scalar.name for scalar in spec.scalars)
    yield "purpose", plain(f"{spec.purpose}, attempt {spec.attempt}")
    yield "proposed", Text.assemble(moment(row.proposed_at), " UTC")
    yield "cohort", plain(f"{row.cohort} asked, at least {row.min_cohort} to open")
    yield "weights", plain(f"{spec.weighting}, at most {spec.weight_cap:,}")
    if spec.dimension:
        yield "update", plain(f"{spec.dimension:,} parameters, clip {spec.clip:g}")
        if spec.statistics is not None:
            size_ = sum(end - start for start, end in spec.statistics.ranges)
            clip = f"{size_:,} of them, clip {spec.statistics.clip:g}"
            yield "statistics", plain(clip)
        step = f"{spec.suite}, steps of 2^{-spec.fraction_bits}"
        yield "fixed point", plain(step)
    yield "scalars", plain(scalars)
    if spec.privacy is not None:
        yield from _noise(spec.privacy)
    yield "task", plain(spec.task)
    yield "spec", plain(row.spec_digest)


def _noise(privacy: PrivacyField) -> Iterable[tuple[str, Text]]:
    """Yield what each aggregator was to add, and for what budget."""
    unit = f"{privacy.unit}, which adds at most {privacy.unit_clip:g} (L2)"
    yield "protected unit", plain(unit)
    multiples = (
        f"{privacy.noise:.4g} times that on the update; on scalars "
        f"{privacy.scalar_noise:.4g} times, in an evaluation "
        f"{privacy.evaluation_noise:.4g} times what one unit adds"
    )
    yield "noise of each server", plain(multiples)
    budget = f"epsilon {privacy.epsilon:g} at delta {privacy.delta:g}, for the study"
    yield "budget", plain(budget)


def came(detail: RoundDetail) -> Iterable[tuple[str, Text]]:
    """Yield what came of a round."""
    row = detail.round
    if row.decided_at:
        seconds = number(row.seconds, 1)
        yield (
            "decided",
            Text.assemble(moment(row.decided_at), " UTC, after ", seconds, " s"),
        )
    if detail.stage_seconds:
        yield "stages", _stages(detail.stage_seconds)
    if row.in_set is not None:
        yield "set", plain(f"{row.in_set} of {row.cohort} data owners")
        yield "set digest", plain(row.set_digest)
    if row.verdict is not None:
        yield "verdict", _verdict(detail)
    if row.state == "opened":
        yield from _opened(detail)
        yield from _strange(row)


def _opened(detail: RoundDetail) -> Iterable[tuple[str, Text]]:
    row = detail.round
    by_row = detail.spec.privacy and detail.spec.privacy.unit is Unit.ROW
    about = "about " if by_row else ""
    yield "weight", plain(f"{about}{row.total_weight:,} in all")
    if row.clip_rate is not None:
        yield "clipped", _clipped(detail)
    if row.statistics_clip_rate is not None:
        rate = percent(row.statistics_clip_rate)
        yield "statistics clipped", Text.assemble(rate, " of the updates")
    if row.rho is None:
        yield "clamped", plain(f"{detail.clamped} scalars brought into their range")
    else:
        yield "privacy", plain(f"rho {row.rho:.3g} to each of the set")
    if row.undefined:
        yield "not measured", plain(f"by {row.undefined} of {row.in_set}", "yellow")
    yield "sent", Text.assemble(size(row.bytes_up), " to both aggregators together")


def _strange(row: RoundRow) -> Iterable[tuple[str, Text]]:
    """Yield what is strange about a round, and what to do about it."""
    if row.figures is not None:
        for kind, text in remarks(row.figures):
            yield "note", plain(f"{text}; {kind.advice}.", "yellow")


def _verdict(detail: RoundDetail) -> Text:
    row = detail.round
    told = f", by {row.verdict_by}: {row.verdict_note}"
    when = Text.assemble(" at ", moment(row.verdict_at), " UTC")
    return Text.assemble(judged(row), when, plain(told))


def _stages(seconds: Mapping[str, float]) -> Text:
    longest_first = sorted(seconds.items(), key=lambda stage: -stage[1])
    return plain(", ".join(f"{name} {value:.2f} s" for name, value in longest_first))


def _clipped(detail: RoundDetail) -> Text:
    updates = f"{detail.clipped} of {detail.round.in_set} updates"
    return Text.assemble(updates, " (", percent(detail.round.clip_rate), ")")


def metrics_title(detail: RoundDetail) -> str:
    """Say of which model the metrics are."""
    if detail.round.purpose == "evaluate":
        return "Metrics of the final model"
    return "Metrics of the model that the round started from"


def metrics(detail: RoundDetail) -> Iterable[tuple[str, Text]]:
    """Yield the metrics of a round."""
    if detail.round.bare:
        yield "none", plain(BARE)
    for name, value in detail.metrics.items():
        yield name, _measured(value, detail.deviations[name])


def _measured(value: float | None, deviation: float | None) -> Text:
    if value is None:
        return plain("n/a")
    return measured(value, 4, deviation) if deviation else plain(f"{value:.6g}")


def _attempts(detail: RoundDetail) -> Iterable[tuple[str, Text]]:
    for row in detail.other_attempts:
        yield f"{row.round}.{row.attempt}", outcome(row)


def _receipts(row: ParticipationRow) -> Text:
    both = [one for one in (row.receipt_a, row.receipt_b) if one is not None]
    return plain(" ".join(both) or None)


PARTICIPATIONS: Final[tuple[Column[ParticipationRow], ...]] = (
    Column("data owner", lambda row: plain(row.data_owner), folds=True),
    Column("status", lambda row: stated(row.status)),
    Column("report", lambda row: digest(row.report_id), rank=1),
    Column("receipts of both aggregators", _receipts, rank=2),
    Column("reason", lambda row: plain(row.reason), folds=True),
)
STATEMENTS: Final[tuple[Column[StatementRow], ...]] = (
    Column("statement", lambda row: plain(row.statement)),
    Column("signed by", lambda row: plain(row.signer), folds=True),
    Column("number", lambda row: plain(row.number), "right", rank=1),
    Column("digest", lambda row: digest(row.digest)),
    Column("ledger entry", lambda row: plain(row.ledger_entries), "right", rank=2),
)
EVENTS: Final[tuple[Column[EventRow], ...]] = (
    Column("entry", lambda row: plain(row.entry), "right"),
    Column("at (UTC)", lambda row: moment(row.at)),
    Column("kind", lambda row: plain(row.kind)),
    Column("hash", lambda row: digest(row.hash), rank=1),
)
FILES: Final[tuple[Column[FileRow], ...]] = (
    Column("kind", lambda row: plain(row.kind)),
    Column("path", lambda row: plain(row.path), folds=True),
    Column("SHA-256", lambda row: digest(row.sha256)),
    Column("size", lambda row: size(row.bytes), "right"),
)
