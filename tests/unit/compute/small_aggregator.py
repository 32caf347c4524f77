"""An aggregator of a few lines, honest unless a test says otherwise, and no sockets.

It answers `/v1/jobs` over httpx as the real one does, so that a test can have it sign
whatever it likes. What the real one refuses and keeps is tested with the real one.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from fedsecure.core.mpc import evaluate, ring, zero_sharing
from fedsecure.core.mpc.program import Linear
from fedsecure.core.mpc.sharing import QUERY, InputContext, share_of
from fedsecure.core.sealing import seal, seal_info
from fedsecure.core.sealing.payload_digest import TAG_BYTES
from fedsecure.core.sealing.sealing_key import SEALED_KEY_BYTES, SealingKey
from fedsecure.protocol import signing
from fedsecure.protocol.encodings import base64url, from_base64url
from fedsecure.protocol.framing import LENGTH, prefix
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.jobs.digests import WentIn, inputs_digest
from fedsecure.protocol.jobs.parts import InputKind
from fedsecure.protocol.jobs.programs import plan_of, program_of
from fedsecure.protocol.jobs.statements import (
    JobChannel,
    JobGrant,
    JobInput,
    JobOutput,
    JobQuery,
    JobSpec,
    JobStart,
    JobVoid,
)
from fedsecure.protocol.signing import Author, Signed
from fedsecure.protocol.statements import LedgerHead, Receipt

HEAD: Final = LedgerHead(entries=0, hash="0" * 64)
Change = Callable[[Any], Any]


def unchanged(one: Any) -> Any:
    return one


@dataclass
class Lies:
    """What a dishonest one does otherwise; each hook gets what it is about to say."""

    grant: Change = unchanged
    channel: Change = unchanged
    receipt: Change = unchanged
    words: Change = unchanged
    output: Change = unchanged
    answer: Change = unchanged
    standing: Change = unchanged


@dataclass
class Job:
    """One job, as it holds it."""

    spec: Signed[JobSpec]
    key: SealingKey
    channel: Signed[JobChannel] | None = None
    peer: str | None = None
    inputs: dict[str, tuple[JobInput, ring.Words, str]] = field(default_factory=dict)
    queries: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    void: bool = False

    @property
    def state(self) -> str:
        if self.void:
            return "void"
        if self.channel is None:
            return "granted"
        wanted = plan_of(self.spec.statement.program).inputs
        if self.peer is None or wanted.keys() != self.inputs.keys():
            return "collecting"
        return "serving" if self.spec.statement.is_service else "done"


@dataclass
class SmallAggregator(httpx.BaseTransport):
    """One aggregator in memory."""

    author: Author
    rand: Callable[[int], bytes]
    jobs: dict[str, Job] = field(default_factory=dict)
    lies: Lies = field(default_factory=Lies)
    asked: list[tuple[str, bytes]] = field(default_factory=list)
    away: bool = False

    @property
    def federation(self) -> Federation:
        return self.author.federation

    @property
    def first(self) -> bool:
        return self.author.name == self.federation.pair[0].name

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused", request=request)
        body = request.read()
        _, _, _, spec, *rest = request.url.path.split("/")
        self.asked.append((request.url.path, body))
        what = f"{request.method} {rest[0] if rest else ''}".strip()
        try:
            answer = getattr(self, ROUTES[what])(spec, body, request)
        except Refused as refusal:
            content = {"code": refusal.code, "detail": refusal.detail}
            return httpx.Response(refusal.status, json=content)
        return httpx.Response(200, content=self.lies.answer(answer))

    def put_spec(self, digest: str, body: bytes, _: httpx.Request) -> bytes:
        spec = signing.verify(body.decode(), JobSpec, self.federation)
        job = self.jobs.setdefault(
            digest, Job(spec, SealingKey.from_seed(self.rand(32)))
        )
        return self._say(
            self.lies.grant(
                JobGrant(
                    federation=self.federation.digest,
                    spec=digest,
                    aggregator=self.author.name,
                    sealing_key=base64url(job.key.public_bytes),
                    expires=spec.statement.deadline,
                    head=HEAD,
                )
            )
        )

    def start(self, digest: str, body: bytes, _: httpx.Request) -> bytes:
        job = self.jobs[digest]
        start = signing.verify(body.decode(), JobStart, self.federation).statement
        peer = self.federation.other_aggregator(self.author.name).name
        theirs = signing.verify(start.grants[peer], JobGrant, self.federation)
        if job.channel is None:
            info = seal_info.channel_info(self._digests(digest), self.author.name, peer)
            sealed = bytearray()
            seal.seal(
                from_base64url(theirs.statement.sealing_key),
                info,
                self.rand(32),
                [b"-"],
                sealed.extend,
            )
            key = base64url(bytes(sealed[:SEALED_KEY_BYTES]))
            said = JobChannel(
                federation=self.federation.digest,
                spec=digest,
                aggregator=self.author.name,
                peer=peer,
                key=key,
            )
            job.channel = self.author.sign(said)
        return self._say(self.lies.channel(job.channel.statement))

    def put_channel(self, digest: str, body: bytes, _: httpx.Request) -> bytes:
        job = self.jobs[digest]
        peer = signing.verify(body.decode(), JobChannel, self.federation)
        job.peer = peer.statement.key
        assert job.channel is not None
        return self._say(self.lies.channel(job.channel.statement))

    def put_input(self, digest: str, body: bytes, _: httpx.Request) -> bytes:
        job, (token, payload) = self.jobs[digest], _unframed(body)
        header = signing.verify(token, JobInput, self.federation).statement
        held = job.inputs.get(header.name)
        if held is not None and held[2] != signing.digest_of(token):
            raise Refused(409, "FS-320", "another input is stored")
        value = plan_of(job.spec.statement.program).inputs[header.name]
        info = seal_info.input_info(
            self._digests(digest),
            header.owner,
            self.author.name,
            header.name,
            bytes.fromhex(header.input_id),
            header.kind.value,
        )
        plain = _opened(job.key, info, payload)
        if header.kind is InputKind.PUBLIC:
            assert hashlib.sha256(plain).hexdigest() == header.plain
            words = ring.from_bytes(plain, value.shape)
        else:
            context = InputContext(
                bytes.fromhex(digest),
                bytes.fromhex(header.input_id),
                header.owner,
                header.name,
            )
            words = share_of(header.kind.value, plain, value.shape, context)
        job.inputs[header.name] = (header, words, signing.digest_of(token))
        return self._say(self.lies.receipt(self._receipt(header)))

    def query(self, digest: str, body: bytes, _: httpx.Request) -> bytes:
        job, (token, payload) = self.jobs[digest], _unframed(body)
        header = signing.verify(token, JobQuery, self.federation).statement
        if not header.query > job.queries.get(header.client, 0):
            raise Refused(409, "FS-320", f"query {header.query} is not above the last")
        info = seal_info.query_info(
            self._digests(digest),
            header.client,
            self.author.name,
            header.query,
            bytes.fromhex(header.query_id),
            header.kind.value,
        )
        program = program_of(job.spec.statement.program)
        assert isinstance(program, Linear)
        context = InputContext(
            bytes.fromhex(digest),
            bytes.fromhex(header.query_id),
            header.client,
            QUERY,
        )
        rows = share_of(
            header.kind.value,
            _opened(job.key, info, payload),
            (header.rows, program.features),
            context,
        )
        words = evaluate.linear(
            program, job.inputs["model"][1], rows, first=self.first
        ).reshape(-1)
        job.queries[header.client] = header.query
        job.rows[header.client] = job.rows.get(header.client, 0) + header.rows
        asked = WentIn(QUERY, header.client, header.query_id, None)
        return self._answer(
            digest, words, (header.client, header.query, header.sealing_key), [asked]
        )

    def output(self, digest: str, _body: bytes, _: httpx.Request) -> bytes:
        job = self.jobs[digest]
        spec = job.spec.statement
        words = evaluate.circuit(
            program_of(spec.program),
            plan_of(spec.program),
            {name: one[1] for name, one in job.inputs.items()},
            first=self.first,
        )
        return self._answer(digest, words, (None, 0, spec.sealing_key), [])

    def standing(self, digest: str, _body: bytes, request: httpx.Request) -> bytes:
        job = self.jobs[digest]
        token = request.headers["Authorization"].removeprefix("Bearer ")
        reader = json.loads(from_base64url(token.split(".")[1]))["reader"]
        told = {
            "state": job.state,
            "inputs": {
                name: self._say(self._receipt(one[0])).decode()
                for name, one in job.inputs.items()
            },
            "plain": {
                name: one[0].plain for name, one in job.inputs.items() if one[0].plain
            },
            "query": job.queries.get(reader, 0),
            "rows": job.rows.get(reader, 0),
        }
        return json.dumps(self.lies.standing(told)).encode()

    def give_up(self, digest: str, body: bytes, _: httpx.Request) -> bytes:
        signing.verify(body.decode(), JobVoid, self.federation)
        self.jobs[digest].void = True
        return self._say(
            JobVoid(
                federation=self.federation.digest,
                spec=digest,
                author=self.author.name,
                reason="its proposer says so",
            )
        )

    def _answer(
        self,
        digest: str,
        words: ring.Words,
        asked: tuple[str | None, int, str],
        more: list[WentIn],
    ) -> bytes:
        job, (client, query, key) = self.jobs[digest], asked
        words = self.lies.words(words.reshape(-1))
        context = zero_sharing.AnswerContext(bytes.fromhex(digest), client or "", query)
        # Both derive the same zeros, here of the spec alone: these are no secret.
        keys = (bytes.fromhex(digest), bytes(32))
        zeros = zero_sharing.zero_words(keys, context, words.size)
        fresh = zero_sharing.refreshed(words, zeros, first=self.first)
        used = [
            WentIn(one.name, one.owner, one.input_id, one.plain)
            for one, _, _ in job.inputs.values()
        ]
        inputs = inputs_digest([*used, *more])
        receiver = client or job.spec.statement.receiver
        assert receiver is not None
        info = seal_info.output_info(
            self._digests(digest),
            self.author.name,
            receiver,
            query,
            bytes.fromhex(inputs),
        )
        payload = bytearray()
        length, sealed = seal.seal(
            from_base64url(key),
            info,
            self.rand(32),
            [ring.to_bytes(fresh)],
            payload.extend,
        )
        header = JobOutput(
            federation=self.federation.digest,
            spec=digest,
            aggregator=self.author.name,
            client=client,
            query=query,
            inputs=inputs,
            length=length,
            digest=sealed.hex(),
            head=HEAD,
        )
        return prefix(self._say(self.lies.output(header)).decode()) + bytes(payload)

    def _receipt(self, header: JobInput) -> Receipt:
        return Receipt(
            federation=self.federation.digest,
            spec=header.spec,
            aggregator=self.author.name,
            reporter=header.owner,
            report_id=header.input_id,
            digest=header.digest,
            head=HEAD,
        )

    def _digests(self, digest: str) -> tuple[bytes, bytes]:
        return bytes.fromhex(self.federation.digest), bytes.fromhex(digest)

    def _say(self, statement: Any) -> bytes:
        return self.author.sign(statement).token.encode()


@dataclass
class Refused(Exception):  # noqa: N818 - an answer, not a failure
    status: int
    code: str
    detail: str


ROUTES: Final = {
    "PUT": "put_spec",
    "POST start": "start",
    "PUT channel": "put_channel",
    "PUT inputs": "put_input",
    "POST queries": "query",
    "GET": "standing",
    "GET output": "output",
    "POST void": "give_up",
}


def _unframed(body: bytes) -> tuple[str, bytes]:
    (size,) = LENGTH.unpack(body[: LENGTH.size])
    end = LENGTH.size + size
    return body[LENGTH.size : end].decode(), body[end:]


def _opened(key: SealingKey, info: seal_info.SealInfo, payload: bytes) -> bytes:
    plain = bytearray(len(payload) - SEALED_KEY_BYTES - TAG_BYTES)
    seal.open_sealed(key, info, payload, len(payload), memoryview(plain))
    return bytes(plain)
