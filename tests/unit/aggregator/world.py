"""A federation for tests: everybody's keys, and what each of them would say."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from fedsecure.core import scheme
from fedsecure.core.params import Params, Scalar
from fedsecure.core.sealing import seal, seal_info, sealing_key
from fedsecure.protocol.encodings import base64url, from_base64url
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.parameters import noise_of, params_of
from fedsecure.protocol.signing import Author, Signed, set_digest, verify
from fedsecure.protocol.signing_keys import public_key_text
from fedsecure.protocol.statements import (
    AggregateShareHeader,
    Kind,
    Member,
    Opening,
    Purpose,
    Read,
    Receipt,
    ReportHeader,
    RoundGrant,
    RoundSpec,
    ScalarField,
    Void,
    Weighting,
)

OWNER: Final = "study"
SERVERS: Final = ("north", "south")
HOSPITALS: Final = ("basel", "bern", "chur", "genf")
CLINIC: Final = "clinic"
NOW: Final = 1_800_000_000  # where the fake clock starts, seconds since 1970
CLIP: Final = 4.0
WEIGHT: Final = 1


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Entropy:
    """Reproducible bytes, never the same twice."""

    def __init__(self, seed: str) -> None:
        self._stream = hashlib.shake_256(seed.encode())
        self._lock = Lock()
        self.used = 0

    def __call__(self, size: int) -> bytes:
        with self._lock:
            self.used += size
            return self.drawn(self.used - size, size)

    def drawn(self, begin: int, size: int) -> bytes:
        """Return bytes that were drawn already, or will be."""
        return self._stream.digest(begin + size)[begin:]


@dataclass(frozen=True)
class Report:
    """One sealed input share with its header."""

    header: Signed[ReportHeader]
    payload: bytes

    @property
    def body(self) -> bytes:
        token = self.header.token.encode()
        return len(token).to_bytes(4) + token + self.payload


@dataclass(frozen=True)
class Round:
    """A spec and the model owner's private key of that round."""

    spec: Signed[RoundSpec]
    key: sealing_key.SealingKey = field(repr=False)

    @property
    def digest(self) -> str:
        return self.spec.digest

    @property
    def params(self) -> Params:
        return params_of(self.spec.statement)


class World:
    """Everybody of one federation; with clients, where a test names them."""

    def __init__(
        self,
        seed: str = "world",
        hospitals: Sequence[str] = HOSPITALS,
        rand: Callable[[int], bytes] | None = None,
        clients: Sequence[str] = (),
    ) -> None:
        self.rand = rand or Entropy(seed)
        self.hospitals, self.clients = tuple(hospitals), tuple(clients)
        names = (OWNER, *SERVERS, *hospitals, *clients)
        self.keys = {
            name: Ed25519PrivateKey.from_private_bytes(self.rand(32)) for name in names
        }
        self.versions: list[Federation] = []
        self.federation = Federation.model_validate(self.federation_content())

    @property
    def federation(self) -> Federation:
        """The version that holds now; the earlier ones stay known."""
        return self._federation

    @federation.setter
    def federation(self, version: Federation) -> None:
        self._federation = version
        self.versions.append(version)

    @property
    def known(self) -> Federations:
        return Federations(self.versions)

    def federation_content(self) -> dict[str, Any]:
        return {
            "protocol": 1,
            "name": "heart",
            "model_owner": self._party(OWNER),
            "aggregators": [
                self._party(name, url=f"https://{name}.test:8443") for name in SERVERS
            ],
            "data_owners": [
                self._party(name, flower_key=f"ecdsa-sha2-nistp384 {name}")
                for name in self.hospitals
            ],
            "clients": [self._party(name) for name in self.clients],
        }

    def _party(self, name: str, **more: str) -> dict[str, str]:
        return {"name": name, "key": public_key_text(self.keys[name]), **more}

    def author(self, name: str) -> Author:
        return Author(name, self.keys[name], self.federation)

    def propose(self, signer: str = OWNER, **changes: Any) -> Round:
        """Sign a spec; `changes` replace its fields."""
        key = sealing_key.SealingKey.from_seed(self.rand(32))
        cohort = changes.get("cohort", list(self.hospitals))
        dimension = changes.get("dimension", 1000)
        loss = (Scalar("loss", 0.0, 8.0),)
        noise = noise_of(changes.get("privacy"), Purpose.TRAIN, Weighting.EQUAL)
        params = Params.derive(dimension, loss, len(cohort), CLIP, WEIGHT, noise=noise)
        content: dict[str, Any] = {
            "federation": self.federation.digest,
            "run": "run-1",
            "round": 1,
            "purpose": Purpose.TRAIN,
            "attempt": 1,
            "task": hashlib.sha256(b"task").hexdigest(),
            "model": hashlib.sha256(b"model").hexdigest(),
            "dimension": dimension,
            "scalars": [ScalarField(name="loss", low=0.0, high=8.0)],
            "suite": "sum32",
            "fraction_bits": params.fraction_bits,
            "clip": CLIP,
            "weight_cap": WEIGHT,
            "weighting": "equal",
            "cohort": cohort,
            "min_cohort": 3,
            "deadline": NOW + 600,
            "sealing_key": base64url(key.public_bytes),
        }
        spec = RoundSpec.model_validate({**content, **changes})
        return Round(self.author(signer).sign(spec), key)

    def update(self, reporter: str, dimension: int) -> NDArray[np.float32]:
        """Return a data owner's update; its norm is below the clip."""
        seed = int.from_bytes(hashlib.sha256(reporter.encode()).digest()[:4])
        update = np.random.default_rng(seed).standard_normal(dimension)
        return (update / np.linalg.norm(update)).astype(np.float32)

    def report(
        self,
        asked: Round,
        grants: Mapping[str, str],
        reporter: str,
        only: str | None = None,
        update: NDArray[np.float32] | None = None,
    ) -> dict[str, Report]:
        """Shard and seal one update; by aggregator. `only`: kind that goes north."""
        if update is None:
            update = self.update(reporter, asked.params.dimension)
        sharding = scheme.shard(
            asked.params,
            bytes.fromhex(asked.digest),
            reporter,
            scheme.Measurement(update, WEIGHT, {"loss": 2.0}),
            self.rand(scheme.RAND_BYTES),
        )
        # A copy of each buffer: they are used again.
        vector = b"".join([bytes(piece) for piece in sharding.vector])
        first = sharding.seed_to_first if only is None else only == Kind.SEED
        kinds = (Kind.SEED, Kind.VECTOR) if first else (Kind.VECTOR, Kind.SEED)
        return {
            name: self.seal(
                asked,
                grants[name],
                reporter,
                sharding.report_id,
                kind,
                sharding.seed if kind is Kind.SEED else vector,
            )
            for name, kind in zip(SERVERS, kinds, strict=True)
        }

    def seal(
        self,
        asked: Round,
        grant: str,
        reporter: str,
        report_id: bytes,
        kind: Kind,
        plaintext: bytes,
    ) -> Report:
        grant_statement = verify(grant, RoundGrant, self.federation).statement
        info = seal_info.report_info(
            bytes.fromhex(self.federation.digest),
            bytes.fromhex(asked.digest),
            reporter,
            grant_statement.aggregator,
            report_id,
            kind,
        )
        payload = bytearray()
        chunks = [plaintext[i : i + 2**20] for i in range(0, len(plaintext), 2**20)]
        sealed = seal.seal(
            from_base64url(grant_statement.sealing_key),
            info,
            self.rand(32),
            chunks,
            payload.extend,
        )
        header = ReportHeader(
            federation=self.federation.digest,
            spec=asked.digest,
            reporter=reporter,
            aggregator=grant_statement.aggregator,
            report_id=report_id.hex(),
            kind=kind,
            length=sealed.length,
            digest=sealed.digest.hex(),
        )
        return Report(self.author(reporter).sign(header), bytes(payload))

    def opening(
        self, asked: Round, receipts: Mapping[str, Mapping[str, str]]
    ) -> Signed[Opening]:
        """Sign an opening of everybody in `receipts`: reporter > aggregator > token."""
        reporters = sorted(receipts)
        content = {
            reporter: verify(
                receipts[reporter][SERVERS[0]], Receipt, self.federation
            ).statement
            for reporter in reporters
        }
        statement = Opening(
            federation=self.federation.digest,
            spec=asked.digest,
            set=[
                Member(reporter=reporter, report_id=content[reporter].report_id)
                for reporter in reporters
            ],
            receipts={
                server: [receipts[reporter][server] for reporter in reporters]
                for server in SERVERS
            },
        )
        return self.author(OWNER).sign(statement)

    def void(self, asked: Round, author: str = OWNER) -> str:
        statement = Void(
            federation=self.federation.digest,
            spec=asked.digest,
            author=author,
            reason="a test",
        )
        return self.author(author).sign(statement).token

    def ticket(
        self, server: str, reader: str, path: str, expires: int = NOW + 60
    ) -> str:
        statement = Read(
            federation=self.federation.digest,
            aggregator=server,
            reader=reader,
            method="GET",
            path=path,
            expires=expires,
        )
        return self.author(reader).sign(statement).token

    def unseal(
        self, asked: Round, opening: Signed[Opening], answer: bytes
    ) -> scheme.AggregateShare:
        """Read an aggregate share as the model owner does, checking its header."""
        length = int.from_bytes(answer[:4])
        token, payload = answer[4 : 4 + length].decode(), answer[4 + length :]
        header = verify(token, AggregateShareHeader, self.federation).statement
        assert header.opening == opening.digest
        assert header.set == set_digest(opening.statement.set)
        assert header.digest == hashlib.sha256(payload).hexdigest()
        info = seal_info.share_info(
            bytes.fromhex(self.federation.digest),
            bytes.fromhex(asked.digest),
            header.aggregator,
            OWNER,
            bytes.fromhex(opening.digest),
        )
        plaintext = bytearray(asked.params.layout.plaintext_bytes)
        seal.open_sealed(asked.key, info, payload, header.length, memoryview(plaintext))
        return scheme.AggregateShare.from_plaintext(
            asked.params, plaintext, header.count
        )

    def require_mean(
        self,
        asked: Round,
        shares: Sequence[scheme.AggregateShare],
        reporters: Sequence[str],
    ) -> None:
        """Assert that two shares open to the mean over exactly these reporters."""
        mean = scheme.unshard(asked.params, *shares)
        updates = [self.update(name, asked.params.dimension) for name in reporters]
        exact = np.mean(np.array(updates, np.float64), axis=0)
        assert mean.count == len(reporters)
        assert mean.total_weight == len(reporters) * WEIGHT
        np.testing.assert_allclose(
            mean.update, exact, rtol=0, atol=0.55 / asked.params.scale
        )


def payload_of(token: str) -> dict[str, Any]:
    """Return what a token says, unchecked."""
    content: dict[str, Any] = json.loads(from_base64url(token.split(".")[1]))
    return content
