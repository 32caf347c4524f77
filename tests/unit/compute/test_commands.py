"""`fedsecure job`, typed by three parties with folders of their own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from click.testing import Result
from typer.testing import CliRunner

from fedsecure import private
from fedsecure.cli import _mount, app
from fedsecure.compute import participant as participants
from fedsecure.compute.participant import open_participant
from fedsecure.errors import OperatorError
from fedsecure.membership.accepted import Accepted, save_accepted
from fedsecure.protocol.signing_keys import save_signing_key
from fedsecure.transport.retries import Patience
from fedsecure.transport.server_connection import ServerConnection
from tests.unit.compute.conftest import (
    BASEL,
    BERN,
    BIAS,
    CLINIC,
    OWNER,
    WEIGHTS,
    Parties,
    refused,
)

_mount()

PROGRAM = """
name = "sums"
title = "Visits of two hospitals"
[inputs.ages]
owner = "basel"
rows = 3
bound = 120
[inputs.visits]
owner = "bern"
rows = 3
bound = 120
[outputs]
total = "ages + 3 * visits"
"""
MAY = {"policy": {"jobs": {"receivers": ["clinic"]}}}

Type = Callable[..., Result]


@pytest.fixture
def folders(parties: Parties, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Return each party's configuration; whoever reads one reaches the aggregators."""

    def connection(party: Any, federation: Any, *_: Any) -> ServerConnection:
        none = Patience(seconds=0.0, sleep=lambda _: None)
        transport = parties.aggregators[party.name]
        return ServerConnection(party, federation, None, none, transport)

    monkeypatch.setattr(participants, "ServerConnection", connection)
    return {
        CLINIC: configured(parties, CLINIC, "client.toml", {"queries": "queries"}),
        BASEL: configured(parties, BASEL, "agent.toml", {**AGENT, **MAY}),
        BERN: configured(parties, BERN, "agent.toml", {**AGENT, **MAY}),
        OWNER: configured(
            parties, OWNER, "owner.toml", {"study": "study", "folder": "runs"}
        ),
    }


AGENT = {"flower_key": "flower.key", "state": "state", "data": "rows.csv"}


def configured(parties: Parties, name: str, file: str, more: dict[str, Any]) -> Path:
    folder = parties.folder / "typed" / name
    folder.mkdir(parents=True)
    federation = parties.federation
    content = federation.model_dump(mode="json", exclude_none=True)
    (folder / "federation.toml").write_text(tomli_w.dumps(content))
    save_accepted(folder / "accepted.toml", Accepted.of(federation, name, None))
    save_signing_key(folder / "signing.pem", parties.keys[name])
    settings = {
        "name": name,
        "federation": "federation.toml",
        "key": "signing.pem",
        **more,
    }
    (folder / file).write_text(tomli_w.dumps(settings))
    return folder / file


@pytest.fixture
def typed(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Type:
    def run(name: str, *words: str, width: int = 100, answer: str = "") -> Result:
        monkeypatch.chdir(folders[name].parent)
        given = ["job", *words, "--config", folders[name].name]
        env = {"COLUMNS": str(width)}
        return CliRunner().invoke(app, given, env=env, input=answer)

    return run


@pytest.fixture
def handed(typed: Type, folders: dict[str, Path]) -> Path:
    """Return the file that the clinic hands to both hospitals."""
    home = folders[CLINIC].parent
    (home / "sums.toml").write_text(PROGRAM)
    for name in (BASEL, BERN):
        (folders[name].parent / "n.csv").write_text("n\n1\n2.5\n-3\n")
    shown = typed(CLINIC, "propose", "sums.toml")
    assert shown.exit_code == 0, shown.output
    assert "sums.job.json is for basel, bern" in shown.output
    return home / "sums.job.json"


def test_a_job_from_its_proposal_to_a_file_with_its_result(
    typed: Type, handed: Path, folders: dict[str, Path]
) -> None:
    for name, given in ((BASEL, "ages=n.csv"), (BERN, "visits=n.csv")):
        shown = typed(name, "contribute", str(handed), given, answer="y\n")
        assert shown.exit_code == 0, shown.output
        assert "ages + visits * 3" in shown.output
        assert "clinic learns sums of yours and those of" in " ".join(
            shown.output.split()
        )
    shown = typed(CLINIC, "export", "sums", "--output", "sums.csv")
    assert shown.exit_code == 0, shown.output
    file = folders[CLINIC].parent / "sums.csv"
    np.testing.assert_allclose(np.loadtxt(file), [4.0, 10.0, -12.0], atol=1e-4)
    assert file.stat().st_mode & 0o077 == 0
    told = json.loads(typed(CLINIC, "export", "sums").output)
    assert told.keys() == {"total"}


def test_who_says_no_shares_nothing(
    typed: Type, handed: Path, parties: Parties
) -> None:
    shown = typed(BASEL, "contribute", str(handed), "ages=n.csv", answer="n\n")
    assert shown.exit_code != 0
    assert not [path for path, _ in parties.north.asked if path.endswith("/ages")]


def test_without_rules_an_agent_shares_nothing(
    typed: Type, handed: Path, folders: dict[str, Path]
) -> None:
    content = folders[BASEL].read_text()
    folders[BASEL].write_text(content[: content.index("[policy")])
    shown = typed(BASEL, "contribute", str(handed), "ages=n.csv", "--yes")
    assert isinstance(shown.exception, Exception)
    assert getattr(shown.exception, "code", "") == "FS-448"
    shown = typed(BASEL, "show", str(handed))
    assert "your rules refuse it: FS-448" in " ".join(shown.output.split())


def test_an_agent_that_wants_noise_shares_nothing(folders: dict[str, Path]) -> None:
    with folders[BASEL].open("a") as file:
        file.write('[policy.privacy]\nunit = "row"\nmax_epsilon = 8.0\n')
    with open_participant(folders[BASEL]) as p:
        assert p.rules.jobs is None
        assert "without noise" in p.rules.why


@pytest.mark.parametrize("width", [60, 80, 120])
def test_what_is_shown_fits(typed: Type, handed: Path, width: int) -> None:
    for name, words in (
        (BASEL, ("show", str(handed))),
        (CLINIC, ("show", "sums")),
        (CLINIC, ("list",)),
    ):
        shown = typed(name, *words, width=width)
        assert shown.exit_code == 0, shown.output
        assert max(map(len, shown.output.splitlines())) <= width
        assert "sums" in shown.output


def test_states_are_those_of_both_aggregators(
    typed: Type, handed: Path, parties: Parties
) -> None:
    (listed,) = json.loads(typed(CLINIC, "list", "--json").output)
    assert listed["states"] == {"north": "collecting", "south": "collecting"}
    parties.south.away = True
    (listed,) = json.loads(typed(CLINIC, "list", "--json").output)
    assert listed["states"] == {"north": "away", "south": "away"}
    parties.south.away = False
    assert typed(CLINIC, "void", "sums", "--reason", "mistyped").exit_code == 0
    (listed,) = json.loads(typed(CLINIC, "list", "--json").output)
    assert listed["states"] == {"north": "void", "south": "void"}
    told = json.loads(typed(BASEL, "show", str(handed), "--json").output)
    assert told["inputs"][0] == {
        "name": "ages",
        "of": "basel",
        "held": ["missing", "missing"],
    }


BAD = {
    "n.csv": ("age\n1\ntwo\n", "FS-103"),
    "empty.csv": ("age\n", "FS-108"),
    "ragged.csv": ("1,2\n3\n", "FS-100"),
    "n.txt": ("1\n", "FS-109"),
    "n.npy": ("no array", "FS-100"),
}


@pytest.mark.parametrize("file", BAD)
def test_a_file_without_numbers_is_refused(
    typed: Type, handed: Path, folders: dict[str, Path], file: str
) -> None:
    content, code = BAD[file]
    (folders[BASEL].parent / file).write_text(content)
    shown = typed(BASEL, "contribute", str(handed), f"ages={file}", "--yes")
    assert getattr(shown.exception, "code", "") == code


def test_numbers_come_as_an_npy_file_too(
    typed: Type, handed: Path, folders: dict[str, Path]
) -> None:
    np.save(folders[BASEL].parent / "n.npy", np.array([1, 2, 3]))
    shown = typed(BASEL, "contribute", str(handed), "ages=n.npy", "--yes")
    assert shown.exit_code == 0, shown.output


def test_a_job_that_is_not_here_is_said_to_be_absent(typed: Type, handed: Path) -> None:
    shown = typed(CLINIC, "export", "averages")
    assert getattr(shown.exception, "code", "") == "FS-801"
    shown = typed(BASEL, "export", str(handed))
    assert getattr(shown.exception, "code", "") == "FS-355"


def test_every_role_but_an_aggregator_takes_part(
    folders: dict[str, Path], parties: Parties
) -> None:
    for name, home in ((CLINIC, "queries"), (BASEL, "state"), (OWNER, "runs")):
        with open_participant(folders[name]) as p:
            assert p.name == name
            assert p.folder == folders[name].parent / home / "jobs"
    server = configured(parties, "north", "aggregator.toml", {"listen": "x:1"})
    with pytest.raises(OperatorError, match="FS-813"), open_participant(server):
        pass


def test_python_shares_and_opens_with_the_same_file(folders: dict[str, Path]) -> None:
    with private.shares(folders[CLINIC]) as s:
        assert s.open(3 * s.share(2) + 1) == 7


def test_python_asks_a_service_and_applies_its_activation(
    folders: dict[str, Path], parties: Parties
) -> None:
    handout = parties.serve()
    path = folders[CLINIC].parent / "heart.service.json"
    handout.write(path)
    rows = np.array([[1.0, 2.0, 3.0], [0.0, 0.5, -1.0]])
    logits = np.exp(rows @ WEIGHTS + BIAS)
    expected = logits / logits.sum(axis=1, keepdims=True)
    with private.connect(folders[CLINIC], path) as clinic:
        assert clinic.features == ("age", "rest", "slope")
        np.testing.assert_allclose(clinic.predict(rows), expected, atol=1e-4)
        np.testing.assert_allclose(clinic.predict(rows[0]), expected[0], atol=1e-4)
    with refused("FS-341"):
        private.connect(folders[BASEL], path)
