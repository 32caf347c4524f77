"""What a data owner's file has instead of a name that the study reads."""

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from fedsecure.errors import one_line

ALIKE: Final = 0.8  # of two names, from 0 to 1
SHOWN: Final = 60  # characters of a name


def lacking(absent: Iterable[str], there: Sequence[str]) -> str:
    """Name what is missing, each with the name in the file that may be meant."""
    return ", ".join(name + _hint(name, there) for name in absent)


def _hint(name: str, there: Sequence[str]) -> str:
    found = {_plain(one): one for one in there}
    near = difflib.get_close_matches(_plain(name), found, n=1, cutoff=ALIKE)
    if not near:
        return ""
    return f" (there is {one_line(found[near[0]][:SHOWN])!r}: rename it if it is meant)"


def _plain(name: str) -> str:
    """Return a name without what people write differently: case, blanks, accents."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in decomposed if letter.isalnum())
