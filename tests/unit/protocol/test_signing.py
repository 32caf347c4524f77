import inspect
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from hypothesis import example, given, settings, strategies as st

from fedsecure.errors import PeerError
from fedsecure.protocol import signing
from fedsecure.protocol.encodings import base64url, from_base64url
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.jobs import statements as jobs
from fedsecure.protocol.signing import (
    MAX_COMMAS,
    Author,
    Signed,
    canonical,
    digest_of,
    set_digest,
    verify,
)
from fedsecure.protocol.statements import (
    AUTHOR_FIELD,
    SIGNERS,
    Event,
    Member,
    Opening,
    Statement,
    Void,
)
from tests.unit.protocol.vectors import FOLDER, author_in, federation_of, loaded

ALL_SIGNERS = {**SIGNERS, **jobs.SIGNERS}
KINDS = {kind.typ: kind for kind in ALL_SIGNERS}
PLACES = {"statements": "sorted", "job_statements": "with clients"}
SCRIPTS = ("generate_statements.py", "generate_jobs.py")

Authors = Callable[[str], Author]


def cases(prefix: str = "") -> list[Any]:
    """Of both files; each knows in which federation it was said."""
    return [
        pytest.param({**case, "place": place}, id=case["name"])
        for name, place in PLACES.items()
        for case in loaded(f"{prefix}{name}")
    ]


GOOD = {case.id: case.values[0] for case in cases()}


def signed_by(author: Author, typ: str, payload: bytes) -> str:
    """A token with the right header and signature over any payload."""
    header = {"alg": "EdDSA", "kid": author.name, "typ": typ}
    text = json.dumps(header, separators=(",", ":")).encode()
    signing_input = f"{base64url(text)}.{base64url(payload)}"
    signature = author.key.sign(signing_input.encode("ascii"))
    return f"{signing_input}.{base64url(signature)}"


def canonical_of(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def judge(
    token: str, kind: type[Statement], federation: Federation
) -> Signed[Any] | PeerError:
    """What became of it; any other exception is an error of this test."""
    try:
        return verify(token, kind, federation)
    except PeerError as error:
        return error


# vectors


@pytest.mark.parametrize("script", SCRIPTS)
def test_files_are_what_their_script_writes(script: str) -> None:
    command = [sys.executable, str(FOLDER / script), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_there_is_a_vector_for_every_type_of_statement() -> None:
    assert {case["typ"] for case in GOOD.values()} == set(KINDS)
    assert len(KINDS) == len(ALL_SIGNERS)


@pytest.mark.parametrize("case", cases())
def test_a_good_token_is_accepted(case: dict[str, Any]) -> None:
    signed = verify(case["token"], KINDS[case["typ"]], federation_of(case["place"]))
    assert json.loads(signed.statement.model_dump_json()) == case["statement"]
    assert (signed.signer, signed.token) == (case["signer"], case["token"])
    assert signed.digest == case["digest"] == digest_of(case["token"])


@pytest.mark.parametrize("case", cases())
def test_a_party_signs_exactly_that_token(case: dict[str, Any]) -> None:
    kind = KINDS[case["typ"]]
    statement = kind.model_validate_json(json.dumps(case["statement"], indent=2))
    signed = author_in(case["place"], case["signer"]).sign(statement)
    assert (signed.token, signed.digest) == (case["token"], case["digest"])
    assert (signed.statement, signed.signer) == (statement, case["signer"])


@pytest.mark.parametrize("case", cases())
def test_another_implementation_accepts_the_token(case: dict[str, Any]) -> None:
    _, party = federation_of(case["place"]).find(case["signer"])
    payload = jwt.PyJWS().decode(case["token"], party.verifier, algorithms=["EdDSA"])
    assert json.loads(payload) == case["statement"]


@pytest.mark.parametrize("case", cases("bad_"))
def test_a_bad_token_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(PeerError) as caught:
        verify(case["token"], KINDS[case["typ"]], federation_of(case["place"]))
    assert caught.value.code == case["code"]


# who may say what


@pytest.mark.parametrize("case", cases())
def test_only_the_roles_of_the_table_may_say_it(case: dict[str, Any]) -> None:
    """A client's and a dealer's word counts in no round, and they make no version."""
    kind, federation = KINDS[case["typ"]], federation_of("with a dealer")
    allowed = set()
    for party in federation.parties():
        own = in_the_name_of(party.name, case["statement"], kind)
        own["federation"] = federation.digest
        statement = kind.model_validate_json(json.dumps(own))
        token = author_in("with a dealer", party.name).sign(statement).token
        found = judge(token, kind, federation)
        if isinstance(found, PeerError):
            assert found.code == "FS-703"
            assert party.name in found.detail
        else:
            allowed.add(party.name)
    assert allowed == set(case["signers"])


def in_the_name_of(
    name: str, said: dict[str, Any], kind: type[Statement]
) -> dict[str, Any]:
    """The same, said by another party."""
    field = {**AUTHOR_FIELD, **jobs.AUTHOR_FIELD}.get(kind)
    own = {**said, **({field: name} if field else {})}
    if own.get("receiver"):  # of a job: who proposes it
        own["receiver"] = name
    return own


@pytest.mark.parametrize("case", cases())
def test_a_token_is_of_one_type_alone(case: dict[str, Any]) -> None:
    for kind in ALL_SIGNERS:
        if kind.typ != case["typ"]:
            with pytest.raises(PeerError, match="FS-702") as caught:
                verify(case["token"], kind, federation_of(case["place"]))
            assert f"a {case['typ']} of {case['signer']}" in caught.value.detail


def test_parties_with_other_files_find_out(
    content: dict[str, Any], author: Authors
) -> None:
    content["data_owners"].pop()
    other = Federation.model_validate(content)
    with pytest.raises(PeerError, match="FS-705") as caught:
        verify(GOOD["receipt"]["token"], KINDS["receipt"], other)
    theirs, here = author("north").federation.digest, other.digest
    assert caught.value.detail == (
        f"north says {theirs[:12]}, this party holds {here[:12]} (receipt)"
    )


def test_a_payload_has_as_many_commas_as_the_largest_opening_could_have(
    federation: Federation, author: Authors
) -> None:
    for commas, why in (
        (MAX_COMMAS, "Invalid JSON"),
        (MAX_COMMAS + 1, f"more than {MAX_COMMAS} values"),
    ):
        token = signed_by(author("study"), "void", b"," * commas)
        with pytest.raises(PeerError, match=rf"FS-701.*{why}"):
            verify(token, KINDS["void"], federation)


# every change is seen


@pytest.mark.parametrize("name", ["void", "receipt", "job-input"])
def test_a_change_of_any_character_is_refused(name: str) -> None:
    token, kind = GOOD[name]["token"], KINDS[GOOD[name]["typ"]]
    federation = federation_of(GOOD[name]["place"])
    for place, old in enumerate(token):
        for new in {"A", "-", ".", "", f"{old}A", chr(ord(old) ^ 1)} - {old}:
            with pytest.raises(PeerError):
                verify(token[:place] + new + token[place + 1 :], kind, federation)


@given(data=st.data(), name=st.sampled_from(sorted(GOOD)))
@settings(max_examples=100)
def test_a_change_of_a_payload_is_refused_or_another_statement(
    data: st.DataObject, name: str
) -> None:
    case = GOOD[name]
    author = author_in(case["place"], case["signer"])
    payload = from_base64url(case["token"].split(".")[1])
    start = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(start, min(len(payload), start + 8)))
    new = data.draw(
        st.binary(max_size=4)
        | st.sampled_from([b"null", b"1e99", b"NaN", b"-0", b"{}", b'"', b"\\", b" "])
    )
    changed = payload[:start] + new + payload[end:]
    token = signed_by(author, case["typ"], changed)
    found = judge(token, KINDS[case["typ"]], author.federation)
    if isinstance(found, PeerError):
        assert found.code in {"FS-701", "FS-705", "FS-706"}
    else:
        assert canonical(found.statement) == changed


@given(text=st.text() | st.text(alphabet="AZaz09-_.=+/ ", max_size=200))
@example(text="\ud800")
@example(text="." * 100_000)
def test_any_text_is_refused(text: str, federation: Federation) -> None:
    with pytest.raises(PeerError, match="FS-70"):
        verify(text, Void, federation)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**53, 10**22)
    | st.floats()
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(body=st.dictionaries(st.text(), JSON, max_size=4))
@example(body={"loss": 1e20})
@example(body={"loss": 2.0**53})
def test_any_body_is_refused_or_has_one_spelling(
    body: dict[str, Any], federation: Federation, author: Authors
) -> None:
    content = {**GOOD["event"]["statement"], "body": body}
    payload = canonical_of(content)
    token = signed_by(author("north"), "event", payload)
    found = judge(token, Event, federation)
    if isinstance(found, PeerError):
        assert found.code == "FS-701"
    else:
        assert canonical(found.statement) == payload


# limits


def test_a_token_has_a_largest_size(
    monkeypatch: pytest.MonkeyPatch, federation: Federation
) -> None:
    token = GOOD["void"]["token"]
    monkeypatch.setattr(signing, "MAX_TOKEN", len(token))
    verify(token, Void, federation)
    monkeypatch.setattr(signing, "MAX_TOKEN", len(token) - 1)
    with pytest.raises(PeerError, match=f"FS-701.*{len(token)} characters"):
        verify(token, Void, federation)


def test_depth_is_refused_where_little_stack_is_left(
    federation: Federation, author: Authors
) -> None:
    body = '{"a":' + "[" * 29 + "]" * 29 + "}"
    statement = {**GOOD["event"]["statement"], "body": "BODY"}
    payload = canonical_of(statement).replace(b'"BODY"', body.encode())
    token = signed_by(author("north"), "event", payload)
    verify(token, Event, federation)
    found, limit = None, sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 35)
    try:
        found = judge(token, Event, federation)
    finally:
        sys.setrecursionlimit(limit)
    assert isinstance(found, PeerError)
    assert found.code == "FS-701"


def test_dots_cost_no_memory(federation: Federation) -> None:
    token = "." * 2**20
    tracemalloc.start()
    with pytest.raises(PeerError, match="FS-701"):
        verify(token, Void, federation)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * len(token)


@pytest.mark.parametrize("place", ["set", "receipts", "extra"])
def test_wrong_values_are_counted_and_not_listed(
    place: str, federation: Federation, author: Authors
) -> None:
    # Before there was a limit, 15 MB of them took six gigabytes and a minute.
    values = 150_000
    content = {
        "set": {"set": [0] * values},
        "receipts": {"receipts": {"north": [0] * values}},
        "extra": {f"{number:x}": 0 for number in range(values)},
    }[place]
    payload = json.dumps(content).encode()
    token = signed_by(author("study"), "opening", payload)
    with pytest.raises(
        PeerError, match=r"FS-701.* values are wrong|FS-701.*is missing"
    ):
        verify(token, Opening, federation)
    payload = payload.replace(b"0,", b"0,0,") if place != "extra" else payload * 2
    token = signed_by(author("study"), "opening", payload)
    with pytest.raises(PeerError, match="more than 200000 values"):
        verify(token, Opening, federation)


def test_the_largest_opening_is_within_the_limits(
    federation: Federation, author: Authors
) -> None:
    names = [f"{number:05d}{'x' * 58}" for number in range(10_000)]
    receipt = GOOD["receipt"]["token"] + "A" * 400  # of the longest names
    statement = Opening(
        federation=federation.digest,
        spec="0" * 64,
        set=[Member(reporter=name, report_id="0" * 32) for name in names],
        receipts={server: [receipt] * len(names) for server in ("north", "south")},
    )
    signed = author("study").sign(statement)
    assert verify(signed.token, Opening, federation) == signed


# forms


def test_the_canonical_form_sorts_and_has_no_space(federation: Federation) -> None:
    statement: Statement = Void(
        federation=federation.digest,
        spec="0" * 64,
        author="study",
        reason="äß\N{SNOWMAN}",
    )
    text = canonical(statement).decode("utf-8")
    assert text == (
        f'{{"author":"study","federation":"{federation.digest}",'
        f'"reason":"äß\N{SNOWMAN}","spec":"{"0" * 64}"}}'
    )


def test_the_digest_of_a_set_depends_on_all_of_it() -> None:
    first = Member(reporter="basel", report_id="0" * 32)
    second = Member(reporter="chur", report_id="0" * 32)
    sets = [[], [first], [second], [first, second]]
    assert len({set_digest(members) for members in sets}) == len(sets)


def test_a_signature_is_not_in_the_digest_but_all_the_rest_is() -> None:
    token = GOOD["void"]["token"]
    head, payload, signature = token.split(".")
    assert digest_of(f"{head}.{payload}.") == digest_of(token)
    assert digest_of(f"{head}.{payload[:-1]}.{signature}") != digest_of(token)
