# ruff: noqa: S608 - every piece of these queries is written here
"""The round store as people read it.

    sqlite3 rounds.db 'select * from v_round'

How views are made and what they promise: `fedsecure.storage.views`.
"""

from typing import Final

from fedsecure.owner.store.job_views import V_JOB
from fedsecure.storage.views import Column, Form, View

_ABSENT: Final = (
    "p.spec_digest = r.spec_digest "
    "AND p.status NOT IN ('asked', 'in set', 'reported', 'round void')"
)
_MISSING: Final = {
    "sqlite": "(SELECT group_concat(data_owner, ', ') FROM "
    f"(SELECT p.data_owner FROM participations p WHERE {_ABSENT} "
    "ORDER BY p.data_owner))",
    "postgresql": "(SELECT string_agg(p.data_owner, ', ' ORDER BY p.data_owner) "
    f"FROM participations p WHERE {_ABSENT})",
}


def _metric(name: str, column: str = "value") -> str:
    return (
        f"(SELECT m.{column} FROM metrics m "
        f"WHERE m.spec_digest = r.spec_digest AND m.name = '{name}')"
    )


def _deviation(name: str) -> Column:
    return Column(
        f"{name}_deviation",
        _metric(name, "deviation"),
        f"standard deviation that noise gives the {name}; null: exact, not known",
        Form.METRIC,
    )


V_RUN: Final = View(
    "v_run",
    "one row per training",
    (
        Column("run", "x.run", "the run's id"),
        Column("study", "x.study", "the study that is trained"),
        Column("title", "x.title", "what people call it"),
        Column(
            "state",
            "x.state",
            "running, completed, diverged, budget-spent, failed or stopped",
        ),
        Column("started_at", "x.started_at", "when it began", Form.INSTANT),
        Column("finished_at", "x.finished_at", "when it ended", Form.INSTANT),
        Column("planned_rounds", "x.planned_rounds", "train rounds planned"),
        Column(
            "opened_rounds",
            "(SELECT count(*) FROM rounds r WHERE r.run = x.run "
            "AND r.purpose = 'train' AND r.state = 'opened')",
            "train rounds opened",
        ),
        Column(
            "void_rounds",
            "(SELECT count(*) FROM rounds r WHERE r.run = x.run AND r.state = 'void')",
            "attempts at any round that are void",
        ),
        Column("strategy", "x.strategy", "how means change the model"),
        Column("weighting", "x.weighting", "equal, rounded or exact"),
        Column("min_cohort", "x.min_cohort", "fewest data owners in an opened sum"),
        Column("clip", "x.clip", "largest L2 norm of one update, model units"),
        Column(
            "statistics_clip",
            "x.statistics_clip",
            "the same of its statistics; null: the model has none",
        ),
        Column(
            "unit", "x.unit", "what noise protects: row, data-owner; null: no noise"
        ),
        Column(
            "epsilon",
            "x.epsilon",
            "what its openings cost whoever is in most sets, if one server is corrupt",
        ),
        Column(
            "epsilon_outsider",
            "x.epsilon_outsider",
            "the same, for who sees no server's noise",
        ),
        Column(
            "study_epsilon",
            "x.study_epsilon",
            "what the openings of all runs of the study cost, one server corrupt",
        ),
        Column(
            "epsilon_budget",
            "x.epsilon_budget",
            "what these may cost at most; no round that would cost more is proposed",
        ),
        Column("delta", "x.delta", "at which all these epsilons are"),
        Column(
            "model",
            "coalesce((SELECT m.sha256 FROM rounds r "
            "JOIN models m ON m.path = r.model WHERE r.run = x.run "
            "AND r.state = 'opened' ORDER BY r.entry DESC LIMIT 1), i.sha256)",
            "SHA-256 of the newest global model's file, first 12 digits",
            Form.SHORT,
        ),
        Column("reason", "x.reason", "why it ended so"),
        Column(
            "from_run",
            "o.run",
            "the run from whose model it went on; null: from the study's first model",
        ),
        Column("from_round", "o.round", "the train round that this model came out of"),
        Column("entry", "x.entry", "ledger entry with which it began: their order"),
    ),
    "FROM runs x JOIN models i ON i.path = x.initial_model "
    "LEFT JOIN rounds o ON o.spec_digest = x.origin",
)

V_ROUND: Final = View(
    "v_round",
    "one row per attempt at a round",
    (
        Column("run", "r.run", "the run's id"),
        Column("round", "r.round", "number within the run"),
        Column("purpose", "r.purpose", "train, evaluate or statistics"),
        Column("attempt", "r.attempt", "1, and one more after each void attempt"),
        Column("state", "r.state", "proposed, granted, opening, opened or void"),
        Column("proposed_at", "r.proposed_at", "when it was proposed", Form.INSTANT),
        Column("decided_at", "r.decided_at", "when opened or void", Form.INSTANT),
        Column("cohort", "r.cohort_size", "data owners that were asked"),
        Column("min_cohort", "r.min_cohort", "fewest that may be in an opened sum"),
        Column("in_set", "r.set_size", "data owners whose reports are in the sum"),
        Column(
            "missing",
            _MISSING,
            "names of the cohort that did not report, once decided",
        ),
        Column(
            "rho",
            "(SELECT max(p.rho_pico) FROM participations p "
            "WHERE p.spec_digest = r.spec_digest) / 1e12",
            "what opening it cost each of its set in privacy (zCDP); null: nothing was "
            "opened, or without noise, so that no sum of costs means anything",
        ),
        Column(
            "total_weight",
            "r.total_weight",
            "sum of the set's weights; with noise for rows, about so many rows",
        ),
        Column(
            "clip_rate",
            "CASE WHEN r.purpose = 'train' AND r.rho_pico IS NULL "
            "THEN r.clipped * 1.0 / r.set_size END",
            "part of the set whose update was scaled down to the clip, 0 to 1; null: "
            "with noise it is not known",
            Form.FRACTION,
        ),
        Column(
            "statistics_clip_rate",
            "CASE WHEN r.purpose = 'train' AND x.statistics_clip IS NOT NULL "
            "AND r.rho_pico IS NULL "
            "THEN r.statistics_clipped * 1.0 / r.set_size END",
            "the same of statistics and their clip; null: the model has none",
            Form.FRACTION,
        ),
        Column("clamped", "r.clamped", "numbers that were brought into their range"),
        Column(
            "undefined",
            "r.undefined",
            "data owners of the set whose metrics were not finite: loss, accuracy and "
            "auc are of the others",
        ),
        Column(
            "loss",
            _metric("loss"),
            "of the model that the round STARTED from (train), or of the final model "
            "(evaluate), over the set's data; so too accuracy and auc",
            Form.METRIC,
        ),
        Column(
            "accuracy", _metric("accuracy"), "see loss; null: not measured", Form.METRIC
        ),
        Column(
            "auc",
            _metric("auc"),
            "see loss; null: not measured, not defined",
            Form.METRIC,
        ),
        *map(_deviation, ("loss", "accuracy", "auc")),
        Column(
            "seconds",
            "r.decided_at - r.proposed_at",
            "from proposal to decision, by the model owner's clock",
            Form.TENTHS,
        ),
        Column("bytes_up", "r.bytes_up", "payload from the set to both aggregators"),
        Column(
            "started_from",
            "r.model_digest",
            "digest of the global model that the round started from, as every party "
            "knows it, hex",
        ),
        Column(
            "made",
            "g.digest",
            "digest of the global model AFTER the round: the next one starts from it",
        ),
        Column(
            "model",
            "g.sha256",
            "SHA-256 of the file of the global model AFTER the round, 12 digits",
            Form.SHORT,
        ),
        Column("model_file", "r.model", "that file, below the store's folder"),
        Column(
            "outcome",
            "CASE WHEN r.state = 'void' THEN 'void: ' || r.reason "
            "WHEN r.state <> 'opened' THEN 'undecided' "
            "WHEN r.set_size < r.cohort_size "
            "THEN CAST(r.cohort_size - r.set_size AS varchar(9)) || ' missing' "
            "WHEN r.undefined > 0 "
            "THEN CAST(r.undefined AS varchar(9)) || ' not measured' "
            "ELSE 'complete' END",
            "complete, how many are missing or could not measure the model, undecided, "
            "or why it is void",
        ),
        Column(
            "verdict",
            "r.verdict",
            "accepted or rejected by the model owner; null: not judged",
        ),
        Column("verdict_note", "r.verdict_note", "why, in the model owner's words"),
        Column("verdict_by", "r.verdict_by", "who typed it, as the machine knows them"),
        Column("verdict_at", "r.verdict_at", "when it was judged", Form.INSTANT),
        Column("set_digest", "r.set_digest", "digest of the set, hex"),
        Column("spec_digest", "r.spec_digest", "names the round at every party, hex"),
        Column("entry", "r.entry", "ledger entry of its proposal: their order"),
    ),
    "FROM rounds r JOIN runs x ON x.run = r.run LEFT JOIN models g ON g.path = r.model",
)

V_PARTICIPATION: Final = View(
    "v_participation",
    "one row per attempt at a round and data owner of its cohort",
    (
        Column("run", "r.run", "the run's id"),
        Column("round", "r.round", "number within the run"),
        Column("purpose", "r.purpose", "train, evaluate or statistics"),
        Column("attempt", "r.attempt", "which attempt at the round"),
        Column("data_owner", "p.data_owner", "name in the roster"),
        Column("status", "p.status", "in set, or what happened instead"),
        Column("reason", "p.reason", "more about the status"),
        Column("asked_at", "r.granted_at", "when it could be asked", Form.INSTANT),
        Column(
            "decided_at", "r.decided_at", "when the round was decided", Form.INSTANT
        ),
        Column("receipt_a", "p.receipt_a", "digest of one receipt, 12", Form.SHORT),
        Column("receipt_b", "p.receipt_b", "digest of the other, 12", Form.SHORT),
        Column("report_id", "p.report_id", "of the report in the set, hex"),
        Column("rho", "p.rho_pico / 1e12", "what it is charged in privacy (zCDP)"),
        Column("spec_digest", "p.spec_digest", "names the round, hex"),
        Column("entry", "r.entry", "ledger entry with which the round was proposed"),
    ),
    "FROM participations p JOIN rounds r ON r.spec_digest = p.spec_digest",
)

V_EVENT: Final = View(
    "v_event",
    "the ledger, one row per entry",
    (
        Column("entry", "e.entry", "1, 2, 3 and so on"),
        Column("at", "e.at", "when, by the model owner's clock", Form.INSTANT),
        Column("kind", "e.kind", "what happened"),
        Column("run", "s.run", "the run that it is about; null: none"),
        Column("round", "r.round", "the round that it is about; null: the whole run"),
        Column("purpose", "r.purpose", "train, evaluate or statistics"),
        Column("attempt", "r.attempt", "which attempt at the round"),
        Column("spec_digest", "s.spec", "names the round or job, hex"),
        Column("hash", "e.hash", "SHA-256(hash before || signed event), hex"),
    ),
    "FROM events e LEFT JOIN subjects s ON s.entry = e.entry "
    "LEFT JOIN rounds r ON r.spec_digest = s.spec",
)

VIEWS: Final = (V_RUN, V_ROUND, V_PARTICIPATION, V_JOB, V_EVENT)
