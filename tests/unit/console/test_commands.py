"""The commands themselves, as processes."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from fedsecure.demo.provision import provision
from fedsecure.errors import PROBLEMS
from fedsecure.study.sites import find_sites
from fedsecure_aggregator.config import load
from fedsecure_aggregator.storage.store import open_store

HEART = Path(__file__).parents[3] / "studies" / "heart"
ANYWHERE = ("--listen", "127.0.0.1:0")


@contextmanager
def command(*words: str | Path) -> Iterator[subprocess.Popen[str]]:
    whole = [sys.executable, "-m", "fedsecure", *map(str, words)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        whole,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def link(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Return address and token that a console prints."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"(http\S+)/login#(\S+)", line):
            return found[1], found[2]
    assert process.stderr is not None
    pytest.fail(process.stderr.read())


@contextmanager
def signed_in(url: str, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=30) as client:
        form, origin = {"token": token}, {"Origin": url}
        answer = client.post("/login", data=form, headers=origin)
        assert answer.status_code == 303
        yield client


def test_a_store_alone_is_served_for_reading_until_it_is_told_to_stop(
    told: Path,
) -> None:
    with command("console", "--db", told, *ANYWHERE) as process:
        url, token = link(process)
        with signed_in(url, token) as client:
            assert "read only" in client.get("/").text
            page = client.get("/runs/heart-1/rounds/1").text
            assert "Sign the verdict" not in page
            assert "This console cannot audit" in client.get("/audit").text
            with client.stream("GET", "/live") as stream:
                next(stream.iter_lines())
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_an_aggregator_serves_its_own_page(tmp_path: Path) -> None:
    folder = provision(tmp_path / "demo", HEART, find_sites(HEART))
    config = folder.config("aggregator-a")
    settings = load(config)
    settings.data.mkdir(parents=True, exist_ok=True)
    open_store(settings.store, settings.author()).close()
    words = ("aggregator", "console", "--config", config, *ANYWHERE)
    with command(*words) as process, signed_in(*link(process)) as client:
        page = client.get("/").text
        assert "Rounds at aggregator-a" in page
        assert "No round was granted yet" in page
        assert client.get("/audit").text.count("Audit now") == 1


def output_of(*words: str | Path) -> str:
    with command(*words) as process:
        _, error = process.communicate(timeout=60)
        assert process.returncode == 1
        return error


def test_what_would_be_open_to_others_does_not_start(told: Path) -> None:
    words = ("console", "--db", told, "--listen", "0.0.0.0:0", "--no-login")
    assert "FS-581" in output_of(*words)


def test_an_address_that_is_taken_is_said(told: Path) -> None:
    with command("console", "--db", told, *ANYWHERE) as process:
        url, _ = link(process)
        words = ("console", "--db", told, "--listen", url.partition("//")[2])
        error = output_of(*words)
    assert "FS-580" in error
    assert PROBLEMS["FS-580"].remedy.split()[0] in error


def test_a_certificate_that_is_none_is_said(told: Path) -> None:
    words = ("console", "--db", told, *ANYWHERE, "--certificate", told, "--key", told)
    assert "FS-590" in output_of(*words)
