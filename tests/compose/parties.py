"""Seven parties, each in a folder of its own, provisioned by what the pages say.

Keys, federation and joining are docs/deploying.md, typed on this machine; the rest is
docs/containers.md, typed into the engine. The four hospitals type what `basel` types.
"""

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from fedsecure.demo.provision import HOST
from fedsecure.study.sites import find_sites
from tests.compose.engine import Engine
from tests.compose.pages import (
    CONTAINERS,
    HEART,
    HOSPITALS,
    OPERATING,
    PARTIES,
    SERVICES,
    on_page,
)
from tests.organisations import ROOT, HandedOver, Organisations

COMPOSE_FILE: Final = ROOT / "docker-compose.yml"


@dataclass(frozen=True)
class Images:
    """What the three images are called in this run."""

    aggregator: str
    owner: str
    agent: str

    def settings(self) -> dict[str, str]:
        """Return them as the compose file's variables."""
        return {
            "AGGREGATOR_IMAGE": self.aggregator,
            "OWNER_IMAGE": self.owner,
            "AGENT_IMAGE": self.agent,
        }


@dataclass
class Parties(Organisations):
    """Organisations whose programs run in containers, each in a project of its own."""

    engine: Engine = field(kw_only=True)
    images: Images = field(kw_only=True)
    project: str = field(kw_only=True)
    ports: dict[str, int] = field(kw_only=True)
    building: bool = False  # an engine without a bridge needs a file more for that

    # --- what people type -------------------------------------------------------

    def service(self, party: str) -> str:
        return SERVICES.get(party, "agent")

    def type_page(self, party: str, what: str) -> None:
        """Type a block of docs/containers.md; hospitals type what basel types."""
        model = party if party in SERVICES else "basel"
        for command in CONTAINERS[model, what]:
            self.type(party, command.replace("basel", party))

    def type_operating(self, party: str, what: str) -> None:
        """Type a block of docs/operating.md, which is written for north."""
        letter = {"north": "a", "south": "b"}[party]
        for command in OPERATING["north", what]:
            typed = command.replace("north", party)
            self.type(party, typed.replace("gregator-a", f"gregator-{letter}"))

    def here(self, party: str, command: str) -> str:
        port = self.ports.get(party)
        return re.sub(r"ADDRESS=0\.0\.0\.0:\d+", f"ADDRESS={HOST}:{port}", command)

    def of(self, party: str) -> dict[str, str]:
        files = [COMPOSE_FILE]
        files += self.engine.build_files if self.building else ()
        return {
            **super().of(party),
            **self.engine.environment_of_docker(),
            **self.images.settings(),
            "COMPOSE_FILE": ":".join(map(str, files)),
            "COMPOSE_PROJECT_NAME": f"{self.project}-{party}",
            "COMPOSE_PROGRESS": "plain",
            "PATH": f"{self.root / 'bin'}:{super().of(party)['PATH']}",
        }

    def provide_sudo(self) -> None:
        """Let the page's `sudo` work in a party's folder, whoever types it."""
        folder = self.root / "bin"
        folder.mkdir()
        sudo = folder / "sudo"
        sudo.write_text(
            "#!/bin/sh\nprogram=$1; shift\n"
            "exec docker run --rm --user 0 --network none "
            '--volume "$PWD:/here" --workdir /here --entrypoint "$program" '
            f'{self.images.aggregator} "$@"\n'
        )
        sudo.chmod(0o755)

    def build(self) -> None:
        """Build the three images; owner and agent share all that is large."""
        self.building = True
        for party in ("north", HOSPITALS[0], "study"):
            self.type_page(party, "build")
        self.building = False

    # --- provisioning -----------------------------------------------------------

    def provision(self) -> None:
        """From nothing to seven parties that have joined, by the pages."""
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(self._keygen, PARTIES))
        shutil.copytree(HEART, self.home("study") / "study")
        shutil.rmtree(self.home("study") / "study" / "data")
        sites = find_sites(HEART)
        for hospital in HOSPITALS:
            shutil.copyfile(sites[hospital], self.home(hospital) / "patients.csv")
        members = [party for party in PARTIES if party != "study"]
        for party in members:
            self._give(party, "study", f"{party}.identity.toml")
        init = on_page("study", "fedsecure init").split()[:3]
        self.type("study", " ".join([*init, *(f"{m}.identity.toml" for m in members)]))
        for party in members:
            self._give("study", party, "to-everybody")
        for hospital in HOSPITALS:
            self._give("study", hospital, "study/schema.toml")
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(self._join, PARTIES))

    def _keygen(self, party: str) -> None:
        model = party if party in SERVICES else "basel"
        command = on_page(model, "fedsecure keygen").replace("basel", party)
        self.type(party, command)

    def _join(self, party: str) -> None:
        model = party if party in SERVICES else "basel"
        self.type(party, on_page(model, "fedsecure join"))

    def _give(self, giver: str, taker: str, file: str) -> None:
        self.hand_over(HandedOver(file, giver, taker))
