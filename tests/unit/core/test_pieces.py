"""Adding a share piece by piece is adding it whole, or not at all."""

import secrets
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from fedsecure.core import layout, scheme
from fedsecure.core.layout import CHUNK, Buffer, cut
from fedsecure.core.params import Params, Scalar
from fedsecure.core.scheme import AggregateShare, Measurement
from fedsecure.core.sealing import seal, seal_info, sealing_key
from fedsecure.errors import OperatorError, PeerError
from tests import stages

SPEC = bytes(32)
WORDS = CHUNK // 4  # of a record
SIZES = [0, 1, WORDS - 3, WORDS, WORDS + 1, 2 * WORDS - 1, 2 * WORDS + 7]


def params_of(dimension: int) -> Params:
    return Params.derive(dimension, (Scalar("bins", size=40),), 100, 1.0, 1)


def sharing(params: Params) -> scheme.Sharding:
    update = np.random.default_rng(1).standard_normal(params.dimension, np.float32)
    measurement = Measurement(update, 1, {"bins": list(range(40))})
    rand = secrets.token_bytes(scheme.RAND_BYTES)
    return scheme.shard(params, SPEC, "a", measurement, rand)


def filled(params: Params) -> AggregateShare:
    """A sum that holds something already."""
    share = AggregateShare.empty(params)
    rng = np.random.default_rng(2)
    share.tensor[:] = rng.integers(0, 2**32, params.dimension, np.uint32)
    share.scalars[:] = rng.integers(0, 2**64, params.scalar_count, np.uint64)
    return share


def same(a: AggregateShare, b: AggregateShare) -> bool:
    return (
        np.array_equal(a.tensor, b.tensor)
        and np.array_equal(a.scalars, b.scalars)
        and a.count == b.count
    )


@pytest.mark.parametrize("dimension", SIZES)
@pytest.mark.parametrize("kind", ["seed", "vector"])
def test_pieces_give_the_sum_of_the_whole_share(kind: str, dimension: int) -> None:
    params = params_of(dimension)
    split = sharing(params)
    context = scheme.ReportContext(SPEC, split.report_id, "a")
    vector = b"".join(bytes(piece) for piece in split.vector)
    plaintext = split.seed if kind == "seed" else vector
    whole = stages.Whole.of(params, context, kind, plaintext).added_to(filled(params))
    in_pieces = filled(params)
    stages.add(params, in_pieces, context, kind, plaintext)
    assert same(in_pieces, whole)
    assert in_pieces.count == 1


@pytest.mark.parametrize("dimension", SIZES)
def test_pieces_are_the_plaintext_cut_into_records(dimension: int) -> None:
    params = params_of(dimension)
    pieces = list(params.layout.pieces())
    assert [piece.size for piece in pieces[:-1]] == [CHUNK] * (len(pieces) - 1)
    assert sum(piece.size for piece in pieces) == params.layout.plaintext_bytes
    data = secrets.token_bytes(params.layout.plaintext_bytes)
    split = [piece.split(part) for piece, part in zip(pieces, cut(data), strict=True)]
    tensor, scalars = params.layout.read(data)
    assert np.array_equal(np.concatenate([words for words, _ in split]), tensor)
    assert b"".join(rest for _, rest in split) == scalars.tobytes()
    assert b"".join(layout.write(tensor, scalars)) == data


def refused_after(data: bytes, taken: int) -> Iterator[Buffer]:
    """The share's pieces, until one of them does not open."""
    for index, piece in enumerate(cut(data)):
        if index == taken:
            raise PeerError("FS-720", f"record {index} does not open")
        yield piece
    raise PeerError("FS-721", "the payload goes on")


@pytest.mark.parametrize("taken", [0, 1, 2, 3])
def test_a_share_of_which_a_record_does_not_open_leaves_no_trace(taken: int) -> None:
    params = params_of(2 * WORDS + 7)
    data = secrets.token_bytes(params.layout.plaintext_bytes)
    share, before = filled(params), filled(params)
    with pytest.raises(PeerError):
        scheme.aggregate(params, share, partial(refused_after, data, taken))
    assert same(share, before)


def test_what_cannot_be_taken_back_is_not_taken_for_a_refusal() -> None:
    params = params_of(2 * WORDS)
    data = secrets.token_bytes(params.layout.plaintext_bytes)
    turns = iter([2, 1])  # the second time even the second record is refused
    with pytest.raises(OperatorError) as caught:
        scheme.aggregate(
            params, filled(params), lambda: refused_after(data, next(turns))
        )
    assert caught.value.code == "FS-524"


@pytest.mark.parametrize("size", [1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_records_opened_one_by_one_are_the_payload(size: int) -> None:
    plaintext = secrets.token_bytes(size)
    key = sealing_key.SealingKey.from_seed(bytes(32))
    info = seal_info.report_info(bytes(32), SPEC, "a", "b", bytes(16), "vector")
    payload = bytearray()
    seal.seal(key.public_bytes, info, bytes(32), cut(plaintext), payload.extend)
    memory = seal.Pieces.allocate()
    for _ in range(2):  # the memory is used again
        opened = memory.of(key, info, payload, len(payload), size)
        assert b"".join(bytes(piece) for piece in opened) == plaintext
    payload += b"\0"
    with pytest.raises(PeerError) as caught:
        list(memory.of(key, info, payload, len(payload) - 1, size))
    assert caught.value.code == "FS-721"
