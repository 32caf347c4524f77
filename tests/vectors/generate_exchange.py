"""Write the vectors of requests, openings and receipts, from the reference alone.

    python tests/vectors/generate_exchange.py           write them anew
    python tests/vectors/generate_exchange.py --check   fail where a file differs

`http.json` is one conversation with the aggregator `north` of federation.json: the
requests are sent in this order. `bad_openings.json` and `bad_receipts.json` hold what
must be refused. Vectors are never edited by hand.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import exchange_reference as exchange
import reference
from exchange_reference import KEY_SEED, NOW, Report, Stored, signed
from statement_reference import (
    OWNER,
    SEALING_KEY,
    SERVERS,
    Content,
    base64url,
    canonical,
    digest,
    header,
    sign,
)

FOLDER = Path(__file__).parent
SPEC = exchange.spec()
ROUND = exchange.digest_of(SPEC)
COHORT = SPEC["cohort"]
HERE = f"/v1/rounds/{ROUND}"


def request(
    name: str, first: str, body: bytes | str = b"", expected: Any = 200, **more: Any
) -> Content:
    """One request, and what must come back: a status, or the code of a refusal."""
    method, path = first.split(" ")
    body = body.encode() if isinstance(body, str) else body
    headers = {"Host": "north.test:8443"}
    if method != "GET":
        headers["Content-Length"] = str(len(body))
    headers |= more.pop("headers", {})
    code = expected if isinstance(expected, str) else None
    return {
        "name": name,
        "clock": NOW,
        "method": method,
        "path": path,
        "headers": {key: value for key, value in headers.items() if value is not None},
        **({"body": body.decode()} if body.isascii() else {"body_hex": body.hex()}),
        "status": STATUS[code] if code else expected,
        "code": code,
        **more,
    }


STATUS = {
    **dict.fromkeys(["FS-301", "FS-310", "FS-313", "FS-314", "FS-532"], 400),
    **dict.fromkeys(["FS-701", "FS-702", "FS-722", "FS-721", "FS-720"], 400),
    **dict.fromkeys(["FS-201", "FS-202", "FS-203", "FS-204", "FS-205", "FS-206"], 400),
    "FS-213": 400,
    "FS-332": 401,
    **dict.fromkeys(["FS-311", "FS-320", "FS-321", "FS-323", "FS-324", "FS-333"], 403),
    **dict.fromkeys(["FS-400", "FS-401", "FS-403", "FS-404"], 403),
    **dict.fromkeys(["FS-703", "FS-704", "FS-706", "FS-741"], 403),
    **dict.fromkeys(["FS-300", "FS-331", "FS-530"], 404),
    "FS-531": 405,
    **dict.fromkeys(["FS-302", "FS-303", "FS-304", "FS-306", "FS-307"], 409),
    **dict.fromkeys(["FS-312", "FS-322", "FS-330", "FS-705"], 409),
    **dict.fromkeys(["FS-305", "FS-308"], 410),
    "FS-316": 411,
    "FS-315": 413,
    "FS-317": 415,
}


def anybody() -> Iterator[Content]:
    """What needs no signature."""
    yield request("identity", "GET /v1/identity")
    yield request("a query is not looked at", "GET /v1/identity?x=1")
    yield request("live", "GET /health/live")
    yield request("no such address", "GET /v1/nothing", expected="FS-530")
    yield request("no such method", f"DELETE {HERE}", expected="FS-531")
    yield request("no digest", "PUT /v1/rounds/x", "a.b.c", "FS-532")
    yield request("upper case", f"PUT /v1/rounds/{ROUND.upper()}", "a.b.c", "FS-532")
    yield request("no name", f"PUT {HERE}/reports/Basel", b"", "FS-532")


def good_spec() -> str:
    """The spec of the round that is held."""
    return signed("round-spec", OWNER, SPEC)


def specs_that_are_none() -> Iterator[Content]:
    """Bodies that are no spec of this federation's model owner."""
    token, put = good_spec(), f"PUT {HERE}"
    _, payload, signature = token.split(".")
    length = {"Content-Length": str(4 * 2**20 + 1)}
    yield request("spec without length", put, token, "FS-316", headers=NO_LENGTH)
    yield request("spec compressed", put, token, "FS-317", headers=GZIP)
    yield request("spec of over 4 MiB", put, token, "FS-315", headers=length)
    yield request("spec that is no token", put, "x", "FS-701")
    yield request("spec that is not ASCII", put, f"ü.{payload}.{signature}", "FS-701")
    yield request("spec with a line end", put, f"{token}\n", "FS-701")
    yield request("spec that is a void", put, exchange.void(ROUND, "x"), "FS-702")
    nobody = sign(header("round-spec", "nobody"), canonical(SPEC), OWNER)
    yield request("spec of nobody", put, nobody, "FS-741")
    yield request(
        "spec of a data owner", put, signed("round-spec", "basel", SPEC), "FS-703"
    )
    forged = sign(header("round-spec", OWNER), canonical(SPEC), "basel")
    yield request("spec with another's signature", put, forged, "FS-704")
    for name, changes in (("", {}), (" at another address", {"round": 9})):
        content = {**SPEC, **changes, "federation": digest("another")}
        yield request(
            f"spec of another federation{name}",
            put,
            signed("round-spec", OWNER, content),
            "FS-705",
        )
    yield request("spec at another address", f"PUT /v1/rounds/{'0' * 64}", token, F301)


F301 = "FS-301"
GZIP = {"Content-Encoding": "gzip"}
NO_LENGTH: dict[str, str | None] = {"Content-Length": None}

REFUSED_SPECS: dict[str, tuple[str, Content]] = {
    "clip of 1e30": ("FS-202", {"clip": 1e30}),
    "clip of 1e-30": ("FS-202", {"clip": 1e-30}),
    "fraction bits too high": ("FS-203", {"fraction_bits": SPEC["fraction_bits"] + 1}),
    "fraction bits too low": ("FS-203", {"fraction_bits": SPEC["fraction_bits"] - 1}),
    "weights that wrap": ("FS-204", {"weight_cap": 2**40}),
    "scalar called weight": (
        "FS-205",
        {"scalars": [{"name": "weight", "low": None, "high": None, "size": 1}]},
    ),
    "scalar twice": (
        "FS-205",
        {"scalars": [{"name": "rows", "low": None, "high": None, "size": 1}] * 2},
    ),
    "scalars beyond 2^17 words": (
        "FS-205",
        {
            "scalars": [
                {"name": f"s{i}", "low": None, "high": None, "size": 1024}
                for i in range(128)
            ]
        },
    ),
    "scalar with half a range": (
        "FS-205",
        {"scalars": [{"name": "loss", "low": 0, "high": None, "size": 1}]},
    ),
    "statistics that overlap": (
        "FS-213",
        {"statistics": {"clip": 1, "ranges": [[0, 2], [1, 3]]}},
    ),
    "suite that is not known": ("FS-206", {"suite": "sum33"}),
    "sealing key that is none": ("FS-722", {"sealing_key": SEALING_KEY}),
    "cohort of two": (
        "FS-400",
        {"cohort": ["basel", "bern"], "fraction_bits": reference.fraction_bits(2, 5)},
    ),
    "model that is too large": ("FS-401", {"dimension": 100_000_001}),
    "deadline that is over": ("FS-403", {"deadline": NOW}),
    "deadline in eight days": ("FS-403", {"deadline": NOW + 8 * 86_400}),
    "cohort with an aggregator": ("FS-404", {"cohort": ["basel", "bern", "south"]}),
    "cohort with a stranger": ("FS-741", {"cohort": ["basel", "bern", "zug"]}),
    "min_cohort of one": ("FS-701", {"min_cohort": 1}),
    "training without an update": ("FS-701", {"dimension": 0}),
    "evaluation with an update": ("FS-701", {"purpose": "evaluate"}),
}


def propose(
    name: str, expected: Any = 200, signer: str = OWNER, **changes: Any
) -> Content:
    """A spec at its own address."""
    content = exchange.spec(**changes)
    path = f"/v1/rounds/{exchange.digest_of(content, signer)}"
    token = signed("round-spec", signer, content)
    return request(name, f"PUT {path}", token, expected)


def specs() -> Iterator[Content]:
    """What is refused of a spec, and the one that is granted."""
    yield from specs_that_are_none()
    for name, (code, changes) in REFUSED_SPECS.items():
        yield propose(f"spec with {name}", code, **changes)
    put = f"PUT {HERE}"
    yield request("spec", put, good_spec())
    again = {"same_as": "spec"}
    yield request("spec again", put, good_spec(), **again)
    typed = {"Content-Type": "text/plain", "Accept": "image/png"}
    yield request("spec of any type", put, good_spec(), headers=typed, **again)
    coded = f"PUT /v1/rounds/%{ord(ROUND[0]):x}{ROUND[1:]}"
    yield request("spec, path encoded", coded, good_spec(), **again)
    yield propose("another spec of the attempt", "FS-302", deadline=NOW + 601)
    yield propose("the next attempt", "FS-303", attempt=2)


def reads() -> Iterator[Content]:
    """Tickets, before anything was reported."""

    def get(name: str, expected: Any, token: str | None, path: str = HERE) -> Content:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return request(name, f"GET {path}", expected=expected, headers=headers)

    ticket = exchange.ticket
    coded = f"/v1/rounds/%{ord(ROUND[0]):x}{ROUND[1:]}"
    yield get("read without ticket", "FS-332", None)
    yield get("read by a data owner", "FS-333", ticket("basel", HERE))
    yield get(
        "read at another server", "FS-333", ticket(OWNER, HERE, aggregator="south")
    )
    yield get("read too late", "FS-333", ticket(OWNER, HERE, expires=NOW))
    yield get("read elsewhere", "FS-333", ticket(OWNER, f"{HERE}/"))
    yield get("read, path encoded", "FS-333", ticket(OWNER, HERE), coded)
    yield get("read, encoded in both", 200, ticket(OWNER, coded), coded)
    yield get("read with a query", 200, ticket(OWNER, HERE), f"{HERE}?x=1")
    yield get("read", 200, ticket(OWNER, HERE))
    yield get("read with a token that is none", "FS-701", "x")
    other = f"/v1/rounds/{'0' * 64}"
    yield get("read of an unknown round", "FS-300", ticket(OWNER, other), other)
    mine = f"{HERE}/inclusion/7"
    yield get("inclusion of no report", "FS-331", ticket("7", mine), mine)
    yield get("inclusion of another", "FS-333", ticket("basel", mine), mine)


def bad_reports(stored: Stored, good: Report) -> Iterator[Content]:
    """Reports that are refused before, while and after they are read."""
    put, body = f"PUT {HERE}/reports/basel", good.body()

    def report(name: str, code: str, sent: bytes, **more: Any) -> Content:
        return request(f"report {name}", more.pop("to", put), sent, code, **more)

    yield report("without length", "FS-316", body, headers=NO_LENGTH)
    yield report("compressed", "FS-317", body, headers=GZIP)
    unknown = f"PUT /v1/rounds/{'0' * 64}/reports/basel"
    yield report("in an unknown round", "FS-300", body, to=unknown)
    yield report("of another round", F301, good.body(spec="0" * 64))
    yield report("of another", "FS-310", body, to=f"PUT {HERE}/reports/bern")
    yield report("for the other server", "FS-310", good.body(aggregator="south"))
    yield report("of another length", "FS-310", good.body(length=1217))
    yield report("of another kind", "FS-310", good.body(kind="seed"))
    yield report("that goes on", "FS-310", body + b"\0")
    yield report("that is cut", "FS-310", body[:-1])
    yield report("cut in its header", "FS-313", body[:99])
    yield report("with a header of 16385 bytes", "FS-315", b"\0\0\x40\1" + body[4:])
    umlaut = len("ü".encode()).to_bytes(4, "big") + "ü".encode()
    yield report("with a header that is not ASCII", "FS-701", umlaut)
    yield report("with other bytes", "FS-313", body[:-1] + bytes([body[-1] ^ 1]))
    yield report("with another digest", "FS-313", good.body(digest="0" * 64))
    foreign = exchange.report(stored, ROUND, "basel", sealed_for="south")
    yield report("that does not open", "FS-314", foreign.body())
    outside = exchange.report(stored, ROUND, "7")
    yield report("from outside", "FS-311", outside.body(), to=f"PUT {HERE}/reports/7")


def collected(stored: Stored) -> list[Report]:
    """What three data owners report."""
    kinds = ("vector", "seed", "seed")
    return [
        exchange.report(stored, ROUND, name, kind)
        for name, kind in zip(COHORT, kinds, strict=True)
    ]


def reporting(stored: Stored, reports: list[Report]) -> Iterator[Content]:
    """The round's reports."""
    empty = signed("opening", OWNER, exchange.opening(reports))
    yield request("opening of nothing", f"POST {HERE}/open", empty, "FS-307")
    folded = exchange.fold(reports)
    yield request("fold of nothing", f"POST {HERE}/fold", folded, "FS-307")
    yield from bad_reports(stored, reports[0])
    for one in reports:
        name = one.statement["reporter"]
        put = f"PUT {HERE}/reports/{name}"
        yield request(f"report of {name}", put, one.body())
        same = {"same_as": f"report of {name}"}
        yield request(f"report of {name} again", put, one.body(), **same)
    other = exchange.report(stored, ROUND, "basel", number=2)
    yield request("another report", f"PUT {HERE}/reports/basel", other.body(), "FS-312")
    path = f"{HERE}/inclusion/basel"
    bearer = {"Authorization": f"bearer {exchange.ticket('basel', path)}"}
    yield request("inclusion too early", f"GET {path}", b"", "FS-330", headers=bearer)


def bad_openings(stored: Stored, reports: list[Report]) -> dict[str, tuple[str, str]]:
    """Openings that are refused: the code, and the token."""
    good, outside = (
        exchange.opening(reports),
        exchange.report(stored, ROUND, "7"),
    )
    first, *rest = good["receipts"]["north"]

    def north(*tokens: str) -> Content:
        return {"receipts": {**good["receipts"], "north": [*tokens]}}

    def forged(signer: str = "north", **changes: Any) -> Content:
        return north(exchange.receipt(reports[0], "north", signer, **changes), *rest)

    other_id = [{**good["set"][0], "report_id": "0" * 32}, *good["set"][1:]]
    cases: dict[str, tuple[str, Content]] = {
        "two members": ("FS-320", exchange.opening(reports[:2])),
        "outside the cohort": ("FS-321", exchange.opening([*reports[:2], outside])),
        "another report": ("FS-322", {**good, "set": other_id}),
        "no receipts": ("FS-323", {**good, "receipts": {}}),
        "receipts of one": ("FS-323", {**good, "receipts": {"north": [first, *rest]}}),
        "receipts of a third": (
            "FS-323",
            {**good, "receipts": {**good["receipts"], "west": []}},
        ),
        "a receipt too few": ("FS-323", {**good, **north(*rest)}),
        "receipts in another order": ("FS-323", {**good, **north(*rest, first)}),
        "receipt of the other server": (
            "FS-323",
            {**good, **north(exchange.receipt(reports[0], "south"), *rest)},
        ),
        "receipt of another round": ("FS-323", {**good, **forged(spec="0" * 64)}),
        "receipt of other bytes": ("FS-323", {**good, **forged(digest="0" * 64)}),
        "receipt of another report": (
            "FS-323",
            {**good, **forged(report_id="0" * 32)},
        ),
        "receipt with another's signature": ("FS-706", {**good, **forged("south")}),
        "receipt of a data owner": (
            "FS-703",
            {**good, **forged("basel", aggregator="basel")},
        ),
        "receipt that is none": ("FS-701", {**good, **north("a.b.c", *rest)}),
        "receipt that is a void": (
            "FS-702",
            {**good, **north(exchange.void(ROUND, "x"), *rest)},
        ),
    }
    return {
        name: (code, signed("opening", OWNER, content))
        for name, (code, content) in cases.items()
    }


def opening(stored: Stored, reports: list[Report]) -> Iterator[Content]:
    """The opening of the round, and what comes after it."""
    post = f"POST {HERE}/open"
    for name, (code, token) in bad_openings(stored, reports).items():
        yield request(f"opening with {name}", post, token, code)
    yield from folds(stored, reports)
    good = signed("opening", OWNER, exchange.opening(reports))
    yield request(
        "opening elsewhere", f"POST /v1/rounds/{'0' * 64}/open", good, "FS-300"
    )
    yield request("opening", post, good)
    yield request("opening again", post, good, same_as="opening")
    receipts = {
        server: [
            exchange.receipt(one, server, head={"entries": 1, "hash": "1" * 64})
            for one in reports
        ]
        for server in SERVERS
    }
    other = signed("opening", OWNER, exchange.opening(reports, receipts=receipts))
    yield request("another opening", post, other, "FS-304")
    yield request("void after the opening", *void_of(ROUND, "x"), "FS-304")
    late = exchange.fold(reports)
    yield request("fold after the opening", f"POST {HERE}/fold", late, "FS-304")
    yield propose("attempt after the opening", "FS-304", attempt=2)
    yield request("spec after the opening", f"PUT {HERE}", good_spec(), same_as="spec")
    path = f"{HERE}/inclusion/basel"
    bearer = {"Authorization": f"Bearer {exchange.ticket('basel', path)}"}
    yield request("inclusion", f"GET {path}", headers=bearer)


def folds(stored: Stored, reports: list[Report]) -> Iterator[Content]:
    """Sets that are added up before the round is opened."""
    post, good = f"POST {HERE}/fold", exchange.fold(reports)
    other = exchange.report(stored, ROUND, "basel", number=2)
    foreign = f"POST /v1/rounds/{'0' * 64}/fold"
    yield request("fold in an unknown round", foreign, good, "FS-300")
    elsewhere = exchange.fold(reports, spec="0" * 64)
    yield request("fold elsewhere", post, elsewhere, F301)
    unknown = exchange.fold([other, *reports[1:]])
    yield request("fold with another report", post, unknown, "FS-322")
    opened = signed("opening", OWNER, exchange.opening(reports))
    yield request("fold that is an opening", post, opened, "FS-702")
    yield request("fold", post, good)
    yield request("fold again", post, good, same_as="fold")


def void_of(round_digest: str, reason: str) -> tuple[str, str]:
    """A void, and where it goes."""
    return f"POST /v1/rounds/{round_digest}/void", exchange.void(round_digest, reason)


def voiding(stored: Stored) -> Iterator[Content]:
    """A round that is given up."""
    changes: Content = {"round": 2}
    content = exchange.spec(**changes)
    name = exchange.digest_of(content)
    yield request("void of an unknown round", *void_of(name, "x"), "FS-300")
    yield propose("spec of round 2", **changes)
    post, token = void_of(name, "too few")
    yield request("void elsewhere", f"POST {HERE}/void", token, F301)
    long = {"Content-Length": str(16 * 2**10 + 1)}
    yield request("void of over 16 KiB", post, token, "FS-315", headers=long)
    yield request("void", post, token)
    yield request("void again", post, token, same_as="void")
    other = exchange.void(name, "another reason")
    yield request("void for another reason", post, other, same_as="void")
    yield propose("spec of a void round", "FS-305", **changes)
    report = exchange.report(stored, name, "basel")
    put = f"PUT /v1/rounds/{name}/reports/basel"
    yield request("report in a void round", put, report.body(), "FS-305")
    fold = f"POST /v1/rounds/{name}/fold"
    folded = exchange.fold([report])
    yield request("fold in a void round", fold, folded, "FS-305")
    yield propose("next attempt at a void round", attempt=2, **changes)
    yield propose("first attempt after the next", "FS-302", deadline=NOW + 1, **changes)


def other_rounds(stored: Stored) -> Iterator[Content]:
    """A set that tells one data owner apart, and rounds that come too late."""
    changes: Content = {"run": "run-2", "cohort": ["7", "bern", "chur"]}
    content = exchange.spec(**changes)
    name = exchange.digest_of(content)
    yield propose("spec of run 2", **changes)
    reports = [exchange.report(stored, name, one) for one in content["cohort"]]
    for one in reports:
        reporter = one.statement["reporter"]
        put = f"PUT /v1/rounds/{name}/reports/{reporter}"
        yield request(f"report of {reporter} in run 2", put, one.body())
    token = signed("opening", OWNER, exchange.opening(reports))
    post = f"POST /v1/rounds/{name}/open"
    yield request("opening that differs by one", post, token, "FS-324")
    yield propose("spec of round 3", round=3)
    third = exchange.digest_of(exchange.spec(round=3))
    put = f"PUT /v1/rounds/{third}/reports/basel"
    late = exchange.report(stored, third, "basel").body()
    yield request("report at the deadline", put, late, "FS-306", clock=NOW + 600)
    yield request(
        "report of basel after the opening and the deadline",
        f"PUT {HERE}/reports/basel",
        exchange.report(stored, ROUND, "basel", "vector").body(),
        same_as="report of basel",
        clock=NOW + 600,
    )
    over = {"clock": NOW + 600 + 86_400}
    yield request("opening after the expiry", post, token, "FS-308", **over)
    fold = f"POST /v1/rounds/{name}/fold"
    yield request(
        "fold after the expiry", fold, exchange.fold(reports), "FS-308", **over
    )


def conversation(stored: Stored) -> Iterator[Content]:
    """All requests, in order."""
    reports = collected(stored)
    yield from anybody()
    yield from specs()
    yield from reads()
    yield from reporting(stored, reports)
    yield from opening(stored, reports)
    yield from voiding(stored)
    yield from other_rounds(stored)


def http(stored: Stored) -> Content:
    """The conversation, and what the aggregator has to be given."""
    requests = list(conversation(stored))
    names = [one["name"] for one in requests]
    if len(set(names)) != len(names):
        message = "two requests have the same name"
        raise ValueError(message)
    return {
        "server": exchange.SERVER,
        "key_seed": KEY_SEED.hex(),
        "requests": requests,
        "sealed_keys": stored,
    }


def openings(stored: Stored) -> Content:
    """Openings of the round of http.json that are refused, and one that is not."""
    reports = collected(stored)
    cases = {
        "good": (None, signed("opening", OWNER, exchange.opening(reports))),
        **{f"bad_{k}": v for k, v in bad_openings(stored, reports).items()},
    }
    return {
        "server": exchange.SERVER,
        "spec": good_spec(),
        "stored": [
            [*(one.statement[key] for key in ("reporter", "report_id", "digest"))]
            for one in reports
        ],
        "cases": [
            {"name": name, "code": code, "token": token}
            for name, (code, token) in cases.items()
        ],
    }


def bad_receipts(stored: Stored) -> Content:
    """What aggregators must not answer to a report, or a data owner to its owner."""
    report = collected(stored)[0]
    good = [exchange.receipt(report, server) for server in SERVERS]
    forged = exchange.receipt
    answers = {
        "another report id": ("FS-349", forged(report, "north", report_id="0" * 32)),
        "another digest": ("FS-349", forged(report, "north", digest="0" * 64)),
        "another reporter": ("FS-349", forged(report, "north", reporter="bern")),
        "another round": ("FS-553", forged(report, "north", spec="0" * 64)),
        "the other server": ("FS-553", forged(report, "south")),
        "another's signature": ("FS-706", forged(report, "north", "south")),
        "no receipt": ("FS-702", exchange.void(ROUND, "x")),
        "no token": ("FS-701", "x"),
        "broken": ("FS-704", good[0][:-4] + base64url(b"\0\0\0")),
    }
    mine = good[1]
    replies = {
        "one": ("FS-352", good[:1]),
        "none": ("FS-352", []),
        "twice the same": ("FS-352", [good[0], good[0]]),
        "another round": ("FS-352", [forged(report, "north", spec="0" * 64), mine]),
        "two reports": ("FS-352", [forged(report, "north", report_id="0" * 32), mine]),
        "two reporters": ("FS-352", [forged(report, "north", reporter="bern"), mine]),
        "a forged one": ("FS-706", [forged(report, "north", "south"), mine]),
        "no receipt": ("FS-702", [exchange.void(ROUND, "x"), mine]),
    }
    return {
        "spec": good_spec(),
        "header": report.body()[4:].split(report.payload[:32])[0].decode(),
        "receipts": good,
        "answers": [
            {"name": f"bad_{name}", "code": code, "receipt": token}
            for name, (code, token) in answers.items()
        ],
        "replies": [
            {"name": f"bad_{name}", "code": code, "receipts": tokens}
            for name, (code, tokens) in replies.items()
        ],
    }


def sealed_keys() -> Stored:
    """Sealed keys in the file as it is: sealing is random."""
    path = FOLDER / "http.json"
    if not path.exists():
        return {}
    kept: Stored = json.loads(path.read_text("utf-8"))["sealed_keys"]
    return kept


def files() -> dict[str, Content]:
    """All files' contents."""
    stored = sealed_keys()
    return {
        "http.json": http(stored),
        "bad_openings.json": openings(stored),
        "bad_receipts.json": bad_receipts(stored),
    }


def main() -> None:
    """Write all files, or compare them."""
    for name, content in files().items():
        text = json.dumps(content, indent=1, allow_nan=False) + "\n"
        path = FOLDER / name
        if "--check" not in sys.argv[1:]:
            path.write_text(text, "utf-8")
        elif path.read_text("utf-8") != text:
            sys.exit(f"{name} is not what {Path(__file__).name} writes")


if __name__ == "__main__":
    main()
