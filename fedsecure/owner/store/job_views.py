"""Jobs as people read them; how views are made: `fedsecure.storage.views`."""

from typing import Final

from fedsecure.storage.views import Column, Form, View

V_JOB: Final = View(
    "v_job",
    "one row per job that the model owner proposed, such as a service",
    (
        Column("job", "j.name", "what people call it"),
        Column("kind", "j.kind", "what it is for: linear"),
        Column(
            "method",
            "j.method",
            "shares: both aggregators know the weights; paillier: none of them does",
        ),
        Column("state", "j.state", "proposed, ready, closed or failed"),
        Column("run", "j.run", "the run whose model it serves; null: a file's"),
        Column("model", "j.model_digest", "digest of that global model, hex"),
        Column(
            "clients", "j.clients", "names of who may ask, the model owner too (JSON)"
        ),
        Column("rows", "j.rows", "the most rows that one client is answered in all"),
        Column(
            "features",
            "j.features",
            "numbers in one row; who has one answer more than that knows the weights",
        ),
        Column("outputs", "j.outputs", "logits for one row"),
        Column("tried", "j.tried", "rows that were tried through both aggregators"),
        Column(
            "difference",
            "j.difference",
            "largest difference of a score to the model's own, of those rows",
        ),
        Column("proposed_at", "j.proposed_at", "when it was proposed", Form.INSTANT),
        Column("ready_at", "j.ready_at", "when it had answered rightly", Form.INSTANT),
        Column("ended_at", "j.ended_at", "when it closed or failed", Form.INSTANT),
        Column("deadline", "j.deadline", "when it closes by itself", Form.INSTANT),
        Column("reason", "j.reason", "why it is closed or failed"),
        Column("spec_digest", "j.spec_digest", "names the job at every party, hex"),
        Column("entry", "j.entry", "ledger entry of its proposal: their order"),
    ),
    "FROM jobs j",
)
