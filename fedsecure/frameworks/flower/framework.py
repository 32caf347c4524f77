"""Flower as the framework of a job: a SuperLink for agents, a strategy of Flower's."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower.fleet import FlowerParticipants, RosterFleet
from fedsecure.frameworks.flower.runtime import (
    Superlink,
    TlsFiles,
    node_public_bytes,
    owned_run,
    require_free,
    superlink,
)
from fedsecure.frameworks.flower.strategies import build_strategy
from fedsecure.frameworks.flower.wrapped import Wrapped
from fedsecure.owner.jobs.model_source import Parts
from fedsecure.owner.jobs.train import Connect, Connection, Notify
from fedsecure.owner.process import Owner
from fedsecure.study.config import AnyStudy
from fedsecure.study.task import ConfigValue

PORT_LOOKS: Final = 10  # once a second


@dataclass(frozen=True, slots=True)
class Flower:
    """Reaches agents through a SuperLink, and steps with a study's strategy.

    The SuperLink is this process's child, and this process its only executor.

    Args:
        owner: Opened by `open_owner`.
        study: Names the strategy.
    """

    owner: Owner
    study: AnyStudy

    @contextmanager
    def serve(
        self, config: Mapping[str, ConfigValue], parts: Parts, stage: Notify
    ) -> Iterator[Connect]:
        """Run the SuperLink, with the roster's keys registered.

        Raises:
            OperatorError: FS-5xx when it does not start.
        """
        stage("starting the SuperLink")
        with self._superlink(stage) as link:

            @contextmanager
            def connect() -> Iterator[Connection]:
                with owned_run(link) as running:
                    fleet = RosterFleet(running, self.owner.federation)
                    # A run that goes on hands its means to a fresh one again.
                    strategy = build_strategy(self.study)
                    yield Connection(
                        FlowerParticipants(fleet), Wrapped(strategy, config, parts)
                    )

            yield connect

    @contextmanager
    def _superlink(self, stage: Notify) -> Iterator[Superlink]:
        settings = self.owner.settings.superlink
        home = self.owner.settings.folder / "superlink"
        home.mkdir(mode=0o700, exist_ok=True)
        _wait_free(settings.listen, stage)
        tls = TlsFiles(settings.authority, settings.certificate, settings.key)
        with superlink(settings.listen, tls, home, home / "superlink.log") as link:
            link.register_nodes(
                node_public_bytes(party.flower_key)
                for party in self.owner.federation.data_owners
            )
            yield link


def flower(owner: Owner, study: AnyStudy) -> Flower:
    """Return the framework of a study whose strategy works on sums.

    Raises:
        OperatorError: As `build_strategy`, before anything else is done.
    """
    build_strategy(study)
    return Flower(owner, study)


def _wait_free(listen: str, stage: Notify) -> None:
    """Wait for the SuperLink of an owner that was killed to notice that."""
    for _ in range(PORT_LOOKS):
        try:
            return require_free(listen)
        except OperatorError as error:
            stage(f"waiting: {error.detail}")
        time.sleep(1.0)
    return require_free(listen)
