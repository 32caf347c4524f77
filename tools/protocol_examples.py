"""Write the examples of docs/protocol.md from the test vectors.

    python tools/protocol_examples.py           write them anew
    python tools/protocol_examples.py --check   fail where the page differs

A block behind `<!-- example: FILE "case" -->` has lines `name = value`. The page says
which names are shown and which values are cut (`..."`); the values come from
tests/vectors/FILE. A name that the file does not have is computed by a test and stays.
"""

import json
import re
import sys
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any, Final

PAGE: Final = Path(__file__).parents[1] / "docs" / "protocol.md"
VECTORS: Final = Path(__file__).parents[1] / "tests" / "vectors"
BLOCK: Final = re.compile(
    r"(<!-- example: (?P<file>\w+\.json)(?: (?P<case>[^\n]+?))? -->\n```text\n)"
    r"(?P<lines>.*?)```",
    re.DOTALL,
)
CUT: Final = 64  # characters that are left of a value that is cut


def page() -> str:
    """Return docs/protocol.md with its examples as the vectors are now."""
    return BLOCK.sub(_filled, PAGE.read_text("utf-8"))


def _filled(block: re.Match[str]) -> str:
    known = _values(block["file"], block["case"])
    lines = [_line(line, known) for line in block["lines"].splitlines()]
    return block[1] + "".join(f"{line}\n" for line in lines) + "```"


def _line(line: str, known: dict[str, Any]) -> str:
    head, equals, shown = line.partition("= ")
    value = known.get(head.strip())
    if value is None:
        return line
    if shown.endswith('..."'):
        value = f"{value[:CUT]}..."
    text = value if isinstance(value, Raw) else json.dumps(value)
    return f"{head}{equals}{text}"


class Raw(str):
    """A text that is shown without quotation marks."""

    __slots__ = ()


def _values(file: str, case: str | None) -> dict[str, Any]:
    content = json.loads((VECTORS / file).read_text("utf-8"))
    if file == "report.json":
        return _report(content)
    if case is not None and case.isdecimal():
        return dict(content[int(case)])
    name = json.loads(str(case))
    found = dict(next(one for one in content if one["name"] == name))
    return _statement(found) if file == "statements.json" else found


def _report(content: dict[str, Any]) -> dict[str, Any]:
    parts = {
        f"{one['aggregator']}_{name}": value
        for one in content["reports"]
        for name, value in one.items()
    }
    return {**content, **parts}


def _statement(case: dict[str, Any]) -> dict[str, Any]:
    header, payload, _ = case["token"].split(".")
    texts = {
        name: urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
        for name, part in (("header", header), ("payload", payload))
    }
    shown = {**texts, "token": case["token"], "digest": case["digest"]}
    return {name: Raw(text) for name, text in shown.items()}


if __name__ == "__main__":
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page(), "utf-8")
    elif PAGE.read_text("utf-8") != page():
        sys.exit("docs/protocol.md differs; run tools/protocol_examples.py")
