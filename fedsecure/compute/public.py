"""The numbers of a job that are public: its proposer says them with the job.

Both aggregators compute with them, so they know them, and a signed header names their
digest. The description, which the spec names, says them to everybody else: a party that
is asked for secret numbers computes the same digest, and asks both aggregators whether
that is what they hold. An honest one takes no other afterwards.

    {"title": "...", "public": {"weights": [[1.0, 2.0]]}}
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from fedsecure.compute.handout import Handout
from fedsecure.compute.participant import Participant
from fedsecure.core.mpc import ring
from fedsecure.core.mpc.program import Circuit, Input
from fedsecure.core.mpc.ring import Numbers, Words
from fedsecure.errors import FedsecureError, PeerError
from fedsecure.transport.job_server import JobServer, JobStanding, standing_path

PUBLIC: Final = "public"  # the key of a description


def standings(p: Participant, spec: str) -> dict[str, JobStanding]:
    """Ask both aggregators how a job stands. Run by who takes part in it.

    Raises:
        PeerError: An aggregator's refusal, or it is away.
    """

    def ask(server: JobServer) -> JobStanding:
        return server.standing(spec, p.ticket(server, standing_path(spec)))

    return p.both(ask)


def public_numbers(handout: Handout) -> Mapping[str, Numbers]:
    """Return the public numbers that a description says, by input.

    Returns:
        Shape (rows, columns), float64, for each.

    Raises:
        PeerError: FS-701 for what are no such numbers.
    """
    described = (handout.description or {}).get(PUBLIC, {})
    if not isinstance(described, Mapping) or not isinstance(handout.program, Circuit):
        return {}
    return {
        one.name: _matrix(one, described[one.name])
        for one in handout.program.inputs
        if not one.secret and one.name in described
    }


def public_words(handout: Handout) -> Mapping[str, Words]:
    """Return the words of public numbers, as far as a description says them.

    Returns:
        Shape (rows, columns), uint64, for each.

    Raises:
        PeerError: FS-701.
    """
    if not isinstance(handout.program, Circuit):
        return {}
    numbers = public_numbers(handout)
    by_name = {one.name: one for one in handout.program.inputs}
    return {name: _words(by_name[name], one) for name, one in numbers.items()}


def require_public(
    p: Participant, handout: Handout, public: Mapping[str, Words]
) -> None:
    """Check that both aggregators hold the public numbers that were described.

    Args:
        p: Who is asked for secret numbers.
        handout: Of the job.
        public: Words by input: shape (rows, columns), uint64.

    Raises:
        PeerError: FS-396 when one holds others, or none yet.
    """
    if not public:
        return
    for aggregator, standing in standings(p, handout.digest).items():
        held = {name: one.plain for name, one in standing.inputs.items()}
        for name, words in public.items():
            if held.get(name) != plain_digest(words):
                what = "other numbers" if name in held else "no numbers yet"
                raise PeerError("FS-396", f"{aggregator} holds {what} of {name}")


def plain_digest(words: Words) -> str:
    """Return SHA-256, in hex, over public words; shape (rows, columns), uint64."""
    return hashlib.sha256(ring.to_bytes(words)).hexdigest()


def _matrix(one: Input, described: Any) -> Numbers:
    try:
        found = np.array(described, np.float64)
    except (TypeError, ValueError) as error:
        raise PeerError("FS-701", f"public numbers {one.name!r}") from error
    if not isinstance(described, Sequence) or found.shape != (one.rows, one.columns):
        raise PeerError(
            "FS-701", f"public numbers {one.name!r} are not {one.rows} x {one.columns}"
        )
    return found


def _words(one: Input, numbers: Numbers) -> Words:
    try:
        return ring.encode(numbers, one.fraction_bits, one.bound)
    except FedsecureError as error:
        raise PeerError("FS-701", f"{one.name}: {error.detail}") from error
