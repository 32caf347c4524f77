import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import Inclusion, Kind, Receipt, RoundGrant, Void
from tests.service.aggregator.conftest import Federation
from tests.unit.aggregator.world import HOSPITALS, OWNER, SERVERS

pytestmark = pytest.mark.service
THREE = HOSPITALS[:3]


def test_both_servers_open_the_exact_mean_of_three_data_owners(
    federation: Federation,
) -> None:
    asked = federation.propose(dimension=700_000)
    grants = federation.grant(asked)

    def contribute(reporter: str, kind: Kind) -> dict[str, str]:
        sealed = federation.world.report(asked, grants, reporter, only=kind)
        return {
            name: federation.servers[name].send(sealed[name]).text for name in SERVERS
        }

    kinds = [Kind.SEED, Kind.VECTOR, Kind.VECTOR]
    with ThreadPoolExecutor(3) as pool:
        receipts = dict(zip(THREE, pool.map(contribute, THREE, kinds), strict=True))
    federation.require_mean(asked, receipts, *THREE)


def test_an_evaluation_round_has_scalars_only(federation: Federation) -> None:
    asked = federation.propose(dimension=0, purpose="evaluate")
    receipts = federation.collect(asked, *THREE)
    federation.require_mean(asked, receipts, *THREE)


def test_every_write_gives_the_same_answer_again(federation: Federation) -> None:
    north, asked = federation.north, federation.propose()
    grants = federation.grant(asked)
    assert north.grant(asked).text == grants["north"]
    grant = verify(grants["north"], RoundGrant, federation.world.federation).statement
    assert (grant.spec, grant.head.entries > 0) == (asked.digest, True)

    receipts = {}
    for reporter in THREE:
        sealed = federation.world.report(asked, grants, reporter)
        first = {name: federation.servers[name].send(sealed[name]) for name in SERVERS}
        again = {name: federation.servers[name].send(sealed[name]) for name in SERVERS}
        receipts[reporter] = {name: answer.text for name, answer in first.items()}
        assert {name: answer.text for name, answer in again.items()} == receipts[
            reporter
        ]

    opening = federation.world.opening(asked, receipts).token
    share = north.open(asked, opening)
    assert (share.status_code, north.open(asked, opening).content) == (
        200,
        share.content,
    )


def test_other_bytes_for_the_same_thing_are_a_conflict(federation: Federation) -> None:
    north, world = federation.north, federation.world
    asked = federation.propose()
    receipts = federation.collect(asked, *HOSPITALS)
    spec = asked.spec.statement
    other_spec = federation.propose(run=spec.run)
    other_report = world.report(asked, federation.grant(asked), "basel")["north"]
    opening = world.opening(asked, {name: receipts[name] for name in THREE})
    other_opening = world.opening(
        asked, {name: receipts[name] for name in HOSPITALS[1:]}
    )
    assert north.open(asked, opening.token).status_code == 200
    for code, answer in (
        ("FS-304", north.grant(other_spec)),
        ("FS-312", north.send(other_report)),
        ("FS-304", north.open(asked, other_opening.token)),
        ("FS-304", north.void(asked)),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, code)


def test_a_report_that_was_not_needed_is_left_out_and_told_so(
    federation: Federation,
) -> None:
    asked = federation.propose()
    receipts = federation.collect(asked, *HOSPITALS)
    path = f"/v1/rounds/{asked.digest}/inclusion/basel"
    early = federation.north.read(path, "basel")
    assert (early.status_code, early.json()["code"]) == (409, "FS-330")
    assert int(early.headers["Retry-After"]) > 0
    federation.require_mean(asked, receipts, *HOSPITALS[1:])
    for name, server in federation.servers.items():
        answer = server.read(path, "basel")
        inclusion = verify(
            answer.text, Inclusion, federation.world.federation
        ).statement
        assert (inclusion.aggregator, inclusion.included, inclusion.count) == (
            name,
            False,
            3,
        )
    assert federation.north.read(path, "bern").status_code == 403


def test_an_owner_who_lost_every_reply_goes_on_from_the_standing(
    federation: Federation,
) -> None:
    asked = federation.propose()
    receipts = federation.collect(asked, *THREE)
    found: dict[str, dict[str, str]] = {}
    for name, server in federation.servers.items():
        standing = server.standing(asked)
        assert standing["state"] == "collecting"
        for token in standing["receipts"]:
            receipt = verify(token, Receipt, federation.world.federation).statement
            found.setdefault(receipt.reporter, {})[name] = token
    assert found == receipts
    assert (
        federation.north.read(f"/v1/rounds/{asked.digest}", "basel").status_code == 403
    )
    assert federation.north.http.get(f"/v1/rounds/{asked.digest}").status_code == 401
    federation.require_mean(asked, found, *THREE)
    assert federation.north.standing(asked)["state"] == "opened"


def test_a_void_round_takes_and_opens_nothing_and_leaves_nothing(
    federation: Federation,
) -> None:
    north, world, asked = federation.north, federation.world, federation.propose()
    receipts = federation.collect(asked, *THREE)
    folder = north.data / "rounds" / asked.digest
    late = world.report(asked, federation.grant(asked), "genf")["north"]
    assert (folder / "key").exists()
    answer = north.void(asked)
    void = verify(answer.text, Void, world.federation).statement
    assert (void.author, void.spec) == ("north", asked.digest)
    assert not folder.exists()
    assert north.void(asked).text == answer.text
    for refused in (
        north.open(asked, world.opening(asked, receipts).token),
        north.send(late),
        north.grant(asked),
    ):
        assert (refused.status_code, refused.json()["code"]) == (410, "FS-305")
    assert north.standing(asked)["state"] == "void"


def test_a_share_once_stored_leaves_neither_key_nor_reports(
    federation: Federation,
) -> None:
    asked = federation.propose()
    receipts = federation.collect(asked, *THREE)
    federation.require_mean(asked, receipts, *THREE)
    for server in federation.servers.values():
        folder = server.data / "rounds" / asked.digest
        assert [path.name for path in folder.rglob("*")] == ["share"]


def test_reports_after_the_deadline_or_the_opening_are_refused(
    federation: Federation,
) -> None:
    north, world = federation.north, federation.world
    asked = federation.propose(deadline=int(time.time()) + 2)
    report = world.report(asked, federation.grant(asked), "basel")["north"]
    time.sleep(max(0.0, asked.spec.statement.deadline - time.time()) + 0.05)
    late = north.send(report)
    assert (late.status_code, late.json()["code"]) == (409, "FS-306")

    asked = federation.propose()
    receipts = federation.collect(asked, *THREE)
    report = world.report(asked, federation.grant(asked), "genf")["north"]
    federation.require_mean(asked, receipts, *THREE)
    after = north.send(report)
    assert (after.status_code, after.json()["code"]) == (409, "FS-304")


def test_openings_that_break_the_rules_open_nothing(federation: Federation) -> None:
    north, world, asked = federation.north, federation.world, federation.propose()
    receipts = federation.collect(asked, *HOSPITALS)
    good = world.opening(asked, {name: receipts[name] for name in THREE})
    author = world.author(OWNER)

    def changed(**changes: object) -> str:
        return author.sign(good.statement.model_copy(update=changes)).token

    few = world.opening(asked, {name: receipts[name] for name in HOSPITALS[:2]})
    strangers = [
        m.model_copy(update={"reporter": f"x{m.reporter}"}) for m in good.statement.set
    ]
    only_north = {"north": good.statement.receipts["north"]}
    for status, code, token in (
        (403, "FS-320", few.token),
        (403, "FS-321", changed(set=strangers)),
        (403, "FS-323", changed(receipts=only_north)),
        (403, "FS-703", world.author("basel").sign(good.statement).token),
        (400, "FS-301", changed(spec="0" * 64)),
    ):
        answer = north.open(asked, token)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert north.standing(asked)["state"] == "collecting"
    federation.require_mean(asked, receipts, *THREE)


def test_a_set_too_close_to_an_earlier_one_of_the_same_model_is_refused(
    federation: Federation,
) -> None:
    model = federation.world.rand(32).hex()
    first, second = federation.propose(model=model), federation.propose(model=model)
    receipts = federation.collect(first, *HOSPITALS)
    federation.require_mean(first, receipts, *HOSPITALS)
    receipts = federation.collect(second, *HOSPITALS)
    fewer = federation.world.opening(second, {name: receipts[name] for name in THREE})
    answer = federation.north.open(second, fewer.token)
    assert (answer.status_code, answer.json()["code"]) == (403, "FS-324")
    federation.require_mean(second, receipts, *HOSPITALS)
