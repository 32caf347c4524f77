"""The Python of docs/computing.md, against both aggregators of the tests."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fedsecure import private
from fedsecure.compute.participant import Participant
from tests.protocol.test_jobs import CLINIC, Jobs, jobs
from tests.unit.docs import page

__all__ = ["jobs"]  # a fixture

(EXAMPLE,) = re.findall(
    r"<!-- run: shares -->\n```python\n(.*?)```\n\n```text\n(.*?)```",
    page.read("computing.md"),
    re.DOTALL,
)


def test_what_the_page_types_prints_what_the_page_says(
    jobs: Jobs,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @contextmanager
    def opened(config: Path) -> Iterator[Participant]:
        assert config.name == "client.toml"
        yield jobs.start(CLINIC)

    monkeypatch.setattr(private, "open_participant", opened)
    code, printed = EXAMPLE
    exec(compile(code, "computing.md", "exec"), {})  # noqa: S102 - our own page
    assert capsys.readouterr().out.endswith(printed)
