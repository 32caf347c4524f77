"""A signing key's fingerprint: hex digits for machines, words for the telephone.

    fingerprint   the first 128 bits of SHA-256 of the public key
    as digits     5a1c-09fe-... : 32 hex digits in groups of four
    as words      twelve words of BIP-39's English list: the same 128 bits, and four
                  bits of a checksum that finds most words that were misheard

To make a second key with the fingerprint of a given one takes about 2**128 tries.
"""

import hashlib
import re
from functools import lru_cache
from typing import Annotated, Final

from mnemonic import Mnemonic
from pydantic import AfterValidator

from fedsecure.system.wording import nearest

BITS: Final = 128
WORDS: Final = 12
GROUP: Final = 4  # hex digits between two hyphens

_DIGITS: Final = re.compile(r"[0-9a-f]{4}(?:-[0-9a-f]{4}){7}")


def fingerprint(public_key: bytes) -> str:
    """Return 32 hex digits of the key's SHA-256 in groups of four."""
    return _grouped(hashlib.sha256(public_key).digest()[: BITS // 8])


def as_words(print_: str) -> str:
    """Return a fingerprint as words to read over the telephone."""
    return _list().to_mnemonic(bytes.fromhex(print_.replace("-", "")))


def read_fingerprint(text: str) -> str:
    """Return the digits of a fingerprint that a person typed, as digits or words.

    Raises:
        ValueError: It is neither.
    """
    words = text.replace(",", " ").lower().split()
    if len(words) == 1 and _DIGITS.fullmatch(words[0]):
        return words[0]
    if len(words) != WORDS:
        msg = (
            f"a fingerprint is {WORDS} words, or 8 groups of {GROUP} hex digits; "
            f"these are {len(words)} words"
        )
        raise ValueError(msg)
    strange = [word for word in words if word not in _list().wordlist]
    if strange:
        msg = f"not in the list of words: {', '.join(map(_strange, strange))}"
        raise ValueError(msg)
    try:
        return _grouped(bytes(_list().to_entropy(words)))
    except ValueError as error:
        msg = "the words do not belong together: one of them is another"
        raise ValueError(msg) from error


def _strange(word: str) -> str:
    meant = nearest(word, _list().wordlist)
    return ascii(word) + (f" (did you mean {meant}?)" if meant else "")


Fingerprint = Annotated[str, AfterValidator(read_fingerprint)]
"""In a file: digits or words; the value is always the digits."""


def _grouped(value: bytes) -> str:
    digits = value.hex()
    return "-".join(digits[i : i + GROUP] for i in range(0, len(digits), GROUP))


@lru_cache(maxsize=1)
def _list() -> Mnemonic:
    return Mnemonic("english")
