"""What is released of a sum: the same however often, other for whatever else."""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from fedsecure.core import layout, release
from fedsecure.core.layout import Buffer
from fedsecure.core.modulus import SCALARS
from fedsecure.core.params import Params
from fedsecure.core.release import EXACT, SEED_BYTES, Keys, Mechanism, ReleaseContext
from fedsecure.core.shares import AggregateShare

SEED = bytes(range(SEED_BYTES))
SPEC, OPENING = b"\1" * 32, b"\2" * 32


@dataclass
class Noise:
    """Adds what it draws, in place, as a mechanism may."""

    is_exact: bool = False
    keys: list[bytes] = field(default_factory=list)

    def warm_up(self) -> None: ...

    def records(self, total: AggregateShare, keys: Keys) -> Iterator[Buffer]:
        self.keys.append(keys(b"a test"))
        drawn = np.frombuffer(self.keys[-1], np.uint32)
        scalars = total.scalars + int(drawn[0])
        return layout.write(total.tensor + drawn[: total.tensor.size], scalars)


PARAMS = Params.derive(5, (), max_reports=4, clip=1.0, weight_cap=1)


def a_sum() -> AggregateShare:
    tensor = np.arange(PARAMS.dimension, dtype=np.uint32)
    scalars = np.arange(PARAMS.scalar_count, dtype=SCALARS.dtype)
    return AggregateShare(tensor, scalars, count=4)


def the_keys() -> Keys:
    return release.keys_of(SEED, ReleaseContext(SPEC, OPENING))


def released(total: AggregateShare, mechanism: Mechanism) -> AggregateShare:
    records = release.release(PARAMS, total, mechanism, the_keys())
    return AggregateShare.from_plaintext(PARAMS, b"".join(records), total.count)


def test_a_sum_is_released_exactly_and_draws_nothing() -> None:
    def never(_: bytes) -> bytes:
        raise AssertionError

    total = a_sum()
    records = release.release(PARAMS, total, EXACT, never)
    assert b"".join(records) == total.tensor.tobytes() + total.scalars.tobytes()


def test_a_mechanism_leaves_the_sum_as_it_was() -> None:
    total = a_sum()
    found = released(total, Noise())
    assert not np.array_equal(found.tensor, total.tensor)
    assert not np.array_equal(found.scalars, total.scalars)
    assert np.array_equal(total.tensor, a_sum().tensor)
    assert np.array_equal(total.scalars, a_sum().scalars)


def test_the_same_opening_releases_the_same_however_often_it_is_made() -> None:
    mechanism = Noise()
    one, two = (released(a_sum(), mechanism) for _ in range(2))
    assert np.array_equal(one.tensor, two.tensor)
    assert np.array_equal(one.scalars, two.scalars)


@pytest.mark.parametrize(
    ("seed", "spec", "opening"),
    [
        (bytes(SEED_BYTES), SPEC, OPENING),
        (SEED, OPENING, OPENING),
        (SEED, SPEC, SPEC),
        (SEED, OPENING, SPEC),
    ],
)
def test_another_seed_round_or_opening_has_other_keys(
    seed: bytes, spec: bytes, opening: bytes
) -> None:
    other = release.keys_of(seed, ReleaseContext(spec, opening))
    assert other(b"label") != the_keys()(b"label")
    assert the_keys()(b"label") != the_keys()(b"other label")


def test_keys_are_hkdf_as_it_is_described() -> None:
    info = b"label\0" + SPEC + OPENING
    secret = hmac.digest(bytes(32), SEED, "sha256")
    assert the_keys()(b"label") == hmac.digest(secret, info + b"\1", "sha256")


@pytest.mark.parametrize("harm", [b"", b"more"])
def test_more_or_fewer_bytes_than_the_sum_has_are_not_released(harm: bytes) -> None:
    class Odd(Noise):
        def records(self, total: AggregateShare, keys: Keys) -> Iterator[Buffer]:
            records = list(super().records(total, keys))
            yield from records if harm else records[:-1]
            yield harm

    with pytest.raises(ValueError, match="a mechanism releases"):
        released(a_sum(), Odd())
