import errno
import shutil
from pathlib import Path

import pytest

from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure.errors import OperatorError
from fedsecure.protocol.ledger import GENESIS
from fedsecure.protocol.statements import LedgerHead
from fedsecure_aggregator.storage.disk import disk, durable
from fedsecure_aggregator.storage.folder_spool import open_spool

SPEC = "5" * 64


def test_a_data_folder_has_one_user_at_a_time(tmp_path: Path) -> None:
    with open_spool(tmp_path), pytest.raises(OperatorError, match="FS-522"):
        open_spool(tmp_path).__enter__()
    with open_spool(tmp_path):
        pass


def test_a_key_is_for_its_user_alone_and_comes_back(tmp_path: Path) -> None:
    key = SealingKey.from_seed(bytes(range(32)))
    with open_spool(tmp_path) as spool:
        spool.save_key(SPEC, key)
        assert spool.load_key(SPEC).public_bytes == key.public_bytes
        assert (tmp_path / "rounds" / SPEC / "key").stat().st_mode & 0o777 == 0o600
        spool.scrub(SPEC)
        assert not spool.has_key(SPEC)


def test_a_file_that_is_not_finished_is_gone(tmp_path: Path) -> None:
    def crash() -> None:
        with durable(tmp_path / "file") as file:
            file.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        crash()
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "FS-523"), (errno.EDQUOT, "FS-523"), (errno.EIO, "FS-524")],
)
def test_errors_of_the_disk_have_codes(number: int, code: str) -> None:
    with pytest.raises(OperatorError, match=code), disk("a report"):
        raise OSError(number, "it says")


def test_an_upload_without_room_is_refused(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        spool.require_space(0)
        free = shutil.disk_usage(tmp_path).free
        with pytest.raises(OperatorError, match="FS-523"):
            spool.require_space(free + 2**40)


def test_a_damaged_note_of_the_ledger_is_not_overlooked(tmp_path: Path) -> None:
    head = LedgerHead(entries=3, hash=GENESIS)
    with open_spool(tmp_path) as spool:
        assert spool.notes.ledger_head() is None
        spool.notes.note_ledger_head(head)
        assert spool.notes.ledger_head() == head
        (tmp_path / "ledger-head").write_text("{")
        with pytest.raises(OperatorError, match="FS-541"):
            spool.notes.ledger_head()
