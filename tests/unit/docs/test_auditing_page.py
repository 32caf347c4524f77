"""docs/auditing.md lists every check, and sends nobody to the source code."""

import re
from pathlib import Path

import pytest

from fedsecure.audit.findings import CHECKS
from tests.unit.docs import page

DOCS = Path(__file__).parents[3] / "docs"
MAP = "code-map.md"  # for those who come to change the code: it names modules
PAGES = sorted(
    [*(one for one in DOCS.glob("*.md") if one.name != MAP), DOCS.parent / "README.md"]
)
TEST_OF_A_CLAIM = re.compile(r"`tests/[\w/.]+`")


def test_every_check_is_listed_as_the_audit_prints_it() -> None:
    (part,) = re.findall(
        r"<!-- checks -->\n(.*?)\n\n", page.read("auditing.md"), re.DOTALL
    )
    rows = page.table(part)
    assert {int(row[0]): row[2] for row in rows} == dict(CHECKS)
    for row in rows:
        assert len(row[3]) > 20


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_explains_itself_by_source_code(path: Path) -> None:
    if path.name == "reliability.md":
        pytest.skip("its table names the test of each row, and where the faults are")
    text = TEST_OF_A_CLAIM.sub("", path.read_text("utf-8"))
    assert re.findall(r"`(?:fedsecure|clients|aggregator)/[\w/]+\.py`", text) == []
