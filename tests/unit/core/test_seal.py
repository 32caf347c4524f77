"""Sealed payloads: one receiver, one purpose, and not a bit changed on the way."""

import hashlib
import io
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from fedsecure.core.layout import CHUNK
from fedsecure.core.sealing import payload_digest, seal, seal_info, sealing_key
from fedsecure.errors import PeerError

KEY = sealing_key.SealingKey.from_seed(b"k" * 32)
FACTS = (b"f" * 32, b"s" * 32, "clinic-a", "server-1")
INFO = seal_info.report_info(*FACTS, b"r" * 16, "vector")
SHARE_INFO = seal_info.share_info(*FACTS, b"o" * 32)
RECORD = CHUNK + 16
CONTENT_KEY = b"c" * 32


def plaintext_of(size: int) -> bytes:
    return hashlib.shake_128(b"plaintext").digest(size)


def sealed(size: int, info: seal_info.SealInfo = INFO) -> tuple[bytes, seal.Sealed]:
    """A payload of so many plaintext bytes, from one buffer used by turns."""
    plaintext, payload = plaintext_of(size), bytearray()
    buffers = [bytearray(CHUNK), bytearray(CHUNK)]

    def chunks() -> Iterator[memoryview]:
        for turn, start in enumerate(range(0, size, CHUNK)):
            piece = plaintext[start : start + CHUNK]
            buffers[turn % 2][: len(piece)] = piece
            yield memoryview(buffers[turn % 2])[: len(piece)]

    said = seal.seal(KEY.public_bytes, info, CONTENT_KEY, chunks(), payload.extend)
    return bytes(payload), said


SMALL, _ = sealed(40)
THREE, THREE_SAID = sealed(2 * CHUNK + 5)


def opened(
    payload: bytes,
    size: int,
    info: seal_info.SealInfo = INFO,
    key: sealing_key.SealingKey = KEY,
) -> bytes:
    out = bytearray(size)
    length = payload_digest.sealed_length(size)
    seal.open_sealed(key, info, io.BytesIO(payload), length, memoryview(out))
    return bytes(out)


@pytest.mark.parametrize("size", [1, 32, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_what_is_sealed_opens_and_its_length_is_known_before(size: int) -> None:
    payload, said = sealed(size)
    assert said.length == len(payload) == payload_digest.sealed_length(size)
    assert opened(payload, size) == plaintext_of(size)


def test_a_payload_opens_from_memory_and_from_a_file_that_reads_little() -> None:
    class Trickle(io.RawIOBase):
        def __init__(self) -> None:
            self.rest = THREE

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            taken = self.rest[: min(len(buffer), 70_001)]
            buffer[: len(taken)] = taken
            self.rest = self.rest[len(taken) :]
            return len(taken)

    for source in (THREE, memoryview(THREE), Trickle()):
        out = bytearray(2 * CHUNK + 5)
        seal.open_sealed(KEY, INFO, source, len(THREE), memoryview(out))
        assert out == plaintext_of(2 * CHUNK + 5)


def test_a_flipped_bit_in_any_byte_is_refused() -> None:
    for at in range(len(SMALL)):
        changed = bytearray(SMALL)
        changed[at] ^= 1 << (at % 8)
        with pytest.raises(PeerError, match="FS-720"):
            opened(bytes(changed), 40)


@given(st.integers(0, len(THREE) - 1), st.integers(0, 7))
def test_a_flipped_bit_in_a_long_payload_is_refused(at: int, bit: int) -> None:
    changed = bytearray(THREE)
    changed[at] ^= 1 << bit
    with pytest.raises(PeerError, match="FS-720"):
        opened(bytes(changed), 2 * CHUNK + 5)


def test_records_cannot_be_dropped_reordered_or_appended() -> None:
    head, body = THREE[:1168], THREE[1168:]
    first, second, last = body[:RECORD], body[RECORD : 2 * RECORD], body[2 * RECORD :]
    # Sizes that the receiver expects, so that only the records' nonces can tell.
    for records, size in (
        ([first, second], 2 * CHUNK),  # the last is dropped
        ([first], CHUNK),
        ([second, first, last], 2 * CHUNK + 5),
        ([first, first, last], 2 * CHUNK + 5),
        ([first, last], CHUNK + 5),
        ([last], 5),
        ([first, second, second, last], 3 * CHUNK + 5),
    ):
        with pytest.raises(PeerError, match="FS-720"):
            opened(head + b"".join(records), size)


def test_a_last_record_cannot_be_continued() -> None:
    payload, _ = sealed(CHUNK)
    _, second = THREE[1168 : 1168 + RECORD], THREE[1168 + RECORD : 1168 + 2 * RECORD]
    with pytest.raises(PeerError, match=r"FS-720 .*record 0"):
        opened(payload + second, 2 * CHUNK)


@pytest.mark.parametrize("size", [39, 41])
def test_a_payload_of_another_size_than_the_round_needs_is_refused(size: int) -> None:
    with pytest.raises(PeerError, match="FS-721"):
        seal.open_sealed(KEY, INFO, SMALL, len(SMALL), memoryview(bytearray(size)))


@pytest.mark.parametrize("payload", [b"", SMALL[:1167], SMALL[:-1], SMALL + b"\0"])
def test_a_payload_that_is_cut_or_goes_on_is_refused(payload: bytes) -> None:
    for source in (payload, io.BytesIO(payload)):
        with pytest.raises(PeerError, match="FS-721"):
            seal.open_sealed(KEY, INFO, source, len(SMALL), memoryview(bytearray(40)))


@pytest.mark.parametrize(
    "info",
    [
        seal_info.report_info(b"F" * 32, *FACTS[1:], b"r" * 16, "vector"),
        seal_info.report_info(FACTS[0], b"S" * 32, *FACTS[2:], b"r" * 16, "vector"),
        seal_info.report_info(*FACTS[:2], "clinic-b", FACTS[3], b"r" * 16, "vector"),
        seal_info.report_info(*FACTS[:3], "server-2", b"r" * 16, "vector"),
        seal_info.report_info(*FACTS, b"R" * 16, "vector"),
        seal_info.report_info(*FACTS, b"r" * 16, "seed"),
        SHARE_INFO,
    ],
)
def test_a_payload_opens_for_its_own_purpose_only(info: seal_info.SealInfo) -> None:
    with pytest.raises(PeerError, match="FS-720"):
        opened(SMALL, 40, info=info)


def test_info_of_a_share_is_bound_to_its_opening() -> None:
    payload, _ = sealed(40, SHARE_INFO)
    assert opened(payload, 40, SHARE_INFO) == plaintext_of(40)
    with pytest.raises(PeerError, match="FS-720"):
        opened(payload, 40, seal_info.share_info(*FACTS, b"O" * 32))


def test_nobody_else_can_open_a_payload() -> None:
    with pytest.raises(PeerError, match="FS-720"):
        opened(SMALL, 40, key=sealing_key.SealingKey.from_seed(b"K" * 32))


def test_info_spells_out_every_part_with_its_length() -> None:
    assert INFO.encoded == (
        b"\0\x18fedsecure v1 seal report\0\x011"
        b"\0\x20" + b"f" * 32 + b"\0\x20" + b"s" * 32 + b"\0\x08clinic-a\0\x08server-1"
        b"\0\x10" + b"r" * 16 + b"\0\x06vector"
    )
    assert SHARE_INFO.encoded.startswith(
        b"\0\x21fedsecure v1 seal aggregate share\0\x011"
    )
    assert SHARE_INFO.encoded.endswith(b"\0\x08server-1\0\x20" + b"o" * 32)


def test_info_of_what_jobs_seal_spells_out_every_part() -> None:
    digests, ids = (b"f" * 32, b"s" * 32), b"i" * 16
    both = b"\0\x011\0\x20" + b"f" * 32 + b"\0\x20" + b"s" * 32
    up, seven = b"\0\x06clinic\0\x05north", b"\0\x08" + b"\0" * 7 + b"\x07"
    given = seal_info.input_info(digests, "clinic", "north", "a", ids, "seed")
    assert given.encoded == (
        b"\0\x1bfedsecure v1 seal job input"
        + both
        + up
        + b"\0\x01a\0\x10"
        + ids
        + b"\0\x04seed"
    )
    asked = seal_info.query_info(digests, "clinic", "north", 7, ids, "seed")
    assert asked.encoded == (
        b"\0\x1bfedsecure v1 seal job query"
        + both
        + up
        + seven
        + b"\0\x10"
        + ids
        + b"\0\x04seed"
    )
    answered = seal_info.output_info(digests, "north", "clinic", 7, b"d" * 32)
    assert answered.encoded == (
        b"\0\x1cfedsecure v1 seal job output"
        + both
        + b"\0\x05north\0\x06clinic"
        + seven
        + b"\0\x20"
        + b"d" * 32
    )
    channel = seal_info.channel_info(digests, "north", "south")
    assert channel.encoded == (
        b"\0\x1dfedsecure v1 seal job channel" + both + b"\0\x05north\0\x05south"
    )
    assert all(one.hashed_whole for one in (given, asked, answered, channel))


def test_a_private_key_is_stored_as_its_seed_and_not_printed() -> None:
    again = sealing_key.SealingKey.from_bytes(KEY.to_bytes())
    assert again.public_bytes == KEY.public_bytes
    assert KEY.to_bytes() == b"k" * 32
    assert b"k" * 32 not in repr(KEY).encode()
    for size in (0, 31, 33):
        with pytest.raises(PeerError, match="FS-722"):
            sealing_key.SealingKey.from_bytes(bytes(size))


def test_key_pairs_are_those_of_x_wing() -> None:
    # draft-connolly-cfrg-xwing-kem, appendix C, first vector: seed and public key.
    seed = "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26"
    public = sealing_key.SealingKey.from_seed(bytes.fromhex(seed)).public_bytes
    assert len(public) == sealing_key.PUBLIC_KEY_BYTES
    assert public[:8].hex() == "e2236b35a8c24b39"
    assert public[-8:].hex() == "c8cd049040ef6534"
    assert hashlib.sha256(public).hexdigest() == (
        "2e816deebcd76c5c80d0cd2d174478871658e8e2ff42bc9d4a6e486372e856bb"
    )


@pytest.mark.parametrize(
    "public_key",
    [
        b"",
        KEY.public_bytes[:-1],
        KEY.public_bytes + b"\0",
        b"\xff" * 1184 + KEY.public_bytes[1184:],  # coefficients above the modulus
        KEY.public_bytes[:1184] + bytes(32),  # a point of low order
    ],
)
def test_a_malformed_public_key_is_refused(public_key: bytes) -> None:
    with pytest.raises(PeerError, match="FS-722"):
        seal.seal(public_key, INFO, CONTENT_KEY, [b"x"], len)


@pytest.mark.parametrize(
    "chunks", [[], [b""], [b"x", b"y"], [bytes(CHUNK), b""], [bytes(CHUNK + 1)]]
)
def test_chunks_of_other_sizes_are_a_bug_of_the_caller(chunks: list[bytes]) -> None:
    with pytest.raises(ValueError, match="chunk"):
        seal.seal(KEY.public_bytes, INFO, CONTENT_KEY, chunks, len)
    with pytest.raises(ValueError, match="content key"):
        seal.seal(KEY.public_bytes, INFO, b"short", [b"x"], len)


def digest_of(payload: bytes, cuts: list[int], *, hashed_whole: bool = False) -> bytes:
    digest = payload_digest.PayloadDigest(len(payload), hashed_whole=hashed_whole)
    for start, end in pairwise([0, *sorted(cuts), len(payload)]):
        digest.update(payload[start:end])
    return digest.digest()


def test_digest_covers_the_sealed_key_and_every_tag() -> None:
    body = THREE[1168:]
    tags = [body[end - 16 : end] for end in (RECORD, 2 * RECORD, len(body))]
    expected = hashlib.sha256(THREE[:1168] + b"".join(tags)).digest()
    assert digest_of(THREE, []) == THREE_SAID.digest == expected


def test_digest_of_one_record_or_of_an_aggregate_share_covers_everything() -> None:
    one, one_said = sealed(CHUNK)
    share, share_said = sealed(CHUNK + 1, SHARE_INFO)
    assert digest_of(one, []) == one_said.digest == hashlib.sha256(one).digest()
    assert share_said.digest == hashlib.sha256(share).digest()
    assert digest_of(share, [], hashed_whole=True) == share_said.digest


@given(st.lists(st.integers(0, len(THREE)), max_size=6))
def test_digest_does_not_depend_on_where_the_payload_is_split(cuts: list[int]) -> None:
    assert digest_of(THREE, cuts) == THREE_SAID.digest


@pytest.mark.parametrize("cut", [1167, 1168, 1169, 1168 + CHUNK, 1168 + RECORD])
def test_digest_does_not_depend_on_a_split_at_a_boundary(cut: int) -> None:
    assert digest_of(THREE, [cut, cut + 1]) == THREE_SAID.digest


@pytest.mark.parametrize(
    "length", [0, 1168, 1184, 1168 + RECORD + 1, 1168 + RECORD + 16]
)
def test_a_length_that_no_payload_has_is_refused(length: int) -> None:
    with pytest.raises(PeerError, match="FS-721"):
        payload_digest.PayloadDigest(length)


def test_a_digest_needs_exactly_the_bytes_that_its_header_states() -> None:
    for payload in (SMALL, THREE):
        short = payload_digest.PayloadDigest(len(payload))
        short.update(payload[:-1])
        with pytest.raises(PeerError, match=r"FS-721.*shorter"):
            short.digest()
        short.update(payload[-1:])
        with pytest.raises(PeerError, match=r"FS-721.*longer"):
            short.update(b"\0")
    untouched = payload_digest.PayloadDigest(len(THREE))
    untouched.update(THREE[: 1168 + RECORD])  # ends between two records
    with pytest.raises(PeerError, match=r"FS-721.*shorter"):
        untouched.digest()
