from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra import numpy as arrays

from fedsecure.errors import OperatorError
from fedsecure.owner.store.files import Array, load_array, save_array
from fedsecure.owner.store.records import ModelKind

KINDS = [np.float32, np.float64, np.uint32]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.sampled_from(KINDS).flatmap(
        lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=1, min_side=0))
    )
)
def test_an_array_comes_back_bit_for_bit(tmp_path: Path, array: Array) -> None:
    stored = save_array(tmp_path, "run/model.npy", array, ModelKind.MODEL)
    again = load_array(tmp_path, stored)
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    assert again.tobytes() == array.tobytes()
    assert (tmp_path / stored.path).stat().st_size == stored.bytes


@pytest.mark.parametrize("change", ["flip", "append", "cut"])
def test_a_changed_file_is_not_loaded(tmp_path: Path, change: str) -> None:
    stored = save_array(tmp_path, "model.npy", np.zeros(9), ModelKind.MODEL)
    path = tmp_path / "model.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= change == "flip"
    path.write_bytes(
        content[:-1] if change == "cut" else content + b"!" * (change == "append")
    )
    with pytest.raises(OperatorError, match=rf"FS-605.*recorded {stored.sha256[:12]}"):
        load_array(tmp_path, stored)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    stored = save_array(tmp_path, "model.npy", np.zeros(9), ModelKind.MODEL)
    (tmp_path / "model.npy").unlink()
    with pytest.raises(OperatorError, match=r"FS-606.*model\.npy"):
        load_array(tmp_path, stored)


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    stored = save_array(tmp_path, "model.npy", np.arange(3), ModelKind.MODEL)
    with pytest.raises(ValueError, match="pickle"):
        save_array(tmp_path, "model.npy", np.array([object()]), ModelKind.MODEL)
    assert load_array(tmp_path, stored).tolist() == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["model.npy"]


@pytest.mark.parametrize("name", ["../model.npy", "/model.npy", "a/../../b", ""])
def test_a_path_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OperatorError, match="FS-606"):
        save_array(tmp_path / "store", name, np.zeros(1), ModelKind.MODEL)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file, not a folder")
    with pytest.raises(OperatorError, match=r"FS-606.*store"):
        save_array(tmp_path / "store", "model.npy", np.zeros(1), ModelKind.MODEL)
