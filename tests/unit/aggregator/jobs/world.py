"""A federation with a clinic, and what its parties say about jobs, signed by hand."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fedsecure.core.mpc import ring, sharing
from fedsecure.core.mpc.evaluate import open_outputs
from fedsecure.core.mpc.plan import plan
from fedsecure.core.mpc.program import Circuit, Input, Linear, Operation
from fedsecure.core.mpc.sharing import QUERY, InputContext
from fedsecure.core.sealing import seal, seal_info, sealing_key
from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure.protocol.encodings import base64url, from_base64url
from fedsecure.protocol.jobs.digests import WentIn, inputs_digest
from fedsecure.protocol.jobs.programs import field_of
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
from fedsecure.protocol.signing import Signed, verify
from fedsecure.protocol.statements import Statement
from tests.unit.aggregator.world import CLINIC, NOW, OWNER, SERVERS, World

BITS: Final = 16
A: Final = np.array([[1.5, -2.0], [3.25, 0.0]])
B: Final = np.array([[0.5, 4.0], [-1.25, 7.0]])
W: Final = np.array([[0.5], [-1.0], [2.0]])
BIAS: Final = 0.25
ROWS: Final = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]])

S = TypeVar("S", bound=Statement)


def matrix(name: str, owner: str, secret: bool = True, rows: int = 2) -> Input:
    return Input(name, owner, rows, 2, BITS, 100.0, secret)


SUM: Final = Circuit(
    inputs=(matrix("a", "basel"), matrix("b", "bern")),
    operations=(Operation("add", "total", ("a", "b")),),
    outputs=("total",),
)
MODEL: Final = Linear(3, 1, BITS, 14, 64.0, 4.0, 4.0)


@dataclass(frozen=True)
class Job:
    """A signed spec, and the receiver's private key."""

    spec: Signed[JobSpec]
    key: SealingKey = field(repr=False)

    @property
    def digest(self) -> str:
        return self.spec.digest

    @property
    def path(self) -> str:
        return f"/v1/jobs/{self.digest}"


@dataclass(frozen=True)
class Upload(Generic[S]):
    """A signed header with its sealed payload."""

    header: Signed[S]
    payload: bytes

    @property
    def body(self) -> bytes:
        token = self.header.token.encode()
        return len(token).to_bytes(4) + token + self.payload


@dataclass(frozen=True)
class Asked:
    """A query for each aggregator, and the client's key for the answers."""

    key: SealingKey = field(repr=False)
    uploads: Mapping[str, Upload[JobQuery]]

    def __getitem__(self, name: str) -> Upload[JobQuery]:
        return self.uploads[name]


class JobWorld(World):
    """Everybody of a federation with a clinic."""

    def __init__(self, seed: str = "jobs") -> None:
        super().__init__(seed, clients=(CLINIC,))

    def sealing_key(self) -> SealingKey:
        return SealingKey.from_seed(self.rand(sealing_key.SEED_BYTES))

    def job(
        self, program: Circuit = SUM, proposer: str = "basel", **changes: Any
    ) -> Job:
        key = self.sealing_key()
        content = {
            **self._content(proposer, program, "shares"),
            "receiver": proposer,
            "sealing_key": base64url(key.public_bytes),
        }
        return self._sign(key, content, changes)

    def service(
        self,
        program: Linear = MODEL,
        proposer: str = OWNER,
        method: str = "shares",
        **changes: Any,
    ) -> Job:
        content = {
            **self._content(proposer, program, "linear"),
            "method": method,
            "clients": [CLINIC],
            "rows": 10,
        }
        return self._sign(self.sealing_key(), content, changes)

    def _content(
        self, proposer: str, program: Circuit | Linear, kind: str
    ) -> dict[str, Any]:
        return {
            "federation": self.federation.digest,
            "name": "a-test",
            "job_id": self.rand(16).hex(),
            "proposer": proposer,
            "kind": kind,
            "method": "shares",
            "program": field_of(program).model_dump(),
            "clients": [],
            "rows": 0,
            "deadline": NOW + 600,
        }

    def _sign(
        self, key: SealingKey, content: dict[str, Any], changes: dict[str, Any]
    ) -> Job:
        spec = JobSpec.model_validate_json(json.dumps(content | changes))
        return Job(self.author(spec.proposer).sign(spec), key)

    def start(self, job: Job, grants: Mapping[str, str], signer: str = "") -> str:
        said = JobStart(
            federation=self.federation.digest, spec=job.digest, grants=dict(grants)
        )
        who = signer or job.spec.statement.proposer
        return self.author(who).sign(said).token

    def channel(
        self, job: Job, grants: Mapping[str, str], sender: str, **changes: Any
    ) -> str:
        """What an aggregator would send the other one, if it had this key."""
        (peer,) = set(SERVERS) - {sender}
        info = seal_info.channel_info(self.digests(job), sender, peer)
        public = self.granted_key(grants[peer])
        sealed = sealing_key.seal_key(public, info.encoded, self.rand(32))
        content = {
            "federation": self.federation.digest,
            "spec": job.digest,
            "aggregator": sender,
            "peer": peer,
            "key": base64url(sealed),
        }
        said = JobChannel.model_validate(content | changes)
        return self.author(sender).sign(said).token

    def void(self, job: Job, author: str = "") -> str:
        who = author or job.spec.statement.proposer
        said = JobVoid(
            federation=self.federation.digest,
            spec=job.digest,
            author=who,
            reason="a test",
        )
        return self.author(who).sign(said).token

    def digests(self, job: Job) -> tuple[bytes, bytes]:
        return bytes.fromhex(self.federation.digest), bytes.fromhex(job.digest)

    def granted_key(self, grant: str) -> bytes:
        said = verify(grant, JobGrant, self.federation).statement
        return from_base64url(said.sealing_key)

    # --- inputs -------------------------------------------------------------------

    def shared(
        self,
        job: Job,
        grants: Mapping[str, str],
        name: str,
        values: NDArray[np.float64],
        bits: int = BITS,
        **changes: Any,
    ) -> dict[str, Upload[JobInput]]:
        """Split numbers into a seed and a vector, sealed for each aggregator."""
        words, owner = ring.encode(values, bits, 2.0**40), _owner(job, name)
        input_id = self.rand(16)
        about = InputContext(bytes.fromhex(job.digest), input_id, owner, name)
        made = sharing.share(words, about, self.rand(sharing.RAND_BYTES))
        vector = ring.to_bytes(made.vector)
        parts = [("seed", made.seed), ("vector", vector)]
        if not made.seed_to_first:
            parts.reverse()
        return {
            server: self.sealed_input(
                job, grants[server], name, kind, plain, input_id=input_id, **changes
            )
            for server, (kind, plain) in zip(SERVERS, parts, strict=True)
        }

    def public(
        self,
        job: Job,
        grants: Mapping[str, str],
        name: str,
        words: ring.Words,
        **changes: Any,
    ) -> dict[str, Upload[JobInput]]:
        plain, input_id = ring.to_bytes(words), self.rand(16)
        content = {"plain": hashlib.sha256(plain).hexdigest(), **changes}
        return {
            server: self.sealed_input(
                job, grants[server], name, "public", plain, input_id=input_id, **content
            )
            for server in SERVERS
        }

    def model(self, job: Job, grants: Mapping[str, str]) -> dict[str, Upload[JobInput]]:
        return self.public(job, grants, "model", model_words())

    def sealed_input(
        self,
        job: Job,
        grant: str,
        name: str,
        kind: str,
        content: bytes,
        *,
        input_id: bytes,
        **changes: Any,
    ) -> Upload[JobInput]:
        server = verify(grant, JobGrant, self.federation).statement.aggregator
        owner = changes.get("owner", _owner(job, name))
        info = seal_info.input_info(
            self.digests(job), owner, server, name, input_id, kind
        )
        payload, made = self.sealed(self.granted_key(grant), info, content)
        fields = {
            "federation": self.federation.digest,
            "spec": job.digest,
            "owner": owner,
            "aggregator": server,
            "name": name,
            "input_id": input_id.hex(),
            "kind": kind,
            "length": made.length,
            "digest": made.digest.hex(),
        }
        said = JobInput.model_validate(fields | changes)
        return Upload(self.author(owner).sign(said), payload)

    def sealed(
        self, public: bytes, info: seal_info.SealInfo, plain: bytes
    ) -> tuple[bytes, seal.Sealed]:
        payload = bytearray()
        chunks = [plain[i : i + 2**20] for i in range(0, len(plain), 2**20)]
        made = seal.seal(public, info, self.rand(32), chunks, payload.extend)
        return bytes(payload), made

    # --- queries and outputs --------------------------------------------------------

    def query(
        self,
        job: Job,
        grants: Mapping[str, str],
        number: int,
        rows: NDArray[np.float64] = ROWS,
        client: str = CLINIC,
        **changes: Any,
    ) -> Asked:
        words, query_id, key = ring.encode(rows, BITS, 64.0), self.rand(16), None
        key = self.sealing_key()
        about = InputContext(bytes.fromhex(job.digest), query_id, client, QUERY)
        made = sharing.share(words, about, self.rand(sharing.RAND_BYTES))
        parts = [("seed", made.seed), ("vector", ring.to_bytes(made.vector))]
        if not made.seed_to_first:
            parts.reverse()
        uploads = {}
        for server, (kind, plain) in zip(SERVERS, parts, strict=True):
            info = seal_info.query_info(
                self.digests(job), client, server, number, query_id, kind
            )
            payload, sealed = self.sealed(self.granted_key(grants[server]), info, plain)
            content = {
                "federation": self.federation.digest,
                "spec": job.digest,
                "client": client,
                "aggregator": server,
                "query": number,
                "query_id": query_id.hex(),
                "kind": kind,
                "rows": len(rows),
                "sealing_key": base64url(key.public_bytes),
                "length": sealed.length,
                "digest": sealed.digest.hex(),
            }
            said = JobQuery.model_validate(content | changes)
            uploads[server] = Upload(self.author(client).sign(said), payload)
        return Asked(key, uploads)

    def words_in(
        self, job: Job, key: SealingKey, receiver: str, answer: bytes, size: int
    ) -> tuple[JobOutput, ring.Words]:
        """Open an output of words as its receiver does, checking its header."""
        header, plain = self.bytes_in(job, key, receiver, answer, size * 8)
        return header, ring.from_bytes(plain, (1, size))[0]

    def bytes_in(
        self, job: Job, key: SealingKey, receiver: str, answer: bytes, size: int
    ) -> tuple[JobOutput, bytearray]:
        """Open an output as its receiver does, checking its header."""
        length = int.from_bytes(answer[:4])
        token, payload = answer[4 : 4 + length].decode(), answer[4 + length :]
        header = verify(token, JobOutput, self.federation).statement
        assert header.digest == hashlib.sha256(payload).hexdigest()
        info = seal_info.output_info(
            self.digests(job),
            header.aggregator,
            receiver,
            header.query,
            bytes.fromhex(header.inputs),
        )
        plain = bytearray(size)
        seal.open_sealed(key, info, payload, header.length, memoryview(plain))
        return header, plain

    def opened(
        self, job: Job, answers: Mapping[str, bytes], went_in: Sequence[WentIn]
    ) -> dict[str, NDArray[np.float64]]:
        """Open a job's output from both servers' answers."""
        program = SUM if job.spec.statement.kind == "shares" else MODEL
        found = plan(program)
        shares = []
        for name in SERVERS:
            header, words = self.words_in(
                job,
                job.key,
                job.spec.statement.proposer,
                answers[name],
                found.output_bytes // 8,
            )
            assert header.inputs == inputs_digest(went_in)
            shares.append(words)
        return dict(open_outputs(found, shares[0], shares[1]))

    def logits(
        self, job: Job, asked: Asked, answers: Mapping[str, bytes], rows: int = 2
    ) -> NDArray[np.float64]:
        words = [
            self.words_in(job, asked.key, CLINIC, answers[name], rows)[1]
            for name in SERVERS
        ]
        return ring.decode(words[0] + words[1], MODEL.bias_bits)


def model_words(
    weights: NDArray[np.float64] = W, bias: float = BIAS, program: Linear = MODEL
) -> ring.Words:
    """W's rows, and b as the last, as a linear model's one input holds them."""
    own = ring.encode(weights, program.weight_bits, 2.0**30)
    last = ring.encode(np.full((1, weights.shape[1]), bias), program.bias_bits, 2.0**30)
    return np.concatenate([own, last])


def went_in(*uploads: Upload[JobInput]) -> list[WentIn]:
    said = [one.header.statement for one in uploads]
    return [WentIn(one.name, one.owner, one.input_id, one.plain) for one in said]


def _owner(job: Job, name: str) -> str:
    spec = job.spec.statement
    inputs = getattr(spec.program, "inputs", ())
    return next((one.owner for one in inputs if one.name == name), spec.proposer)
