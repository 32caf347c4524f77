"""The SuperLink's process: Flower's own server, guarded, and bound to its owner.

    python -m fedsecure.frameworks.flower.runtime.child
        PARENT_PID SECRET_FILE KIND FLAG...

It runs what the command `flower-superlink` runs, with `OwnerOnly` in front, `scoped`
middlewares and bounded connections, unless KIND is `bare`, and ends itself when its
owner has died, however it died.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import uvicorn
from flwr.superlink import main as superlink_main
from flwr.superlink.cli import flower_superlink

from fedsecure.frameworks.flower.runtime.guard import BARE, OwnerOnly, owner_token
from fedsecure.frameworks.flower.runtime.scoped_middlewares import scoped
from fedsecure.system.lifeline import tie_to
from fedsecure.transport.bounded_connection import Bounded
from fedsecure.transport.connection_limits import BoundedServer

STILL_SECONDS: Final = 60  # that a connection may stand still
NOT_STARTED: Final = 3  # uvicorn's own exit code


def guard(token: str) -> None:
    """Have Flower build its application with `OwnerOnly` around it."""
    create_app = superlink_main.create_app

    def create_guarded_app(*args: object, **kwargs: object) -> Any:
        app = create_app(*args, **kwargs)
        app.add_middleware(OwnerOnly, token=token)
        return app

    superlink_main.create_app = create_guarded_app


def hasten() -> None:
    """Have Flower build its application with middlewares only where they matter."""
    middlewares = superlink_main._get_middleware
    superlink_main._get_middleware = lambda: scoped(middlewares())


def bound() -> None:
    """Have Flower serve its application over connections that are bounded."""
    uvicorn.run = _run


def _run(app: Any, **options: Any) -> None:
    options |= {"http": Bounded, "ws": "none", "timeout_keep_alive": STILL_SECONDS}
    server = BoundedServer(uvicorn.Config(app, **options))
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(NOT_STARTED)


def main(parent: str, secret_file: str, kind: str, *flags: str) -> None:
    """Run the SuperLink until it is told to stop or its owner is gone."""
    tie_to(int(parent))
    if kind != BARE:
        guard(owner_token(Path(secret_file).read_bytes()))
        hasten()
        bound()
    secret_flags = ["--superexec-auth-secret-file", secret_file]
    sys.argv = ["flower-superlink", *flags, *secret_flags]
    flower_superlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
