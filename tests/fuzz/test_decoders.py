"""Bytes of any kind: a decoder returns, or raises one of our errors; nothing else.

What is valid is changed in small ways, cut and repeated, for that gets further into a
decoder than noise. CI spends a second on each decoder, `make slow` a third of a minute.
"""

import io
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.app import ConfigRecord, Message, RecordDict
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from fedsecure.core.homomorphic import gmp, queries
from fedsecure.core.homomorphic.keys import Prime, SecretKey
from fedsecure.core.sealing import seal, seal_info, sealing_key
from fedsecure.errors import FedsecureError
from fedsecure.frameworks.flower import wire
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.membership import identity_file
from fedsecure.membership.accepted import load_accepted
from fedsecure.membership.client_settings import load_client_settings
from fedsecure.owner.settings import load_owner_settings
from fedsecure.protocol import identity, signing, statements
from fedsecure.protocol.encodings import base64url
from fedsecure.protocol.signing_keys import public_key_text
from fedsecure.study.config import load_study
from fedsecure.study.schema.features import load_schema
from fedsecure.system.durability import with_checksum
from fedsecure.transport.aggregator_client import AggregatorClient
from fedsecure.transport.retries import Patience
from fedsecure_aggregator.config import load as load_aggregator_settings
from fedsecure_aggregator.storage.folder_spool import open_spool
from fedsecure_clients.agent.config import load_agent_settings
from tests.unit.aggregator.world import CLINIC, HOSPITALS, OWNER, SERVERS, World

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(1200)]

ROOT: Final = Path(__file__).parents[2]
HEART: Final = ROOT / "studies" / "heart"
IN_CI: Final = 0.8  # seconds for each decoder
SLOW: Final = 20.0
LONGEST: Final = 5.0  # seconds that one input may take
Decode = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """A decoder, and what it takes."""

    decode: Decode
    valid: tuple[bytes, ...]


def changed(valid: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Return noise, and valid inputs after a few small changes."""
    changes = st.lists(
        st.tuples(
            st.sampled_from(["flip", "cut", "insert", "repeat", "drop", "digits"]),
            st.integers(0, 2**16),
            st.binary(max_size=8),
        ),
        max_size=4,
    )
    near = st.builds(_change, st.sampled_from(valid), changes)
    return st.one_of(near, near, near, st.binary(max_size=200))


def _change(data: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    for kind, where, extra in changes:
        at = where % (len(data) + 1)
        if kind == "flip" and data:
            at %= len(data)
            data = (
                data[:at]
                + bytes([data[at] ^ (extra[0] if extra else 1)])
                + data[at + 1 :]
            )
        elif kind == "cut":
            data = data[:at]
        elif kind == "insert":
            data = data[:at] + extra + data[at:]
        elif kind == "repeat":
            data = data[:at] + data[at : at + 16] * 40 + data[at:]
        elif kind == "drop":
            data = data[:at] + data[at + len(extra) :]
        elif kind == "digits":
            data = data[:at] + b"9" * (where % 400) + data[at:]
    return data


def fuzz(target: Target, seconds: float) -> int:
    """Feed a decoder until the time is over; return how many inputs it took."""
    count = 0
    end = time.monotonic() + seconds

    def feed(data: bytes) -> None:
        nonlocal count
        count += 1
        begin = time.monotonic()
        with suppress(FedsecureError):
            target.decode(data)
        took = time.monotonic() - begin
        assert took < LONGEST, f"{took:.1f} s for {data[:200]!r}"

    for one in target.valid:
        target.decode(one)  # or nothing is learned from its neighbours
    while time.monotonic() < end:
        settings(
            max_examples=200,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )(given(changed(target.valid))(feed))()
    return count


# --- what is decoded --------------------------------------------------------------

WORLD: Final = World("fuzz", clients=[CLINIC])


def _signed() -> dict[str, tuple[signing.Signed[Any], str]]:
    """Return a statement of each kind with its signer."""
    asked = WORLD.propose()
    key = sealing_key.SealingKey.from_seed(bytes(32))
    head = statements.LedgerHead(entries=3, hash="a" * 64)
    digest, federation = asked.digest, WORLD.federation.digest
    north, basel = SERVERS[0], HOSPITALS[0]
    common = {"federation": federation, "spec": digest}
    receipt = statements.Receipt(
        **common,
        aggregator=north,
        reporter=basel,
        report_id="0" * 32,
        digest="b" * 64,
        head=head,
    )
    tokens = {
        name: [
            WORLD.author(name)
            .sign(receipt.model_copy(update={"aggregator": name, "reporter": one}))
            .token
            for one in HOSPITALS[:3]
        ]
        for name in SERVERS
    }
    made: list[tuple[str, statements.Statement]] = [
        (
            OWNER,
            statements.FederationIssue(
                federation=federation, number=1, authorities="e" * 64
            ),
        ),
        (
            north,
            statements.RoundGrant(
                **common,
                aggregator=north,
                sealing_key=base64url(key.public_bytes),
                expires=1_800_000_000,
                head=head,
            ),
        ),
        (
            basel,
            statements.ReportHeader(
                **common,
                reporter=basel,
                aggregator=north,
                report_id="0" * 32,
                kind="seed",
                length=1216,
                digest="b" * 64,
            ),
        ),
        (north, receipt),
        (
            OWNER,
            statements.Fold(
                **common,
                set=[
                    statements.Member(reporter=one, report_id="0" * 32)
                    for one in HOSPITALS[:3]
                ],
            ),
        ),
        (
            OWNER,
            statements.Opening(
                **common,
                set=[
                    statements.Member(reporter=one, report_id="0" * 32)
                    for one in HOSPITALS[:3]
                ],
                receipts=tokens,
            ),
        ),
        (
            north,
            statements.AggregateShareHeader(
                **common,
                aggregator=north,
                opening="c" * 64,
                set="d" * 64,
                count=3,
                length=5216,
                digest="b" * 64,
                head=head,
            ),
        ),
        (OWNER, statements.Void(**common, author=OWNER, reason="a test")),
        (
            OWNER,
            statements.Read(
                federation=federation,
                aggregator=north,
                reader=OWNER,
                method="GET",
                path=f"/v1/rounds/{digest}",
                expires=1_800_000_000,
            ),
        ),
        (
            OWNER,
            statements.Event(
                federation=federation,
                author=OWNER,
                entry=1,
                previous="0" * 64,
                kind="run-resumed",
                at=1.5,
                body={"run": "run-1"},
            ),
        ),
        (
            north,
            statements.Inclusion(
                **common,
                aggregator=north,
                reporter=basel,
                report="b" * 64,
                included=True,
                opening="c" * 64,
                set="d" * 64,
                count=3,
                head=head,
            ),
        ),
    ]
    found = {type(one).typ: (WORLD.author(who).sign(one), who) for who, one in made}
    found["round-spec"] = (asked.spec, OWNER)
    return found


def _signed_about_jobs() -> dict[str, tuple[signing.Signed[Any], str]]:
    """Return the same for jobs: what the vectors say, in this federation."""
    found = {}
    for case in json.loads((VECTORS / "job_statements.json").read_text("utf-8")):
        said = case["statement"] | {"federation": WORLD.federation.digest}
        statement = KINDS[case["typ"]].model_validate_json(json.dumps(said))
        signed = WORLD.author(case["signer"]).sign(statement)
        found[case["typ"]] = (signed, case["signer"])
    return found


VECTORS: Final = Path(__file__).parents[1] / "vectors"
KINDS: Final = {kind.typ: kind for kind in statements.Statement.__subclasses__()}
SIGNED: Final = _signed() | _signed_about_jobs()


def token_target(typ: str) -> Target:
    """Tokens as they come over the wire."""

    def decode(data: bytes) -> object:
        return signing.verify(data.decode("latin-1"), KINDS[typ], WORLD.federation)

    return Target(decode, (SIGNED[typ][0].token.encode(),))


def payload_target(typ: str) -> Target:
    """Payloads of a party that signs whatever it likes."""
    signed, signer = SIGNED[typ]
    header = signed.token.partition(".")[0]
    key: Ed25519PrivateKey = WORLD.keys[signer]

    def decode(data: bytes) -> object:
        text = f"{header}.{base64url(data)}"
        token = f"{text}.{base64url(key.sign(text.encode()))}"
        return signing.verify(token, KINDS[typ], WORLD.federation)

    return Target(decode, (signing.canonical(signed.statement),))


def file_target(load: Callable[[Path], object], text: str, place: Path) -> Target:
    """A file that a person writes."""

    def decode(data: bytes) -> object:
        place.write_bytes(data)
        return load(place)

    return Target(decode, (text.encode(),))


AGGREGATOR_TOML: Final = """\
name = "north"
federation = "federation.toml"
key = "north.pem"
listen = "0.0.0.0:8443"
database = "sqlite:///x.db"
[tls]
certificate = "tls.pem"
key = "tls.key"
[policy]
min_cohort = 3
"""
AGENT_TOML: Final = """\
name = "basel"
federation = "federation.toml"
key = "signing.pem"
flower_key = "flower.key"
superlink = "127.0.0.1:9092"
data = "rows.csv"
state = "state"
[aggregators]
north = "7f7f-7f7f-7f7f-7f7f-7f7f-7f7f-7f7f-7f7f"
south = "0a0b-0a0b-0a0b-0a0b-0a0b-0a0b-0a0b-0a0b"
"""
OWNER_TOML: Final = """\
name = "study"
federation = "federation.toml"
key = "signing.pem"
study = "study"
folder = "."
[superlink]
listen = "127.0.0.1:9092"
authority = "ca.pem"
certificate = "tls.pem"
key = "tls.key"
"""
CLIENT_TOML: Final = """\
name = "clinic"
federation = "federation.toml"
key = "signing.pem"
queries = "queries"
[policy.jobs]
receivers = ["basel"]
min_owners = 2
"""


ACCEPTED_TOML: Final = """\
name = "heart"
federation = "131f32b759b5936ce60b78d6ba91e79bf002304b3ee8770e965c8b931c53eb2c"
number = 2
model_owner = "7f7f-7f7f-7f7f-7f7f-7f7f-7f7f-7f7f-7f7f"
[fingerprints]
north = "7f7f-7f7f-7f7f-7f7f-7f7f-7f7f-7f7f-7f7f"
south = "0a0b-0a0b-0a0b-0a0b-0a0b-0a0b-0a0b-0a0b"
"""


def identity_target(place: Path) -> Target:
    """What another party hands over before a federation begins."""
    name = SERVERS[0]
    party = WORLD.federation.find(name)[1]
    mine = identity_file.Identity(
        role=identity.Role.AGGREGATOR,
        name=name,
        key=party.key,
        url=f"https://{name}.test:8443",
    )
    identity_file.write(place, mine, WORLD.keys[name])
    return file_target(identity_file.read, place.read_text("utf-8"), place)


def study_target(folder: Path) -> Target:
    def decode(data: bytes) -> object:
        (folder / "study.toml").write_bytes(data)
        return load_study(folder)

    for path in HEART.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    return Target(decode, ((HEART / "study.toml").read_bytes(),))


def note_target(folder: Path) -> Target:
    """The note of the ledger's head in the spool."""

    def decode(data: bytes) -> object:
        with open_spool(folder) as spool:
            (folder / "ledger-head").write_bytes(data)
            return spool.notes.ledger_head()

    content = b'{"entries":3,"hash":"' + b"a" * 64 + b'"}'
    return Target(decode, (with_checksum(content),))


def sealed_target() -> Target:
    """A payload at an aggregator, a share at the model owner."""
    key = sealing_key.SealingKey.from_seed(bytes(32))
    info = seal_info.report_info(
        bytes(32), bytes(32), "basel", "north", bytes(16), "seed"
    )
    sealed = bytearray()
    seal.seal(key.public_bytes, info, bytes(32), [bytes(64)], sealed.extend)

    def decode(data: bytes) -> object:
        out = memoryview(bytearray(64))
        return seal.open_sealed(key, info, io.BytesIO(data), len(data), out)

    return Target(decode, (bytes(sealed),))


ENCRYPTED: Final = json.loads(
    (ROOT / "tests" / "vectors" / "paillier.json").read_text("utf-8")
)[1]


def encrypted_rows_target() -> Target:
    """A client's key, its proof and its rows under it, at an aggregator."""

    def decode(data: bytes) -> object:
        return queries.read_query(data, ENCRYPTED["bits"], (2, 3))

    return Target(decode, (bytes.fromhex(ENCRYPTED["payload"]),))


def encrypted_answer_target() -> Target:
    """An aggregator's ciphertexts, at the client."""
    p, q = (gmp.integer(int(ENCRYPTED[name])) for name in ("p", "q"))
    key = SecretKey(Prime(p, 2), Prime(q, 2))

    def decode(data: bytes) -> object:
        return queries.decrypt(key, data, (2, 2))

    return Target(decode, (bytes.fromhex(ENCRYPTED["answers"][0]["answer"]),))


def task_message_target() -> Target:
    """What arrives at an agent through Flower."""
    tokens = {"layers": '[["a",[2,3]],["b",[3]]]', "spec": "x", "grants": ["y", "z"]}
    weights = bytes(4 * 9)

    def decode(data: bytes) -> object:
        ours: dict[str, Any] = {
            **tokens,
            "layers": data.decode("latin-1"),
            wire.WEIGHTS: weights,
        }
        content = RecordDict(
            {wire.CONFIG: ConfigRecord({}), wire.OURS: ConfigRecord(ours)}
        )
        with task_identity(1):
            message = Message(content, dst_node_id=1, message_type="train")
        task, _ = wire.unpack_task(message)
        return wire.restore(task.layers, task.weights)

    return Target(decode, (tokens["layers"].encode(),))


def answer_target(kind: str) -> Target:
    """What an aggregator answers; read by owner and agents."""
    held: list[bytes] = [b""]
    status = {"problem": 409}.get(kind, 200)
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=held[0]))
    party = WORLD.federation.aggregators[0]
    client = AggregatorClient(
        party, WORLD.federation, None, Patience(0.0), transport=transport
    )
    asked = SIGNED["round-spec"][0]
    ticket = SIGNED["read"][0]
    calls: Mapping[str, tuple[Callable[[], object], bytes]] = {
        "grant": (
            lambda: client.propose(asked),
            SIGNED["round-grant"][0].token.encode(),
        ),
        "standing": (
            lambda: client.standing(asked.digest, ticket),
            json.dumps({"state": "granted", "receipts": ["x"]}).encode(),
        ),
        "problem": (
            lambda: _raised(lambda: client.propose(asked)),
            json.dumps({"code": "FS-302", "detail": "no"}).encode(),
        ),
    }
    call, valid = calls[kind]

    def decode(data: bytes) -> object:
        held[0] = data
        return call()

    return Target(decode, (valid,))


def _raised(call: Callable[[], object]) -> object:
    try:
        return call()
    except FedsecureError as error:
        return str(error)


def targets(folder: Path) -> dict[str, Callable[[], Target]]:
    """Return every decoder of bytes that somebody else, or a person, wrote."""
    found: dict[str, Callable[[], Target]] = {}
    for typ in KINDS:
        found[f"token {typ}"] = lambda typ=typ: token_target(typ)  # type: ignore[misc]
        found[f"payload {typ}"] = lambda typ=typ: payload_target(typ)  # type: ignore[misc]
    for kind in ("grant", "standing", "problem"):
        found[f"answer {kind}"] = lambda kind=kind: answer_target(kind)  # type: ignore[misc]
    return {
        **found,
        "aggregator.toml": lambda: file_target(
            load_aggregator_settings, AGGREGATOR_TOML, folder / "aggregator.toml"
        ),
        "owner.toml": lambda: file_target(
            load_owner_settings, OWNER_TOML, folder / "owner.toml"
        ),
        "agent.toml": lambda: file_target(
            load_agent_settings, AGENT_TOML, folder / "agent.toml"
        ),
        "client.toml": lambda: file_target(
            load_client_settings, CLIENT_TOML, folder / "client.toml"
        ),
        "federation.toml": lambda: file_target(
            identity.load_federation, federation_toml(), folder / "federation.toml"
        ),
        "accepted.toml": lambda: file_target(
            load_accepted, ACCEPTED_TOML, folder / "accepted.toml"
        ),
        "identity file": lambda: identity_target(folder / "north.identity.toml"),
        "schema.toml": lambda: file_target(
            load_schema, (HEART / "schema.toml").read_text(), folder / "schema.toml"
        ),
        "study.toml": lambda: study_target(folder),
        "ledger-head": lambda: note_target(folder),
        "sealed": sealed_target,
        "encrypted rows": encrypted_rows_target,
        "encrypted answer": encrypted_answer_target,
        "task message": task_message_target,
    }


def federation_toml() -> str:
    import tomli_w  # noqa: PLC0415

    content = WORLD.federation_content()
    for number, party in enumerate(content["data_owners"]):
        party["flower_key"] = f"ecdsa-sha2-nistp384 AAA{number}"
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    content["clients"] = [{"name": CLINIC, "key": public_key_text(key)}]
    return tomli_w.dumps(content)


NAMES: Final = sorted(targets(Path()))


@pytest.mark.parametrize("name", NAMES)
def test_any_bytes_are_decoded_or_refused(name: str, tmp_path: Path) -> None:
    assert fuzz(targets(tmp_path)[name](), IN_CI) > 20


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_any_bytes_are_decoded_or_refused_for_longer(name: str, tmp_path: Path) -> None:
    assert fuzz(targets(tmp_path)[name](), SLOW) > 200


def test_every_kind_of_statement_is_there() -> None:
    assert set(SIGNED) == set(KINDS)
