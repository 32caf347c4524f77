"""Write the vectors of federations and signed statements, from the reference alone.

    python tests/vectors/generate_statements.py           write them anew
    python tests/vectors/generate_statements.py --check   fail where a file differs

Vectors are never edited by hand.
"""

import hmac
import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import statement_reference as reference
from statement_reference import (
    HEAD,
    MAY_SIGN,
    OWNER,
    REPORT_ID,
    SEALING_KEY,
    STATEMENTS,
    Content,
    base64url,
    canonical,
    header,
    said,
    sign,
)
from vector_files import write_or_compare

ORDER = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's base point
HASH = str(HEAD["hash"])
VOID = STATEMENTS["void"][1]
CLIENTS, DEALER = reference.CLIENTS, "dealer"

Token = tuple[str, str]  # the code of its refusal, and the token


def federation_cases() -> list[Content]:
    """The federation, and the same one written in another order."""
    content = reference.FEDERATION
    turned = {
        **dict(reversed(content.items())),
        "aggregators": content["aggregators"][::-1],
        "data_owners": content["data_owners"][::-1],
    }
    names = (OWNER, *reference.SERVERS, *reference.HOSPITALS)
    more = {"with clients": CLIENTS, "with a dealer": (*CLIENTS, DEALER)}
    owner = {**content["model_owner"], "superlink": "study.test:9092"}
    linked = {**content, "model_owner": owner}
    asking = {**content, "clients": [reference.party(one) for one in CLIENTS]}
    dealt = {**asking, "dealer": reference.party(DEALER)}
    return [
        {
            "name": name,
            "content": order,
            "seeds": {
                one: reference.seed(one).hex() for one in (*names, *more.get(name, ()))
            },
            "digest": sha256(canonical(means)).hexdigest(),
        }
        for name, order, means in (
            ("sorted", content, content),
            ("turned round", turned, content),
            ("with a SuperLink", linked, linked),
            ("with clients", {**asking, "clients": asking["clients"][::-1]}, asking),
            ("with a dealer", dealt, dealt),
        )
    ]


def spelled() -> str:
    """The body of an event in canonical JSON, where Python's own `json` writes another.

    Keys in the order of their UTF-16 code units, and ECMAScript's numbers.
    """
    numbers = '"1":1e-7,"10":1e+21,"a":0.000012,"b":1e+22,"c":333333333.3333333'
    texts = (
        '"\N{EURO SIGN}":"\\"\\\\\\n\\u000f/\N{EURO SIGN}\x7f",'
        '"\N{GRINNING FACE}":9007199254740991,'
        '"\N{HEBREW LETTER DALET WITH DAGESH}":-0.5'
    )
    return f"{{{numbers},{texts}}}"


def statement_payloads() -> dict[str, tuple[str, Content, bytes]]:
    """What is said, and its one spelling."""
    plain = {
        name: (name, content, canonical(content))
        for name, (_, content) in STATEMENTS.items()
    }
    event, body = STATEMENTS["event"][1], spelled()
    before = canonical({**event, "body": "BODY"}).decode()
    odd = before.replace('"BODY"', body).encode()
    return {
        **plain,
        "RFC 8785": ("event", {**event, "body": json.loads(body)}, odd),
    }


def statement_cases() -> list[Content]:
    """Good tokens; `signers`: everybody whose role may say this."""
    cases = []
    for name, (kind, content, payload) in statement_payloads().items():
        typ, signer, _ = said(kind)
        token = sign(header(typ, signer), payload, signer)
        cases.append(
            {
                "name": name,
                "typ": typ,
                "signer": signer,
                "signers": MAY_SIGN[typ],
                "statement": content,
                "token": token,
                "digest": reference.token_digest(token),
            }
        )
    return cases


def bad_headers() -> dict[str, Token]:
    """A good void under headers that are not the one header."""
    right, bare = header("void", OWNER), {"alg": "EdDSA", "kid": OWNER, "typ": "void"}
    dze = "\N{CYRILLIC SMALL LETTER DZE}".encode()  # looks like an s
    headers: dict[str, bytes] = {
        "alg_none": canonical({**bare, "alg": "none"}),
        "alg_ed25519": canonical({**bare, "alg": "Ed25519"}),
        "alg_case": canonical({**bare, "alg": "eddsa"}),
        "header_extra_key": canonical({**bare, "jku": "https://x.test"}),
        "header_crit": canonical({**bare, "crit": ["b64"], "b64": False}),
        "header_without_kid": b'{"alg":"EdDSA","typ":"void"}',
        "header_order": b'{"typ":"void","alg":"EdDSA","kid":"study"}',
        "header_key_twice": b'{"alg":"EdDSA","kid":"7","kid":"study","typ":"void"}',
        "header_space": right.replace(b",", b", "),
        "header_newline": right + b"\n",
        "header_escape": right.replace(b"study", b"\\u0073tudy"),
        "header_bom": b"\xef\xbb\xbf" + right,
        "header_utf16": right.decode().encode("utf-16"),
        "header_list": b'["EdDSA","study","void"]',
        "header_nested": b"[" * 5000 + b"]" * 5000,
        "header_empty": b"",
        "kid_number": b'{"alg":"EdDSA","kid":7,"typ":"void"}',
        "kid_null": b'{"alg":"EdDSA","kid":null,"typ":"void"}',
        "kid_nan": b'{"alg":"EdDSA","kid":NaN,"typ":"void"}',
        "kid_upper_case": canonical({**bare, "kid": "STUDY"}),
        "kid_homoglyph": right.replace(b"study", dze + b"tudy"),
        "kid_surrogate": right.replace(b"study", b"\\ud800"),
        "kid_too_long": canonical({**bare, "kid": "a" * 64}),
        "typ_of_another_statement": canonical({**bare, "typ": "receipt"}),
        "typ_jwt": canonical({**bare, "typ": "JWT"}),
        "typ_case": canonical({**bare, "typ": "Void"}),
    }
    payload = canonical(VOID)
    return {
        **{
            name: ("FS-702", sign(head, payload, OWNER))
            for name, head in headers.items()
        },
        "kid_of_a_stranger": (
            "FS-741",
            sign(canonical({**bare, "kid": "stranger"}), payload, OWNER),
        ),
    }


def bad_signatures() -> dict[str, Token]:
    """Voids with signatures that do not hold, or not for this."""
    head, payload = header("void", OWNER), canonical(VOID)
    signed, _, text = sign(head, payload, OWNER).rpartition(".")
    right = urlsafe_b64decode(text + "==")
    more = int.from_bytes(right[32:], "little") + ORDER
    others = sign(head, canonical({**VOID, "reason": "too many"}), OWNER)
    unsigned = f"{base64url(head.replace(b'EdDSA', b'none'))}.{base64url(payload)}"
    mac_input = f"{base64url(head.replace(b'EdDSA', b'HS256'))}.{base64url(payload)}"
    mac = hmac.digest(reference.public_key(OWNER), mac_input.encode(), "sha256")
    values = {
        "empty": b"",
        "zero": bytes(64),
        "cut": right[:-1],
        "extended": right + b"\0",
        "bit_of_r": bytes([right[0] ^ 1]) + right[1:],
        "bit_of_s": right[:40] + bytes([right[40] ^ 1]) + right[41:],
        "not_reduced": right[:32] + more.to_bytes(32, "little"),
    }
    return {
        "alg_none_unsigned": ("FS-702", f"{unsigned}."),
        "alg_hmac_under_the_public_key": ("FS-702", f"{mac_input}.{base64url(mac)}"),
        **{
            f"signature_{name}": ("FS-704", f"{signed}.{base64url(value)}")
            for name, value in values.items()
        },
        "signature_of_another_void": (
            "FS-704",
            f"{signed}.{others.rpartition('.')[2]}",
        ),
        "signature_of_another_party": ("FS-704", sign(head, payload, "south")),
    }


def bad_authors() -> dict[str, Token]:
    """Voids, rightly signed, in another party's name or of another federation."""
    other = canonical({**VOID, "federation": reference.digest("another federation")})
    return {
        "author": ("FS-706", sign(header("void", "south"), canonical(VOID), "south")),
        "federation": ("FS-705", sign(header("void", OWNER), other, OWNER)),
    }


def bad_shapes() -> dict[str, Token]:
    """Voids that are not three parts of canonical base64url."""
    head, payload, signature = (
        sign(header("void", OWNER), canonical(VOID), OWNER)
    ).split(".")
    # 64 bytes leave four bits of the last character unused.
    stray = signature[:-1] + chr(ord(signature[-1]) + 1)
    dashed = canonical({**VOID, "reason": "<?>?"})  # gives "-" and "_"
    tokens = {
        "base64_padding": f"{head}.{payload}.{signature}==",
        "base64_stray_bits": f"{head}.{payload}.{stray}",
        "base64_plus": sign(header("void", OWNER), dashed, OWNER).replace("-", "+"),
        "base64_length": f"{head}.{payload}.{signature[:-1]}",
        "base64_space": f"{head}.{payload} .{signature}",
        "base64_newline": f"{head}.{payload}.{signature}\n",
        "base64_zero": f"\0{head}.{payload}.{signature}",
        "base64_full_width": f"{head}.{payload}.{signature[:-1]}\uff21",
        "parts_none": "",
        "parts_one": head,
        "parts_two": f"{head}.{payload}",
        "parts_four": f"{head}.{payload}.{signature}.",
        "bearer": f"Bearer {head}.{payload}.{signature}",
        "json_serialisation": json.dumps(
            {"payload": payload, "protected": head, "signature": signature}
        ),
    }
    return {name: ("FS-701", token) for name, token in tokens.items()} | {
        "parts_empty": ("FS-702", "..")
    }


def bad_spellings() -> dict[str, tuple[str, bytes]]:
    """Another spelling of something good: name -> type and payload."""
    void, read = canonical(VOID), canonical(STATEMENTS["read"][1])
    swapped = json.dumps(dict(reversed(json.loads(void).items())))
    return {
        "order": ("void", swapped.replace(" ", "").encode()),
        "space": ("void", void.replace(b":", b": ", 1)),
        "newline_at_the_end": ("void", void + b"\n"),
        "bytes_at_the_end": ("void", void + b"{}"),
        "nothing": ("void", b""),
        "cut": ("void", void[:-1]),
        "list": ("void", b"[" + void + b"]"),
        "bom": ("void", b"\xef\xbb\xbf" + void),
        "utf16": ("void", void.decode().encode("utf-16-le")),
        "latin1": ("void", void.replace(b"few", b"f\xe4w")),
        "overlong_utf8": ("void", void.replace(b"few", b"\xc1\xa6ew")),
        "surrogate_in_utf8": ("void", void.replace(b"few", b"\xed\xa0\x80")),
        "escape": ("void", void.replace(b"few", b"\\u0066ew")),
        "escaped_slash": ("read", read.replace(b"/", b"\\/")),
        "key_twice": ("void", void.replace(b'"reason"', b'"reason":"x","reason"')),
        "key_twice_at_the_end": ("void", void[:-1] + b',"author":"study"}'),
        "depth": ("event", changed("event", '"empty":{}', nested(400))),
        "depth_33": ("event", changed("event", '"empty":{}', nested(31))),
        "surrogate_key": ("event", changed("event", '"empty"', '"\\udfff"')),
    }


def nested(depth: int) -> str:
    """A member of a body that is a list in a list in a list."""
    return f'"empty":{"[" * depth}{"]" * depth}'


VALUES: dict[str, tuple[str, str, str]] = {
    # name: statement, what it says, what it says instead
    "unknown_key": ("void", '"author"', '"amount":1,"author"'),
    "unknown_key_inside": ("opening", '"chur"', '"chur","weight":1'),
    "missing_key": ("void", '"author":"study",', ""),
    "null": ("round-spec", '"round":4', '"round":null'),
    "nan": ("round-spec", '"clip":2.5', '"clip":NaN'),
    "infinity": ("round-spec", '"clip":2.5', '"clip":Infinity'),
    "overflow": ("round-spec", '"clip":2.5', '"clip":1e+400'),
    "nan_in_a_body": ("event", '"empty":{}', '"empty":NaN'),
    "infinity_in_a_body": ("event", '"empty":{}', '"empty":-Infinity'),
    "float_with_point": ("round-spec", '"high":8', '"high":8.0'),
    "float_with_exponent": ("round-spec", '"clip":2.5', '"clip":25e-1'),
    "float_with_zero": ("round-spec", '"clip":2.5', '"clip":2.50'),
    "float_too_exact": ("round-spec", '"clip":2.5', '"clip":2.50000000000000000001'),
    "float_minus_zero": ("round-spec", '"low":0', '"low":-0'),
    "float_for_int": ("round-spec", '"round":4', '"round":4.5'),
    "whole_float_for_int": ("round-spec", '"round":4', '"round":4.0'),
    "bool_for_int": ("round-spec", '"attempt":1', '"attempt":true'),
    "string_for_int": ("round-spec", '"round":4', '"round":"4"'),
    "int_for_bool": ("inclusion", '"included":true', '"included":1'),
    "string_for_float": ("round-spec", '"clip":2.5', '"clip":"2.5"'),
    "number_for_string": ("void", '"too few"', "3"),
    "integer": ("round-spec", '"round":4', f'"round":{2**53}'),
    "integer_in_a_body": ("event", '"empty":{}', f'"empty":{2**53 + 1}'),
    "large_integer_in_a_body": ("event", '"empty":{}', f'"empty":{10**21}'),
    "huge_integer_in_a_body": ("event", '"empty":{}', f'"empty":-{10**400}'),
    "endless_integer_in_a_body": ("event", '"empty":{}', f'"empty":{"1" * 5000}'),
    "surrogate_in_a_body": ("event", '"empty":{}', '"empty":"\\ud800"'),
    "negative": ("round-spec", '"round":4', '"round":-1'),
    "clip_zero": ("round-spec", '"clip":2.5', '"clip":0'),
    "enum": ("round-spec", '"train"', '"Train"'),
    "enum_of_another": ("report", '"vector"', '"train"'),
    "method": ("read", '"GET"', '"PUT"'),
    "digest_upper_case": ("event", HASH, HASH.upper()),
    "digest_short": ("event", HASH, HASH[:-1]),
    "digest_newline": ("event", HASH, f"{HASH}\\n"),
    "report_id_long": ("receipt", REPORT_ID, f"{REPORT_ID}00"),
    "name_upper_case": ("receipt", '"basel"', '"Basel"'),
    "name_homoglyph": ("receipt", '"basel"', '"b\N{CYRILLIC SMALL LETTER A}sel"'),
    "name_dots": ("receipt", '"basel"', '".."'),
    "name_slash": ("receipt", '"basel"', '"basel/x"'),
    "name_newline": ("receipt", '"basel"', '"basel\\n"'),
    "name_zero": ("receipt", '"basel"', '"basel\\u0000"'),
    "name_empty": ("receipt", '"basel"', '""'),
    "name_long": ("receipt", '"basel"', f'"{"a" * 64}"'),
    "name_hyphen_last": ("receipt", '"basel"', '"basel-"'),
    "run_upper_case": ("round-spec", '"run-1"', '"Run-1"'),
    "run_hyphen_first": ("round-spec", '"run-1"', '"-run"'),
    "run_long": ("round-spec", '"run-1"', f'"{"a" * 64}"'),
    "label_space": ("round-spec", '"auc/score"', '"auc score"'),
    "label_slash_first": ("round-spec", '"auc/score"', '"/auc"'),
    "label_long": ("round-spec", '"auc/score"', f'"{"a" * 64}"'),
    "path_long": ("read", '"/v1/rounds/', f'"/{"x" * 300}/v1/rounds/'),
    "weighting": ("round-spec", '"equal"', '"none"'),
    "weight_cap_zero": ("round-spec", '"weight_cap":1024', '"weight_cap":0'),
    "fraction_bits_61": ("round-spec", '"fraction_bits":26', '"fraction_bits":61'),
    "scalar_size_zero": ("round-spec", '"size":16', '"size":0'),
    "scalar_size_1025": ("round-spec", '"size":16', '"size":1025'),
    "scalar_range_text": ("round-spec", '"low":-0.5', '"low":"-0.5"'),
    "head_short": ("receipt", '"entries":3', '"entries":-1'),
    "cohort_twice": ("round-spec", '"basel"', '"basel","basel"'),
    "cohort_order": ("round-spec", '"basel","bern"', '"bern","basel"'),
    "cohort_empty": ("round-spec", '["7","basel","bern","chur"]', "[]"),
    "min_cohort_one": ("round-spec", '"min_cohort":3', '"min_cohort":1'),
    "set_twice": ("opening", '"chur"', '"basel"'),
    "set_order": ("opening", '"chur"', '"a"'),
    "fold_set_twice": ("fold", '"chur"', '"basel"'),
    "fold_set_order": ("fold", '"chur"', '"a"'),
    "dimension": ("round-spec", '"dimension":273', f'"dimension":{2**31 + 1}'),
    "dimension_zero_to_train": ("round-spec", '"dimension":273', '"dimension":0'),
    "dimension_to_evaluate": ("evaluation", '"dimension":0', '"dimension":1'),
    "sealing_key_short": ("round-spec", SEALING_KEY, SEALING_KEY[:-2]),
    "sealing_key_padded": ("round-spec", SEALING_KEY, f"{SEALING_KEY}=="),
    "sealing_key_stray_bits": ("round-spec", SEALING_KEY, f"{SEALING_KEY[:-1]}B"),
    "unit_of_another_kind": ("round with noise", '"row"', '"column"'),
    "noise_zero": ("round with noise", '"noise":20.25', '"noise":0'),
    "unit_clip_negative": ("round with noise", '"unit_clip":0.5', '"unit_clip":-0.5'),
    "delta_one": ("round with noise", '"delta":0.0001', '"delta":1'),
    "epsilon_text": ("round with noise", '"epsilon":2', '"epsilon":"2"'),
    "noise_of_no_study": (
        "round with noise",
        f'"study":"{reference.digest("study")}"',
        '"study":null',
    ),
    "study_without_noise": (
        "round-spec",
        '"study":null',
        f'"study":"{reference.digest("study")}"',
    ),
    "statistics_with_an_update": ("statistics", '"dimension":0', '"dimension":1'),
    "charged_for_nothing": ("no inclusion", '"charged":0', '"charged":1'),
    "included_in_nothing": ("no inclusion", '"included":false', '"included":true'),
    "members_of_nothing": ("no inclusion", '"count":0', '"count":3'),
    "inclusion_in_nobody": ("inclusion", '"count":3', '"count":0'),
    "reason_empty": ("void", "too few", ""),
    "reason_long": ("void", "too few", "a" * 201),
    "reason_two_lines": ("void", "too few", "a\\nb"),
    "reason_steers_a_terminal": ("void", "too few", "\\u001b[2J"),
    "reason_turns_round": ("void", "too few", "\N{RIGHT-TO-LEFT OVERRIDE}abc"),
}


def changed(name: str, old: str, new: str) -> bytes:
    """The payload of a statement with one place in it replaced."""
    text = canonical(STATEMENTS[name][1]).decode("ascii")
    if text.count(old) != 1:
        message = f"{old} stands {text.count(old)} times in {name}"
        raise ValueError(message)
    return text.replace(old, new).encode("utf-8")


def bad_payloads() -> list[Content]:
    """Statements, rightly signed, that say something in another way, or nonsense."""
    payloads = bad_spellings() | {
        name: (statement, changed(statement, old, new))
        for name, (statement, old, new) in VALUES.items()
    }
    cases = []
    for name, (statement, payload) in payloads.items():
        typ, signer, _ = said(statement)
        token = sign(header(typ, signer), payload, signer)
        cases.append({"name": name, "code": "FS-701", "typ": typ, "token": token})
    return cases


def bad_roles() -> list[Content]:
    """Statements, rightly signed, of parties that may not say such a thing."""
    cases = []
    for name in ("round-spec", "receipt", "report", "read", "event"):
        for party in {OWNER, "south", "bern"} - {*MAY_SIGN[name]}:
            typ, signer, content = said(name, party)
            token = sign(header(typ, signer), canonical(content), signer)
            cases.append(
                {
                    "name": f"{typ}_of_{party}",
                    "code": "FS-703",
                    "typ": typ,
                    "token": token,
                }
            )
    return sorted(cases, key=lambda case: str(case["name"]))


def bad_statement_cases() -> list[Content]:
    """Tokens that must be refused, with the code of the refusal."""
    voids = bad_headers() | bad_signatures() | bad_authors() | bad_shapes()
    cases = [
        *(
            {"name": name, "code": code, "typ": "void", "token": token}
            for name, (code, token) in voids.items()
        ),
        *bad_roles(),
        *bad_payloads(),
    ]
    return [{**case, "name": f"bad_{case['name']}"} for case in cases]


FILES: dict[str, Callable[[], list[Content]]] = {
    "federation.json": federation_cases,
    "statements.json": statement_cases,
    "bad_statements.json": bad_statement_cases,
}


if __name__ == "__main__":
    write_or_compare(FILES, Path(__file__).name)
