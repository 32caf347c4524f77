"""The mask: counter mode under derived keys, bound to one report."""

import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from fedsecure.core import domains
from fedsecure.core.layout import CHUNK
from fedsecure.core.mask import SPILL, KeyStream, Mask, ReportContext
from fedsecure.errors import PeerError

KEY = bytes(range(32))
CONTEXT = ReportContext(b"s" * 32, b"r" * 16, "clinic-a")


def stream(source: KeyStream, size: int) -> bytes:
    out = bytearray(size + SPILL)
    source.write(size, memoryview(out))
    return bytes(out[:size])


def counter_mode(key: bytes, size: int) -> bytes:
    """The oracle: plain AES-256-CTR, one stream to each chunk."""
    out = b""
    for index in range(-(-size // CHUNK)):
        block = index.to_bytes(12) + (2).to_bytes(4)
        cipher = Cipher(algorithms.AES(key), modes.CTR(block)).encryptor()
        out += cipher.update(bytes(min(CHUNK, size - index * CHUNK)))
    return out


def hkdf(seed: bytes, info: bytes) -> bytes:
    """The oracle: RFC 5869 written out for 32 bytes and no salt."""
    key = hmac.digest(bytes(32), seed, "sha256")
    return hmac.digest(key, info + b"\1", "sha256")


@pytest.mark.parametrize(
    "size", [0, 1, 15, 16, 17, CHUNK - 4, CHUNK, CHUNK + 4, 2 * CHUNK + 24]
)
def test_key_stream_is_counter_mode_with_one_stream_to_each_chunk(size: int) -> None:
    assert stream(KeyStream(KEY), size) == counter_mode(KEY, size)


def test_chunks_can_be_written_in_any_order() -> None:
    whole, source = counter_mode(KEY, 3 * CHUNK), KeyStream(KEY)
    for index in (2, 0, 1):
        out = bytearray(CHUNK + SPILL)
        source.write_chunk(index, memoryview(out))
        assert out[:CHUNK] == whole[index * CHUNK :][:CHUNK]


def test_sections_have_keys_of_their_own_from_hkdf() -> None:
    mask = Mask.expand(b"k" * 32, CONTEXT)
    facts = b"\0" + b"s" * 32 + b"r" * 16 + b"\0\x08clinic-a"
    tensor = hkdf(b"k" * 32, b"fedsecure v1 mask tensor" + facts)
    scalars = hkdf(b"k" * 32, b"fedsecure v1 mask scalars" + facts)
    assert stream(mask.tensor, 64) == counter_mode(tensor, 64)
    assert stream(mask.scalars, 64) == counter_mode(scalars, 64)


def test_a_mask_is_bound_to_seed_round_report_and_reporter() -> None:
    masks = [
        Mask.expand(b"k" * 32, CONTEXT),
        Mask.expand(b"K" * 32, CONTEXT),
        Mask.expand(b"k" * 32, ReportContext(b"S" * 32, b"r" * 16, "clinic-a")),
        Mask.expand(b"k" * 32, ReportContext(b"s" * 32, b"R" * 16, "clinic-a")),
        Mask.expand(b"k" * 32, ReportContext(b"s" * 32, b"r" * 16, "clinic-b")),
    ]
    streams = {
        stream(section, 32) for mask in masks for section in (mask.tensor, mask.scalars)
    }
    assert len(streams) == 10


@pytest.mark.parametrize(("digest", "report"), [(31, 16), (33, 16), (32, 15), (32, 0)])
def test_a_context_of_the_wrong_size_is_refused(digest: int, report: int) -> None:
    with pytest.raises(PeerError, match="FS-726"):
        ReportContext(bytes(digest), bytes(report), "clinic-a")


def test_labels_differ_and_no_label_begins_another() -> None:
    labels = [
        value
        for name, value in vars(domains).items()
        if name.startswith(("MASK", "NOISE", "SEAL", "ZERO", "PAILLIER"))
    ]
    assert len(labels) == 16
    assert not any(
        one is not other and one.startswith(other) for one in labels for other in labels
    )


def test_length_prefixes_keep_apart_what_joining_would_not() -> None:
    assert domains.length_prefixed(b"ab", b"c") != domains.length_prefixed(b"a", b"bc")
    assert domains.length_prefixed(b"", b"a") == b"\0\0\0\1a"
    with pytest.raises(OverflowError):
        domains.length_prefixed(bytes(65536))
