"""The application: routers behind the guard, and every error as a page."""

from collections.abc import Sequence
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from fedsecure.console.common import Common
from fedsecure.console.guard import Guard
from fedsecure.console.shell import Console
from fedsecure.errors import FedsecureError, OperatorError, PeerError


def create_app(console: Console, routers: Sequence[APIRouter]) -> ASGIApp:
    """Return the application; run by `server`."""
    app = FastAPI(openapi_url=None, title="fedsecure console")
    _add_handlers(app, console)
    for router in (Common(console).router(), *routers):
        app.include_router(router)

    def refused(error: FedsecureError) -> Response:
        """Answer a request that reaches no page: in a few words, with no link."""
        content = console.pages.render("refused.html", problem=error)
        return HTMLResponse(content, error.problem.status)

    return Guard(app, console.place, console.sessions, refused)


def _add_handlers(app: FastAPI, console: Console) -> None:
    def ours(request: Request, error: Exception) -> Response:
        status = status_of(error)
        return console.page(request, "problem.html", status, problem=error)

    def http(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 400
        told = PeerError("FS-585", HTTPStatus(status).phrase.lower())
        return console.page(request, "problem.html", status, problem=told)

    def validation(request: Request, _: Exception) -> Response:
        return ours(request, PeerError("FS-586", "the address has no such meaning"))

    app.add_exception_handler(FedsecureError, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, validation)


def status_of(error: Exception) -> int:
    """Return the HTTP status with which a console answers an error."""
    if not isinstance(error, FedsecureError):
        return HTTPStatus.INTERNAL_SERVER_ERROR
    if error.problem.absent:
        return HTTPStatus.NOT_FOUND
    if isinstance(error, OperatorError):
        return HTTPStatus.INTERNAL_SERVER_ERROR
    return error.problem.status
