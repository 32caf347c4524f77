"""What a party lets be made of its numbers, decided before anything is sealed.

The steps, in order, each with the code of its refusal:
    (1) this party shares numbers in jobs at all                     FS-448
    (2) it agreed to who receives an output that they are in         FS-442
    (3) such an output mixes the numbers of enough parties           FS-447

What a party proposed itself, and what nobody else receives, is its own business.
"""

from dataclasses import dataclass
from typing import Final

from fedsecure.compute.programs.mixing import Mixing
from fedsecure.errors import PeerError
from fedsecure.membership.jobs_policy import JobsPolicy
from fedsecure.protocol.jobs.statements import JobSpec

NEVER: Final = "there is no section [policy.jobs]"


@dataclass(frozen=True, slots=True)
class OwnRules:
    """The section [policy.jobs] of a party; without one, `why` says why not."""

    jobs: JobsPolicy | None
    why: str = NEVER

    def require(self, me: str, spec: JobSpec, mixing: Mixing) -> None:
        """Check a job that asks this party for numbers. Run by their owner.

        Args:
            me: The party.
            spec: Of the job.
            mixing: Whose numbers are in its outputs.

        Raises:
            PeerError: FS-442, FS-447, FS-448.
        """
        if spec.proposer == me:
            return
        jobs = self.jobs
        if jobs is None:  # (1)
            raise PeerError("FS-448", self.why)
        receiver = spec.receiver or spec.proposer
        if receiver not in jobs.receivers:  # (2)
            named = ", ".join(sorted(jobs.receivers)) or "nobody"
            raise PeerError("FS-442", f"{receiver} receives, receivers is {named}")
        for output in mixing.outputs_of(me):  # (3)
            mixed = mixing.parties(output, me) - {receiver}
            if len(mixed) < jobs.min_owners:
                raise PeerError(
                    "FS-447",
                    f"{output} mixes {len(mixed)} ({', '.join(sorted(mixed))}), "
                    f"min_owners is {jobs.min_owners}{mixing.hint(output, me)}",
                )
