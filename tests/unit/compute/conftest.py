"""A federation in memory whose two aggregators can be made dishonest."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedsecure.compute import inputs, proposal
from fedsecure.compute.handout import Handout
from fedsecure.compute.participant import Participant
from fedsecure.compute.policy import OwnRules
from fedsecure.compute.programs.circuits import Compiled
from fedsecure.compute.programs.program_file import ProgramFile
from fedsecure.core.mpc.program import Linear
from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure.errors import FedsecureError
from fedsecure.membership.jobs_policy import JobsPolicy
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.jobs.parts import JobKind
from fedsecure.protocol.signing import Author
from fedsecure.protocol.signing_keys import public_key_text
from fedsecure.transport.job_server import JobServer
from fedsecure.transport.retries import Patience
from fedsecure.transport.server_connection import ServerConnection
from tests.unit.compute.small_aggregator import SmallAggregator

OWNER, CLINIC, PRACTICE = "study", "clinic", "practice"
BASEL, BERN = "basel", "bern"
SERVERS: Final = ("north", "south")
NOW: Final = 1_800_000_000.0

WEIGHTS: Final = np.array([[0.5, -1.0], [2.0, 0.25], [-1.5, 1.0]])
BIAS: Final = np.array([[0.125, -0.5]])
MODEL: Final = Linear(
    features=3,
    outputs=2,
    fraction_bits=16,
    weight_bits=14,
    bound=100.0,
    weight_bound=4.0,
    bias_bound=8.0,
)


class Clock:
    """Moves when somebody sleeps."""

    now = NOW

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Entropy:
    """Reproducible bytes, never the same twice."""

    def __init__(self, seed: str) -> None:
        self._seed, self._calls = seed, 0

    def __call__(self, size: int) -> bytes:
        self._calls += 1
        return hashlib.shake_256(f"{self._seed} {self._calls}".encode()).digest(size)


@dataclass
class Parties:
    """Everybody, over two small aggregators."""

    folder: Path
    keys: Mapping[str, Ed25519PrivateKey]
    federation: Federation
    aggregators: Mapping[str, SmallAggregator]
    clock: Clock
    started: list[Participant] = field(default_factory=list)
    starts: int = 0

    @property
    def north(self) -> SmallAggregator:
        return self.aggregators["north"]

    @property
    def south(self) -> SmallAggregator:
        return self.aggregators["south"]

    def author(self, name: str) -> Author:
        return Author(name, self.keys[name], self.federation)

    def start(self, name: str, rules: OwnRules | None = None) -> Participant:
        """Start a party's process, on the folder that an earlier one left."""
        self.starts += 1
        servers = {
            party.name: JobServer(
                ServerConnection(
                    party,
                    self.federation,
                    None,
                    Patience(seconds=0.0, sleep=lambda _: None),
                    self.aggregators[party.name],
                )
            )
            for party in self.federation.aggregators
        }
        party = Participant(
            self.author(name),
            servers,
            self.folder / name,
            rules or OwnRules(JobsPolicy(receivers=frozenset({CLINIC}))),
            self.clock,
            Entropy(f"{name} {self.starts}"),
            self.clock.sleep,
        )
        self.started.append(party)
        return party

    def propose(
        self, name: str, compiled: Compiled, **changes: Any
    ) -> tuple[Participant, Handout, SealingKey]:
        """Propose a job of shares, with its public numbers given."""
        party = self.start(name)
        key = proposal.new_key(party)
        public = {one: numbers.tolist() for one, numbers in compiled.public.items()}
        request = proposal.Request(
            "sums", compiled.circuit, description={"title": "Sums", "public": public}
        )
        handout = proposal.propose(party, replace(request, **changes), key)
        for one, numbers in compiled.public.items():
            inputs.contribute(party, handout, one, numbers)
        return party, handout, key

    def serve(self, **changes: Any) -> Handout:
        """Serve the model to the clinic, by shares."""
        owner = self.start(OWNER)
        request = proposal.Request(
            "heart",
            MODEL,
            kind=JobKind.LINEAR,
            clients=(CLINIC, PRACTICE),
            rows=1000,
            description=DESCRIPTION,
        )
        handout = proposal.propose(owner, replace(request, **changes))
        inputs.contribute(owner, handout, "model", np.vstack([WEIGHTS, BIAS]))
        return handout


NUMBER: Final = {
    "type": "number",
    "range": [-10.0, 10.0],
    "scale": {"centre": 0.0, "spread": 1.0},
}
DESCRIPTION: Final = {
    "title": "Heart",
    "schema": {
        "kind": "table",
        "version": 1,
        "label": {"column": "num", "classes": ["no", "yes"]},
        "columns": [{"name": name, **NUMBER} for name in ("age", "rest", "slope")],
    },
    "activation": "softmax",
    "labels": ["no", "yes"],
}


def refused(code: str) -> "pytest.RaisesExc[FedsecureError]":
    """Expect an error of this code."""
    return pytest.RaisesExc(FedsecureError, check=lambda error: error.code == code)


def program(outputs: dict[str, str], **public: Any) -> Compiled:
    """Compile formulas over `a` of Basel, `b` of Bern and `c` of the clinic."""
    owned = {"a": BASEL, "b": BERN, "c": CLINIC}
    names = {one for formula in outputs.values() for one in owned if one in formula}
    sections = {
        name: {"owner": owned[name], "rows": 3, "bound": 120} for name in sorted(names)
    }
    content = {"name": "sums", "title": "Sums", "inputs": sections, "public": public}
    file = ProgramFile.model_validate({**content, "outputs": outputs})
    return file.compiled(CLINIC)


Give = Callable[..., None]
A: Final = np.array([[1.0], [50.25], [-119.0]])
B: Final = np.array([[70.0], [0.5], [33.0]])


@pytest.fixture
def parties(tmp_path: Path) -> Iterator[Parties]:
    names = (OWNER, *SERVERS, BASEL, BERN, CLINIC, PRACTICE)
    keys = {
        name: Ed25519PrivateKey.from_private_bytes(Entropy(f"key {name}")(32))
        for name in names
    }

    def party(name: str, **more: str) -> dict[str, str]:
        return {"name": name, "key": public_key_text(keys[name]), **more}

    federation = Federation.model_validate(
        {
            "protocol": 1,
            "name": "memory",
            "model_owner": party(OWNER),
            "aggregators": [party(one, url=f"https://{one}.test") for one in SERVERS],
            "data_owners": [
                party(one, flower_key=f"ecdsa-sha2-nistp384 {one}")
                for one in (BASEL, BERN)
            ],
            "clients": [party(CLINIC), party(PRACTICE)],
        }
    )
    aggregators = {
        name: SmallAggregator(Author(name, keys[name], federation), Entropy(name))
        for name in SERVERS
    }
    world = Parties(tmp_path, keys, federation, aggregators, Clock())
    yield world
    for one in world.started:
        one.close()
