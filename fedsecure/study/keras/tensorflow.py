"""Imports modules that bring TensorFlow, without its start-up messages.

They tell a user nothing. Two of its libraries write to the process's standard error
before any setting can stop them, so the file descriptor itself points elsewhere during
the import; errors still come out, as exceptions.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


def import_quietly(name: str) -> ModuleType:
    """Import a module; run by commands before they show anything.

    Raises:
        ImportError: The module or something that it needs is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    with _no_standard_error():
        return importlib.import_module(name)


@contextmanager
def _no_standard_error() -> Iterator[None]:
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
