"""A spool that is no folder: a round needs of it what `Spool` says, and no path."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from fedsecure.core.layout import Buffer
from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure.errors import OperatorError, PeerError, RoundStateError
from fedsecure_aggregator.rounds import deletion
from fedsecure_aggregator.rounds.accumulator import Accumulator
from fedsecure_aggregator.storage.notes import Notes
from tests.unit.aggregator.conftest import Pair
from tests.unit.aggregator.world import HOSPITALS

ROOM = 2**40  # bytes


@dataclass
class Object:
    """One object of a bucket, under way or committed."""

    bucket: dict[str, bytes]
    name: str

    def __str__(self) -> str:
        return f"bucket/{self.name}"

    @contextmanager
    def reading(self, what: str) -> Iterator[io.BufferedReader]:
        if self.name not in self.bucket:
            raise OperatorError("FS-524", f"{what}: no such object") from OSError(2, "")
        yield io.BufferedReader(io.BytesIO(self.bucket[self.name]))


class Upload(Object):
    """One object under way: nobody finds it by its name."""

    def write(self, data: Buffer) -> object:
        self.bucket[self.name] = self.bucket.get(self.name, b"") + bytes(data)
        return len(data)

    def sync(self) -> None:
        pass

    def commit(self, name: str) -> None:
        self.bucket[name] = self.bucket.pop(self.name)
        self.name = name

    def discard(self) -> None:
        if self.name.startswith("incoming/"):
            self.bucket.pop(self.name, None)


@dataclass
class BucketSpool:
    """All that `Spool` asks for, in names and bytes."""

    notes: Notes
    bucket: dict[str, bytes] = field(default_factory=dict)
    place: str = "bucket"
    uploads: int = 0

    @contextmanager
    def uploading(self, what: str) -> Iterator[Upload]:
        self.uploads += 1
        upload = Upload(self.bucket, f"incoming/{self.uploads} {what}")
        try:
            yield upload
        except BaseException:
            upload.discard()
            raise

    def stored(self, name: str) -> Object:
        return Object(self.bucket, name)

    def reports(self, spec: str) -> list[str]:
        start = f"{spec}/reports/"
        return sorted(n.removeprefix(start) for n in self.bucket if n.startswith(start))

    def rounds(self) -> list[str]:
        names = {name.partition("/")[0] for name in self.bucket}
        return sorted(names - {"incoming"})

    def has_round(self, spec: str) -> bool:
        return spec in self.rounds()

    def save_key(self, spec: str, key: SealingKey) -> None:
        self.discard_round(spec)
        self.bucket[f"{spec}/key"] = key.to_bytes()

    def load_key(self, spec: str) -> SealingKey:
        return SealingKey.from_bytes(self.bucket[f"{spec}/key"])

    def has_key(self, spec: str) -> bool:
        return f"{spec}/key" in self.bucket

    def save_seed(self, spec: str, seed: bytes) -> None:
        self.bucket[f"{spec}/seed"] = seed

    def load_seed(self, spec: str) -> bytes | None:
        return self.bucket.get(f"{spec}/seed")

    def scrub(self, spec: str) -> None:
        self._delete(spec, but=f"{spec}/share")

    def discard_round(self, spec: str) -> None:
        self._delete(spec)

    def free(self) -> int:
        return ROOM

    def require_space(self, size: int) -> None:
        pass

    def require_writable(self) -> None:
        pass

    def require_sound(self) -> None:
        pass

    def _delete(self, spec: str, but: str = "") -> None:
        for name in [n for n in self.bucket if n.startswith(f"{spec}/") and n != but]:
            del self.bucket[name]


@pytest.fixture
def bucket(pair: Pair) -> BucketSpool:
    """North keeps its rounds in a bucket."""
    north = pair.north
    spool = BucketSpool(north.context.spool.notes)
    north.context = replace(north.context, spool=spool, accumulator=Accumulator(spool))
    return spool


def test_a_round_is_opened_out_of_a_bucket(pair: Pair, bucket: BucketSpool) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    assert bucket.reports(asked.digest) == sorted(HOSPITALS)
    pair.north.context.accumulator.forget(asked.digest)  # and so read again
    opening = pair.world.opening(asked, receipts)
    shares = [
        pair.world.unseal(asked, opening, server.open(asked, opening))
        for server in pair.servers.values()
    ]
    pair.world.require_mean(asked, shares, HOSPITALS)
    assert list(bucket.bucket) == [f"{asked.digest}/share"]
    assert not (pair.north.folder / "rounds" / asked.digest).exists()


def test_a_share_that_a_bucket_lost_or_spoilt_is_not_sent(
    pair: Pair, bucket: BucketSpool
) -> None:
    asked = pair.world.propose()
    opening = pair.world.opening(asked, pair.collect(asked, *HOSPITALS))
    pair.north.open(asked, opening)
    share = bucket.bucket[f"{asked.digest}/share"]
    bucket.bucket[f"{asked.digest}/share"] = share[:-1]
    with pytest.raises(RoundStateError, match="FS-329"):
        pair.north.open(asked, opening)
    del bucket.bucket[f"{asked.digest}/share"]
    with pytest.raises(RoundStateError, match="FS-308"):
        pair.north.open(asked, opening)


def test_what_expires_leaves_nothing_in_a_bucket(
    pair: Pair, bucket: BucketSpool
) -> None:
    asked = pair.world.propose()
    pair.collect(asked, *HOSPITALS)
    pair.north.clock.now += 400 * 86_400
    deletion.tidy(pair.north.context)
    assert bucket.bucket == {}


def test_a_report_that_does_not_open_leaves_nothing_in_a_bucket(
    pair: Pair, bucket: BucketSpool
) -> None:
    asked = pair.world.propose()
    reports = pair.world.report(asked, pair.grant(asked), "basel")
    good = reports["north"]
    spoilt = replace(good, payload=good.payload[:-1] + bytes([good.payload[-1] ^ 1]))
    with pytest.raises(PeerError, match="FS-314"):
        pair.north.report(spoilt)
    assert list(bucket.bucket) == [f"{asked.digest}/key"]
    pair.north.report(good)
    assert bucket.reports(asked.digest) == ["basel"]
