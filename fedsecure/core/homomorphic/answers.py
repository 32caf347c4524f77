"""What a server makes of encrypted rows: its share of the logits, masked and fresh.

For each row x and each output, from this server's words w and b, 0 <= w, b < 2**64:

    answer    = prod_j c_j**w_j  *  (1 + (b + mask) n)  *  r**n         mod n**2
    plaintext = sum_j x_j w_j + b + mask                                mod n
    mask      = margin + 2**64 u + z

u and r are uniform, of as many values as fit below n; z is this server's word of the
zero sharing (`fedsecure.core.mpc.zero_sharing`), negated at the second. So the mask's
last 64 bits are what the servers share, and all above them is noise up to n. Answers
are made row by row; u is drawn first, then r.

No wrap: with |x_j| within the program's bound the sum has at most

    features * bound * 2**64 + 2**64 <= margin,   margin a multiple of 2**64,

either sign, and margin <= mask < n - margin: the plaintext is an integer from 0 to
n - 1, and its remainder mod 2**64 is this server's share of the logit.

Why u goes up to n, and not some bits above the sum: who sends x_j = 2**200 in place of
a number would read w_j above a shorter mask. With this one the plaintext is uniform, to
within 2 * margin / n < 2**-128, whatever is sent; it tells one word mod 2**64 of both
servers' sums together.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from fedsecure.core import domains
from fedsecure.core.homomorphic import gmp
from fedsecure.core.homomorphic.draws import Draws
from fedsecure.core.homomorphic.paillier import encrypted
from fedsecure.core.homomorphic.queries import EncryptedRows, write_answer
from fedsecure.core.layout import Buffer
from fedsecure.core.mpc.program import Linear
from fedsecure.core.mpc.ring import Words, largest_word
from fedsecure.errors import PeerError

WORD: Final = 2**64
SLACK: Final = 2**128  # so many times more masks than two margins hold, at least


def margin(program: Linear) -> int:
    """Return what no server's sum exceeds, either sign; a multiple of 2**64."""
    bound = largest_word(program.bound, program.fraction_bits)
    return (program.features * bound + 1) * WORD


def answer(
    program: Linear, model: Words, query: EncryptedRows, zeros: Words, rand: Buffer
) -> bytes:
    """Compute one server's answer to encrypted rows. Run by an aggregator.

    Args:
        program: A linear model whose words the servers share.
        model: Shape (features + 1, outputs), uint64: this server's share of W, and of b
            as the last row.
        query: What the client sent, checked.
        zeros: Shape (rows * outputs,), uint64: this server's part of zero, negated at
            the second of the pair.
        rand: 32 uniform bytes, used for nothing else.

    Returns:
        The answer, `answer_bytes` bytes.

    Raises:
        PeerError: FS-730 for other shapes; FS-223 when n is too small for the program.
    """
    _require_shapes(program, model, query, zeros)
    *weights, bias = model.tolist()
    columns = list(zip(*weights, strict=True))
    draws, parts = Draws(rand, domains.PAILLIER_ANSWER), iter(zeros.tolist())
    return write_answer(
        query.n,
        (
            _logit(
                query.n, row, column, own + _mask(program, query.n, parts, draws), draws
            )
            for row in query.rows
            for column, own in zip(columns, bias, strict=True)
        ),
    )


def _mask(program: Linear, n: int, zeros: Iterator[int], draws: Draws) -> int:
    """Return the next mask: n's whole length, and a word of the zero sharing."""
    least = margin(program)
    values = (n - 2 * least) // WORD
    if values * WORD < SLACK * 2 * least:
        raise PeerError(
            "FS-223",
            f"a key of {n.bit_length()} bits is too short for sums of "
            f"{least.bit_length()}",
        )
    return least + WORD * draws.below(values) + next(zeros)


def _logit(
    n: int, row: Sequence[int], column: Sequence[int], constant: int, draws: Draws
) -> int:
    """Return a fresh encryption of the row times the column, plus a constant."""
    total, square = encrypted(n, constant, draws.between(1, n)), n * n
    for ciphertext, weight in zip(row, column, strict=True):
        if weight:  # once in 2**64: no power of 0 is taken, nothing is to be added
            total = total * gmp.secret_power(ciphertext, weight, square) % square
    return total


def _require_shapes(
    program: Linear, model: Words, query: EncryptedRows, zeros: Words
) -> None:
    wanted = {
        "the model": (model.shape, (program.features + 1, program.outputs)),
        "a row": ({len(row) for row in query.rows}, {program.features}),
        "zero": (zeros.shape, (len(query.rows) * program.outputs,)),
    }
    for what, (found, needed) in wanted.items():
        if found != needed:
            raise PeerError("FS-730", f"{what} has shape {found}, not {needed}")
