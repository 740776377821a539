"""Serves the review page on 127.0.0.1 and nowhere else, until it is interrupted."""

import re
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from clew.core.case import Case
from clew.core.errors import ClewError, Usage
from clew.review import schemes
from clew.review.app import HOST, create_app
from clew.review.guard import Keys

PSEUDONYM = re.compile(r"[\w.-]{1,40}")


def review(case: Case, *, reviewer: str, port: int, scheme: str, announce: Callable[[str], None]) -> None:
    """Serves until interrupted; `announce` gets the one-time address once the page answers.

    Raises Usage for a bad pseudonym or scheme or a port in use, Refused without a Mandate for review.
    """
    if not PSEUDONYM.fullmatch(reviewer):
        raise Usage(f"{reviewer!r} cannot be a reviewer's name", "use a pseudonym of up to 40 letters, digits, . _ -")
    keys = Keys()
    app = create_app(case, reviewer=reviewer, scheme=schemes.load(scheme), keys=keys)
    with _listen(port) as listening:
        address = f"http://{HOST}:{listening.getsockname()[1]}/enter?token={keys.token}"
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3
        )
        server = _Announcing(config, lambda: announce(address))
        with suppress(KeyboardInterrupt):  # how a person ends it: uvicorn has shut down, then raises the signal again
            server.run(sockets=[listening])


class _Announcing(uvicorn.Server):
    """uvicorn, which says once that it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts as uvicorn does, then announces."""
        await super().startup(sockets)
        self._ready()


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        raise ClewError(
            f"port {port} is not free: {error.strerror}", "leave --port out: a free one is taken"
        ) from error
    return listening
