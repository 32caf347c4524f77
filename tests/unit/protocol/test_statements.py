"""Statements made at random from the JSON schemas of their own models."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from fedsecure.protocol.jobs import statements as jobs
from fedsecure.protocol.signing import Author, canonical, verify
from fedsecure.protocol.statements import (
    AUTHOR_FIELD,
    SIGNERS,
    Event,
    LedgerHead,
    RoundSpec,
    Statement,
    Void,
)
from tests.unit.protocol.schema_values import statements

Authors = Callable[[str], Author]

NAMES = {
    "model-owner": "study",
    "aggregator": "south",
    "data-owner": "bern",
    "client": "clinic",
}


def coherent(said: dict[str, Any]) -> dict[str, Any]:
    """Mend what a schema cannot say: sets are in order, and so on."""
    if "cohort" in said:
        said["cohort"] = sorted(set(said["cohort"]))
    if "dimension" in said:
        train = said["purpose"] == "train"
        said["dimension"] = (said["dimension"] or 1) if train else 0
    if "privacy" in said and not (said["study"] and said["privacy"]):
        said |= {"study": None, "privacy": None}
    if isinstance(said.get("set"), list):
        distinct = {member["reporter"]: member for member in said["set"]}
        said["set"] = [distinct[name] for name in sorted(distinct)]
    if "included" in said:
        opened = bool(said["opening"] and said["set"] and said["count"])
        if not opened:
            said |= {"opening": None, "set": None, "count": 0}
        said["included"] &= opened
        said["charged"] *= said["included"]
    return said


@pytest.mark.parametrize("kind", SIGNERS, ids=lambda kind: kind.typ)
@given(data=st.data())
@settings(max_examples=20)
def test_what_is_signed_is_read_again(
    kind: type[Statement], data: st.DataObject, clinical: Authors
) -> None:
    role = data.draw(st.sampled_from(sorted(SIGNERS[kind])))
    signer = clinical(NAMES[role])
    said = coherent(data.draw(statements(kind))) | {
        "federation": signer.federation.digest
    }
    if kind in AUTHOR_FIELD:
        said[AUTHOR_FIELD[kind]] = signer.name
    text = json.dumps(said)
    statement = kind.model_validate_json(text)
    signed = signer.sign(statement)
    assert verify(signed.token, kind, signer.federation) == signed
    assert numbers_as_doubles(canonical(statement)) == numbers_as_doubles(text)


def numbers_as_doubles(text: str | bytes) -> Any:
    """JSON as RFC 8785 means it."""
    return json.loads(text, parse_int=float)


def event(author: Author, **changes: Any) -> Event:
    content: dict[str, Any] = {
        "federation": author.federation.digest,
        "author": author.name,
        "entry": 1,
        "previous": "0" * 64,
        "kind": "test",
        "at": 1.5,
        "body": {},
    }
    return Event(**content | changes)


# Canonical JSON writes them without point or exponent, so they look like integers.
@pytest.mark.parametrize(
    "number", [2.0**53, 1e16, 2.0**60, -1e20, 999999999999999868928.0]
)
def test_large_doubles_are_read_again(number: float, author: Authors) -> None:
    for said in (
        event(author("north"), at=number),
        event(author("north"), body={"loss": [number]}),
    ):
        signed = author("north").sign(said)
        assert verify(signed.token, Event, author("north").federation) == signed


@pytest.mark.parametrize("number", [2**53 + 1, 2**60, -(10**21), 10**400])
def test_an_integer_that_would_be_rounded_is_never_said(
    number: int, author: Authors
) -> None:
    with pytest.raises(ValidationError, match=r"beyond 2\*\*53"):
        event(author("north"), body={"total": {"weight": number}})


def test_an_undefined_number_in_a_body_is_said_as_null(author: Authors) -> None:
    said = event(author("north"), body={"auc": float("nan"), "loss": float("inf")})
    assert b'"body":{"auc":null,"loss":null}' in canonical(said)


def test_a_statement_cannot_be_changed(author: Authors) -> None:
    said = event(author("north"))
    with pytest.raises(ValidationError, match="frozen"):
        said.entry = 2


def test_a_refused_value_is_not_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        LedgerHead.model_validate({"entries": 0, "hash": "my secret"})
    assert "secret" not in str(caught.value)


def test_every_statement_names_its_federation_and_type() -> None:
    assert [kind.typ for kind in SIGNERS] == [*dict.fromkeys(k.typ for k in SIGNERS)]
    assert {*SIGNERS, *jobs.SIGNERS} == set(Statement.__subclasses__())
    assert set(AUTHOR_FIELD) == set(SIGNERS) - {*one_author()}
    for kind, field in AUTHOR_FIELD.items():
        assert field in kind.model_fields


def one_author() -> list[type[Statement]]:
    """Those of the model owner alone, who needs no name."""
    return [kind for kind, roles in SIGNERS.items() if roles == SIGNERS[RoundSpec]]


@pytest.mark.parametrize("reason", ["", "a\nb", "\x1b[2J", "\u202eabc", "a" * 201])
def test_a_reason_is_one_line_that_steers_nothing(reason: str) -> None:
    with pytest.raises(ValidationError, match="reason"):
        Void(federation="0" * 64, spec="0" * 64, author="study", reason=reason)
