"""Reads the pages of docs/ for tests: sections, tables, lists and marked blocks."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
DOCS: Final = ROOT / "docs"


def read(name: str) -> str:
    """Return one page."""
    return (DOCS / name).read_text("utf-8")


def section(page: str, title: str) -> str:
    """Return what stands under the one heading that begins with `title`."""
    found = re.findall(
        rf"^(#+) {re.escape(title)}.*?\n(.*?)(?=^#+ |\Z)",
        page,
        re.DOTALL | re.MULTILINE,
    )
    assert len(found) == 1, f"{len(found)} headings begin with {title!r}"
    return str(found[0][1])


def table(text: str) -> list[list[str]]:
    """Return the rows of the first table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line[1:-1].split(" | ")] for line in lines[2:]]


def code(cell: str) -> str:
    """Return the text between the first pair of backticks."""
    return cell.split("`")[1]


def blocks(page: str, marker: str) -> dict[str, str]:
    """Return the fenced blocks behind `<!-- marker: name -->`, by name."""
    found = re.findall(rf"<!-- {marker}: (.+?) -->\n```\w*\n(.*?)```", page, re.DOTALL)
    assert len(dict(found)) == len(found), f"a {marker} stands twice"
    return dict(found)


def values(block: str) -> dict[str, str]:
    """Return the lines `name = value` of a block."""
    pairs = (line.split("=", 1) for line in block.splitlines())
    return {name.strip(): value.strip() for name, value in pairs}
