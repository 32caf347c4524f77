"""An input owner's end of a job: check, share, seal, store, send.

The steps, in order:
    (1) the job asks this party for this input
    (2) there is still time
    (3) numbers that are public at the aggregators are those of the description
    (4) this party's own rules agree (`policy`)
    (5) the numbers have the input's shape, and are within its bound
    (6) both sealed shares are stored before either is sent

Whatever happens in between, only the bytes that were stored are ever sent: nothing is
shared twice. What is not secret goes to both aggregators as it is.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from fedsecure.compute.folder import InputFiles
from fedsecure.compute.handout import Handout
from fedsecure.compute.participant import Participant
from fedsecure.compute.programs.mixing import Mixing
from fedsecure.compute.public import plain_digest, public_words, require_public
from fedsecure.compute.sealing import CONTENT_KEY, sealed
from fedsecure.core.mpc import ring, sharing
from fedsecure.core.mpc.program import MODEL, Circuit, Linear
from fedsecure.core.mpc.ranges import Value
from fedsecure.core.mpc.ring import Numbers, Words
from fedsecure.core.mpc.sharing import INPUT_ID_BYTES, InputContext
from fedsecure.core.sealing import seal_info
from fedsecure.errors import PeerError
from fedsecure.protocol.jobs.parts import InputKind, Method
from fedsecure.protocol.jobs.statements import JobInput
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Receipt
from fedsecure.system.crash_points import Point, crash_point
from fedsecure.transport.job_server import JobServer

MASK: Final = sharing.RAND_BYTES


def contribute(
    p: Participant,
    handout: Handout,
    name: str,
    values: Numbers,
    input_id: bytes | None = None,
) -> dict[str, Signed[Receipt]]:
    """Give one input of a job, once. Run by its owner; the steps stand above.

    What was stored by an earlier call for this input is sent again, whatever `values`.

    Args:
        p: The input's owner.
        handout: Of the job.
        name: The input's, as in the program; of a service `MODEL`.
        values: Shape (rows, columns), float64; of a model W's rows, and b as the last.
        input_id: INPUT_ID_BYTES bytes, never used before; default: drawn.

    Returns:
        Each aggregator's receipt.

    Raises:
        PeerError: FS-341, FS-345, FS-347 (1, 2); FS-396 (3); FS-442, FS-447, FS-448
            (4); FS-349 for a receipt of something else; an aggregator's refusal.
        OperatorError: FS-223, FS-224 (5), FS-743.
    """
    files = InputFiles(p.folder, handout.digest, name)
    value = require_input(p, handout, name)  # (1)
    if (receipts := files.receipts()) is not None:
        return receipts
    handout.require_time(p.clock())  # (2)
    first, second = p.federation.pair
    if not files.stored((first.name, second.name)):
        require_consent(p, handout)  # (3), (4)
        words = encoded(handout, name, values, value)  # (5)
        shared_id = input_id or p.rand(INPUT_ID_BYTES)
        files.store(_sealed(p, handout, name, words, shared_id))  # (6)
        crash_point(Point.INPUT_STORED)
    return _send(p, files)


def require_input(p: Participant, handout: Handout, name: str) -> Value:
    """Return what is known of an input of this party.

    Raises:
        PeerError: FS-341 when the job asks somebody else, or for nothing of that name.
    """
    asked = [one for one, owner in owners(handout).items() if owner == p.name]
    if name not in asked:
        wanted = ", ".join(sorted(asked)) or "nothing"
        raise PeerError("FS-341", f"{p.name} is asked for {wanted}, not for {name}")
    return handout.plan.inputs[name]


def owners(handout: Handout) -> Mapping[str, str]:
    """Return who gives which input."""
    if isinstance(handout.program, Circuit):
        return {one.name: one.owner for one in handout.program.inputs}
    return {MODEL: handout.spec.statement.proposer}


def require_consent(p: Participant, handout: Handout) -> Mixing:
    """Check what this party's numbers are used for; return what outputs mix.

    Raises:
        PeerError: FS-396, FS-442, FS-447, FS-448.
    """
    statement = handout.spec.statement
    public = public_words(handout)
    mixing = Mixing(handout.program, handout.plan, public)
    p.rules.require(p.name, statement, mixing)
    if statement.proposer != p.name:
        require_public(p, handout, public)
    return mixing


def encoded(handout: Handout, name: str, values: Numbers, value: Value) -> Words:
    """Turn numbers into the words of an input.

    Args:
        handout: Of the job.
        name: The input's.
        values: As for `contribute`: shape (rows, columns), float64.
        value: What is known of the input.

    Returns:
        The same shape, uint64.

    Raises:
        PeerError: FS-223 for another shape.
        OperatorError: FS-224 for a number that is not finite or too large.
    """
    if values.shape != value.shape:
        raise PeerError(
            "FS-223",
            f"{name} has {value.rows} rows and {value.columns} columns, not "
            f"{' x '.join(map(str, values.shape)) or 'one number'}",
        )
    program = handout.program
    if isinstance(program, Linear):
        return _model(program, values)
    bound = next(one.bound for one in program.inputs if one.name == name)
    return ring.encode(values, value.fraction_bits, bound)


def _model(program: Linear, values: Numbers) -> Words:
    weights = ring.encode(values[:-1], program.weight_bits, program.weight_bound)
    bias = ring.encode(values[-1:], program.bias_bits, program.bias_bound)
    return np.concatenate([weights, bias])


def is_secret(handout: Handout, name: str) -> bool:
    """Tell whether an input is shared; else both aggregators know it.

    A service that keeps rows by shares has public weights, one by Paillier secret ones.
    """
    if isinstance(handout.program, Circuit):
        return handout.plan.inputs[name].secret
    return handout.spec.statement.method is Method.PAILLIER


def _sealed(
    p: Participant, handout: Handout, name: str, words: Words, input_id: bytes
) -> dict[str, tuple[Signed[JobInput], bytes]]:
    """Share words and seal both shares, one for each aggregator."""
    plain = None
    if is_secret(handout, name):
        context = InputContext(bytes.fromhex(handout.digest), input_id, p.name, name)
        shares = plaintexts(sharing.share(words, context, p.rand(MASK)))
    else:
        content = ring.to_bytes(words)
        plain = plain_digest(words)
        shares = ((InputKind.PUBLIC, content), (InputKind.PUBLIC, content))
    made = {}
    for party, (kind, content) in zip(p.federation.pair, shares, strict=True):
        info = seal_info.input_info(
            p.digests(handout.digest), p.name, party.name, name, input_id, kind.value
        )
        grant = handout.grants[party.name].statement
        payload = sealed(grant.sealing_key, info, content, p.rand(CONTENT_KEY))
        header = p.author.sign(
            JobInput(
                federation=p.federation.digest,
                spec=handout.digest,
                owner=p.name,
                aggregator=party.name,
                name=name,
                input_id=input_id.hex(),
                kind=kind,
                plain=plain,
                length=payload.length,
                digest=payload.digest,
            )
        )
        made[party.name] = (header, payload.payload)
    return made


def plaintexts(
    shared: sharing.InputSharing,
) -> tuple[tuple[InputKind, bytes], tuple[InputKind, bytes]]:
    """Return what the first aggregator of the pair gets, and what the second."""
    seed = (InputKind.SEED, shared.seed)
    vector = (InputKind.VECTOR, ring.to_bytes(shared.vector))
    return (seed, vector) if shared.seed_to_first else (vector, seed)


def _send(p: Participant, files: InputFiles) -> dict[str, Signed[Receipt]]:
    receipts = p.both(lambda server: _send_one(server, files))
    header, _ = files.read(p.federation.pair[0].name)
    files.receive(header.statement, receipts)
    return receipts


def _send_one(server: JobServer, files: InputFiles) -> Signed[Receipt]:
    header, payload = files.read(server.party.name)
    receipt = server.put_input(header, payload)
    statement, got = header.statement, receipt.statement
    if (got.reporter, got.report_id, got.digest) != (
        statement.owner,
        statement.input_id,
        statement.digest,
    ):
        raise PeerError("FS-349", f"{server.party.name}, input {statement.name}")
    return receipt
