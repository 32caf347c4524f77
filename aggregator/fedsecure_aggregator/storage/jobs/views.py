"""The views of jobs, as people read them: `fedsecure_aggregator.storage.views`."""

from typing import Final

from fedsecure.storage.views import Column, Form, View

V_JOB: Final = View(
    "v_job",
    "one row for each job that was granted here",
    (
        Column("job", "j.name", "its name, as in the spec"),
        Column("kind", "j.kind", "shares or linear"),
        Column("method", "j.method", "shares or paillier"),
        Column(
            "state",
            "j.state",
            "granted, collecting, running, done, serving, closed or void",
        ),
        Column("proposer", "j.proposer", "who signed the spec"),
        Column("receiver", "j.receiver", "who opens its output; null: a service"),
        Column("clients", "j.clients", "who may ask a service"),
        Column("rows", "j.rows", "rows that one client is answered in all"),
        Column(
            "inputs",
            "(SELECT count(*) FROM inputs i WHERE i.spec = j.spec)",
            "inputs that were stored",
        ),
        Column(
            "queries",
            "(SELECT count(*) FROM queries q WHERE q.spec = j.spec)",
            "queries that were answered",
        ),
        Column(
            "answered",
            "(SELECT CAST(coalesce(sum(q.rows), 0) AS bigint) FROM queries q "
            "WHERE q.spec = j.spec)",
            "rows that were answered, of all clients",
        ),
        Column("granted_at", "j.granted_at", "when it was granted", Form.INSTANT),
        Column(
            "deadline", "j.deadline", "last second for inputs and queries", Form.INSTANT
        ),
        Column(
            "expires", "j.expires", "when what is kept of it is deleted", Form.INSTANT
        ),
        Column("ended_at", "j.ended_at", "when it was over", Form.INSTANT),
        Column("reason", "j.reason", "why it is closed or void"),
        Column("output_digest", "j.output_digest", "SHA-256 of the sealed output, hex"),
        Column("output_bytes", "j.output_length", "its bytes; null: none"),
        Column("spec", "j.spec", "digest of the spec: names the job, hex"),
        Column("entry", "j.granted_entry", "ledger entry of the grant: their order"),
    ),
    "FROM jobs j",
)

V_QUERY: Final = View(
    "v_query",
    "one row for each query of a service that was answered here",
    (
        Column("job", "j.name", "the service's name, as in its spec"),
        Column("client", "q.client", "who asked"),
        Column("query", "q.query", "its number; ascends for each client"),
        Column("rows", "q.rows", "rows that it asked about"),
        Column("answered", "q.answered", "rows of this client up to here"),
        Column("kind", "q.kind", "seed, vector or ciphertexts"),
        Column("answered_at", "q.answered_at", "when", Form.INSTANT),
        Column("query_id", "q.query_id", "the same at both aggregators, hex"),
        Column("answer_digest", "q.answer_digest", "SHA-256 of the sealed answer, hex"),
        Column("spec", "q.spec", "digest of the spec: names the job, hex"),
        Column("entry", "q.entry", "ledger entry of the query: their order"),
    ),
    "FROM queries q JOIN jobs j ON j.spec = q.spec",
)

VIEWS: Final = (V_JOB, V_QUERY)
