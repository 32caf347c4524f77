"""What people send: a few short fields, from a page of this console."""

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from fedsecure.console.sessions import Session
from fedsecure.errors import PeerError

MAX_BODY: Final = 16 * 2**10  # bytes
MAX_FIELDS: Final = 8
TOKEN: Final = "form_token"  # noqa: S105 - the field's name


async def read_form(request: Request) -> Mapping[str, str]:
    """Return a form's fields.

    Raises:
        PeerError: FS-586 when it is none, or too long.
    """
    body = b""
    async for piece in request.stream():
        body += piece
        if not len(body) <= MAX_BODY:
            raise PeerError("FS-586", f"it has more than {MAX_BODY:,} bytes")
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise PeerError("FS-586", "it is no form as browsers send them") from error
    return dict(fields)


async def read_own_form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form that a page of this session held.

    Raises:
        PeerError: FS-584 when it was another's, FS-586 as `read_form`.
    """
    fields = await read_form(request)
    session: Session | None = request.state.session
    sent = fields.get(TOKEN, "").encode()
    if session is None or not hmac.compare_digest(sent, session.form_token.encode()):
        raise PeerError("FS-584", "it does not hold this session's token")
    return fields


def local(path: str) -> str:
    """Return a path of this console to go on to; the start page for anything else."""
    if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isascii():
        return path if path.isprintable() else "/"
    return "/"
