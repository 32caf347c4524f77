import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, strategies as st
from pydantic import ValidationError

from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.identity import Federation, Role, fingerprint, load_federation
from fedsecure.protocol.signing import Author
from fedsecure.protocol.signing_keys import public_key_text, require_key_of

CASES = json.loads(
    (Path(__file__).parents[2] / "vectors" / "federation.json").read_text()
)
CONTENT = CASES[0]["content"]
PUBLIC_KEY = bytes(range(32))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_federations_have_the_digests_of_the_vectors(case: dict[str, Any]) -> None:
    assert Federation.model_validate(case["content"]).digest == case["digest"]


@given(st.permutations(CONTENT["data_owners"]), st.permutations(CONTENT["aggregators"]))
def test_the_order_of_a_file_is_not_in_its_digest(
    data_owners: list[Any], aggregators: list[Any]
) -> None:
    order = {**CONTENT, "data_owners": data_owners, "aggregators": aggregators}
    turned = Federation.model_validate(order)
    assert turned.digest == CASES[0]["digest"]
    assert [party.name for party in turned.pair] == ["north", "south"]


def test_comments_and_layout_of_a_file_are_not_in_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "federation.toml"
    path.write_text("# ours\n\n" + tomli_w.dumps(CONTENT).replace(" = ", "="), "utf-8")
    assert load_federation(path).digest == CASES[0]["digest"]


def leaves(content: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """The path to every single value."""
    if not isinstance(content, dict | list):
        yield path
        return
    for key, item in (
        content.items() if isinstance(content, dict) else enumerate(content)
    ):
        yield from leaves(item, *path, key)


OTHER = {
    "name": "somebody",
    "key": public_key_text(Ed25519PrivateKey.from_private_bytes(bytes(32))),
    "url": "https://elsewhere.test",
    "flower_key": "ecdsa-sha2-nistp384 other",
    "number": 3,
    "previous": "0" * 64,
}


@pytest.mark.parametrize(
    "path", [path for path in leaves(CONTENT) if path != ("protocol",)], ids=str
)
def test_every_value_of_a_federation_is_in_its_digest(
    content: dict[str, Any], path: tuple[Any, ...]
) -> None:
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = OTHER[path[-1]]
    assert Federation.model_validate(content).digest != CASES[0]["digest"]


DEALT = {case["name"]: case for case in CASES}["with a dealer"]


@pytest.mark.parametrize(
    "path",
    [*leaves({key: DEALT["content"][key] for key in ("clients", "dealer")})],
    ids=str,
)
def test_clients_and_a_dealer_are_in_the_digest(path: tuple[Any, ...]) -> None:
    content = json.loads(json.dumps(DEALT["content"]))
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = OTHER[path[-1]]
    assert Federation.model_validate(content).digest != DEALT["digest"]


def test_a_federation_without_clients_and_dealer_is_what_it_was_before_them() -> None:
    """The vectors' digests were recorded before there were such roles."""
    empty = Federation.model_validate({**CONTENT, "clients": [], "dealer": None})
    assert empty.digest == CASES[0]["digest"]
    assert not {"clients", "dealer"} & empty.model_dump().keys()


@pytest.mark.parametrize(
    "history",
    [{"number": 2}, {"number": 1, "previous": "0" * 64}, {"previous": "0" * 64}],
    ids=str,
)
def test_only_the_first_version_of_a_federation_follows_none(
    content: dict[str, Any], history: dict[str, Any]
) -> None:
    first = {key: content[key] for key in content if key not in {"number", "previous"}}
    assert Federation.model_validate(first).number == 1
    with pytest.raises(ValidationError, match="previous"):
        Federation.model_validate({**first, **history})


def test_using_a_federation_does_not_change_its_content(federation: Federation) -> None:
    used = Federation.model_validate(CONTENT)
    used.find("north")
    assert used.digest == federation.digest
    assert used.pair[0].verifier.public_bytes_raw()
    assert json.loads(used.model_dump_json(exclude_none=True)) == CONTENT


def test_everybody_is_found_by_name_in_the_role_of_the_file(
    federation: Federation,
) -> None:
    assert federation.find("study") == (Role.MODEL_OWNER, federation.model_owner)
    assert federation.find("south")[0] is Role.AGGREGATOR
    assert federation.find("7")[0] is Role.DATA_OWNER
    dealt = Federation.model_validate(DEALT["content"])
    assert dealt.find("practice") == (Role.CLIENT, dealt.clients[1])
    assert dealt.find("dealer") == (Role.DEALER, dealt.dealer)
    assert [*dealt.parties()][-3:] == [*dealt.clients, dealt.dealer]
    assert federation.other_aggregator("north").name == "south"
    assert federation.other_aggregator("south").name == "north"


@pytest.mark.parametrize("name", ["stranger", "", "North", "heart", "north\n"])
def test_a_stranger_is_not_found(federation: Federation, name: str) -> None:
    with pytest.raises(PeerError, match="FS-741"):
        federation.find(name)


@pytest.mark.parametrize(
    ("what", "first", "second"),
    [
        ("name", ("model_owner",), ("aggregators", 0)),
        ("name", ("model_owner",), ("data_owners", 3)),
        ("name", ("aggregators", 1), ("data_owners", 0)),
        ("name", ("data_owners", 0), ("data_owners", 1)),
        ("key", ("aggregators", 0), ("aggregators", 1)),
        ("key", ("model_owner",), ("aggregators", 1)),
        ("key", ("data_owners", 2), ("model_owner",)),
        ("url", ("aggregators", 0), ("aggregators", 1)),
        ("flower_key", ("data_owners", 1), ("data_owners", 3)),
        ("name", ("aggregators", 0), ("clients", 0)),
        ("key", ("data_owners", 1), ("clients", 1)),
        ("name", ("clients", 0), ("clients", 1)),
        ("key", ("clients", 1), ("dealer",)),
        ("name", ("model_owner",), ("dealer",)),
    ],
)
def test_two_parties_are_never_the_same(
    what: str, first: tuple[Any, ...], second: tuple[Any, ...]
) -> None:
    content = json.loads(json.dumps(DEALT["content"]))
    places = []
    for path in (first, second):
        place = content
        for key in path:
            place = place[key]
        places.append(place)
    places[1][what] = places[0][what]
    with pytest.raises(ValidationError, match=f"two parties have the same {what}"):
        Federation.model_validate(content)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_there_are_two_aggregators(content: dict[str, Any], number: int) -> None:
    third = {**content["aggregators"][0], **OTHER, "name": "east"}
    del third["flower_key"]
    content["aggregators"] = [*content["aggregators"], third][:number]
    with pytest.raises(ValidationError, match="aggregators"):
        Federation.model_validate(content)


BAD: dict[str, list[object]] = {
    "name": [
        *(
            "",
            "North",
            "north.",
            "-north",
            "north-",
            "nor th",
            "north\n",
            "../x",
            "n_h",
        ),
        *("n\N{CYRILLIC SMALL LETTER O}rth", "n\u200borth", "\uff4eorth", "a" * 64),
        *("no\0th", 7),
    ],
    "url": [
        *("http://a.test", "https://", "https://a.test/", "https://a.test/x", "a.test"),
        *("https://me:secret@a.test", "https://a.test?x", "https://a.test#x"),
        *("https://a test", "https://a.test\n", "https://A.test", "https://a\0.test"),
        *("https://\N{CYRILLIC SMALL LETTER A}.test", "https://a.test:123456"),
        *("https://[/", "https://[1.2]", "https://[:::]", "https://999.1.1.1"),
        *("https://a..test", "https://-:65536", "https://a.test:0", "https://a.test:"),
        f"https://{'a' * 64}.test",
    ],
    "key": ["", "A" * 42, "A" * 43, OTHER["key"] + "=", OTHER["key"] + "\n", 1],
    "protocol": [0, 2, "1", None],
}


@pytest.mark.parametrize(
    ("what", "value"), [(what, value) for what in BAD for value in BAD[what]]
)
def test_malformed_entries_are_refused(
    content: dict[str, Any], what: str, value: object
) -> None:
    place = content if what == "protocol" else content["aggregators"][0]
    place[what] = value
    with pytest.raises(ValidationError, match=what):
        Federation.model_validate(content)


@pytest.mark.parametrize(
    "url",
    ["https://a", "https://10.0.0.1:8443", "https://[::1]:8443", "https://a_b-c.test"],
)
def test_an_address_is_scheme_host_and_port(content: dict[str, Any], url: str) -> None:
    content["aggregators"][0]["url"] = url
    assert Federation.model_validate(content).aggregators[0].url == url


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("protocol = 1\nprotocol = 1", "FS-802"),
        ("protocol = 1", "FS-803"),
        (tomli_w.dumps({**CONTENT, "quorum": 3}), "FS-803"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, code: str) -> None:
    path = tmp_path / "federation.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(OperatorError, match=f"{code}.*federation.toml"):
        load_federation(path)


def test_a_fingerprint_is_half_a_digest_in_groups(federation: Federation) -> None:
    digits = hashlib.sha256(PUBLIC_KEY).hexdigest()
    groups = fingerprint(PUBLIC_KEY).split("-")
    assert [len(group) for group in groups] == [4] * 8
    assert digits.startswith("".join(groups))
    prints = {party.fingerprint for party in federation.parties()}
    assert len(prints) == len([*federation.parties()])


def test_a_party_starts_only_with_the_key_of_the_file(
    federation: Federation, author: Callable[[str], Author]
) -> None:
    require_key_of(federation, "north", author("north").key)
    with pytest.raises(OperatorError, match="FS-746"):
        require_key_of(federation, "north", author("south").key)
    with pytest.raises(OperatorError, match="FS-741"):
        require_key_of(federation, "east", author("north").key)


def test_secrets_do_not_print(author: Callable[[str], Author]) -> None:
    assert repr(author("north")) == "Author(name='north')"
