"""A job's spec says one thing, and its program is the core's."""

from typing import Any

import pytest
from pydantic import ValidationError

from fedsecure.core.mpc.program import Circuit, Input, Linear, Operation, Program
from fedsecure.protocol.encodings import base64url
from fedsecure.protocol.jobs.digests import WentIn, inputs_digest
from fedsecure.protocol.jobs.programs import field_of, plan_of, program_of
from fedsecure.protocol.jobs.statements import JobInput, JobQuery, JobSpec

SUM = Circuit(
    inputs=(
        Input("a", "basel", 2, 3, 16, 100.0),
        Input("b", "bern", 2, 3, 16, 100.0),
        Input("three", "clinic", 1, 1, 0, 3.0, secret=False),
    ),
    operations=(
        Operation("multiply", "tripled", ("three", "b")),
        Operation("add", "total", ("a", "tripled")),
    ),
    outputs=("total",),
)
MODEL = Linear(30, 1, 16, 16, 10.0, 4.0, 4.0)
KEY = base64url(bytes(1216))


def spec(**changes: Any) -> JobSpec:
    content = {
        "federation": "0" * 64,
        "name": "sums",
        "job_id": "1" * 32,
        "proposer": "clinic",
        "kind": "shares",
        "method": "shares",
        "program": field_of(SUM),
        "receiver": "clinic",
        "sealing_key": KEY,
        "clients": [],
        "rows": 0,
        "deadline": 2000,
    }
    return JobSpec.model_validate(content | changes)


def service(**changes: Any) -> JobSpec:
    linear = {"kind": "linear", "program": field_of(MODEL), "receiver": None}
    served = {"sealing_key": None, "clients": ["clinic"], "rows": 100}
    return spec(**linear | served | changes)


@pytest.mark.parametrize("program", [SUM, MODEL])
def test_a_program_comes_back_from_a_spec_as_it_was(program: Program) -> None:
    field = field_of(program)
    assert program_of(type(field).model_validate_json(field.model_dump_json())) == (
        program
    )


def test_everybody_plans_the_same_program() -> None:
    (total,) = plan_of(spec().program).outputs.values()
    assert (total.rows, total.columns, total.fraction_bits) == (2, 3, 16)
    assert total.owners == {"basel", "bern"}


@pytest.mark.parametrize(
    "changes",
    [
        {"receiver": None},
        {"sealing_key": None},
        {"receiver": "basel"},
        {"clients": ["clinic"]},
        {"rows": 1},
        {"kind": "linear"},
        {"method": "paillier"},
    ],
)
def test_a_job_of_shares_has_its_proposer_as_receiver_and_no_clients(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(ValidationError):
        spec(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"receiver": "clinic"},
        {"sealing_key": KEY},
        {"clients": []},
        {"rows": 0},
        {"kind": "shares"},
        {"clients": ["clinic", "clinic"]},
        {"clients": ["clinic", "basel"]},
    ],
)
def test_a_service_has_clients_and_no_receiver(changes: dict[str, Any]) -> None:
    assert service().is_service
    with pytest.raises(ValidationError):
        service(**changes)


HEADER = {
    "federation": "0" * 64,
    "spec": "1" * 64,
    "aggregator": "north",
    "length": 1,
    "digest": "2" * 64,
}
INPUT = HEADER | {"owner": "basel", "name": "a", "input_id": "3" * 32, "kind": "seed"}
QUERY = HEADER | {
    "client": "clinic",
    "query": 1,
    "query_id": "3" * 32,
    "kind": "seed",
    "rows": 1,
    "sealing_key": KEY,
}


@pytest.mark.parametrize(
    "changes", [{"plain": "4" * 64}, {"kind": "public"}, {"kind": "ciphertexts"}]
)
def test_only_public_inputs_say_a_digest_of_their_words(
    changes: dict[str, Any],
) -> None:
    assert JobInput.model_validate(INPUT)
    with pytest.raises(ValidationError):
        JobInput.model_validate(INPUT | changes)


@pytest.mark.parametrize(
    "changes", [{"key_bits": 3072}, {"kind": "ciphertexts"}, {"kind": "public"}]
)
def test_only_encrypted_rows_say_how_long_their_key_is(
    changes: dict[str, Any],
) -> None:
    assert JobQuery.model_validate(QUERY)
    with pytest.raises(ValidationError):
        JobQuery.model_validate(QUERY | changes)


def test_the_order_in_which_inputs_came_does_not_matter() -> None:
    a, b = WentIn("a", "basel", "1" * 32, None), WentIn("b", "bern", "2" * 32, "3" * 64)
    assert inputs_digest([a, b]) == inputs_digest([b, a])
    assert inputs_digest([a, b]) != inputs_digest([a])
