"""A job of shares from its proposal to its result, and services that answer rows."""

import numpy as np
import pytest

from fedsecure.compute import inputs, outputs, proposal
from fedsecure.compute.handout import Handout
from fedsecure.compute.numbers import Numbers
from fedsecure.compute.queries import Service
from fedsecure.errors import OperatorError
from tests.unit.compute.conftest import (
    BASEL,
    BERN,
    BIAS,
    CLINIC,
    OWNER,
    PRACTICE,
    WEIGHTS,
    A,
    B,
    Parties,
    program,
    refused,
)

STEP = 2.0**-16


def test_two_data_owners_share_and_a_clinic_alone_opens_their_sum(
    parties: Parties,
) -> None:
    clinic, handout, key = parties.propose(CLINIC, program({"total": "a + 3 * b"}))
    inputs.contribute(parties.start(BASEL), handout, "a", A)
    inputs.contribute(parties.start(BERN), handout, "b", B)
    found = outputs.fetch(clinic, handout, key)
    assert list(found) == ["total"]
    np.testing.assert_allclose(found["total"], A + 3 * B, atol=STEP)


def test_a_handout_goes_through_a_file(parties: Parties) -> None:
    _, handout, _ = parties.propose(CLINIC, program({"total": "a + b"}))
    path = parties.folder / "sums.job.json"
    handout.write(path)
    read = Handout.read(path, parties.federation)
    assert (read.spec, read.grants) == (handout.spec, handout.grants)
    assert read.description == handout.description


def test_a_receiver_waits_for_inputs_until_the_deadline(parties: Parties) -> None:
    compiled = program({"total": "a + b"})
    clinic, handout, key = parties.propose(CLINIC, compiled, seconds=60.0)
    inputs.contribute(parties.start(BASEL), handout, "a", A)
    with refused("FS-347") as caught:
        outputs.fetch(clinic, handout, key)
    assert "b of bern" in caught.value.detail
    assert parties.clock() >= handout.spec.statement.deadline


def test_a_job_is_ended_at_both_by_its_proposer(parties: Parties) -> None:
    clinic, handout, _ = parties.propose(CLINIC, program({"total": "a + b"}))
    said = proposal.void(clinic, handout.digest, "not needed any more")
    assert {one.signer for one in said.values()} == {"north", "south"}
    assert all(one.jobs[handout.digest].void for one in parties.aggregators.values())


def test_numbers_beyond_their_bound_are_refused_and_nothing_is_sent(
    parties: Parties,
) -> None:
    _, handout, _ = parties.propose(CLINIC, program({"total": "a + b"}))
    before = len(parties.north.asked)
    for wrong in (A + 200, A * np.nan, A.T):
        with pytest.raises(Exception, match=r"FS-22[34]"):
            inputs.contribute(parties.start(BASEL), handout, "a", wrong)
    assert len(parties.north.asked) == before


def test_only_who_is_asked_for_an_input_gives_it(parties: Parties) -> None:
    _, handout, _ = parties.propose(CLINIC, program({"total": "a + b"}))
    for name in ("a", "nothing"):
        with refused("FS-341"):
            inputs.contribute(parties.start(BERN), handout, name, A)


def test_nothing_is_sent_after_the_deadline(parties: Parties) -> None:
    _, handout, _ = parties.propose(CLINIC, program({"total": "a + b"}))
    parties.clock.now = handout.spec.statement.deadline
    before = len(parties.north.asked)
    with refused("FS-347"):
        inputs.contribute(parties.start(BASEL), handout, "a", A)
    assert len(parties.north.asked) == before


def test_a_service_answers_its_client_as_the_model_would(parties: Parties) -> None:
    handout = parties.serve()
    clinic = parties.start(CLINIC)
    rows = np.array([[1.0, 2.0, 3.0], [-50.0, 99.5, 0.25], [0.0, 0.0, 0.0]])
    found = Service(clinic, handout, Numbers(clinic.folder)).ask(rows)
    np.testing.assert_allclose(found, rows @ WEIGHTS + BIAS, atol=1e-3)


def test_rows_are_asked_in_batches_each_a_query_of_its_own(parties: Parties) -> None:
    handout = parties.serve(rows=5000)
    clinic = parties.start(CLINIC)
    rows = np.linspace(-90, 90, 2500 * 3).reshape(2500, 3)
    found = Service(clinic, handout, Numbers(clinic.folder)).ask(rows)
    np.testing.assert_allclose(found, rows @ WEIGHTS + BIAS, atol=1e-3)
    assert parties.north.jobs[handout.digest].queries == {CLINIC: 3}


def test_an_aggregator_gets_other_bytes_for_the_same_rows_each_time(
    parties: Parties,
) -> None:
    handout = parties.serve()
    clinic = parties.start(CLINIC)
    service = Service(clinic, handout, Numbers(clinic.folder))
    rows = np.ones((1, 3))
    first, second = service.ask(rows), service.ask(rows)
    np.testing.assert_array_equal(first, second)
    bodies = [body for path, body in parties.north.asked if "/queries/" in path]
    assert len(set(bodies)) == 2


def test_rows_of_another_width_or_beyond_the_bound_are_not_sent(
    parties: Parties,
) -> None:
    clinic = parties.start(CLINIC)
    service = Service(clinic, parties.serve(), Numbers(clinic.folder))
    before = len(parties.north.asked)
    with refused("FS-223"):
        service.ask(np.ones((1, 4)))
    with pytest.raises(OperatorError, match="FS-224"):
        service.ask(np.full((1, 3), 101.0))
    assert len(parties.north.asked) == before


def test_a_service_answers_nobody_but_its_clients(parties: Parties) -> None:
    handout = parties.serve(clients=(CLINIC,))
    for name in (PRACTICE, OWNER, BASEL):
        stranger = parties.start(name)
        with refused("FS-341"):
            Service(stranger, handout, Numbers(stranger.folder))


def test_only_the_model_owner_serves(parties: Parties) -> None:
    with refused("FS-703"):
        proposal.sign(
            parties.start(CLINIC),
            proposal.Request(
                "heart",
                parties.serve().program,
                kind=proposal.JobKind.LINEAR,
                clients=(PRACTICE,),
                rows=10,
            ),
        )
