"""What one aggregator holds after opening its reports tells nothing about updates.

The reports are sealed, opened and prepared by the code that ships, with fixed seeds.
The output shares of each kind are compared with uniform words, and for two very
different updates with each other.
"""

import hashlib
import math
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from fedsecure.core import scheme
from fedsecure.core.buffers import carve
from fedsecure.core.modulus import Words
from fedsecure.core.params import Params
from fedsecure.core.scheme import Measurement, ReportContext
from fedsecure.core.sealing import seal, seal_info, sealing_key

Kind = Literal["seed", "vector"]
Counts = NDArray[np.int64]  # shape (256,), how often each byte came

DIMENSION = 2048
REPORTS = 64
PARAMS = Params.derive(DIMENSION, (), REPORTS, 1.0, 1)
SPEC, FEDERATION = bytes(32), b"\1" * 32
FREEDOM = 255
LIMIT = FREEDOM + 5 * math.sqrt(2 * FREEDOM)  # five standard deviations

ZERO = np.zeros(DIMENSION, np.float32)
STEEP = np.linspace(-0.02, 0.02, DIMENSION, dtype=np.float32)


def rand(kind: Kind, update: str, report: int) -> bytes:
    name = f"{kind} {update} {report}".encode()
    return hashlib.shake_256(name).digest(scheme.RAND_BYTES)


def opened(kind: Kind, update: NDArray[np.float32], rand: bytes) -> Words:
    """Shard, seal for an aggregator, open and prepare there: what it then adds."""
    sharding = scheme.shard(PARAMS, SPEC, "a", Measurement(update, 1, {}), rand)
    key = sealing_key.SealingKey.from_seed(bytes(sealing_key.SEED_BYTES))
    info = seal_info.report_info(FEDERATION, SPEC, "a", "b", sharding.report_id, kind)
    chunks = [sharding.seed] if kind == "seed" else sharding.vector
    sealed = bytearray()
    length, _ = seal.seal(
        key.public_bytes, info, sharding.content_keys[0], chunks, sealed.extend
    )
    size = scheme.input_share_bytes(PARAMS, kind)
    records = seal.Pieces.allocate().of(key, info, bytes(sealed), length, size)
    context = ReportContext(SPEC, sharding.report_id, "a")
    (memory,) = carve(scheme.EXPANSION_BYTES)
    share = scheme.prepare(PARAMS, context, kind, records, memory)
    tensor, _ = PARAMS.layout.read(b"".join(bytes(piece) for piece in share))
    return tensor


def counts(kind: Kind, name: str, update: NDArray[np.float32]) -> Counts:
    found = np.zeros(256, np.int64)
    for report in range(REPORTS):
        share = opened(kind, update, rand(kind, name, report))
        found += np.bincount(share.view(np.uint8), minlength=256)
    return found


@pytest.mark.parametrize("kind", ["seed", "vector"])
def test_opened_shares_are_uniform_and_alike_for_any_two_updates(kind: Kind) -> None:
    zero, steep = counts(kind, "zero", ZERO), counts(kind, "steep", STEEP)
    for one in (zero, steep):
        expected = one.sum() / one.size
        assert ((one - expected) ** 2 / expected).sum() < LIMIT
    assert ((zero - steep) ** 2 / (zero + steep)).sum() < LIMIT


def test_the_encoded_update_itself_is_far_from_uniform() -> None:
    """The comparison above would find a share that held the update."""
    kinds: tuple[Kind, Kind] = ("seed", "vector")
    shares = [opened(kind, STEEP, rand("seed", "steep", 0)) for kind in kinds]
    encoded = shares[0] + shares[1]
    one = np.bincount(encoded.view(np.uint8), minlength=256)
    expected = one.sum() / one.size
    assert ((one - expected) ** 2 / expected).sum() > 10 * LIMIT
