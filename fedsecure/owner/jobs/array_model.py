"""The model of a study that another app trains, as numpy arrays; a `ModelSource`.

No framework: the first weights are what the study's own `build(seed)` returns, and what
is saved is one .npz file of the same names, which every framework reads.
"""

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedsecure.errors import OperatorError
from fedsecure.owner.jobs.model_source import WHOLE, Parts
from fedsecure.study.app_study import AppStudy
from fedsecure.study.config import load_own, run_own
from fedsecure.study.round_task import GlobalModel, joined
from fedsecure.study.terms import StudyRequest
from fedsecure.system.durability import sync


@dataclass(frozen=True, slots=True)
class ArrayModel:
    """First weights, and what data owners are asked to agree to.

    Args:
        first: The first weights.
        request: The study.
        parts: What a server's step on the model has to mind: nothing is known of it.
    """

    first: GlobalModel
    request: StudyRequest
    parts: Parts = WHOLE

    def initial(self) -> GlobalModel:
        """Return the model that a new run begins with."""
        return self.first

    def save(self, model: GlobalModel, folder: Path) -> Path:
        """Write `model.npz`, one float32 array a layer; whole or not at all.

        Raises:
            OperatorError: FS-606 when it cannot be written.
        """
        path, part = folder / "model.npz", folder / "part.npz"
        try:
            _write(part, model)
            sync(part)
            part.replace(path)
            sync(folder)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise OperatorError("FS-606", f"{path}: {error.strerror}") from error
        return path


def array_model(study: AppStudy) -> ArrayModel:
    """Build a study's first weights; run by the model owner, whose file it is.

    Raises:
        OperatorError: FS-841, the study's file is missing or raises; FS-842, it returns
            anything but named float32 arrays, or none.
    """
    build = load_own(study, study.model)
    where = f"{study.folder}, {study.model}"
    built = run_own(where, lambda: build(study.first_seed))
    return ArrayModel(joined(_checked(where, built)), study.request)


def _checked(where: str, built: object) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield named arrays of any shape, float32, all finite."""
    if not isinstance(built, Mapping):
        kind = type(built).__name__
        raise OperatorError("FS-842", f"{where} returned a {kind}, not a dict")
    for name, array in built.items():
        if not isinstance(name, str) or not _is_float32(array):
            kind = getattr(array, "dtype", type(array).__name__)
            raise OperatorError("FS-842", f"{where}: {name!r} is {kind}, not float32")
        if not np.isfinite(array).all():
            raise OperatorError("FS-842", f"{where}: {name!r} is not finite")
        yield name, array
    if not any(array.size for array in built.values()):
        raise OperatorError("FS-842", f"{where} returned no weights")


def _is_float32(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.dtype == np.float32


def _write(path: Path, model: GlobalModel) -> None:
    """Write what `numpy.savez` would, which takes some names for its own arguments."""
    names = [layer.name for layer in model.layers]
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in zip(names, model.arrays(), strict=True):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
