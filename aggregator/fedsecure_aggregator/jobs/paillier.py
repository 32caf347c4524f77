"""Queries whose rows stay encrypted: `fedsecure.core.homomorphic`, where it is here.

It needs GMP, which an aggregator without such services does without: it is loaded when
the first of them is proposed, and not before.
"""

from typing import Final

from fedsecure.core.homomorphic import answers, gmp, queries
from fedsecure.core.mpc.program import Linear
from fedsecure.core.mpc.ring import Words
from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.jobs.parts import MAX_KEY_BITS
from fedsecure.protocol.jobs.statements import JobQuery
from fedsecure_aggregator.jobs.known_jobs import Service, linear

MOST_POWERS: Final = 2**15  # of a query: some ten seconds of one processor


def require_installed() -> None:
    """Check that encrypted rows can be answered here.

    Raises:
        PeerError: FS-563.
    """
    try:
        gmp.library()
    except OperatorError as error:
        raise PeerError("FS-563", error.detail) from error


def query_bytes(program: Linear, rows: int, key_bits: int | None) -> int:
    """Return how many bytes a query has: key, proof and ciphertexts."""
    return queries.query_bytes(key_bits or MAX_KEY_BITS, rows, program.features)


def require_powers(program: Linear, rows: int) -> None:
    """Check that a query does not keep this server busy for all others.

    Raises:
        PeerError: FS-443 with both numbers.
    """
    powers = rows * program.features * program.outputs
    if not powers <= MOST_POWERS:
        raise PeerError(
            "FS-443",
            f"{rows} encrypted rows of {program.features} numbers for "
            f"{program.outputs} outputs take {powers} powers, at most {MOST_POWERS}",
        )


def logits(
    service: Service, said: JobQuery, plain: bytearray, zeros: Words, rand: bytes
) -> bytes:
    """Compute one server's part of the logits. Run by the computing thread.

    Args:
        service: With this server's share of the weights.
        said: The query's header.
        plain: What its payload held.
        zeros: Shape (rows * outputs,), uint64: this server's part of zero.
        rand: 32 uniform bytes, used for nothing else.

    Returns:
        Ciphertexts of shape (rows, outputs), fresh.

    Raises:
        PeerError: FS-223 for a key that is too short, FS-731 for one that is none, or
            for a number that is no ciphertext under it.
    """
    program = linear(service.job)
    shape = said.rows, program.features
    query = queries.read_query(plain, said.key_bits or MAX_KEY_BITS, shape)
    return answers.answer(program, service.model, query, zeros, rand)
