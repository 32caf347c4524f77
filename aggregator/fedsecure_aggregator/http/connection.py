"""A connection of an aggregator: refused as everywhere, by a problem document."""

from http import HTTPStatus

from fedsecure.errors import Problem
from fedsecure.transport.bounded_connection import MAX_HEAD
from fedsecure_aggregator.http.body_stream import StreamingConnection
from fedsecure_aggregator.http.problems import document

__all__ = ["MAX_HEAD", "Connection"]


class Connection(StreamingConnection):
    """A client's connection; uvicorn makes one for each."""

    def refusal(self, problem: Problem, detail: str) -> tuple[bytes, bytes]:
        """Return the headers and the body of a problem document."""
        answer = document(problem, detail, HTTPStatus(problem.status))
        lines = [name + b": " + value for name, value in answer.raw_headers]
        return b"\r\n".join(lines), bytes(answer.body)
