import pytest
from hypothesis import given, strategies as st

from fedsecure.protocol.fingerprints import as_words, fingerprint, read_fingerprint

KEYS = st.binary(min_size=32, max_size=32)


@given(KEYS)
def test_words_and_digits_are_the_same_128_bits(key: bytes) -> None:
    digits = fingerprint(key)
    words = as_words(digits)
    assert len(words.split()) == 12
    assert read_fingerprint(words) == read_fingerprint(digits) == digits


@given(KEYS)
def test_capitals_commas_and_spaces_do_not_matter(key: bytes) -> None:
    words = as_words(fingerprint(key))
    assert read_fingerprint(f"  {words.upper().replace(' ', ', ')}\n") == fingerprint(
        key
    )


@given(KEYS, st.integers(0, 127))
def test_every_bit_of_a_fingerprint_is_in_its_words(key: bytes, bit: int) -> None:
    number = int(fingerprint(key).replace("-", ""), 16) ^ (1 << bit)
    digits = f"{number:032x}"
    other = "-".join(digits[i : i + 4] for i in range(0, 32, 4))
    assert as_words(other) != as_words(fingerprint(key))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "12 words"),
        ("abandon " * 11, "12 words"),
        ("abandon " * 12, "belong together"),
        ("abandon " * 11 + "hospital", "belong together|not in the list"),
        ("abandon " * 11 + "\x1b[2J", "not in the list"),
        ("abandon " * 11 + "abuot", "'abuot' .did you mean about"),
        ("abandon " * 11, "these are 11 words"),
        ("0000-" * 7 + "000", "12 words"),
        ("0000-" * 7 + "000g", "12 words"),
    ],
)
def test_what_is_no_fingerprint_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        read_fingerprint(text)
    assert str(caught.value).isprintable()


def test_known_words_of_a_known_key() -> None:
    # From BIP-39's own test vectors: these 128 bits have these words.
    digits = "7f7f-7f7f-7f7f-7f7f-7f7f-7f7f-7f7f-7f7f"
    words = (
        "legal winner thank year wave sausage worth useful legal winner thank yellow"
    )
    assert as_words(digits) == words
