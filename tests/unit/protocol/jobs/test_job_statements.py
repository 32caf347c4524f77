"""Statements about jobs, made at random; what they must say beyond their schemas."""

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from fedsecure.protocol.jobs import digests
from fedsecure.protocol.jobs.digests import WentIn
from fedsecure.protocol.jobs.programs import plan_of
from fedsecure.protocol.jobs.statements import (
    AUTHOR_FIELD,
    SIGNERS,
    JobSpec,
    JobStart,
)
from fedsecure.protocol.signing import canonical, verify
from fedsecure.protocol.statements import Statement
from tests.unit.protocol.schema_values import statements
from tests.unit.protocol.test_statements import NAMES, Authors, numbers_as_doubles
from tests.unit.protocol.vectors import loaded

DIGESTS = {case["name"]: case for case in loaded("job_digests")}
SHARES: dict[str, Any] = {
    "kind": "shares",
    "method": "shares",
    "clients": [],
    "rows": 0,
}
SERVICE: dict[str, Any] = {
    "kind": "linear",
    "clients": ["clinic", "study"],
    "rows": 7,
    "receiver": None,
    "sealing_key": None,
}


def coherent(said: dict[str, Any], signer: str) -> dict[str, Any]:
    """Mend what a schema cannot say: kind and program agree, and so on."""
    if "program" in said:
        said |= SHARES | {"receiver": signer}
        if said["program"]["type"] == "linear":
            said |= SERVICE
    if "plain" in said:
        said["kind"] = {"ciphertexts": "seed"}.get(said["kind"], said["kind"])
        said["plain"] = "0" * 64 if said["kind"] == "public" else None
    if "key_bits" in said:
        said["kind"] = {"public": "seed"}.get(said["kind"], said["kind"])
        encrypted = said["kind"] == "ciphertexts"
        said["key_bits"] = (said["key_bits"] or 2048) if encrypted else None
    if "grants" in said:
        said["grants"] = {"north": "a.b.c", "south": "d.e.f"}
    return said


@pytest.mark.parametrize("kind", SIGNERS, ids=lambda kind: kind.typ)
@given(data=st.data())
@settings(max_examples=20)
def test_what_is_signed_about_a_job_is_read_again(
    kind: type[Statement], data: st.DataObject, clinical: Authors
) -> None:
    role = data.draw(st.sampled_from(sorted(SIGNERS[kind])))
    signer = clinical(NAMES[role])
    said = coherent(data.draw(statements(kind)), signer.name)
    said["federation"] = signer.federation.digest
    if kind in AUTHOR_FIELD:
        said[AUTHOR_FIELD[kind]] = signer.name
    text = json.dumps(said)
    statement = kind.model_validate_json(text)
    signed = signer.sign(statement)
    assert verify(signed.token, kind, signer.federation) == signed
    assert numbers_as_doubles(canonical(statement)) == numbers_as_doubles(text)


@pytest.mark.parametrize(
    "name", ["job-spec", "service by shares", "service by Paillier"]
)
def test_the_programs_of_the_vectors_are_well_formed(name: str) -> None:
    (said,) = (
        case["statement"] for case in loaded("job_statements") if case["name"] == name
    )
    spec = JobSpec.model_validate_json(json.dumps(said))
    assert plan_of(spec.program, rows=3).outputs


def test_every_statement_about_a_job_has_a_type_and_an_author_of_its_own() -> None:
    assert [*{kind.typ: 1 for kind in SIGNERS}] == [kind.typ for kind in SIGNERS]
    assert set(SIGNERS) - set(AUTHOR_FIELD) == {JobStart}
    for kind, field in AUTHOR_FIELD.items():
        assert field in kind.model_fields


@pytest.mark.parametrize(
    "name", ["inputs of a job", "inputs turned round", "inputs of a query"]
)
def test_inputs_have_the_digests_of_the_vectors(name: str) -> None:
    used = [WentIn(*one) for one in DIGESTS[name]["inputs"]]
    assert digests.inputs_digest(used) == DIGESTS[name]["digest"]


def test_every_part_of_an_input_is_in_the_digest() -> None:
    used = WentIn("a", "clinic", "0" * 32, None)
    others = (
        WentIn("b", *used[1:]),
        used._replace(owner="basel"),
        used._replace(input_id="1" * 32),
        used._replace(plain="2" * 64),
    )
    found = [digests.inputs_digest(one) for one in ([used], *([x] for x in others), [])]
    assert len(set(found)) == len(found)


def test_a_description_has_the_digest_of_the_vectors() -> None:
    case = DIGESTS["description of a service"]
    assert digests.description_digest(case["description"]) == case["digest"]
