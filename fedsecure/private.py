"""Private computation from Python: on numbers nobody sees, by models nobody has.

    from fedsecure import private

    with private.shares("client.toml") as s:
        a, b = s.share([1.0, 2.0]), s.share([10.0, 20.0])
        print(s.open(a + 3 * b))                        # [31. 62.]

    private.serve(model, "owner.toml").write(Path("heart.service.json"))

    clinic = private.connect("client.toml", "heart.service.json")
    print(clinic.predict(rows))

A formula computes nothing: `open` proposes a job of it to both aggregators, shares the
numbers in it, has it computed and opens the result. Each `open` is a job of its own.

Guarantee: no aggregator alone learns anything of the numbers but shapes and bounds.
Assumption: the two aggregators do not work together (docs/computing.md).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedsecure.compute import inputs, outputs, proposal
from fedsecure.compute.folder import JobFolder
from fedsecure.compute.handout import Handout
from fedsecure.compute.numbers import Numbers
from fedsecure.compute.participant import Participant, open_participant
from fedsecure.compute.programs.circuits import Compiled, compile_outputs
from fedsecure.compute.programs.expressions import (
    BOUND,
    FRACTION_BITS,
    Secret,
)
from fedsecure.compute.queries import Service
from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.jobs.parts import Method
from fedsecure.study.lowering.description import ServiceDescription, read_description
from fedsecure.study.schema.tabular import TableSchema
from fedsecure.transport.retries import UnreachableError

if TYPE_CHECKING:
    import keras

__all__ = ["Connection", "Session", "connect", "serve", "shares"]

Array = NDArray[np.float64]

SECONDS: Final = 3600.0  # until a job of a session is over, if it is left alone
OUTPUT: Final = "result"


@contextmanager
def shares(config: str | Path) -> Iterator["Session"]:
    """Share numbers with both aggregators, compute with them, open the result.

    Args:
        config: This party's owner.toml, agent.toml or client.toml.

    Raises:
        OperatorError: FS-7xx keys and versions, FS-8xx settings.
    """
    with open_participant(Path(config)) as participant:
        yield Session(participant)


@dataclass
class Session:
    """Numbers of one party, shared where a formula needs them."""

    _participant: Participant
    _given: dict[int, Array] = field(default_factory=dict, repr=False)
    _secrets: list[Secret] = field(default_factory=list, repr=False)

    def share(
        self,
        numbers: ArrayLike,
        *,
        bound: float = BOUND,
        fraction_bits: int = FRACTION_BITS,
    ) -> Secret:
        """Return secret numbers to compute with; they are sent when a result is opened.

        `+` and `-` take secrets and public numbers; `*` and `@` public ones alone.

        Args:
            numbers: Of none, one or two axes.
            bound: The largest number allowed, either sign; the aggregators learn it.
            fraction_bits: Bits behind the point: results are exact to one step of it.

        Raises:
            OperatorError: FS-223 for other shapes, FS-224 for a number that is not
                finite or is beyond the bound.
        """
        values = np.array(numbers, np.float64)
        if not np.all(np.abs(values) <= bound):
            raise OperatorError("FS-224", f"not all numbers are within {bound:g}")
        name = f"x{len(self._secrets) + 1}"
        owner = self._participant.name
        secret = Secret.given(name, owner, values.shape, bound, fraction_bits)
        self._secrets.append(secret)
        self._given[id(secret)] = values
        return secret

    def open(self, formula: Secret) -> Array:
        """Have a formula computed, and return its numbers: its shape, float64.

        Raises:
            PeerError: FS-220 where numbers could be too large, FS-396 where answers do
                not belong together, an aggregator's refusal.
            OperatorError: FS-224.
        """
        p = self._participant
        compiled = compile_outputs({OUTPUT: formula}, p.name)
        with _job(p, compiled) as (handout, key):
            for name, values in self._inputs(compiled).items():
                inputs.contribute(p, handout, name, values)
            ((name, opened),) = outputs.fetch(p, handout, key).items()
        return opened.reshape(compiled.shapes[name])

    def _inputs(self, compiled: Compiled) -> dict[str, Array]:
        own = {one.name: self._given[id(one)] for one in self._secrets}
        given = dict(compiled.public)
        for one in compiled.circuit.inputs:
            if one.secret:
                given[one.name] = own[one.name].reshape(one.rows, one.columns)
        return given


@contextmanager
def _job(p: Participant, compiled: Compiled) -> Iterator[tuple[Handout, Any]]:
    """Propose a job that nobody else takes part in; forget it once it is opened."""
    folder, key = JobFolder(p.folder), proposal.new_key(p)
    request = proposal.Request("shares", compiled.circuit, seconds=SECONDS)
    spec = proposal.sign(p, request, key)
    folder.begin(spec, key)
    try:
        yield proposal.grant(p, spec), key
    except PeerError as error:
        if not isinstance(error, UnreachableError):
            with suppress(PeerError):
                proposal.void(p, spec.digest, "its result was not opened")
        raise
    finally:
        folder.forget(spec.digest)


@dataclass
class Connection:
    """A service as one of its clients uses it; close it, or use it in a `with`."""

    handout: Handout
    description: ServiceDescription = field(repr=False)
    _service: Service = field(repr=False)
    _close: Callable[[], object] = field(repr=False)

    @property
    def features(self) -> Sequence[str]:
        """The names of a row's numbers, if it is made of a table's columns."""
        schema = self.description.features
        return schema.feature_names if isinstance(schema, TableSchema) else ()

    @property
    def labels(self) -> Sequence[str]:
        """The names of the classes, by number."""
        return self.description.labels

    def predict(self, rows: ArrayLike) -> Array:
        """Return the model's outputs for rows: probabilities, if it is a classifier.

        Args:
            rows: Shape (rows, features), or (features,) for one row; float64.

        Returns:
            Shape (rows, outputs), or (outputs,) for one row, float64.

        Raises:
            OperatorError: FS-223, FS-224 for rows that the service does not take.
            PeerError: FS-396 where answers do not belong together, an aggregator's
                refusal.
        """
        values = np.array(rows, np.float64)
        made = self.description.scores(self._service.ask(np.atleast_2d(values)))
        return made[0] if values.ndim == 1 else made

    def close(self) -> None:
        """Close connections."""
        self._close()

    def __enter__(self) -> "Connection":
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def connect(config: str | Path, service: str | Path) -> Connection:
    """Connect to a model that is served, as one of its clients.

    Args:
        config: The client's client.toml.
        service: What the model owner handed over: NAME.service.json.

    Raises:
        OperatorError: FS-7xx keys and versions, FS-8xx settings.
        PeerError: FS-341 when it serves others, FS-345 or FS-347 when it is over,
            FS-424 and FS-7xx when the file is not what it should be.
    """
    opened = open_participant(Path(config))
    p = opened.__enter__()
    try:
        handout = Handout.read(Path(service), p.federation)
        asked = Service(p, handout, Numbers(p.folder))
        description = read_description(handout.description, handout.program)
    except BaseException:
        opened.__exit__(None, None, None)
        raise
    return Connection(
        handout, description, asked, lambda: opened.__exit__(None, None, None)
    )


def serve(  # noqa: PLR0913 - a service's own settings, all with defaults
    model: "keras.Model",
    config: str | Path = "owner.toml",
    *,
    clients: Sequence[str] | None = None,
    method: str = "shares",
    rows: int | None = None,
    days: int | None = None,
    name: str | None = None,
) -> Handout:
    """Serve a linear or logistic Keras model to clients. Run by the model owner.

    It is tried through both aggregators first; `write` of what is returned makes the
    file that clients need. `fedsecure serve --close NAME` ends it.

    Args:
        model: Over rows of the study that owner.toml names.
        config: The model owner's owner.toml.
        clients: Who may ask; None: as owner.toml says, or else all clients.
        method: "shares" (both aggregators know the weights) or "paillier".
        rows: The most that one client is answered in all; None: as owner.toml says.
        days: Until it closes; None: as owner.toml says.
        name: Of the service; None: the study's.

    Raises:
        OperatorError: FS-220 to FS-222, FS-843 when the model cannot be served, FS-341
            or FS-741 for clients who cannot ask, FS-8xx settings.
        RoundStateError: FS-602 when a service of that name is open.
        PeerError: FS-396 when the aggregators answer otherwise than the model.
    """
    # Of a model owner alone, who has what this needs.
    from fedsecure.frameworks.keras.model_service import serve_model  # noqa: PLC0415
    from fedsecure.owner.jobs.service_offer import Wish  # noqa: PLC0415

    wish = Wish(clients, Method(method), rows, days, name)
    return serve_model(model, Path(config), wish).handout
