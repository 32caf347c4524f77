"""A model owner's pages say what the store says, and a verdict is the command's."""

import json
import re
import sqlite3
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from fedsecure.owner.store.records import Verdict
from fedsecure.protocol.encodings import from_base64url
from fedsecure.review import records
from fedsecure.review.judging import judge
from fedsecure.review.reading import open_round_store
from tests.browser import stores
from tests.browser.serving import Served, owner, post, serving
from tests.browser.stores import story

RUN = "/runs/heart-1"


def read(text: str) -> str:
    """Return what a person reads of a page."""
    inner = re.sub(r"<[^>]*>", " ", text)
    return unescape(re.sub(r"\s+", " ", inner))


def events(path: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(path) as store:
        tokens = store.execute("SELECT payload FROM events ORDER BY entry").fetchall()
    events = [json.loads(from_base64url(one.split(".")[1])) for (one,) in tokens]
    return [{"kind": one["kind"], "body": one["body"]} for one in events]


def test_runs_are_listed_with_how_far_they_are(served: Served) -> None:
    with served.client() as client:
        page = read(client.get("/").text)
    for words in ("Heart disease, four hospitals", "completed", "3 of 3 rounds"):
        assert words in page


def test_an_empty_store_says_what_to_type(tmp_path: Path) -> None:
    with serving(owner(stores.nothing(tmp_path))) as served, served.client() as client:
        page = read(client.get("/").text)
        assert client.get(RUN).status_code == 404
    assert "fedsecure train --config owner.toml" in page


def test_a_run_shows_everything_that_the_terminal_does(served: Served) -> None:
    with served.client() as client:
        page = read(client.get(RUN).text)
    for words in ("void: 2 reported, 3 needed", "missing: va", "0.2333", "final"):
        assert words in page
    assert "A = aggregator-a and B = aggregator-b" in page
    assert re.search(r"train 1\.50 89% open 0\.19 11%", page)


def test_who_was_in_which_round_is_told_without_colours(served: Served) -> None:
    with served.client() as client:
        text = client.get(RUN).text
    grid = text[text.index('<table class="grid">') :].partition("</table>")[0]
    lines = [read(line).split() for line in grid.split("<tr>")[2:]]
    assert lines[0][:3] == ["cleveland", "A", "B"]
    va = " ".join(lines[3])
    assert va.startswith("va A B A B")
    assert "not reported" in va
    assert "offline" in va


def test_a_round_shows_both_aggregators_side_by_side(served: Served) -> None:
    with served.client() as client:
        page = read(client.get(f"{RUN}/rounds/2").text)
        void = read(client.get(f"{RUN}/rounds/3.1").text)
    spec = story.spec(2)
    short = spec.digest[:12]
    assert f"granted this spec {short} {short} yes" in page
    assert "receipts of the set 3 3 yes" in page
    assert "reports in the sum 3 3 yes" in page
    assert "Both say the same" in page
    assert spec.statement.sealing_key in page  # the whole spec; it is public
    assert "void confirmed confirmed" in void


def test_an_aggregator_that_says_something_else_is_named(told: Path) -> None:
    with sqlite3.connect(told) as store:
        other = story.grants(story.spec(1))["aggregator-b"]
        mine = story.grants(story.spec(2))["aggregator-a"]
        wrong = json.dumps({"aggregator-a": mine, "aggregator-b": other})
        store.execute("UPDATE rounds SET grants = ? WHERE round = 2", (wrong,)).close()
    with serving(owner(told)) as served, served.client() as client:
        page = read(client.get(f"{RUN}/rounds/2").text)
    assert "They differ in: granted this spec" in page


def test_rounds_are_filtered_and_come_in_parts(tmp_path: Path) -> None:
    path = stores.thousand(tmp_path, rounds=120)
    with serving(owner(path)) as served, served.client() as client:
        newest, oldest = client.get(RUN).text, client.get(f"{RUN}?page=5").text
        assert "Page 1 of 5" in read(newest)
        assert ">120<" in newest
        assert ">120<" not in oldest
        assert ">1<" in oldest
        assert client.get(f"{RUN}?page=6").status_code == 404
        assert client.get(f"{RUN}?page=x").status_code == 422
        assert client.get(f"{RUN}?verdict=x").status_code == 422
        assert "No round was judged so" in client.get(f"{RUN}?verdict=rejected").text


def test_the_curves_are_drawn_in_both_colours(served: Served) -> None:
    with served.client() as client:
        light = client.get(f"{RUN}/curves.svg").text
        dark = client.get(f"{RUN}/curves.svg?theme=dark").text
    assert light.count("<text") == dark.count("<text") > 10
    assert "#ffffff" in light
    assert "#ffffff" not in dark


def test_a_verdict_has_the_effect_of_the_command(told: Path, tmp_path: Path) -> None:
    typed = tmp_path / "typed.db"
    typed.write_bytes(told.read_bytes())
    digest = story.spec(2).digest
    judge(str(typed), story.author(), digest, Verdict.ACCEPTED, "AUC is stable", "ada")
    with serving(owner(told)) as served, served.client() as client:
        form = {"verdict": "accept", "note": "  AUC is stable ", "by": "ada"}
        answer = post(served, client, f"{RUN}/rounds/2", form)
        assert answer.headers["location"] == f"{RUN}/rounds/2#verdict"
        text = client.get(f"{RUN}/rounds/2").text
        page = read(text)
    # The form of a page is about the attempt that it shows, whatever came since.
    assert f'action="{RUN}/rounds/{digest}#verdict"' in text
    assert events(told) == events(typed)
    assert "accepted by ada" in page
    with open_round_store(told) as one, open_round_store(typed) as two:
        here, there = (records.find_round(s, "heart-1", "2") for s in (one, two))
    assert (here.verdict, here.verdict_note, here.verdict_by) == (
        there.verdict,
        there.verdict_note,
        there.verdict_by,
    )


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"verdict": "accept", "note": " ", "by": "ada"}, "the note needs 1 to"),
        ({"verdict": "accept", "note": "a" * 1001, "by": "ada"}, "the note needs 1 to"),
        ({"verdict": "maybe", "note": "a", "by": "ada"}, "choose accept or reject"),
        ({"note": "a", "by": "ada"}, "choose accept or reject"),
        ({"verdict": "reject", "note": "kept", "by": ""}, "the name needs 1 to"),
    ],
)
def test_a_form_that_lacks_something_is_shown_again(
    served: Served, form: dict[str, str], says: str
) -> None:
    with served.client() as client:
        answer = post(served, client, f"{RUN}/rounds/2", form)
        assert answer.status_code == 422
        assert says in answer.text
        if form["note"] == "kept":
            assert ">kept</textarea>" in answer.text
        assert "Not judged" not in answer.text


def test_a_round_that_is_not_opened_is_not_judged(served: Served) -> None:
    form = {"verdict": "accept", "note": "fine", "by": "ada"}
    with served.client() as client:
        answer = post(served, client, f"{RUN}/rounds/3.1", form)
        assert "FS-645" in answer.text
        assert "Only an opened round is judged" in client.get(f"{RUN}/rounds/3.1").text


def test_a_console_without_the_owners_key_only_reads(told: Path) -> None:
    form = {"verdict": "accept", "note": "fine", "by": "ada"}
    parts = owner(told, reads_only=True)
    with serving(parts) as served, served.client() as client:
        page = client.get(f"{RUN}/rounds/1").text
        assert "Sign the verdict" not in page
        answer = post(served, client, f"{RUN}/rounds/1", form)
        assert (answer.status_code, "FS-587" in answer.text) == (403, True)
    assert events(told)[-1]["kind"] == "run-finished"


def links(text: str) -> set[str]:
    found = re.findall(r'(?:href|src|srcset)="(/[^"#]*)', text)
    return {unescape(one) for one in found}


def crawl(client: httpx.Client) -> dict[str, str]:
    """Return every page that can be reached by links."""
    seen: dict[str, str] = {}
    waiting = {"/"}
    while waiting:
        path = waiting.pop()
        answer = client.get(path)
        assert answer.status_code == 200, path
        seen[path] = answer.text
        waiting |= links(answer.text) - seen.keys()
    return seen


def test_no_page_has_a_secret(told: Path) -> None:
    author = story.author()
    key = story._key("consortium")
    raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with serving(owner(told)) as served, served.client() as client:
        pages = crawl(client)
        secrets = [
            raw.hex(),
            pem.splitlines()[1],
            served.token,
            *client.cookies.values(),
        ]
    assert len(pages) > 10
    assert author.name in pages["/"]
    for path, text in pages.items():
        for secret in secrets:
            assert secret not in text, path


def test_themes_are_remembered_without_a_script(served: Served) -> None:
    with served.client() as client:
        assert 'data-theme="auto"' in client.get("/").text
        post(served, client, "/theme", {"theme": "dark", "back": "/audit"})
        page = client.get(RUN).text
        assert 'data-theme="dark"' in page
        assert "curves.svg?of=21&amp;theme=dark" in page
        assert post(served, client, "/theme", {"theme": "pink"}).status_code == 422
