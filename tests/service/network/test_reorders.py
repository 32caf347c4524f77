"""What was sent arrives late, twice, in another order, or with its records shuffled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from fedsecure.core.sealing.payload_digest import RECORD_BYTES, TAG_BYTES
from fedsecure.core.sealing.sealing_key import SEALED_KEY_BYTES
from fedsecure.errors import PeerError
from fedsecure.protocol.framing import offset_after
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import Opening
from tests.service.aggregator.conftest import Federation
from tests.service.network.conftest import Admit, Taps
from tests.service.network.requests import whole_requests
from tests.tap import Line, Tap, honest
from tests.unit.aggregator.world import HOSPITALS, SERVERS, Report, Round

pytestmark = pytest.mark.service
THREE = HOSPITALS[:3]
MESSAGES = ("grant", *HOSPITALS, "open", "void")
LARGE = 800_000  # parameters: a vector of four records


@dataclass
class Delivery:
    """What north was told so far, and what it must say to the next message."""

    federation: Federation
    asked: Round
    grants: Mapping[str, str]
    reports: Mapping[str, Mapping[str, Report]]
    opening: str = ""
    answers: dict[str, bytes] = field(default_factory=dict)

    @property
    def stored(self) -> list[str]:
        return [name for name in HOSPITALS if name in self.answers]

    @property
    def decided(self) -> str | None:
        """The message that ended the round, if one did."""
        return next((name for name in ("open", "void") if name in self.answers), None)

    def exists(self, message: str) -> bool:
        """An opening exists once there are three receipts."""
        return message != "open" or bool(self.opening) or len(self.stored) >= 3

    def deliver(self, message: str) -> None:
        answer = self._send(message)
        if answer.status_code == 200:
            assert self._expected(message) in {None, "again"}
            assert self.answers.setdefault(message, answer.content) == answer.content
        else:
            assert answer.json()["code"] == self._expected(message)

    def _expected(self, message: str) -> str | None:
        """A refusal's code, `again` for the same answer, None for a first success."""
        if self.decided == "void" and message != "void":
            return "FS-305"
        if message in self.answers or message == "grant":
            return "again"
        if self.decided == "open":
            return "FS-304"
        return None

    def _send(self, message: str) -> httpx.Response:
        north = self.federation.north
        match message:
            case "grant":
                return north.grant(self.asked)
            case "void":
                return north.void(self.asked)
            case "open":
                self.opening = self.opening or self._opening()
                return north.open(self.asked, self.opening)
            case reporter:
                return north.send(self.reports[reporter]["north"])

    def _opening(self) -> str:
        south = self.federation.servers["south"]
        receipts = {
            name: {
                "north": self.answers[name].decode(),
                "south": south.send(self.reports[name]["south"]).text,
            }
            for name in self.stored[:3]
        }
        return self.federation.world.opening(self.asked, receipts).token


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(order=st.permutations([*MESSAGES, *MESSAGES]))
def test_in_whatever_order_messages_arrive_a_round_ends_once_and_the_sum_is_exact(
    federation: Federation, order: list[str]
) -> None:
    world, asked = federation.world, federation.propose(dimension=50)
    grants = federation.grant(asked)
    reports = {name: world.report(asked, grants, name) for name in HOSPITALS}
    delivery = Delivery(federation, asked, grants, reports)
    delivery.answers["grant"] = grants["north"].encode()
    held = list(order)
    while ready := [message for message in held if delivery.exists(message)]:
        held.remove(ready[0])
        delivery.deliver(ready[0])
    row = next(r for r in federation.north.rows()["rounds"] if asked.digest in r)
    states = {"open": "opened", "void": "void"}
    assert states[str(delivery.decided)] in row
    if delivery.decided == "open":
        require_exact(delivery)


def require_exact(delivery: Delivery) -> None:
    """Assert that north's share and south's are of the same three, once each."""
    federation, asked = delivery.federation, delivery.asked
    answers = federation.world.federation
    opening = verify(delivery.opening, Opening, answers)
    other = federation.servers["south"].open(asked, delivery.opening)
    assert other.status_code == 200, other.text
    shares = [
        federation.world.unseal(asked, opening, answer)
        for answer in (delivery.answers["open"], other.content)
    ]
    members = [member.reporter for member in opening.statement.set]
    federation.world.require_mean(asked, shares, members)


def swapped(payload: bytes, *, with_tags: bool) -> bytes:
    """Exchange the first two records; or all of them but their tags."""
    length = RECORD_BYTES if with_tags else RECORD_BYTES - TAG_BYTES
    first, second = SEALED_KEY_BYTES, SEALED_KEY_BYTES + RECORD_BYTES
    changed = bytearray(payload)
    changed[first : first + length] = payload[second : second + length]
    changed[second : second + length] = payload[first : first + length]
    return bytes(changed)


def rewritten(tap: Tap, change: Callable[[bytes], bytes]) -> None:
    """Make a terminator of TLS hold uploads back and pass them on changed."""

    def forth(line: Line, _: bytes) -> bytes:
        sent = next(whole_requests(bytes(line.sent)), None)
        if sent is None:
            return b""
        begin = offset_after(sent.token.decode())
        return sent.head + sent.body[:begin] + change(sent.body[begin:])

    tap.forth = forth


@pytest.mark.parametrize(("with_tags", "code"), [(True, "FS-313"), (False, "FS-314")])
def test_records_reordered_inside_tls_are_refused_and_the_honest_upload_is_taken(
    federation: Federation,
    taps: Taps,
    admit: Admit,
    with_tags: bool,
    code: str,
) -> None:
    asked = federation.propose(dimension=LARGE)
    grants = federation.grant(asked)
    victim = admit("basel", taps)
    for tap in taps.values():
        rewritten(tap, lambda payload: vector_only(payload, with_tags))
    with pytest.raises(PeerError) as caught:
        victim.report(asked, grants)
    assert caught.value.code == code
    assert len(victim.waiting()) == 2  # both sealed reports stay in the outbox
    marks = [server.rows()["refusals"] for server in federation.servers.values()]
    assert not [row for rows in marks for row in rows if asked.digest in row]
    for tap in taps.values():
        tap.forth = honest
    own = victim.report(asked, grants)
    assert victim.waiting() == []
    assert len(victim.drawn) == 1  # sharded once
    receipts = federation.collect(asked, "bern", "chur")
    receipts["basel"] = {name: own[name].token for name in SERVERS}
    federation.require_mean(asked, receipts, *THREE)
    for server in federation.servers.values():
        assert list((server.data / "incoming").iterdir()) == []


def vector_only(payload: bytes, with_tags: bool) -> bytes:
    """A seed has one record: there is nothing to reorder."""
    if len(payload) < 2 * RECORD_BYTES:
        return payload
    return swapped(payload, with_tags=with_tags)
