"""How a client hides the rows of a query, and what it makes of both answers.

shares    each aggregator gets one addend of the rows and knows the weights
paillier  both get the rows encrypted, and each has one addend of the weights
"""

from collections.abc import Sequence
from typing import Final, Protocol

from fedsecure.compute.handout import Handout
from fedsecure.compute.inputs import plaintexts
from fedsecure.compute.participant import Participant
from fedsecure.core.homomorphic import keys, queries
from fedsecure.core.layout import Buffer
from fedsecure.core.mask import SEED_BYTES
from fedsecure.core.mpc import ring, sharing
from fedsecure.core.mpc.evaluate import open_outputs
from fedsecure.core.mpc.plan import plan
from fedsecure.core.mpc.program import LOGITS, Linear
from fedsecure.core.mpc.sharing import QUERY, InputContext
from fedsecure.protocol.jobs.parts import InputKind, Method

BATCH: Final = 1000  # rows of one query
MOST_POWERS: Final = 2**13  # of ciphertexts: some seconds at each aggregator

Hidden = tuple[tuple[InputKind, bytes], tuple[InputKind, bytes]]
"""What the first aggregator of the pair gets, and what the second."""


class RowMethod(Protocol):
    """One way to hide rows."""

    @property
    def batch(self) -> int:
        """The most rows of one query."""

    @property
    def key_bits(self) -> int | None:
        """The length of the key that rows are encrypted under, if they are."""

    def hide(self, words: ring.Words, query_id: bytes) -> Hidden:
        """Hide rows: shape (rows, features), uint64."""

    def answer_bytes(self, rows: int) -> int:
        """Return how many bytes one aggregator's answer has, before it is sealed."""

    def logits(self, answers: Sequence[Buffer], rows: int) -> ring.Numbers:
        """Open both answers, of `answer_bytes` bytes: shape (rows, outputs), float64.

        Raises:
            PeerError: FS-725, FS-731 for answers that no honest aggregators give.
        """


class Shares:
    """Rows are shared; the aggregators know the weights.

    Guarantee: one aggregator alone learns nothing of a row.
    """

    batch: Final = BATCH
    key_bits: Final = None

    def __init__(self, p: Participant, handout: Handout, program: Linear) -> None:
        self._p, self._spec, self._program = p, handout.digest, program

    def hide(self, words: ring.Words, query_id: bytes) -> Hidden:
        """Share rows: shape (rows, features), uint64."""
        context = InputContext(bytes.fromhex(self._spec), query_id, self._p.name, QUERY)
        return plaintexts(
            sharing.share(words, context, self._p.rand(sharing.RAND_BYTES))
        )

    def answer_bytes(self, rows: int) -> int:
        """Return the bytes of one aggregator's words."""
        return rows * self._program.outputs * ring.WORD_BYTES

    def logits(self, answers: Sequence[Buffer], rows: int) -> ring.Numbers:
        """Add both answers up: shape (rows, outputs), float64.

        Raises:
            PeerError: FS-725 for a logit that the program cannot give.
        """
        shape = 1, rows * self._program.outputs
        words = [ring.from_bytes(answer, shape).reshape(-1) for answer in answers]
        return open_outputs(plan(self._program, rows), *words)[LOGITS]


class Paillier:
    """Rows are encrypted under a key of this process; weights are shared.

    Guarantee: both aggregators together learn nothing of a row.
    """

    def __init__(self, p: Participant, program: Linear) -> None:
        self._p, self._program = p, program
        self._key: Final = keys.generate(keys.DEFAULT_BITS, p.rand(SEED_BYTES))
        self.key_bits: Final = self._key.n.bit_length()
        powers = MOST_POWERS // (program.features * program.outputs)
        self.batch: Final = max(1, min(BATCH, powers))

    def hide(self, words: ring.Words, _query_id: bytes) -> Hidden:
        """Encrypt rows: shape (rows, features), uint64. Both get the same."""
        content = queries.encrypt(self._key, words, self._p.rand(SEED_BYTES))
        one = InputKind.CIPHERTEXTS, content
        return one, one

    def answer_bytes(self, rows: int) -> int:
        """Return the bytes of one aggregator's ciphertexts."""
        return queries.answer_bytes(self.key_bits, rows, self._program.outputs)

    def logits(self, answers: Sequence[Buffer], rows: int) -> ring.Numbers:
        """Decrypt both answers and add them up: shape (rows, outputs), float64.

        Raises:
            PeerError: FS-725 for a logit that the program cannot give, FS-731.
        """
        shape = rows, self._program.outputs
        words = [
            queries.decrypt(self._key, answer, shape).reshape(-1) for answer in answers
        ]
        return open_outputs(plan(self._program, rows), *words)[LOGITS]


def row_method(p: Participant, handout: Handout, program: Linear) -> RowMethod:
    """Return how a service's clients hide their rows.

    Raises:
        OperatorError: FS-563 when rows cannot be encrypted here.
    """
    if handout.spec.statement.method is Method.PAILLIER:
        return Paillier(p, program)
    return Shares(p, handout, program)
