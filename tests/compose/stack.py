"""The demo's federation with its aggregators in containers, everybody else out here.

Each organisation has its own configuration folder and its own environment file, as
docs/deploying.md tells them; compose file and image are the ones that they use.
"""

import secrets
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import tomli_w

from clients.policy import Policy
from clients.state import AgentState
from fedsecure.aggregators import AggregatorClient
from fedsecure.core.scheme import Mean
from fedsecure.demo.provision import AGGREGATORS, OWNER, DemoFolder, provision
from fedsecure.identity import Federation, load_federation, load_signing_key
from fedsecure.rounds.contributor import Contributor
from fedsecure.rounds.owner import RoundOwner
from fedsecure.rounds.proposal import Proposal, ReceiptPair, RoundRequest
from fedsecure.signing import Author
from fedsecure.statements import Purpose, Weighting
from fedsecure.study.sites import find_sites
from tests.compose.engine import Engine
from tests.protocol.federation import (
    MODEL,
    SCALARS,
    TASK,
    Hospital,
    NoLog,
    measurement_of,
    update_of,
)

ROOT: Final = Path(__file__).parents[2]
COMPOSE_FILE: Final = ROOT / "docker-compose.yml"
CONTAINER_USER: Final = 10001
DIMENSION: Final = 300_000  # parameters: more than one record of a payload
WEIGHT_CAP: Final = 1000


@dataclass(frozen=True)
class Stack:
    """Both services of the compose file, under a project name of our own."""

    engine: Engine
    folder: DemoFolder
    project: str
    image: str

    def environment(self, name: str) -> Path:
        """Return the environment file of the organisation that runs a service."""
        return self.folder.root / f"{name}.env"

    def compose(
        self, *arguments: str, of: tuple[str, ...] = AGGREGATORS, plus: Any = ()
    ) -> str:
        """Run `docker compose` with the settings of these organisations."""
        options = ["--project-name", self.project, "--progress", "plain"]
        for path in (COMPOSE_FILE, *plus):
            options += ["--file", str(path)]
        for name in of:
            options += ["--env-file", str(self.environment(name))]
        return self.engine.docker("compose", *options, *arguments)

    def start(self, name: str) -> None:
        """Start one service as its organisation does, and wait until it is healthy."""
        up = ("up", "--detach", "--wait", "--no-build", "--pull", "never")
        self.compose(*up, name, of=(name,))

    def container(self, name: str) -> str:
        """Return the id of a service's container."""
        return self.compose("ps", "--all", "--quiet", name).strip()

    def running(self) -> set[str]:
        """Return the services that run."""
        return set(self.compose("ps", "--services").split())

    def give_configuration(self, user: int) -> None:
        """Hand both configuration folders to a user; no root needed out here."""
        chown = ("run", "--rm", "--network", "none", "--user", "0")
        for name in AGGREGATORS:
            place = self.folder.config(name).parent
            mount = ("--volume", f"{place}:/config", "--entrypoint", "chown")
            self.engine.docker(
                *chown, *mount, self.image, "--recursive", str(user), "/config"
            )


def prepare(folder: Path, image: str) -> DemoFolder:
    """Make the federation, and what each aggregator's organisation writes."""
    study = ROOT / "studies" / "heart"
    demo = provision(folder / "demo", study, find_sites(study))
    for name in AGGREGATORS:
        config = demo.config(name)
        content = tomllib.loads(config.read_text(encoding="utf-8"))
        in_container = {
            "federation": "federation.toml",
            "listen": "0.0.0.0:8443",
            "data": "/data",
        }
        config.write_text(tomli_w.dumps({**content, **in_container}), encoding="utf-8")
        _write_environment(demo, name, image)
    return demo


def _write_environment(demo: DemoFolder, name: str, image: str) -> None:
    service = name.upper().replace("-", "_")
    settings = {
        "AGGREGATOR_IMAGE": image,
        f"{service}_CONFIG": str(demo.config(name).parent),
        f"{service}_ADDRESS": demo.urls[name].removeprefix("https://"),
    }
    lines = [f"{key}={value}\n" for key, value in settings.items()]
    (demo.root / f"{name}.env").write_text("".join(lines), encoding="utf-8")


@dataclass(frozen=True)
class Parties:
    """The model owner and the data owners."""

    owner: RoundOwner
    hospitals: Mapping[str, Hospital]
    weights: Mapping[str, int]

    def propose(self, run: str) -> Proposal:
        """Get grants for the first round of a run."""
        request = RoundRequest(
            run=run,
            round=1,
            purpose=Purpose.TRAIN,
            attempt=1,
            task=TASK,
            model=MODEL,
            dimension=DIMENSION,
            scalars=SCALARS,
            clip=20.0,
            weight_cap=WEIGHT_CAP,
            weighting=Weighting.ROUNDED,
            cohort=tuple(self.hospitals),
            min_cohort=3,
            seconds=300.0,
        )
        return self.owner.propose(request)

    def report(self, proposal: Proposal) -> dict[str, ReceiptPair]:
        """Have every data owner send its shares; returns all receipts."""
        return {
            name: hospital.answer(proposal, self._measurement(name))
            for name, hospital in self.hospitals.items()
        }

    def require_mean(self, proposal: Proposal, mean: Mean) -> None:
        """Check an opened mean against what the data owners put in.

        Each rounds to the nearest step of the fixed point, so the sum is off by half
        a step each at most; the mean is divided by the sum of the weights.
        """
        total = sum(self.weights.values())
        exact = sum(
            update_of(name, DIMENSION).astype(np.float64) * (weight / total)
            for name, weight in self.weights.items()
        )
        steps = len(self.weights) / 2 / float(proposal.params.scale)
        bound = 1.1 * steps * WEIGHT_CAP / total
        worst = np.abs(mean.update.astype(np.float64) - exact).max()
        assert 0 < worst <= bound
        assert mean.count == len(self.weights)
        assert mean.total_weight == total

    def _measurement(self, name: str) -> Any:
        sent = measurement_of(name, self.weights[name])
        return replace(sent, update=update_of(name, DIMENSION))


@contextmanager
def meet(folder: DemoFolder) -> Iterator[Parties]:
    """Start the model owner's and every data owner's end, over TLS."""
    federation = load_federation(folder.federation)
    with ExitStack() as stack:
        rounds = folder.root / "rounds"
        rounds.mkdir()
        owner = RoundOwner(
            author=_author(folder, OWNER, federation),
            aggregators=_clients(folder, federation, stack),
            log=NoLog(),
            folder=rounds,
            clock=time.time,
            rand=secrets.token_bytes,
        )
        hospitals = {}
        for name in folder.sites:
            home = folder.config(name).parent
            state = stack.enter_context(AgentState(home / "state", federation))
            contributor = Contributor(
                author=_author(folder, name, federation),
                aggregators=_clients(folder, federation, stack),
                outbox=state,
                require_policy=lambda spec, _: Policy().require(spec),
                clock=time.time,
                rand=secrets.token_bytes,
            )
            hospitals[name] = Hospital(contributor, state, stack)
        weights = dict(zip(folder.sites, (16, 128, 512, 64), strict=True))
        yield Parties(owner, hospitals, weights)


def _author(folder: DemoFolder, name: str, federation: Federation) -> Author:
    key = load_signing_key(folder.config(name).parent / "signing.pem")
    return Author(name, key, federation)


def _clients(
    folder: DemoFolder, federation: Federation, stack: ExitStack
) -> dict[str, AggregatorClient]:
    clients = {}
    for party in federation.aggregators:
        client = AggregatorClient(party, federation, folder.authority)
        stack.callback(client.close)
        clients[party.name] = client
    return clients
