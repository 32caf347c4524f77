"""How a job stands, for those who take part in it."""

from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.jobs.inputs import receipt_of
from fedsecure_aggregator.jobs.outputs import require_reader
from fedsecure_aggregator.storage.jobs import reading


def standing(context: JobContext, digest: str, reader: str) -> dict[str, object]:
    """Return a job's state, its inputs' receipts and how far the reader is.

    Reads only.

    Returns:
        `state` and, if it is over, the `reason`; whether it was `started`, and the
        other aggregator's `channel` key is here; `inputs`, by name: the receipt of each
        that is stored; `plain`, by name: the digest of the words of each that is not
        secret; of whoever asks, the last `query` number that was answered, and
        its `rows` in all.

    Raises:
        PeerError: FS-333 for whoever has no part in it.
        RoundStateError: FS-390.
    """
    with context.server.store.reading("read job") as session:
        row = reading.find_job(session, digest)
        job = context.specs.find(session, digest)
        owners = {one.owner for one in job.inputs.values()}
        parties = {row.proposer, row.receiver, *job.spec.clients, *owners}
        require_reader(reader, frozenset(parties))
        progress = reading.progress(session, digest, reader)
        stored = reading.inputs_of(session, digest)
        return {
            "state": row.state,
            "reason": row.reason,
            "started": row.start is not None,
            "channel": row.peer_channel is not None,
            "inputs": {
                name: receipt_of(context, session, one) for name, one in stored.items()
            },
            "plain": {name: one.plain for name, one in stored.items() if one.plain},
            "query": progress.query,
            "rows": progress.rows,
        }
