"""The receiver's end of a job: wait, fetch both output shares, check, open.

The steps, in order:
    (1) both aggregators hold every input of the program, of its owner, and the same
    (2) what this party gave itself is among them as it gave it
    (3) both output shares are of this job, and answer nobody's query
    (4) both say that exactly those inputs went in
    (5) their bytes are those that were signed, and as many as the program gives
    (6) they open with this job's key
    (7) their sum is within what inputs within their bounds can give

What these steps cannot show: an aggregator that adds to its words what it likes. It
learns nothing by it, and spoils the result.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from fedsecure.compute.folder import InputFiles
from fedsecure.compute.handout import Handout
from fedsecure.compute.inputs import owners
from fedsecure.compute.participant import Participant
from fedsecure.compute.public import standings
from fedsecure.compute.sealing import digest_of, opened
from fedsecure.core.mpc import ring
from fedsecure.core.mpc.evaluate import open_outputs
from fedsecure.core.mpc.ring import Numbers, Words
from fedsecure.core.sealing import payload_digest, seal_info
from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure.errors import PeerError
from fedsecure.protocol.jobs.digests import WentIn, inputs_digest
from fedsecure.protocol.jobs.statements import JobOutput
from fedsecure.transport.job_server import (
    JobServer,
    JobStanding,
    SealedOutput,
    output_path,
)

WAITING: Final = frozenset({"granted", "collecting", "running"})
FIRST_PAUSE: Final = 0.05  # seconds
LONGEST_PAUSE: Final = 5.0


def fetch(p: Participant, handout: Handout, key: SealingKey) -> dict[str, Numbers]:
    """Open a job's outputs; wait for inputs of others until the deadline.

    Run by the receiver, as often as it likes; the steps stand above.

    Args:
        p: The receiver.
        handout: Of the job.
        key: What the job's outputs are sealed to.

    Returns:
        By name, in the program's order: shape (rows, columns), float64.

    Raises:
        PeerError: FS-347 when inputs are missing after the deadline; FS-396, FS-720,
            FS-725 when the answers do not belong together; an aggregator's refusal.
    """
    wait(p, handout)
    expected = went_in(p, handout, standings(p, handout.digest))  # (1), (2)
    size = handout.plan.output_bytes
    limit = payload_digest.sealed_length(size)

    def ask(server: JobServer) -> SealedOutput:
        ticket = p.ticket(server, output_path(handout.digest))
        return server.output(handout.digest, ticket, limit)

    answers = p.both(ask)
    require_answers(answers, expected, (None, 0))  # (3), (4)
    words = [
        output_words(p, handout, answers[party.name], key, size)  # (5), (6)
        for party in p.federation.pair
    ]
    return dict(open_outputs(handout.plan, *words))  # (7)


def wait(p: Participant, handout: Handout) -> None:
    """Wait until both aggregators have computed, or will not any more.

    Raises:
        PeerError: FS-347 when inputs are missing after the deadline.
    """
    pause = FIRST_PAUSE
    while True:
        found = standings(p, handout.digest)
        if not any(one.state in WAITING for one in found.values()):
            return
        if not p.clock() < handout.spec.statement.deadline:
            lacking = ", ".join(sorted(missing(handout, found))) or "nothing"
            raise PeerError(
                "FS-347", f"job {handout.spec.statement.name} lacks {lacking}"
            )
        p.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def missing(handout: Handout, found: Mapping[str, JobStanding]) -> Sequence[str]:
    """Return which inputs an aggregator does not hold yet, as `name of owner`."""
    return [
        f"{name} of {owner}"
        for name, owner in owners(handout).items()
        if any(name not in one.inputs for one in found.values())
    ]


def went_in(
    p: Participant, handout: Handout, found: Mapping[str, JobStanding]
) -> Sequence[WentIn]:
    """Return what both aggregators hold, once it is what they must hold.

    Raises:
        PeerError: FS-396.
    """
    wanted, lists = owners(handout), []
    for aggregator, standing in found.items():
        held = sorted(
            WentIn(
                name,
                one.receipt.statement.reporter,
                one.receipt.statement.report_id,
                one.plain,
            )
            for name, one in standing.inputs.items()
        )
        if {one.name: one.owner for one in held} != wanted:
            raise PeerError("FS-396", f"{aggregator} holds other inputs than asked for")
        for one in held:
            own = InputFiles(p.folder, handout.digest, one.name).arrived()
            if own is not None and (own["input_id"], own["plain"]) != one[2:]:
                raise PeerError("FS-396", f"{aggregator} holds another {one.name}")
        lists.append(held)
    if lists[0] != lists[1]:
        raise PeerError("FS-396", "the aggregators hold different inputs")
    return lists[0]


def require_answers(
    answers: Mapping[str, SealedOutput],
    expected: Sequence[WentIn],
    asked: tuple[str | None, int],
) -> None:
    """Check what both aggregators signed about one result.

    Args:
        answers: By aggregator.
        expected: All that must have gone in.
        asked: The client and the number of its query; None and 0 for outputs of a job.

    Raises:
        PeerError: FS-396.
    """
    inputs = inputs_digest(expected)
    for aggregator, answer in answers.items():
        statement = answer.header.statement
        if (statement.client, statement.query) != asked:
            raise PeerError("FS-396", f"{aggregator} answers something else")
        if statement.inputs != inputs:
            raise PeerError("FS-396", f"{aggregator} computed from something else")
        if (statement.length, statement.digest) != (
            len(answer.payload),
            digest_of(answer.payload),
        ):
            raise PeerError("FS-396", f"{aggregator} sent other bytes than it signed")


def output_words(
    p: Participant, handout: Handout, answer: SealedOutput, key: SealingKey, size: int
) -> Words:
    """Open one aggregator's share of a result.

    Returns:
        Shape (words,), uint64.

    Raises:
        PeerError: FS-396 for another number of words, FS-720 when it does not open.
    """
    return ring.from_bytes(
        output_plaintext(p, handout, answer, key, size),
        (1, size // ring.WORD_BYTES),
    ).reshape(-1)


def output_plaintext(
    p: Participant, handout: Handout, answer: SealedOutput, key: SealingKey, size: int
) -> bytearray:
    """Open one aggregator's share of a result, of so many bytes; as `output_words`."""
    statement: JobOutput = answer.header.statement
    info = seal_info.output_info(
        p.digests(handout.digest),
        answer.header.signer,
        p.name,
        statement.query,
        bytes.fromhex(statement.inputs),
    )
    return opened(
        key, info, answer.payload, size, f"the answer of {answer.header.signer}"
    )
