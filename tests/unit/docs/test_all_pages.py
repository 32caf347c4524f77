"""All pages: their links lead somewhere, decisions have one form."""

import re
from pathlib import Path

import pytest

from tests.unit.docs import page

PAGES = [
    *sorted(page.DOCS.rglob("*.md")),
    page.ROOT / "README.md",
    page.ROOT / "SECURITY.md",
]
DECISIONS = sorted((page.DOCS / "adr").glob("*.md"))
LINK = re.compile(r"\]\(([^)\s]+)\)")


def name(path: Path) -> str:
    return path.relative_to(page.ROOT).as_posix()


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.replace(" ", "-") for title in kept}


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_within_the_repository_lead_somewhere(path: Path) -> None:
    for link in LINK.findall(path.read_text("utf-8")):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        where = (path.parent / target) if target else path
        assert where.exists(), link
        if anchor:
            assert anchor in anchors(where), link


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_a_page_has_one_title(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1


@pytest.mark.parametrize("path", DECISIONS, ids=name)
def test_a_decision_has_the_common_form(path: Path) -> None:
    text = path.read_text("utf-8")
    number = int(path.name[:4])
    assert text.startswith(f"# {number}. ")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["Context", "Decision", "Rejected", "Consequences"]


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 7
