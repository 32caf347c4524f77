"""A job's handout: what everybody who takes part in it is handed, as a file.

    {"spec": token, "grants": {aggregator: token}, "description": {...} or null}

It comes from anywhere, so everybody checks all of it. The steps, in order:
    (1) a party of this federation, in a role that may propose it, signed the spec
    (2) the description is the one that the spec names
    (3) numbers of its program cannot overflow, by this party's own computation
    (4) both aggregators granted this very spec, each with a key of its own

Whether there is still time is asked by whoever is about to send something.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from fedsecure.core.mpc.plan import Plan
from fedsecure.core.mpc.program import Program
from fedsecure.errors import OperatorError, PeerError
from fedsecure.membership.files import write_public
from fedsecure.protocol import signing
from fedsecure.protocol.grants import require_pair
from fedsecure.protocol.identity import Federation, Role
from fedsecure.protocol.jobs.digests import description_digest
from fedsecure.protocol.jobs.programs import plan_of, program_of
from fedsecure.protocol.jobs.statements import JobGrant, JobSpec
from fedsecure.protocol.signing import Signed
from fedsecure.system.toml_file import explain

MAX_FILE: Final = 64 * 2**20  # bytes


class _File(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    spec: str
    grants: dict[str, str]
    description: dict[str, Any] | None = None


@dataclass(frozen=True)
class Handout:
    """A job that both aggregators granted, checked by whoever holds it."""

    spec: Signed[JobSpec]
    grants: Mapping[str, Signed[JobGrant]] = field(repr=False)
    description: Mapping[str, Any] | None = field(default=None, repr=False)

    @classmethod
    def checked(
        cls,
        federation: Federation,
        spec: str,
        grants: Mapping[str, str],
        description: Mapping[str, Any] | None,
    ) -> Self:
        """Check the parts of a handout; the steps stand above.

        Args:
            federation: The one that this party accepted.
            spec: A token.
            grants: A token for each aggregator.
            description: What the spec names, if it names any.

        Raises:
            PeerError: FS-220, FS-223 the program; FS-344, FS-345 the grants; FS-701 to
                FS-706, FS-741 statements.
        """
        signed = signing.verify(spec, JobSpec, federation)
        require_proposer(federation, signed)  # (1)
        require_description(signed.statement, description)  # (2)
        plan_of(signed.statement.program)  # (3)
        granted = require_grants(federation, signed, grants)  # (4)
        return cls(signed, granted, description)

    @classmethod
    def read(cls, path: Path, federation: Federation) -> Self:
        """Read and check a handout's file; as `checked`.

        Raises:
            OperatorError: FS-801 when it cannot be read.
            PeerError: FS-701 when it is none; as `checked`.
        """
        file = _read(path)
        return cls.checked(federation, file.spec, file.grants, file.description)

    def write(self, path: Path) -> None:
        """Write it for the others; it holds nothing secret.

        Raises:
            OperatorError: FS-816.
        """
        write_public(path, self.text.encode())

    @property
    def text(self) -> str:
        """The content of its file."""
        grants = {name: self.grants[name].token for name in sorted(self.grants)}
        described = None if self.description is None else dict(self.description)
        file = _File(spec=self.spec.token, grants=grants, description=described)
        return file.model_dump_json(indent=1) + "\n"

    @property
    def digest(self) -> str:
        """Which job it is: the digest of its spec."""
        return self.spec.digest

    @cached_property
    def program(self) -> Program:
        """What is computed."""
        return program_of(self.spec.statement.program)

    @cached_property
    def plan(self) -> Plan:
        """What follows from the program."""
        return plan_of(self.spec.statement.program)

    def require_time(self, now: float) -> None:
        """Check that something can be sent still.

        Args:
            now: Seconds since 1970.

        Raises:
            PeerError: FS-347 after the deadline, FS-345 when a grant has expired.
        """
        statement = self.spec.statement
        if not now < statement.deadline:
            raise PeerError("FS-347", f"job {statement.name}")
        if any(not now < grant.statement.expires for grant in self.grants.values()):
            raise PeerError("FS-345", "a grant has expired")


def require_proposer(federation: Federation, spec: Signed[JobSpec]) -> None:
    """Check that a party may propose this kind of job.

    Raises:
        PeerError: FS-703.
    """
    role, _ = federation.find(spec.signer)
    if spec.statement.is_service and role is not Role.MODEL_OWNER:
        raise PeerError("FS-703", f"{spec.signer} is {role} and serves a model")


def require_description(spec: JobSpec, description: Mapping[str, Any] | None) -> None:
    """Check that a description is the one that a spec names.

    Raises:
        PeerError: FS-701.
    """
    try:
        digest = None if description is None else description_digest(description)
    except (ValueError, RecursionError) as error:
        raise PeerError("FS-701", "the description has no canonical form") from error
    if digest != spec.description:
        raise PeerError("FS-701", "the description is not the one that the spec names")


def require_grants(
    federation: Federation, spec: Signed[JobSpec], tokens: Mapping[str, str]
) -> dict[str, Signed[JobGrant]]:
    """Return the grants by aggregator. Run by everybody who takes part.

    Raises:
        PeerError: FS-344 when one is missing, FS-345 when one does not fit, FS-7xx of
            signatures.
    """
    grants = [signing.verify(token, JobGrant, federation) for token in tokens.values()]
    return require_pair(federation, spec, grants)


def _read(path: Path) -> _File:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise OperatorError("FS-801", f"{path}: {error.strerror}") from error
    if not len(content) <= MAX_FILE:
        raise PeerError("FS-701", f"{path} has more than {MAX_FILE} bytes")
    try:
        return _File.model_validate_json(content)
    except ValidationError as error:
        raise PeerError("FS-701", f"{path} is no job: {explain(error)}") from error
