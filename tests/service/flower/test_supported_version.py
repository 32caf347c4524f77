"""Which Flower this was written against, name by name.

When one of these tests fails after an upgrade: read what changed in Flower, change
fedsecure/frameworks/flower/runtime with it, and only then write the new list and
version.
"""

import ast
import inspect
import logging
import os
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
from flwr.app import Message, RecordDict
from flwr.supercore import telemetry
from flwr.supercore.task_identity import TaskIdentity

import fedsecure
from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower import runtime
from fedsecure.frameworks.flower.runtime import environment
from fedsecure_bench.rounds import secagg

RUNTIME = Path(runtime.__file__).parent
PEER = Path(secagg.__file__)  # measured, never run
REPOSITORY = Path(fedsecure.__file__).parent.parent
INTERNALS = Path(__file__).with_name(f"internals-{runtime.SUPPORTED}.txt")
PUBLIC = ("flwr.app", "flwr.clientapp", "flwr.serverapp")


def imports_of_flower(path: Path) -> set[tuple[str, str]]:
    """Every (module, name) of Flower that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
    return {(module, name) for module, name in found if module.split(".")[0] == "flwr"}


def describe(module: str, name: str) -> str:
    """A name of Flower with its fields or parameters, as the list has it."""
    thing = getattr(import_module(module), name, None)
    if descriptor := getattr(thing, "DESCRIPTOR", None):
        parameters = [field.name for field in descriptor.fields]
    elif inspect.isroutine(thing) or type(thing) is type:
        parameters = list(inspect.signature(thing).parameters)
    else:
        parameters = []
    return f"{module}:{name}({', '.join(parameters)})"


def test_the_installed_flower_is_the_supported_one():
    assert version("flwr").startswith(f"{runtime.SUPPORTED}.")
    runtime.require_supported_flower()


def test_another_flower_is_refused(monkeypatch):
    monkeypatch.setattr(environment, "version", lambda _: "1.42.0")
    with pytest.raises(OperatorError, match=r"1\.42\.0.*1\.41") as caught:
        runtime.require_supported_flower()
    assert caught.value.code == "FS-500"


def test_every_internal_name_we_use_is_as_it_was_when_we_read_it():
    used = set().union(
        *(imports_of_flower(path) for path in (*RUNTIME.glob("*.py"), PEER))
    )
    now = sorted(describe(module, name) for module, name in used)
    assert now == INTERNALS.read_text(encoding="utf-8").splitlines()


def test_nothing_else_imports_flowers_internals():
    strangers = {
        f"{path.relative_to(REPOSITORY)}: {module}"
        for package in ("fedsecure", "clients", "aggregator", "bench", "studies")
        for path in (REPOSITORY / package).rglob("*.py")
        if path != PEER and not path.is_relative_to(RUNTIME)
        for module, _ in imports_of_flower(path)
        if not module.startswith(PUBLIC)
    }
    assert not strangers


def test_a_flower_process_neither_phones_home_nor_inherits_flower_settings(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("FLWR_LOG_LEVEL", "DEBUG")
    settings = runtime.flower_environment(tmp_path)
    assert {k: v for k, v in settings.items() if k.startswith("FLWR_")} == {
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "FLWR_HOME": str(tmp_path),
    }
    assert settings["PATH"] == os.environ["PATH"]


LOUD = """
import os, warnings
warnings.simplefilter("ignore")
os.environ["FLWR_TELEMETRY_ENABLED"] = "1"
from flwr.supercore import telemetry
from flwr.supercore.logger import log
from fedsecure.frameworks.flower.runtime import quiet
quiet(), quiet()
log(40, "an error of Flower")
raise SystemExit(telemetry.FLWR_TELEMETRY_ENABLED != "0")
"""


def test_flower_in_our_own_process_is_quiet_even_if_imported_before():
    done = subprocess.run(
        [sys.executable, "-c", LOUD], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_flowers_log_records_reach_our_own_log(caplog):
    runtime.quiet()
    with caplog.at_level(logging.INFO):
        logging.getLogger("flwr").info("from Flower")
    assert "from Flower" in caplog.text
    assert telemetry.FLWR_TELEMETRY_ENABLED == "0"


def test_a_message_can_be_built_while_an_identity_is_set():
    with runtime.task_identity(run_id=7, node_id=8):
        message = Message(RecordDict(), dst_node_id=9, message_type="train")
    assert message.metadata.run_id == 7
    assert message.metadata.src_node_id == 8
    with pytest.raises(RuntimeError):
        _ = TaskIdentity.run_id
