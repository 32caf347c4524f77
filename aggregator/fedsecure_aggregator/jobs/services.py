"""A service as it answers: x W + b of a query's rows, by its method.

shares     x is shared, both servers know the weights; words of the logits
paillier   x is encrypted, the weights are shared; ciphertexts of the logits
"""

from typing import Final

import numpy as np

from fedsecure.core.mpc import evaluate, ring
from fedsecure.core.mpc.program import MODEL
from fedsecure.core.mpc.ring import WORD_BYTES
from fedsecure.core.mpc.sharing import QUERY, InputContext, ShareKind, share_of
from fedsecure.core.mpc.zero_sharing import AnswerContext, refreshed, zero_words
from fedsecure.errors import PeerError
from fedsecure.protocol.jobs.parts import InputKind, Method
from fedsecure.protocol.jobs.statements import JobQuery
from fedsecure_aggregator.jobs import paillier
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.jobs.known_jobs import Counts, KnownJob, Service, linear
from fedsecure_aggregator.jobs.running import input_words, material
from fedsecure_aggregator.rules.job_states import (
    JobStep,
    advance,
    require_not_over,
)
from fedsecure_aggregator.storage.jobs import reading

RAND_BYTES: Final = 32


def find(context: JobContext, digest: str) -> Service:
    """Return a service, read from store and spool only once.

    Run by the computing thread, for weights may be expanded from a seed.

    Raises:
        PeerError: FS-310 for a job that opens once; FS-730, FS-732 when what it needs
            does not open any more.
        RoundStateError: FS-390 to FS-392.
        OperatorError: FS-524, FS-541.
    """
    known = context.services.known(digest)
    if known is not None:
        return known
    with context.server.store.reading("find service") as session:
        row = reading.find_job(session, digest)
        if row.receiver is not None:
            raise PeerError("FS-310", f"{row.name} answers no queries")
        require_not_over(digest, row.state, row.reason)
        advance(row.state, JobStep.ANSWER)
        answered = reading.count_queries(session, digest)
    found = material(context, digest)
    return context.services.keep(
        Service(
            job=found.job,
            key=context.spool.load_key(digest),
            channel_keys=found.channel_keys,
            model=input_words(context, found.job, found.rows[MODEL]),
            went_in=found.went_in,
            counts=Counts(answered),
        )
    )


def rows_bytes(job: KnownJob, rows: int, key_bits: int | None) -> int:
    """Return how many bytes the rows of a query take, before they are sealed.

    Args:
        job: The service's.
        rows: Of the query.
        key_bits: Of the client's key, if rows are encrypted.
    """
    program = linear(job)
    if job.spec.method is Method.PAILLIER:
        return paillier.query_bytes(program, rows, key_bits)
    return rows * program.features * WORD_BYTES


def require_work(job: KnownJob, rows: int) -> None:
    """Check that a query does not keep this server busy for all others.

    Raises:
        PeerError: FS-443.
    """
    if job.spec.method is Method.PAILLIER:
        paillier.require_powers(linear(job), rows)


def logits(
    service: Service, said: JobQuery, plain: bytearray, *, first: bool, rand: bytes
) -> bytes:
    """Compute one server's part of the logits. Run by the computing thread.

    Args:
        service: With the weights, or this server's share of them.
        said: The query's header.
        plain: What its payload held.
        first: Whether this is the first server of the pair.
        rand: RAND_BYTES uniform bytes, used for nothing else.

    Returns:
        Words, or ciphertexts, of shape (rows, outputs), made fresh.

    Raises:
        PeerError: FS-730 for another length, FS-731 for what is no ciphertext.
    """
    job, program = service.job, linear(service.job)
    about = AnswerContext(bytes.fromhex(said.spec), said.client, said.query)
    zeros = zero_words(service.channel_keys, about, said.rows * program.outputs)
    if job.spec.method is Method.PAILLIER:
        part = zeros if first else np.negative(zeros)
        return paillier.logits(service, said, plain, part, rand)
    context = InputContext(
        bytes.fromhex(said.spec), bytes.fromhex(said.query_id), said.client, QUERY
    )
    kind: ShareKind = "seed" if said.kind is InputKind.SEED else "vector"
    rows = share_of(kind, plain, (said.rows, program.features), context)
    result = evaluate.linear(program, service.model, rows, first=first)
    return ring.to_bytes(refreshed(result, zeros, first=first))
