"""What a party lets be made of its numbers, and which outputs hide them."""

import numpy as np
import pytest

from fedsecure.compute import inputs
from fedsecure.compute.policy import OwnRules
from fedsecure.compute.programs.mixing import Mixing
from fedsecure.compute.programs.wording import outputs_in_words
from fedsecure.core.mpc import ring
from fedsecure.core.mpc.plan import plan
from fedsecure.membership.jobs_policy import JobsPolicy
from tests.unit.compute.conftest import (
    BASEL,
    BERN,
    CLINIC,
    PRACTICE,
    A,
    Parties,
    program,
    refused,
)

CLINIC_MAY = JobsPolicy(receivers=frozenset({CLINIC}))


def mixing(outputs: dict[str, str], *, known: bool = True, **public: object) -> Mixing:
    compiled = program(outputs, **public)
    given = {one.name: one for one in compiled.circuit.inputs}
    words = {
        name: ring.encode(numbers, given[name].fraction_bits, given[name].bound)
        for name, numbers in compiled.public.items()
    }
    circuit = compiled.circuit
    return Mixing(circuit, plan(circuit), words if known else {})


def hides(outputs: dict[str, str], **public: object) -> bool:
    """Tell whether Bern's numbers hide Basel's in every output with both."""
    found = mixing(outputs, **public)
    return all(BERN in found.parties(one, BASEL) for one in found.outputs_of(BASEL))


@pytest.mark.parametrize(
    "outputs",
    [
        {"s": "a + b"},
        {"s": "a - b"},
        {"s": "-(b - a)"},
        {"s": "a + 3 * b"},
        {"s": "3 * (a + b) + 0.7"},
        {"s": "0.3 * (a + b)"},
        {"s": "a + a + b"},
        {"s": "a + c + b"},
        {"s": "a + b", "more": "c + c"},
    ],
    ids=str,
)
def test_in_a_sum_each_number_hides_another(outputs: dict[str, str]) -> None:
    assert hides(outputs)


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        ({"s": "a + 0 * b"}, "b vanishes"),
        ({"s": "a + b - b"}, "b cancels"),
        ({"s": "b - (a + b)"}, "b cancels"),
        ({"s": "a + b", "d": "a - b"}, "two sums tell both"),
        ({"s": "a + b", "t": "2 * b"}, "b is opened beside"),
        ({"s": "a + b", "a": "a"}, "a is opened beside"),
        ({"s": "1073741824 * a + b"}, "b lies below a's steps"),
        ({"s": "a + 1073741824 * b"}, "a lies below b's steps"),
        ({"s": "1073741825 * a + b"}, "b lies within a's steps"),
        ({"s": "a + 0.3 * b"}, "a is what is left modulo b's steps"),
        ({"s": "a + c"}, "b is not in it"),
    ],
    ids=str,
)
def test_what_tells_numbers_apart_hides_none(outputs: dict[str, str], why: str) -> None:
    assert not hides(outputs), why


def test_a_matrix_product_of_a_sum_hides_and_a_sum_of_products_does_not() -> None:
    """Of the second the columns may depend on each other, and then a is left over."""
    weights = [1.0, 2.0, 3.0]
    assert hides({"s": "w @ (a + b)"}, w=weights)
    assert not hides({"s": "w @ a + w @ b"}, w=weights)


def test_a_factor_that_nobody_showed_hides_nothing() -> None:
    found = mixing({"s": "a + 3 * b"}, known=False)
    assert found.parties("s", BASEL) == {BASEL}


def test_one_number_does_not_hide_many() -> None:
    compiled = program({"s": "a + b"})
    narrow = [
        one if one.name == "a" else type(one)("b", BERN, 1, 1, 16, 120.0)
        for one in compiled.circuit.inputs
    ]
    circuit = type(compiled.circuit)(
        tuple(narrow), compiled.circuit.operations, compiled.circuit.outputs
    )
    assert Mixing(circuit, plan(circuit)).parties("s", BASEL) == {BASEL}


RULES = {
    "no section [policy.jobs]": ("FS-448", OwnRules(None)),
    "sums without noise": ("FS-448", OwnRules(None, "[policy.privacy]")),
    "nobody receives": ("FS-442", OwnRules(JobsPolicy())),
    "others receive": ("FS-442", OwnRules(JobsPolicy(receivers=frozenset({PRACTICE})))),
    "three parties are wanted": (
        "FS-447",
        OwnRules(JobsPolicy(receivers=frozenset({CLINIC}), min_owners=3)),
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_party_refuses_before_anything_is_sealed(parties: Parties, rule: str) -> None:
    code, rules = RULES[rule]
    _, handout, _ = parties.propose(CLINIC, program({"total": "a + b"}))
    basel = parties.start(BASEL, rules)
    before = len(parties.north.asked)
    with refused(code):
        inputs.contribute(basel, handout, "a", A)
    assert len(parties.north.asked) == before
    assert not [*basel.folder.rglob("*.input")]


@pytest.mark.parametrize(
    "formula", ["a + b - b", "a + 0 * b", "a + 1073741824 * b", "a + c", "2 * a"]
)
def test_a_sum_that_tells_one_partys_numbers_is_refused(
    parties: Parties, formula: str
) -> None:
    _, handout, _ = parties.propose(CLINIC, program({"total": formula}))
    with refused("FS-447"):
        inputs.contribute(parties.start(BASEL), handout, "a", A)


def test_the_receivers_own_numbers_hide_none_from_it(parties: Parties) -> None:
    _, handout, _ = parties.propose(CLINIC, program({"total": "a + c"}))
    with refused("FS-447") as caught:
        inputs.contribute(parties.start(BASEL), handout, "a", A)
    assert "mixes 1 (basel)" in caught.value.detail


def test_who_allows_it_may_tell_its_numbers(parties: Parties) -> None:
    _, handout, _ = parties.propose(CLINIC, program({"total": "2 * a"}))
    open_handed = JobsPolicy(receivers=frozenset({CLINIC}), min_owners=1)
    inputs.contribute(parties.start(BASEL, OwnRules(open_handed)), handout, "a", A)


def test_a_party_needs_no_rules_for_what_it_proposed_itself(parties: Parties) -> None:
    clinic, handout, _ = parties.propose(CLINIC, program({"total": "c + c"}))
    inputs.contribute(parties.start(CLINIC, OwnRules(None)), handout, "c", A)
    assert clinic.name == CLINIC


def test_public_numbers_that_an_aggregator_holds_otherwise_are_noticed(
    parties: Parties,
) -> None:
    """Described is a factor 3, given was 0: Bern's numbers would hide nothing."""
    honest = program({"total": "a + 3 * b"})
    (factor,) = honest.public
    lie = type(honest)(honest.circuit, {factor: np.array([[0.0]])}, honest.shapes)
    described = {"title": "Sums", "public": {factor: [[3.0]]}}
    _, handout, _ = parties.propose(CLINIC, lie, description=described)
    with refused("FS-396"):
        inputs.contribute(parties.start(BASEL), handout, "a", A)


def test_public_numbers_that_are_not_there_yet_are_waited_for(parties: Parties) -> None:
    compiled = program({"total": "a + 3 * b"})
    late = type(compiled)(compiled.circuit, {}, compiled.shapes)
    described = {
        "title": "Sums",
        "public": {name: one.tolist() for name, one in compiled.public.items()},
    }
    clinic, handout, _ = parties.propose(CLINIC, late, description=described)
    with refused("FS-396") as caught:
        inputs.contribute(parties.start(BASEL), handout, "a", A)
    assert "no numbers yet" in caught.value.detail
    for name, numbers in compiled.public.items():
        inputs.contribute(clinic, handout, name, numbers)
    inputs.contribute(parties.start(BASEL), handout, "a", A)


@pytest.mark.parametrize("wrong", [[["x"]], [[1.0, 2.0]], "3", [[1e300]], [[None]]])
def test_a_description_with_other_public_numbers_is_refused(
    parties: Parties, wrong: object
) -> None:
    compiled = program({"total": "a + 3 * b"})
    (factor,) = compiled.public
    described = {"title": "Sums", "public": {factor: wrong}}
    _, handout, _ = parties.propose(
        CLINIC, type(compiled)(compiled.circuit, {}, {}), description=described
    )
    with refused("FS-701"):
        inputs.contribute(parties.start(BASEL), handout, "a", A)


def words_for(outputs: dict[str, str], **public: object) -> list[tuple[str, str]]:
    compiled = program(outputs, **public)
    found = mixing(outputs, **public)
    told = outputs_in_words(found, compiled.public, CLINIC, BASEL)
    return [(one.formula, one.tells) for one in told]


def test_a_person_reads_formulas_and_what_they_tell() -> None:
    told = dict(words_for({"s": "a + 3 * b", "t": "2 * c", "u": "-(c + c)"}))
    assert told == {
        "a + b * 3": "clinic learns sums of yours and those of bern",
        "c * 2": "none of your numbers is in it",
        "-(c + c)": "none of your numbers is in it",
    }
    ((formula, tells),) = words_for({"s": "a + b - b"})
    assert formula == "a + b - b"
    assert tells == "clinic can compute your numbers, or sums of them, from it"
