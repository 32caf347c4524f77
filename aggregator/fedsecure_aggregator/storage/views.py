"""The aggregator store as people read it.

    sqlite3 aggregator.db 'select * from v_round'

How views are made and what they promise: `fedsecure.storage.views`.
"""

from typing import Final

from fedsecure.storage.views import Column, Form, View
from fedsecure_aggregator.storage.jobs import views as jobs

_MEMBER: Final = {
    "sqlite": ("json_extract(m.value, '$[{0}]')", ", json_each(o.members) m"),
    "postgresql": (
        "m.value ->> {0}",
        ", json_array_elements(CAST(o.members AS json)) AS m(value)",
    ),
}


def _of_member(place: int) -> dict[str, str]:
    return {dialect: sql.format(place) for dialect, (sql, _) in _MEMBER.items()}


def _round(alias: str) -> tuple[Column, ...]:
    return (
        Column("run", f"{alias}.run", "the run's id, as in the spec"),
        Column("round", f"{alias}.round", "number within the run"),
        Column("purpose", f"{alias}.purpose", "train, evaluate or statistics"),
    )


_ATTEMPT: Final = Column("attempt", "r.attempt", "which attempt at the round")

V_ROUND: Final = View(
    "v_round",
    "one row for each round that was granted here",
    (
        *_round("r"),
        _ATTEMPT,
        Column("state", "r.state", "granted, collecting, opened or void"),
        Column("owner", "r.owner", "model owner that signed the spec"),
        Column("cohort", "r.cohort", "data owners asked"),
        Column(
            "min_cohort",
            "r.min_cohort",
            "fewest members to open, of spec and this server's policy",
        ),
        Column(
            "reports",
            "(SELECT count(*) FROM reports p WHERE p.spec = r.spec)",
            "reports that were stored",
        ),
        Column("opened", "o.count", "reports in the opened sum; null: not opened"),
        Column("dimension", "r.dimension", "parameters; 0 in evaluation rounds"),
        Column("granted_at", "r.granted_at", "when it was granted", Form.INSTANT),
        Column("deadline", "r.deadline", "last second for reports", Form.INSTANT),
        Column(
            "expires", "r.expires", "when key and payloads are deleted", Form.INSTANT
        ),
        Column("opened_at", "o.opened_at", "when its set was fixed", Form.INSTANT),
        Column("void_at", "r.void_at", "when it was given up", Form.INSTANT),
        Column("void_reason", "r.void_reason", "why it was given up"),
        Column(
            "started_from",
            "r.model",
            "digest of the global model that the round started from, hex",
        ),
        Column("task", "r.task", "digest of the task, hex"),
        Column("spec", "r.spec", "digest of the spec: names the round, hex"),
        Column("entry", "r.granted_entry", "ledger entry of the grant: their order"),
    ),
    "FROM rounds r LEFT JOIN openings o ON o.spec = r.spec",
)

V_REPORT: Final = View(
    "v_report",
    "one row for each report that is or was stored: from whom, when, how many bytes",
    (
        *_round("r"),
        _ATTEMPT,
        Column("reporter", "p.reporter", "data owner"),
        Column("report_id", "p.report_id", "the same at both aggregators, hex"),
        Column("kind", "p.kind", "seed or vector"),
        Column("bytes", "p.length", "bytes of the payload"),
        Column("digest", "p.digest", "of the payload, hex"),
        Column("stored_at", "p.stored_at", "when its receipt was given", Form.INSTANT),
        Column(
            "lost_at",
            "l.lost_at",
            "when it was found not to open any more; null: kept",
            Form.INSTANT,
        ),
        Column("lost_because", "l.reason", "what was wrong with its file"),
        Column("spec", "p.spec", "digest of the spec: names the round, hex"),
    ),
    "FROM reports p JOIN rounds r ON r.spec = p.spec "
    "LEFT JOIN lost_reports l ON l.spec = p.spec AND l.reporter = p.reporter",
)

V_OPENING: Final = View(
    "v_opening",
    "one row for each opened round: the set as digest and as JSON, and its share",
    (
        *_round("o"),
        Column("owner", "o.owner", "model owner that signed the opening"),
        Column("count", "o.count", "reports in the set"),
        Column(
            "rho",
            "o.rho_pico / 1e12",
            "what it cost each member in privacy; null: no noise",
            Form.METRIC,
        ),
        Column(
            "members",
            "o.members",
            "the set: JSON list of [reporter, report id, report digest]",
        ),
        Column("set_digest", "o.set_digest", "digest of the set, hex"),
        Column("opening", "o.opening", "digest of the owner's signed opening, hex"),
        Column("opened_at", "o.opened_at", "when the set was fixed", Form.INSTANT),
        Column(
            "started_from",
            "o.model",
            "digest of the global model that the round started from, hex",
        ),
        Column(
            "share_digest",
            "o.share_digest",
            "SHA-256 of the sealed aggregate share; null until stored",
        ),
        Column("share_bytes", "o.share_length", "its bytes; null until stored"),
        Column("spec", "o.spec", "digest of the spec: names the round, hex"),
    ),
    "FROM openings o",
)

V_MEMBER: Final = View(
    "v_member",
    "one row for each report in an opened sum",
    (
        *_round("o"),
        Column("reporter", _of_member(0), "data owner"),
        Column("report_id", _of_member(1), "the same at both aggregators, hex"),
        Column("digest", _of_member(2), "of the payload that was added here, hex"),
        Column("started_from", "o.model", "digest of the global model, hex"),
        Column("spec", "o.spec", "digest of the spec: names the round, hex"),
    ),
    {dialect: f"FROM openings o{source}" for dialect, (_, source) in _MEMBER.items()},
)

V_REFUSAL: Final = View(
    "v_refusal",
    "one row for each refusal of what a party has signed; run and round are null for a "
    "spec that was never granted",
    (
        Column("refused_at", "f.refused_at", "when", Form.INSTANT),
        Column("signer", "f.signer", "who signed it"),
        Column("statement", "f.statement", "round-spec, opening or report"),
        Column("code", "f.code", "why it was refused: `fedsecure explain CODE`"),
        *_round("r"),
        _ATTEMPT,
        Column("digest", "f.digest", "digest of what was signed, hex"),
        Column("spec", "f.spec", "digest of the spec that it is, or is about"),
        Column("entry", "f.entry", "ledger entry of the refusal"),
    ),
    "FROM refusals f LEFT JOIN rounds r ON r.spec = f.spec",
)

V_EVENT: Final = View(
    "v_event",
    "the ledger, one row per entry",
    (
        Column("entry", "e.entry", "1, 2, 3 and so on"),
        Column("at", "e.at", "when, by this aggregator's clock", Form.INSTANT),
        Column("kind", "e.kind", "what happened"),
        Column("hash", "e.hash", "SHA-256(hash before || signed event), hex"),
    ),
    "FROM events e",
)

V_PRIVACY: Final = View(
    "v_privacy",
    "one row for each data owner and study: what openings here may have told about one "
    "row, or all rows, of it",
    (
        Column("reporter", "s.reporter", "data owner"),
        Column("unit", "s.unit", "what is protected: row or data-owner"),
        Column(
            "epsilon",
            "s.epsilon",
            "spent, for who knows the other aggregator's noise; at delta",
            Form.METRIC,
        ),
        Column(
            "outsider",
            "s.outsider",
            "spent, for who knows neither's noise; at delta",
            Form.METRIC,
        ),
        Column("budget", "s.budget", "epsilon that the study may spend", Form.METRIC),
        Column(
            "left_over",
            "CASE WHEN s.epsilon < s.budget THEN s.budget - s.epsilon ELSE 0 END",
            "what is left of the budget",
            Form.METRIC,
        ),
        Column("delta", "s.delta", "at which all these are meant"),
        Column("rho", "s.rho_pico / 1e12", "spent, as zCDP counts", Form.METRIC),
        Column(
            "openings",
            "(SELECT count(p.spec) FROM privacy_spent p WHERE p.study = s.study "
            "AND p.reporter = s.reporter)",
            "rounds that it was charged for",
        ),
        Column("study", "s.study", "digest of the study, hex"),
        Column("entry", "s.entry", "ledger entry of the last charge"),
    ),
    "FROM privacy_studies s",
)

V_PRIVACY_TOTAL: Final = View(
    "v_privacy_total",
    "one row for each data owner: what openings here may have told about it in all "
    "studies; null: without bound, as after a round without noise",
    (
        Column("reporter", "t.reporter", "data owner"),
        Column(
            "row_epsilon",
            "t.row_epsilon",
            "about each row, for who knows the other aggregator's noise; delta 1e-5",
            Form.METRIC,
        ),
        Column(
            "row_outsider",
            "t.row_outsider",
            "about each row, for who knows neither's noise; delta 1e-5",
            Form.METRIC,
        ),
        Column(
            "row_rho",
            "t.row_rho_pico / 1e12",
            "about each row, as zCDP counts",
            Form.METRIC,
        ),
        Column(
            "data_owner_epsilon",
            "t.data_owner_epsilon",
            "about all rows together; null after a round that protects rows alone",
            Form.METRIC,
        ),
        Column(
            "data_owner_outsider",
            "t.data_owner_outsider",
            "about all rows together, for who knows neither's noise",
            Form.METRIC,
        ),
        Column(
            "data_owner_rho",
            "t.data_owner_rho_pico / 1e12",
            "about all rows together, as zCDP counts",
            Form.METRIC,
        ),
        Column("entry", "t.entry", "ledger entry of the last change"),
    ),
    "FROM privacy_totals t",
)

VIEWS: Final = (
    V_ROUND,
    V_REPORT,
    V_OPENING,
    V_MEMBER,
    V_PRIVACY,
    V_PRIVACY_TOTAL,
    V_REFUSAL,
    V_EVENT,
    *jobs.VIEWS,
)
