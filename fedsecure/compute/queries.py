"""A client's end of a service: rows in, logits out, and nobody else sees either.

The steps of a query, in order:
    (1) a number that was never used, on disk before anything is sent (`numbers`)
    (2) a fresh sealing key, fresh shares or ciphertexts, sealed to both aggregators
    (3) both are asked at the same time; a lost answer is asked for with the same bytes
    (4) both answers are of this very query, over this client's rows and the one model
    (5) they open, and their sum is within what the program can give

If an aggregator knows a higher number, this client's folder was lost or set back: then
both are asked where to go on, and the rows are sent anew, with a new number.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from fedsecure.compute.handout import Handout
from fedsecure.compute.numbers import Numbers
from fedsecure.compute.outputs import output_plaintext, require_answers, went_in
from fedsecure.compute.participant import Participant
from fedsecure.compute.public import standings
from fedsecure.compute.row_methods import RowMethod, row_method
from fedsecure.compute.sealing import CONTENT_KEY, sealed
from fedsecure.core.mpc import ring
from fedsecure.core.mpc.program import Linear
from fedsecure.core.mpc.sharing import INPUT_ID_BYTES, QUERY
from fedsecure.core.sealing import payload_digest, seal_info
from fedsecure.core.sealing.sealing_key import SEED_BYTES, SealingKey
from fedsecure.errors import PeerError
from fedsecure.protocol.encodings import base64url
from fedsecure.protocol.identity import AggregatorParty
from fedsecure.protocol.jobs.digests import WentIn
from fedsecure.protocol.jobs.parts import InputKind
from fedsecure.protocol.jobs.statements import JobQuery
from fedsecure.protocol.signing import Signed
from fedsecure.system.crash_points import Point, crash_point
from fedsecure.transport.job_server import JobServer, SealedOutput
from fedsecure.transport.retries import UnreachableError

TRIES: Final = 3  # of a query, where an aggregator knows a higher number


@dataclass(frozen=True, slots=True)
class _Query:
    """One query as it is sent, and what opens its answer."""

    number: int
    query_id: bytes
    rows: int
    key: SealingKey = field(repr=False)
    sent: Mapping[str, tuple[Signed[JobQuery], bytes]] = field(repr=False)


class Service:
    """A service as one of its clients asks it.

    Args:
        p: The client.
        handout: Of the service.
        numbers: Of this client's queries.

    Raises:
        PeerError: FS-341 when this party is none of its clients, FS-345 or FS-347 when
            it is over, FS-563 when rows cannot be encrypted here.
    """

    def __init__(self, p: Participant, handout: Handout, numbers: Numbers) -> None:
        statement, program = handout.spec.statement, handout.program
        if p.name not in statement.clients or not isinstance(program, Linear):
            named = ", ".join(statement.clients) or "nobody"
            raise PeerError("FS-341", f"{statement.name} answers {named}")
        handout.require_time(p.clock())
        self._p, self._handout, self._numbers = p, handout, numbers
        self._program: Final = program
        self._rows: RowMethod = row_method(p, handout, program)

    def ask(self, rows: ring.Numbers) -> ring.Numbers:
        """Return the logits of rows; in batches, each a query of its own.

        Args:
            rows: Shape (rows, features), float64, as the model's features are.

        Returns:
            Shape (rows, outputs), float64.

        Raises:
            OperatorError: FS-223, FS-224 for numbers that the service does not take;
                nothing is sent then.
            PeerError: FS-396, FS-720, FS-725 when answers do not belong together; an
                aggregator's refusal.
        """
        words = ring.encode(rows, self._program.fraction_bits, self._program.bound)
        if words.shape[1] != self._program.features:
            raise PeerError(
                "FS-223",
                f"a row has {words.shape[1]} numbers, the service takes "
                f"{self._program.features}",
            )
        batch = self._rows.batch
        answers = [
            self._answered(words[start : start + batch])
            for start in range(0, len(words), batch)
        ]
        return np.concatenate(answers or [np.empty((0, self._program.outputs))])

    @cached_property
    def _model(self) -> WentIn:
        """What both aggregators hold as the model."""
        found = standings(self._p, self._handout.digest)
        (model,) = went_in(self._p, self._handout, found)
        return model

    def _answered(self, words: ring.Words) -> ring.Numbers:
        spec, refusals = self._handout.digest, {}
        model = self._model
        for _ in range(TRIES):
            with self._numbers.next(spec) as number:
                query = self._query(number, words)
                crash_point(Point.QUERY_NUMBERED)
                asked = self._p.both(lambda server: self._ask(server, query))  # noqa: B023
                answers = {
                    n: a for n, a in asked.items() if isinstance(a, SealedOutput)
                }
                if len(answers) == len(asked):
                    return self._opened(query, answers, model)
            refusals = {n: a for n, a in asked.items() if isinstance(a, PeerError)}
            self._go_on(number, refusals)
        raise next(iter(refusals.values()))

    def _go_on(self, number: int, refusals: Mapping[str, PeerError]) -> None:
        """Count as used what the aggregators know of; if that is not it, raise."""
        found = standings(self._p, self._handout.digest)
        for name, error in refusals.items():
            if found[name].query < number:
                raise error
        used = max(standing.query for standing in found.values())
        self._numbers.skip(self._handout.digest, used)

    def _ask(self, server: JobServer, query: _Query) -> SealedOutput | PeerError:
        header, payload = query.sent[server.party.name]
        limit = payload_digest.sealed_length(self._rows.answer_bytes(query.rows))
        try:
            answer = server.query(header, payload, limit)
        except UnreachableError:
            raise
        except PeerError as error:
            return error
        first = server.party.name == self._p.federation.pair[0].name
        crash_point(Point.QUERY_ANSWERED_A if first else Point.QUERY_ANSWERED_B)
        return answer

    def _query(self, number: int, words: ring.Words) -> _Query:
        p = self._p
        query_id, key = p.rand(INPUT_ID_BYTES), SealingKey.from_seed(p.rand(SEED_BYTES))
        public, plaintexts = (
            base64url(key.public_bytes),
            self._rows.hide(words, query_id),
        )
        sent = {
            party.name: self._sealed(
                party, kind, content, (number, query_id, len(words), public)
            )
            for party, (kind, content) in zip(
                p.federation.pair, plaintexts, strict=True
            )
        }
        return _Query(number, query_id, len(words), key, sent)

    def _sealed(
        self,
        party: AggregatorParty,
        kind: InputKind,
        content: bytes,
        about: tuple[int, bytes, int, str],
    ) -> tuple[Signed[JobQuery], bytes]:
        p, spec = self._p, self._handout.digest
        number, query_id, rows, key = about
        info = seal_info.query_info(
            p.digests(spec), p.name, party.name, number, query_id, kind.value
        )
        grant = self._handout.grants[party.name].statement
        payload = sealed(grant.sealing_key, info, content, p.rand(CONTENT_KEY))
        header = JobQuery(
            federation=p.federation.digest,
            spec=spec,
            client=p.name,
            aggregator=party.name,
            query=number,
            query_id=query_id.hex(),
            kind=kind,
            rows=rows,
            key_bits=self._rows.key_bits,
            sealing_key=key,
            length=payload.length,
            digest=payload.digest,
        )
        return p.author.sign(header), payload.payload

    def _opened(
        self, query: _Query, answers: Mapping[str, SealedOutput], model: WentIn
    ) -> ring.Numbers:
        p = self._p
        rows = WentIn(QUERY, p.name, query.query_id.hex(), None)
        require_answers(answers, [model, rows], (p.name, query.number))  # (4)
        size = self._rows.answer_bytes(query.rows)
        return self._rows.logits(
            list(self._plaintexts(query, answers, size)), query.rows
        )

    def _plaintexts(
        self, query: _Query, answers: Mapping[str, SealedOutput], size: int
    ) -> Iterator[bytearray]:
        for party in self._p.federation.pair:
            yield output_plaintext(
                self._p, self._handout, answers[party.name], query.key, size
            )
