"""Errors as problem documents (RFC 9457), each with its stable code and its remedy.

    {"type": "urn:fedsecure:problem:FS-312", "title": ..., "status": 409,
     "detail": ..., "code": "FS-312", "remedy": ...}

What is wrong with this server itself is told to its operator, in the log; others hear
the code and that it can be repeated.
"""

from http import HTTPStatus
from typing import Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from fedsecure.errors import PROBLEMS, FedsecureError, OperatorError, Problem
from fedsecure.system.wording import say
from fedsecure_aggregator.http.prometheus import Metrics

MEDIA_TYPE: Final = "application/problem+json"
UNSAID: Final = "see the log of this aggregator"
_HTTP: Final = {HTTPStatus.NOT_FOUND: "FS-530", HTTPStatus.METHOD_NOT_ALLOWED: "FS-531"}

log = structlog.get_logger()


def add_handlers(app: FastAPI, metrics: Metrics) -> None:
    """Answer every error of an app with a problem document, and count it.

    The handlers are coroutines, or each refusal would take a thread.
    """

    def answer(
        request: Request, code: str, detail: str, status: int | None = None
    ) -> JSONResponse:
        if not PROBLEMS[code].undecided:
            metrics.refused.labels(code).inc()
            about = {
                name: request.path_params[path]
                for name, path in (("round", "round_id"), ("job", "job_id"))
                if path in request.path_params
            }
            log.info("refused", code=code, **about)
        return document(PROBLEMS[code], detail, status or PROBLEMS[code].status)

    async def ours(request: Request, error: Exception) -> JSONResponse:
        return answer(request, *_told(error))

    async def validation(request: Request, error: Exception) -> JSONResponse:
        return answer(request, "FS-532", _first(error))

    async def http(request: Request, error: Exception) -> JSONResponse:
        status = error.status_code if isinstance(error, HTTPException) else 400
        code = _HTTP.get(HTTPStatus(status), "FS-532")
        return answer(request, code, HTTPStatus(status).phrase, status)

    async def cut_off(request: Request, _: Exception) -> JSONResponse:
        return answer(request, "FS-313", "the connection was cut")

    async def unforeseen(request: Request, _: Exception) -> JSONResponse:
        return answer(request, "FS-540", UNSAID)

    app.add_exception_handler(FedsecureError, ours)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(ClientDisconnect, cut_off)
    app.add_exception_handler(Exception, unforeseen)


def document(problem: Problem, detail: str, status: int) -> JSONResponse:
    """Return the answer that says what is wrong."""
    headers = {}
    if problem.retry is not None:
        headers["Retry-After"] = str(problem.retry)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    content = {
        "type": f"urn:fedsecure:problem:{problem.code}",
        "title": problem.title,
        "status": status,
        "detail": detail,
        "code": problem.code,
        "remedy": problem.remedy,
    }
    return JSONResponse(content, status, headers, media_type=MEDIA_TYPE)


def _told(error: Exception) -> tuple[str, str, int | None]:
    """Return code, detail and status of one of our own errors."""
    if not isinstance(error, FedsecureError):
        return "FS-540", UNSAID, None
    if not isinstance(error, OperatorError):
        return error.code, error.detail, None
    log.error("request failed", code=error.code, detail=error.detail)
    server_side = error.problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    status = error.problem.status if server_side else HTTPStatus.INTERNAL_SERVER_ERROR
    return error.code, UNSAID, status


def _first(error: Exception) -> str:
    if not isinstance(error, RequestValidationError):
        return ""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {say(first)}"
