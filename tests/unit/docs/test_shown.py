"""Nothing on docs/protocol.md is said without a test or a vector that shows it.

In the page's source each block (a paragraph, a list, a table, a listing) is followed by
a comment that readers do not see:

    <!-- shown: unit/protocol/test_signing.py::test_a_bad_token_is_refused,
    vectors/bad_statements.json -->
    <!-- explains -->     nothing in it has to be kept to

What is named must exist, and the error codes of a block must be asked for in the files
that are named: so no refusal is promised that nobody tests.
"""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

import pytest

from fedsecure.errors import PROBLEMS
from tests.unit.docs import page

TESTS: Final = page.ROOT / "tests"
VECTORS: Final = TESTS / "vectors"
BINDING: Final = re.compile(r"\b(must|refuse[ds]?|at most|at least|exactly)\b|FS-\d{3}")


class Block(NamedTuple):
    """What stands between two empty lines, with what shows it."""

    line: int
    text: str
    refs: list[str] | None  # None: it explains

    @property
    def codes(self) -> set[str]:
        """Every error code of the text; ranges are written out."""
        found = set(re.findall(r"FS-\d{3}", self.text))
        for first, last in re.findall(r"(FS-\d{3}) to (FS-\d{3})", self.text):
            found |= {code for code in PROBLEMS if first <= code <= last}
        return found


def blocks(text: str) -> Iterator[Block]:
    """Cut a page; a block that ends in a colon belongs to the next one."""
    # A listing is one block, whatever is in it.
    whole = re.sub(
        r"^```\w*\n.*?^```$",
        lambda found: re.sub(
            r"^#", "\\#", found[0].replace("\n\n", "\n \n"), flags=re.M
        ),
        text,
        flags=re.DOTALL | re.MULTILINE,
    )
    held, line = "", 1
    for part in whole.split("\n\n"):
        content = "\n".join(one for one in part.splitlines() if not one.startswith("#"))
        if content.strip():
            held += content + "\n"
            if not content.rstrip().endswith(":"):
                yield block(line, held.strip())
                held = ""
        line += part.count("\n") + 2


def block(line: int, text: str) -> Block:
    """Part a block from its comment."""
    if text.endswith("<!-- explains -->"):
        return Block(line, text.removesuffix("<!-- explains -->"), None)
    found = re.search(r"<!-- shown: ([^>]+) -->$", text)
    refs = re.split(r",\s+(?=[a-z]+/)", found[1]) if found else []
    return Block(line, text[: found.start()] if found else text, refs)


BLOCKS: Final = list(blocks(page.read("protocol.md")))
EVERY: Final = [pytest.param(one, id=one.text[:40]) for one in BLOCKS]
REFS: Final = sorted({ref for one in BLOCKS for ref in one.refs or ()})


@pytest.mark.parametrize("one", EVERY)
def test_every_statement_of_the_page_is_shown(one: Block) -> None:
    assert one.refs != [], f"line {one.line}: add `<!-- shown: ... -->` behind it"
    if one.refs is None:
        found = BINDING.search(one.text)
        assert found is None, (
            f"line {one.line} says {found and found[0]}: who shows it?"
        )


@pytest.mark.parametrize("ref", REFS)
def test_what_shows_a_statement_is_there(ref: str) -> None:
    file, _, name = ref.partition("::")
    path = TESTS / file
    assert path.is_file(), ref
    if path.suffix == ".py":
        function, _, case = name.partition("[")
        assert function in functions(file), ref
        assert not case or case.removesuffix("]") in names(), f"no such vector: {ref}"


@pytest.mark.parametrize("one", [one for one in BLOCKS if one.refs])
def test_every_refusal_of_the_page_is_asked_for_by_what_shows_it(one: Block) -> None:
    read = "".join(source(ref.partition("::")[0]) for ref in one.refs or ())
    assert {code for code in one.codes if code not in read} == set()


@cache
def source(file: str) -> str:
    return (TESTS / file).read_text("utf-8")


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse(source(file))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@cache
def names() -> set[str]:
    """The names of all vectors."""
    found = set()
    for path in VECTORS.glob("*.json"):
        text = path.read_text("utf-8")
        found |= {
            json.loads(name) for name in re.findall(r'^ +"name": (".*?")', text, re.M)
        }
    return found


def test_every_file_of_vectors_is_on_the_page() -> None:
    rows = page.table(page.section(page.read("protocol.md"), "Vectors"))
    listed = set(re.findall(r"`(\w+\.json)`", " ".join(row[0] for row in rows)))
    assert listed == {path.name for path in VECTORS.glob("*.json")}


def test_a_statement_that_nobody_shows_is_found() -> None:
    (said, explained, hidden) = blocks(
        "# A page\n\nIt must be so.\n<!-- shown: unit/a.py::test_a,\nunit/b.py -->\n\n"
        "In words:\n\n```text\n# x\n\ny\n```\n<!-- explains -->\n\n"
        "New: FS-200 to FS-202."
    )
    assert (said.line, said.refs) == (3, ["unit/a.py::test_a", "unit/b.py"])
    assert explained.refs is None
    assert "y" in explained.text
    assert hidden.refs == []
    assert hidden.codes == {"FS-200", "FS-201", "FS-202"}
