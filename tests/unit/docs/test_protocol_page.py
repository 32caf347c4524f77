"""docs/protocol.md says what the code does: tables, steps, and the worked example."""

import hashlib
import hmac
import importlib
import inspect
import json
import re
import tomllib
from base64 import urlsafe_b64decode
from typing import Any, cast
from unittest.mock import Mock

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi.routing import APIRoute

from fedsecure.contributor import settlement
from fedsecure.core import domains, scheme
from fedsecure.core.params import COUNTS, MAX_SCALARS as MAX_WORDS
from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure.errors import PROBLEMS
from fedsecure.frameworks.flower import wire
from fedsecure.owner.rounds import specs
from fedsecure.owner.store.records import KINDS
from fedsecure.protocol.framing import MAX_HEADER
from fedsecure.protocol.identity import Federation, Role
from fedsecure.protocol.signing import MAX_COMMAS, MAX_TOKEN
from fedsecure.protocol.statement_fields import MAX_DEPTH, MAX_RANGES
from fedsecure.protocol.statements import (
    AUTHOR_FIELD,
    SIGNERS,
    LedgerHead,
    Member,
    ScalarField,
    Statement,
    StatisticsField,
)
from fedsecure.study.handover import StudyFile
from fedsecure.study.task import Layer, model_digest, task_digest
from fedsecure.study.terms import Terms, study_digest
from fedsecure.transport.bounded_connection import MAX_HEAD, MAX_LINE, MAX_WAITING
from fedsecure.transport.retries import Patience
from fedsecure.transport.server_connection import PASSING
from fedsecure_aggregator.http.admission import REST
from fedsecure_aggregator.http.app import _router, _table
from fedsecure_aggregator.http.jobs.routes import (
    MAX_CHANNEL,
    MAX_START,
    JobRoutes,
    table,
)
from fedsecure_aggregator.http.request_body import SLOWEST
from fedsecure_aggregator.http.routes import MAX_SPEC, MAX_VOID, Routes
from fedsecure_aggregator.rounds.openings import BYTES_PER_MEMBER
from fedsecure_aggregator.rules.limits import STILL_SECONDS
from fedsecure_aggregator.storage.jobs.projection import JobEvent
from fedsecure_aggregator.storage.projection import EventKind
from tests.unit.docs import page
from tests.vectors import reference
from tools import protocol_examples

VECTORS = page.ROOT / "tests" / "vectors"
PAGE = page.read("protocol.md")
EXAMPLES = page.blocks(PAGE, "example")
SIGNED_BY = {
    frozenset({Role.MODEL_OWNER}): "the model owner",
    frozenset({Role.AGGREGATOR}): "an aggregator",
    frozenset({Role.DATA_OWNER}): "a data owner",
    frozenset(
        {Role.MODEL_OWNER, Role.AGGREGATOR}
    ): "the model owner or by an aggregator",
    frozenset(
        {Role.MODEL_OWNER, Role.DATA_OWNER, Role.CLIENT}
    ): "the model owner or by a data owner or client",
}


def case(file: str, name: str) -> dict[str, Any]:
    """Return one case of a file of vectors, by its name or its place."""
    cases = json.loads((VECTORS / file).read_text("utf-8"))
    if name.isdecimal():
        return cast(dict[str, Any], cases[int(name)])
    return cast(dict[str, Any], next(one for one in cases if one["name"] == name))


def example(file: str, name: str) -> dict[str, Any]:
    """Return the values of an example in the page, as JSON."""
    label = name if name.isdecimal() else f'"{name}"'
    return {
        key: json.loads(value)
        for key, value in page.values(EXAMPLES[f"{file} {label}"]).items()
    }


@pytest.mark.parametrize("kind", SIGNERS, ids=lambda kind: kind.typ)
def test_every_statement_is_there_with_its_fields_and_signers(
    kind: type[Statement],
) -> None:
    text = page.section(PAGE, kind.typ)
    fields = {page.code(row[0]): row[1] for row in page.table(text)}
    assert list(fields) == list(kind.model_fields)
    for name, field in kind.model_fields.items():
        nullable = type(None) in getattr(field.annotation, "__args__", ())
        assert nullable == fields[name].endswith("or null"), name
    author = AUTHOR_FIELD.get(kind)
    named = f" (`{author}`)" if author else ""
    first = re.split(r"[.,]", " ".join(text.split()))[0]
    assert first == f"Signed by {SIGNED_BY[SIGNERS[kind]]}{named}"


@pytest.mark.parametrize(
    ("kind", "statement", "field"),
    [
        (ScalarField, "round-spec", "scalars"),
        (StatisticsField, "round-spec", "statistics"),
        (Member, "opening", "set"),
    ],
)
def test_parts_of_statements_are_there_with_their_fields(
    kind: type[Any], statement: str, field: str
) -> None:
    rows = {row[0]: row for row in page.table(page.section(PAGE, statement))}
    named = re.findall(r"`(\w+)`", " ".join(rows[f"`{field}`"][1:]))
    assert set(named) == set(kind.model_fields)


def test_a_head_is_there_with_its_fields() -> None:
    rows = {row[0]: row[1] for row in page.table(page.section(PAGE, "Signed"))}
    assert set(re.findall(r'"(\w+)":', rows["head"])) == set(LedgerHead.model_fields)


def test_no_statement_is_described_that_does_not_exist() -> None:
    parts = PAGE.split("\n## ")
    (text,) = (part for part in parts if part.startswith("Signed statements"))
    assert set(re.findall(r"^### (\S+)$", text, re.MULTILINE)) == {
        kind.typ for kind in SIGNERS
    }


def test_every_route_is_there() -> None:
    rows = page.table(page.section(PAGE, "HTTP of an aggregator"))
    described = {page.code(row[0]) for row in rows}
    of_rounds, of_jobs = (
        kind(*cast(Any, [Mock() for _ in inspect.signature(kind).parameters]))
        for kind in (Routes, JobRoutes)
    )
    router = _router([*_table(of_rounds), *table(of_jobs)])
    assert {one.replace("{id}", "{round_id}", 1) for one in described} == {
        f"{method} {route.path}".replace("{job_id}", "{round_id}")
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }


def test_the_limits_of_http_are_there() -> None:
    words = " ".join(PAGE.split())
    for claim in (
        f"line and headers have at most {MAX_HEAD // 2**10} KiB, "
        f"the address in it {MAX_LINE // 2**10} KiB (FS-315)",
        f"are there within {STILL_SECONDS} s of the connection",
        f"take {STILL_SECONDS} s and one more for each {SLOWEST // 2**10} KiB of it",
        f"stand still for no more than {STILL_SECONDS} s (FS-319)",
        f"Up to {MAX_WAITING} requests may wait on a connection",
        f"A spec has at most {MAX_SPEC // 2**20} MiB, a void {MAX_VOID // 2**10} KiB, "
        f"a job-start {MAX_START // 2**10} KiB, a job-channel {MAX_CHANNEL // 2**10} "
        "KiB, "
        f"a fold and an opening {BYTES_PER_MEMBER} bytes",
        f"token in a frame has at most {MAX_HEADER // 2**10} KiB",
        f"a connection that asked too often is not read for {REST:.0f} s",
    ):
        assert claim in words
    answers = " or ".join(", ".join(map(str, sorted(PASSING))).rsplit(", ", 1))
    assert f"no answer or status {answers}" in words
    assert f"An answer of status {answers} may be another one later" in words


def test_the_patience_of_the_clients_is_there() -> None:
    words = " ".join(PAGE.split())
    usual = Patience()
    pauses = f"pauses that grow to {usual.longest_pause:.0f} s"
    assert f"{pauses}, for {usual.seconds:.0f} s" in words
    assert specs.TICKET_SECONDS == settlement.TICKET_SECONDS
    assert f"the clients here set {specs.TICKET_SECONDS} s" in words


def test_the_limits_of_statements_are_there() -> None:
    words = " ".join(PAGE.split())
    for claim in (
        f"has at most {MAX_TOKEN // 2**20} MiB",
        f"A payload has at most {MAX_COMMAS:,} commas",
        f"nests at most {MAX_DEPTH} deep",
        f"together at most 2^{MAX_WORDS.bit_length() - 1}",
    ):
        assert claim in words
    names = ", ".join(f"`{name}`" for name in COUNTS[:-1])
    assert f"is called {names} or `{COUNTS[-1]}`" in words
    assert f"sizes of all scalars and {len(COUNTS)} more" in words
    assert f"`ranges` (1 to {MAX_RANGES} lists" in words


def test_what_may_pass_is_told_by_its_status() -> None:
    again = {code for code, one in PROBLEMS.items() if one.retry is not None}
    own = {code for code in again if PROBLEMS[code].status not in PASSING}
    assert own == {"FS-330", "FS-391"}
    passing = {code for code, one in PROBLEMS.items() if one.status in PASSING}
    of_servers = {code for code in passing if code < "FS-550"}  # others are of clients
    assert of_servers == again - own


def test_the_refusals_that_are_not_recorded_are_there() -> None:
    text = " ".join(page.section(PAGE, "HTTP of an aggregator").split())
    (listed,) = re.findall(r"comes with `Retry-After`, (FS-.+?), a void", text)
    innocent = {code for code, one in PROBLEMS.items() if one.innocent}
    again = {code for code in innocent if PROBLEMS[code].retry is not None}
    assert set(listed.split(", ")) == innocent - again


# Where numbered steps stand in the code, with those of the page.
CHECKS = re.findall(
    r"^### [^\n]*\(`([\w.]+)`\)\n(.*?)(?=^##)", PAGE, re.DOTALL | re.MULTILINE
)


@pytest.mark.parametrize(("where", "text"), CHECKS, ids=lambda value: value[:40])
def test_the_steps_of_a_check_are_those_of_the_code(where: str, text: str) -> None:
    source = inspect.getsource(_find(where))
    numbered = {int(number) for number in re.findall(r"\((\d+)\)", source)}
    steps = [int(number) for number in re.findall(r"^(\d+)\. ", text, re.MULTILINE)]
    if not numbered:  # a check without numbers has no list either
        assert steps == []
        return
    assert steps == sorted(numbered) == list(range(1, len(steps) + 1))


def _find(where: str) -> Any:
    parts = where.split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for name in parts[end:]:
            found = getattr(found, name)
        return found
    raise LookupError(where)


def test_every_label_of_the_cryptography_is_there() -> None:
    labels = {
        value.decode()
        for name, value in vars(domains).items()
        if name.startswith(("MASK_", "SEAL_"))
    }
    assert len(labels) == 9
    assert [label for label in labels if label not in PAGE] == []


def test_the_random_bytes_of_a_report_are_all_there() -> None:
    rows = page.table(page.section(PAGE, "Shares"))
    assert sum(int(row[0]) for row in rows) == scheme.RAND_BYTES
    assert f"{scheme.RAND_BYTES} random bytes" in PAGE


def test_every_kind_of_event_is_there() -> None:
    rows = page.table(page.section(PAGE, "Ledger"))
    described = {row[0]: set(re.findall(r"`([\w-]+)`", row[1])) for row in rows}
    assert described == {
        "model owner": set(KINDS),
        "aggregator": {kind.value for kind in (*EventKind, *JobEvent)},
    }


def test_the_federation_of_the_page_has_the_digest_of_the_vector() -> None:
    known = case("federation.json", "sorted")
    federation = tomllib.loads(EXAMPLES['federation.json "sorted"'])
    assert federation == known["content"]
    assert Federation.model_validate(federation).digest == known["digest"]
    assert known["digest"] in page.section(PAGE, "federation.toml")


def test_the_statement_of_the_page_is_the_vector() -> None:
    known = case("statements.json", "void")
    shown = page.values(EXAMPLES['statements.json "void"'])
    header, payload, _ = shown["token"].split(".")
    assert (shown["token"], shown["digest"]) == (known["token"], known["digest"])
    for part, text in ((header, shown["header"]), (payload, shown["payload"])):
        assert urlsafe_b64decode(part + "=" * (-len(part) % 4)) == text.encode()
    seeds = case("federation.json", "sorted")["seeds"]
    assert f"`{seeds[known['signer']]}`" in page.section(PAGE, "Worked example")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("params.json", "0"),
        ("encoding.json", "within the clip"),
        ("shard.json", "within the clip"),
        ("seal.json", "seed"),
    ],
)
def test_the_values_of_an_example_are_those_of_the_vectors(
    file: str, name: str
) -> None:
    known = case(file, name) | (derived(name) if file == "shard.json" else {})
    shown = example(file, name)
    assert len(shown) >= 5
    for key, value in shown.items():
        if isinstance(value, str) and value.endswith("..."):
            assert str(known[key]).startswith(value[:-3])
        else:
            assert value == known[key], key


def derived(name: str) -> dict[str, str]:
    """What the page computes from a case of shard.json."""
    given = case("shard.json", name)
    facts = (
        bytes.fromhex(given["spec_digest"]),
        bytes.fromhex(given["report_id"]),
        given["reporter"],
    )
    seed = bytes.fromhex(given["seed"])
    keys = {
        part: reference.hkdf(
            seed, reference.mask_info(f"fedsecure v1 mask {part}", *facts)
        )
        for part in ("tensor", "scalars")
    }
    return {
        "tensor_key": keys["tensor"].hex(),
        "scalars_key": keys["scalars"].hex(),
        "tensor_mask": reference.key_stream(keys["tensor"], 16).hex(),
        "scalars_mask": reference.key_stream(keys["scalars"], 64).hex(),
    }


def test_the_words_of_the_example_follow_from_each_other() -> None:
    numbers = example("encoding.json", "within the clip")
    shares = example("shard.json", "within the clip")
    vector, mask = (
        np.frombuffer(bytes.fromhex(shares[key])[:16], "<u4")
        for key in ("vector", "tensor_mask")
    )
    assert (vector + mask).view("<i4").tolist() == numbers["tensor"]
    line = " ".join(page.section(PAGE, "Worked example").split())
    assert f"33554432 - {mask[0]:#x} mod 2^32 = {vector[0]:#x}" in line


def decapsulated(seed: bytes, encapsulation: bytes) -> bytes:
    """X-Wing written out, with the page's last six bytes."""
    expanded = hashlib.shake_256(seed).digest(96)
    mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
    x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
    ephemeral = encapsulation[1088:]
    (label,) = re.findall(r"six bytes `(\w{12})`", " ".join(PAGE.split()))
    return hashlib.sha3_256(
        mlkem.decapsulate(encapsulation[:1088])
        + x25519.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        + ephemeral
        + x25519.public_key().public_bytes_raw()
        + bytes.fromhex(label)
    ).digest()


def test_the_kem_is_that_of_the_draft_of_x_wing() -> None:
    known = {name: bytes.fromhex(text) for name, text in xwing().items()}
    assert SealingKey(known["seed"]).public_bytes == known["public_key"]
    secret = decapsulated(known["seed"], known["encapsulation"])
    assert secret == known["shared_secret"]


def xwing() -> dict[str, str]:
    given = case("xwing.json", "0")
    del given["name"]
    return given


def test_the_sealed_key_opens_by_the_documents_alone() -> None:
    """HPKE and X-Wing written out: the page's identifiers are the right ones."""
    given = case("seal.json", "seed")
    sealed, info = bytes.fromhex(given["sealed_key"]), bytes.fromhex(given["info"])
    secret = decapsulated(bytes.fromhex(given["key_seed"]), sealed[:1120])
    kem, kdf, aead = re.findall(r"(?:KEM|KDF|AEAD) (0x\w{4})", PAGE)
    suite = b"HPKE" + b"".join(int(one, 16).to_bytes(2) for one in (kem, kdf, aead))

    def extract(salt: bytes, label: bytes, value: bytes) -> bytes:
        salt = salt or bytes(32)
        return hmac.digest(salt, b"HPKE-v1" + suite + label + value, "sha256")

    def expand(key: bytes, label: bytes, about: bytes, size: int) -> bytes:
        text = size.to_bytes(2) + b"HPKE-v1" + suite + label + about + b"\1"
        return hmac.digest(key, text, "sha256")[:size]

    about = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    base = extract(secret, b"secret", b"")
    key, nonce = (
        expand(base, label, about, size)
        for label, size in ((b"key", 32), (b"base_nonce", 12))
    )
    opened = AESGCM(key).decrypt(nonce, sealed[1120:], b"")
    assert (
        opened.hex()
        == given["content_key"]
        == example("seal.json", "seed")["content_key"]
    )


def test_the_digests_of_a_task_on_the_page_are_right() -> None:
    layers = [Layer("0", (2, 1)), Layer("1", (1,))]
    weights = np.array([1, 2, 3], np.float32)
    model = model_digest(layers, weights)
    digest = task_digest("train", model, {"server-round": 1})
    shown = page.values(EXAMPLES["task"])
    assert json.loads(shown["model"]) == model.hex()
    assert json.loads(shown["digest"]) == digest.hex()

    def n(count: int) -> bytes:
        return count.to_bytes(8)

    def v(tag: bytes, content: bytes) -> bytes:
        return tag + n(len(content)) + content

    def shape(*sizes: int) -> bytes:
        items = b"".join(v(b"i", str(size).encode()) for size in sizes)
        return b"l" + n(len(sizes)) + items

    by_hand = hashlib.sha256(
        v(b"y", b"fedsecure v1 model digest")
        + n(2)
        + v(b"s", b"0")
        + shape(2, 1)
        + v(b"s", b"1")
        + shape(1)
        + weights.astype("<f4").tobytes()
    ).digest()
    assert by_hand == model
    encoded = (
        v(b"y", b"fedsecure v1 task digest")
        + v(b"s", b"train")
        + v(b"y", model)
        + n(1)
        + v(b"s", b"server-round")
        + v(b"i", b"1")
    )
    assert hashlib.sha256(encoded).digest() == digest


def test_the_digest_of_a_study_on_the_page_is_right() -> None:
    shown = page.values(EXAMPLES["study"])
    terms = Terms.model_validate_json(shown["terms"])
    assert terms.text == shown["terms"]
    digest = study_digest({"study": "a text", "server-round": 1}, terms)
    assert json.loads(shown["digest"]) == digest.hex()

    def v(tag: bytes, content: bytes) -> bytes:
        return tag + len(content).to_bytes(8) + content

    encoded = (
        v(b"y", b"fedsecure v1 study digest")
        + v(b"s", shown["terms"].encode())
        + (1).to_bytes(8)
        + v(b"s", b"study")
        + v(b"s", b"a text")
    )
    assert hashlib.sha256(encoded).digest() == digest


def test_the_terms_of_a_study_are_all_there() -> None:
    text = page.section(PAGE, "Study digest")
    assert all(f"`{name}`" in text for name in Terms.model_fields)
    assert all(f"`{name}`" in text for name in StudyFile.model_fields)


def test_the_limits_of_a_message_through_flower_are_there() -> None:
    text = " ".join(page.section(PAGE, "Messages through Flower").split())
    assert f"`config` has at most {wire.MAX_CONFIG >> 20} MiB" in text
    assert f"{wire.MAX_VALUES:,} values" in text
    assert f"`fedsecure` {wire.MAX_OURS >> 20} MiB" in text
    assert f"{wire.MAX_LAYERS:,} layers of up to {wire.MAX_AXES} axes" in text
    assert wire.MAX_GRANTS == 2


def test_the_examples_are_those_of_the_vectors() -> None:
    assert protocol_examples.page() == PAGE, "type: python tools/protocol_examples.py"
