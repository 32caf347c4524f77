"""What an upload costs without protection: a server that stores it unopened.

    python -m fedsecure_bench.servers.unprotected
        PARENT_PID HOST:PORT CERTIFICATE KEY FOLDER [STREAMED]

As durable as an aggregator, with the same TLS and settings; it checks nothing, opens
nothing and adds nothing. It is what one would write with Starlette and uvicorn; with
STREAMED it takes bodies off the wire in an aggregator's own way (`http.body_stream`).
"""

import asyncio
import os
import sys
from itertools import count
from pathlib import Path
from typing import IO, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from fedsecure.system.lifeline import tie_to
from fedsecure_aggregator.http.body_stream import (
    BODY_STREAM,
    StreamingConnection,
    protocol,
)

PATH: Final = "/upload"
READY: Final = "/health/ready"


def app(folder: Path) -> Starlette:
    """Return an application that stores what is put to `PATH`."""
    numbers = count()

    async def upload(request: Request) -> PlainTextResponse:
        path = folder / str(next(numbers))
        with path.open("xb") as file:
            if BODY_STREAM in request.scope.get("extensions", {}):
                await request.scope["extensions"][BODY_STREAM](file.write)
            else:
                async for piece in request.stream():
                    file.write(piece)
            await asyncio.to_thread(_sync, file)
        return PlainTextResponse("stored")

    async def ready(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("ready")

    return Starlette(routes=[Route(PATH, upload, methods=["PUT"]), Route(READY, ready)])


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def main() -> None:
    """Serve until the parent is gone."""
    parent, address, certificate, key, folder, *streamed = sys.argv[1:]
    tie_to(int(parent))
    host, _, port = address.rpartition(":")
    uvicorn.run(
        app(Path(folder)),
        host=host,
        port=int(port),
        loop="uvloop",
        http=protocol(StreamingConnection) if streamed else "httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )


if __name__ == "__main__":
    main()
