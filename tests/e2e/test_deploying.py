"""docs/deploying.md, typed as it stands: seven parties, a folder each, two trainings.

Between the trainings a hospital and a clinic come in, one hospital leaves, and an
aggregator's key is new.

What the page says to type is typed; what it says to hand over is copied, and nothing
else. Answers to `join` are the words that the parties' own `keygen` printed.

Said here and not on the page: the servers listen on free ports of loopback instead of
0.0.0.0, and the page's names lead there through a web proxy, HTTPS_PROXY.
"""

import re
import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import pytest

from fedsecure.demo.provision import HOST, free_ports
from tests.e2e.proxy import Proxy, proxying
from tests.organisations import ROOT, HandedOver, Organisations, Typed, shell

PAGE: Final = (ROOT / "docs" / "deploying.md").read_text("utf-8")
PARTIES: Final = ("study", "north", "south", "basel", "bern", "chur", "clinic")

BLOCK = re.compile(r"^```sh (\w+) ?([\w-]*)\n(.*?)^```$|^(\| `[^\n]+)$", re.M | re.S)


def steps() -> Iterator[Typed | HandedOver]:
    """Return what the page tells to do, in its order."""
    for party, how, text, row in BLOCK.findall(PAGE):
        if party:
            yield Typed(party, how, text.splitlines())
            continue
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if len(cells) == 3 and cells[1] in PARTIES and cells[2] in PARTIES:
            yield HandedOver(cells[0].strip("`"), cells[1], cells[2])


@pytest.fixture
def proxy() -> Iterator[tuple[Proxy, dict[str, tuple[str, str]]]]:
    """The page's names and addresses, and what they are in this test."""
    ports = dict(zip(("north", "south", "study"), free_ports(3), strict=True))
    pages = {"north": 8443, "south": 8443, "study": 9092}
    names = {f"{name}.example:{page}": ports[name] for name, page in pages.items()}
    listening = {
        name: (f"0.0.0.0:{page}", f"{HOST}:{ports[name]}")
        for name, page in pages.items()
    }
    with proxying(names) as running:
        yield running, listening


@pytest.mark.timeout(800)
def test_the_page_takes_organisations_from_nothing_to_a_trained_model(
    tmp_path: Path, proxy: tuple[Proxy, dict[str, tuple[str, str]]]
) -> None:
    through, listening = proxy
    typed_in = {**shell(), "HTTPS_PROXY": through.url}
    with ExitStack() as stack:
        everybody = Organisations(tmp_path, typed_in, listening, stack)
        for party in PARTIES:
            everybody.move_in(party)
        for step in steps():
            everybody.do(step)
        require_trained(everybody)
        require_first_weights_refused(everybody)
    require_way(everybody, through)
    require_newest_version(everybody)
    require_clinic_served(everybody)
    require_private_keys_at_home(everybody)


def require_trained(everybody: Organisations) -> None:
    """One training before the change and one after it, in one store."""
    rounds = everybody.home("study") / "rounds.db"
    query = (
        "SELECT v.purpose, v.state, group_concat(p.data_owner) FROM v_round v "
        "JOIN v_participation p USING (spec_digest) WHERE p.status = 'in set' "
        "GROUP BY v.spec_digest ORDER BY v.entry"
    )
    with closing(sqlite3.connect(f"file:{rounds}?mode=ro", uri=True)) as database:
        rows = database.execute(query).fetchall()
    assert [purpose for purpose, _, _ in rows] == 2 * ["train", "train", "evaluate"]
    assert {state for _, state, _ in rows} == {"opened"}
    members = [set(names.split(",")) for _, _, names in rows]
    assert members == [*3 * [{"basel", "bern"}], *3 * [{"basel", "chur"}]]
    assert len(list(everybody.home("study").rglob("model.keras"))) == 2


def require_first_weights_refused(everybody: Organisations) -> None:
    """What was opened under version 1 still counts under version 5."""
    output = everybody.refused("study", "fedsecure train --rounds 1")
    assert "FS-324" in output
    assert "it tells 1 members apart, at least 2" in output


def require_way(everybody: Organisations, through: Proxy) -> None:
    """All went out through the proxy, and the log says by which variable."""
    assert set(through.asked) == {
        "north.example:8443",
        "south.example:8443",
        "study.example:9092",
    }
    for party in ("basel", "bern"):
        assert "through HTTPS_PROXY" in everybody.log(party).read_text()


def require_newest_version(everybody: Organisations) -> None:
    outputs = [
        text for step, text in everybody.said.items() if "fedsecure join" in step
    ]
    assert len(outputs) == 8  # the newest of each party, and north's of version 1
    accepted = {
        party: (everybody.home(party) / "accepted.toml").read_text()
        for party in ("study", "north", "south", "basel", "chur", "clinic")
    }
    for text in accepted.values():
        assert "number = 5" in text
    assert "number = 1" in (everybody.home("bern") / "accepted.toml").read_text()


def require_clinic_served(everybody: Organisations) -> None:
    """It sees both aggregators, which compute for it since their operators said so."""
    seen = everybody.said["clinic: fedsecure doctor"]
    assert "Nothing fails." in seen
    for party in ("north", "south"):
        assert f"{party} reachable" in seen
        text = (everybody.home(party) / "aggregator.toml").read_text()
        assert tomllib.loads(text)["compute"]["enabled"] is True


def require_private_keys_at_home(everybody: Organisations) -> None:
    """No private file of one party lies in another's folder."""
    private: dict[bytes, str] = {}
    for party in PARTIES:
        for path in everybody.home(party).rglob("*"):
            if path.suffix in {".pem", ".key"} and path.is_file():
                content = path.read_bytes()
                if b"PRIVATE KEY" in content:
                    assert private.setdefault(content, party) == party, path
    assert set(private.values()) == set(PARTIES)


def test_every_command_of_the_page_has_its_party() -> None:
    blocks = re.findall(r"^```(\w*)(.*)$", PAGE, re.M)
    typed = [rest.split() for language, rest in blocks if language == "sh"]
    assert all(rest[0] in (*PARTIES, "everybody") for rest in typed)
    hands = [rest for rest in typed if rest[1:] == ["by-hand"]]
    assert len(hands) < len(typed) / 3
