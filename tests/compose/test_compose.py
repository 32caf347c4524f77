"""The compose file and the image as organisations use them, in a real engine."""

import json
import re
from typing import Any

import numpy as np
import pytest
from packaging.requirements import Requirement

from fedsecure.demo.provision import AGGREGATORS
from tests.compose.engine import Engine
from tests.compose.stack import (
    COMPOSE_FILE,
    CONTAINER_USER,
    ROOT,
    Parties,
    Stack,
)

pytestmark = pytest.mark.timeout(840)

MOST_BYTES = 150_000_000  # of the image's own layers, above those of its base
FIRST_LAYER = "useradd"  # the lowest of our own


def test_compose_file_is_valid_without_any_setting(compose: Engine) -> None:
    done = compose.run("compose", "--file", str(COMPOSE_FILE), "config", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_image_holds_what_the_lock_names_and_nothing_else(
    engine: Engine, stack: Stack
) -> None:
    script = (
        "from importlib.metadata import distributions as d; "
        "print(*(one.metadata['Name'] for one in d()))"
    )
    run = ("run", "--rm", "--network", "none", "--entrypoint", "python")
    printed = engine.docker(*run, stack.image, "-c", script)
    installed = {re.sub(r"[-_.]+", "-", name).lower() for name in printed.split()}
    lock = (ROOT / "aggregator.lock").read_text()
    wanted = map(Requirement, re.findall(r"^[a-z0-9-]+==[^\\\n]+", lock, re.MULTILINE))
    linux = {"sys_platform": "linux", "python_version": "3.11"}
    locked = {
        one.name
        for one in wanted
        if one.marker is None or one.marker.evaluate({**linux})
    }
    assert installed == locked | {"fedsecure"}
    assert not installed & {"flwr", "tensorflow", "keras", "pandas", "pip"}


def test_image_adds_little_to_its_base(engine: Engine, stack: Stack) -> None:
    form = "{{.Size}} {{.CreatedBy}}"
    layers = ("history", "--no-trunc", "--human=false", "--format", form, stack.image)
    ours = []
    for line in engine.docker(*layers).splitlines():
        size, _, made_by = line.partition(" ")
        ours.append(int(size))
        if FIRST_LAYER in made_by:
            break
    assert 0 < sum(ours) <= MOST_BYTES


def test_a_server_that_does_not_run_is_not_healthy(stack: Stack) -> None:
    service = ["run", "--rm", "--no-deps", "--entrypoint", "python", AGGREGATORS[0]]
    config = ["--config", "/etc/fedsecure/aggregator.toml"]
    with pytest.raises(Exception, match="FS-551"):
        stack.compose(*service, "-m", "aggregator", "health", *config)


def test_containers_can_do_nothing_but_serve(engine: Engine, served: Stack) -> None:
    for name in AGGREGATORS:
        container = served.container(name)

        def inside(*command: str, container: str = container) -> Any:
            return engine.run("exec", container, *command)

        assert inside("id", "-u").stdout.strip() == str(CONTAINER_USER)
        status = dict(
            line.split(":\t", 1)
            for line in inside("cat", "/proc/self/status").stdout.splitlines()
        )
        assert {int(status[kind], 16) for kind in ("CapEff", "CapBnd", "CapPrm")} == {0}
        assert status["NoNewPrivs"] == "1"
        for place in ("/new", "/venv/new", "/etc/fedsecure/new"):
            assert "Read-only file system" in inside("touch", place).stderr
        assert inside("touch", "/tmp/new").returncode == 0  # noqa: S108 - a tmpfs
        (facts,) = json.loads(engine.docker("inspect", container))
        host = facts["HostConfig"]
        assert host["Memory"] == host["MemorySwap"] == 1536 * 2**20
        assert (host["NanoCpus"], host["PidsLimit"]) == (10**9, 128)
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        assert host["PortBindings"]["8443/tcp"][0]["HostIp"] == "127.0.0.1"
        # Each has a network of its own.
        assert set(facts["NetworkSettings"]["Networks"]) == {f"{served.project}_{name}"}


def test_a_kill_between_reports_and_opening_changes_nothing(
    served: Stack, parties: Parties
) -> None:
    undisturbed = parties.propose("undisturbed")
    expected = parties.owner.open(undisturbed, parties.report(undisturbed)).mean
    parties.require_mean(undisturbed, expected)
    killed = parties.propose("killed")
    receipts = parties.report(killed)
    served.compose("kill", "--signal", "SIGKILL", AGGREGATORS[1])
    assert served.running() == {AGGREGATORS[0]}
    served.start(AGGREGATORS[1])
    opened = parties.owner.open(killed, receipts).mean
    np.testing.assert_array_equal(opened.update, expected.update)
    assert opened.scalars == expected.scalars


def test_down_and_up_serve_the_same_store(served: Stack, parties: Parties) -> None:
    proposal = parties.propose("taken-down")
    opened = parties.owner.open(proposal, parties.report(proposal))
    waiting = parties.propose("still-open")
    receipts = parties.report(waiting)
    served.compose("down")
    assert served.running() == set()
    for name in AGGREGATORS:
        served.start(name)
    again = parties.owner.open_again(proposal, opened.opening)
    assert {name: share.token for name, share in again.shares.items()} == {
        name: share.token for name, share in opened.shares.items()
    }
    parties.require_mean(waiting, parties.owner.open(waiting, receipts).mean)
