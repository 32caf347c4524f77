"""What is wrong with a value, in words of people who write files by hand.

The library that checks them speaks of inputs, types and regular expressions. Values
are never repeated: one may be a password, or another party's.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel

MAX_SHOWN: Final = 12  # known words that are listed
Location = tuple[int | str, ...]

_FORMS: Final[dict[str, str]] = {}
"""What a text of a pattern looks like; by pattern."""


def form(pattern: str, words: str) -> str:
    """Return a pattern, and remember what to say of a text that does not match it.

    Args:
        pattern: The regular expression.
        words: What the text must be, such as "HOST:PORT".
    """
    _FORMS[pattern] = words
    return pattern


def nearest(word: object, known: Iterable[str]) -> str | None:
    """Return the known word that somebody meant, if one is near enough."""
    found = get_close_matches(str(word).lower(), known, n=1, cutoff=0.6)
    by_case = {one.lower(): one for one in known}
    return by_case.get(str(word).lower()) or (found[0] if found else None)


def suggestion(word: object, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or which words are known."""
    words = list(known)
    if (meant := nearest(word, words)) is not None:
        return f"; did you mean {meant!r}?"
    if not words:
        return ""
    shown = ", ".join(words[:MAX_SHOWN])
    return f"; known are {shown}{' and others' if len(words) > MAX_SHOWN else ''}"


def say(detail: Mapping[str, Any], model: type[BaseModel] | None = None) -> str:
    """Return what is wrong, without the key's name.

    Args:
        detail: One of pydantic's `ValidationError.errors()`.
        model: What the file was read into, to find the key that was meant.
    """
    kind, context = detail["type"], detail.get("ctx") or {}
    if kind == "extra_forbidden":
        known = [] if model is None else keys(model, detail["loc"][:-1])
        return f"no such key is known here{suggestion(detail['loc'][-1], known)}"
    if (words := _WORDS.get(kind)) is not None:
        return words(context).strip()
    if kind in {"literal_error", "enum"}:
        return _one_of(detail.get("input"), str(context["expected"]))
    text: str = detail["msg"].removeprefix("Value error, ")
    for theirs, ours in (("Input should be", "must be"), ("Input is", "is")):
        text = text.replace(theirs, ours)
    return text


def keys(model: type[BaseModel], location: Location) -> list[str]:
    """Return the keys that a file may have at a place, as they are written there."""
    here = [model]
    for part in location:
        # A part that names no key is the index of a list, or the tag of a union.
        here = [*_below(here, part)] or here
    return sorted({name for one in here for name in _names(one)})


def _below(
    models: Iterable[type[BaseModel]], part: object
) -> Iterator[type[BaseModel]]:
    for model in models:
        for name, field in model.model_fields.items():
            if part in {name, field.alias}:
                yield from _models(field.annotation)


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for one in get_args(annotation):
        yield from _models(one)


def _names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name


def _one_of(value: object, expected: str) -> str:
    quoted = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    meant = nearest(value, quoted) if isinstance(value, str) else None
    return f"must be {expected}" + (f"; did you mean {meant!r}?" if meant else "")


def _plural(number: object, what: str) -> str:
    many = what.removesuffix("y") + "ies" if what.endswith("y") else f"{what}s"
    return f"{number} {what if number == 1 else many}"


def _least(context: Mapping[str, Any], what: str) -> str:
    return f"must have at least {_plural(context['min_length'], what)}"


def _most(context: Mapping[str, Any], what: str) -> str:
    return f"must have at most {_plural(context['max_length'], what)}"


def _pattern(context: Mapping[str, Any]) -> str:
    return f"must be {_FORMS.get(context['pattern'], 'written in another form')}"


_WORDS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "missing": lambda _: "is missing",
    "string_type": lambda _: "must be a text in quotes",
    "string_pattern_mismatch": _pattern,
    "string_too_short": lambda of: (
        f"must have {_plural(of['min_length'], 'character')} or more"
    ),
    "string_too_long": lambda of: (
        f"must have {_plural(of['max_length'], 'character')} or less"
    ),
    "int_type": lambda _: "must be a whole number",
    "int_from_float": lambda _: "must be a whole number",
    "int_parsing": lambda _: "must be a whole number",
    "float_type": lambda _: "must be a number",
    "finite_number": lambda _: "must be a finite number",
    "bool_type": lambda _: "must be true or false",
    "greater_than": lambda of: f"must be more than {of['gt']:g}",
    "greater_than_equal": lambda of: f"must be {of['ge']:g} or more",
    "less_than": lambda of: f"must be less than {of['lt']:g}",
    "less_than_equal": lambda of: f"must be {of['le']:g} or less",
    "list_type": lambda _: "must be a list in brackets",
    "tuple_type": lambda _: "must be a list in brackets",
    "dict_type": lambda _: "must be a section with keys of its own",
    "model_type": lambda _: "must be a section with keys of its own",
    "model_attributes_type": lambda _: "must be a section with keys of its own",
    "too_short": lambda of: _least(of, "entry"),
    "too_long": lambda of: _most(of, "entry"),
    "path_type": lambda _: "must be a path in quotes",
    "is_instance_of": lambda of: f"must be a {of['class'].lower()} in quotes",
    "union_tag_not_found": lambda of: f"does not say its {of['discriminator']}",
    "union_tag_invalid": lambda of: (
        f"has another {of['discriminator']} than {of['expected_tags']}"
    ),
}
