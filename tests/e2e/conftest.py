"""One federation of real processes, trained once; many tests look at what it left."""

import os
import sqlite3
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from fedsecure.demo.play import find_sites
from fedsecure.demo.processes import Processes
from fedsecure.demo.provision import AGGREGATORS, OWNER, DemoFolder, provision

ROOT = Path(__file__).parents[2]
ROUNDS = 3
APP = "tests.e2e.recording_app:app"


@dataclass(frozen=True)
class Trained:
    """A federation after `ROUNDS` rounds."""

    folder: DemoFolder
    notes: Path  # the updates, as the sites' own app noted them

    @property
    def owner_db(self) -> Path:
        return self.folder.root / "owner" / "rounds.db"

    def aggregator_db(self, name: str) -> Path:
        return self.folder.root / name / "aggregator.db"

    def rows(self, database: Path, query: str, *values: object) -> list[dict[str, Any]]:
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(query, values)]
        finally:
            connection.close()


def use_app(config: Path, reference: str) -> None:
    """Have a data owner name another ClientApp in its agent.toml."""
    content = tomllib.loads(config.read_text(encoding="utf-8"))
    config.write_text(tomli_w.dumps({**content, "app": reference}), encoding="utf-8")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    root = tmp_path_factory.mktemp("federation")
    notes = root / "notes"
    notes.mkdir()
    study = ROOT / "studies" / "heart"
    folder = provision(root / "demo", study, find_sites(study))
    with pytest.MonkeyPatch.context() as patch, Processes() as processes:
        patch.setenv("FEDSECURE_TEST_NOTES", str(notes))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT)]))
        for name in AGGREGATORS:
            config = folder.config(name)
            processes.start(
                name, ["aggregator", "--config", str(config)], config.parent / "log.txt"
            )
        processes.wait_ready(folder.urls, folder.authority, 60.0)
        for site in folder.sites:
            config = folder.config(site)
            use_app(config, APP)
            processes.start(
                site, ["agent", "--config", str(config)], config.parent / "log.txt"
            )
        config = folder.config(OWNER)
        log = config.parent / "log.txt"
        training = processes.start(
            OWNER, ["train", "--config", str(config), "--rounds", str(ROUNDS)], log
        )
        assert training.wait(240) == 0, log.read_text(encoding="utf-8")
        yield Trained(folder, notes)
