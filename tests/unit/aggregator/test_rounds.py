from itertools import product

import pytest

from fedsecure.errors import RoundStateError
from fedsecure_aggregator.rules.round_states import (
    Attempt,
    RoundState,
    Step,
    advance,
    require_next_attempt,
)
from tests.unit.aggregator.world import World

G, C, O, V = RoundState  # noqa: E741
AFTER = {
    (G, Step.REPORT): C,
    (G, Step.VOID): V,
    (C, Step.REPORT): C,
    (C, Step.OPEN): O,
    (C, Step.VOID): V,
}
REFUSED = {
    (G, Step.OPEN): "FS-307",
    (O, Step.REPORT): "FS-304",
    (O, Step.OPEN): "FS-304",
    (O, Step.VOID): "FS-304",
    (V, Step.REPORT): "FS-305",
    (V, Step.OPEN): "FS-305",
    (V, Step.VOID): "FS-305",
}


def test_every_pair_of_state_and_step_is_decided() -> None:
    assert set(AFTER) | set(REFUSED) == set(product(RoundState, Step))
    assert not set(AFTER) & set(REFUSED)


@pytest.mark.parametrize(("state", "step"), AFTER)
def test_legal_steps_lead_to_their_state(state: RoundState, step: Step) -> None:
    assert advance(state, step) is AFTER[state, step]


@pytest.mark.parametrize(("state", "step"), REFUSED)
def test_illegal_steps_are_refused(state: RoundState, step: Step) -> None:
    with pytest.raises(RoundStateError) as caught:
        advance(state, step)
    assert caught.value.code == REFUSED[state, step]


@pytest.mark.parametrize(
    ("earlier", "code"),
    [
        ((1, V), None),
        ((1, G), "FS-303"),
        ((1, C), "FS-303"),
        ((1, O), "FS-304"),
        ((2, G), "FS-302"),
        ((2, V), "FS-302"),
        ((2, O), "FS-304"),
        ((3, V), "FS-303"),
        ((3, O), "FS-304"),
    ],
)
def test_an_attempt_follows_only_lower_ones_that_are_void(
    world: World, earlier: tuple[int, RoundState], code: str | None
) -> None:
    spec = world.propose(attempt=2).spec
    known = [Attempt("0" * 64, *earlier)]
    if code is None:
        require_next_attempt(spec.digest, spec.statement, known)
        return
    with pytest.raises(RoundStateError) as caught:
        require_next_attempt(spec.digest, spec.statement, known)
    assert caught.value.code == code
