"""What the pages of docs/ tell whom to type, and who there is."""

import re
from typing import Final

from fedsecure.study.sites import find_sites
from tests.organisations import ROOT

HEART: Final = ROOT / "studies" / "heart"
HOSPITALS: Final = tuple(find_sites(HEART))
SERVICES: Final = {"north": "aggregator-a", "south": "aggregator-b", "study": "owner"}
PARTIES: Final = (*SERVICES, *HOSPITALS)
BLOCK: Final = re.compile(r"^```sh (\w+) ?([\w-]*)\n(.*?)^```$", re.M | re.S)


def blocks(name: str) -> dict[tuple[str, str], list[str]]:
    """Return the commands of a page by party and purpose; several of one are joined."""
    found: dict[tuple[str, str], list[str]] = {}
    page = (ROOT / "docs" / name).read_text("utf-8")
    for party, what, text in BLOCK.findall(page):
        found.setdefault((party, what), []).extend(text.splitlines())
    return found


DEPLOYING: Final = blocks("deploying.md")
CONTAINERS: Final = blocks("containers.md")
OPERATING: Final = blocks("operating.md")


def on_page(party: str, begin: str) -> str:
    """Return the first command of a party in deploying.md that begins so."""
    for (typist, _), commands in DEPLOYING.items():
        for command in commands:
            if typist == party and command.startswith(begin):
                return command
    msg = f"docs/deploying.md tells {party} no {begin!r}"
    raise AssertionError(msg)
