"""Keys, inputs and outputs of jobs: what a database must never hold.

A spool keeps of each job, under the digest of its spec:

    key       the private sealing key
    channel   this aggregator's channel key: 32 bytes
    inputs    one for each name: header length, header, payload, as received
    output    the sealed output share of a job that opens once

Its promises are those of the spool of rounds (`fedsecure_aggregator.storage.spool`).
"""

from typing import Protocol

from fedsecure_aggregator.storage.spool import KeySpool


def input_name(spec: str, name: str) -> str:
    """Return the name of a stored input."""
    return f"{spec}/inputs/{name}"


def output_name(spec: str) -> str:
    """Return the name of a job's sealed output."""
    return f"{spec}/output"


class JobSpool(KeySpool, Protocol):
    """Where one aggregator keeps what its database must never hold of jobs."""

    def jobs(self) -> list[str]:
        """Return the jobs of which something is here, in order.

        Raises:
            OperatorError: FS-524 when the spool is away.
        """

    def has_job(self, spec: str) -> bool:
        """Tell whether anything of a job is here."""

    def save_channel(self, spec: str, key: bytes) -> None:
        """Keep a job's channel key; durable on return.

        Raises:
            OperatorError: FS-523, FS-524, FS-526.
        """

    def load_channel(self, spec: str) -> bytes:
        """Read a job's channel key.

        Raises:
            OperatorError: FS-541 when it is damaged, FS-744, FS-801.
        """

    def has_channel(self, spec: str) -> bool:
        """Tell whether a job's channel key is there, and whole."""

    def scrub(self, spec: str) -> None:
        """Delete a job's keys and inputs; its output stays."""

    def discard(self, spec: str) -> None:
        """Delete all that is left of a job.

        Raises:
            OperatorError: FS-524 when something could not be deleted.
        """
