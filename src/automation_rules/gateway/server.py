"""Serving an application on a socket with uvicorn, until the process is told to end.

Ending loses no answer: what has been asked by then is answered first.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp

__all__ = ["serve"]

MAX_HEAD: Final = 32_768
"""The most bytes of a request's line and header fields."""

HEAD_SECONDS: Final = 10.0
"""How long the line and header fields of a request may take to arrive."""

IDLE_SECONDS: Final = 75
"""How long a connection is kept between requests: longer than proxies keep theirs."""

END_SECONDS: Final = 30
"""How long answers that are under way may take when the process ends."""


def serve(
    app: ASGIApp,
    listener: socket.socket,
    announce: Callable[[], None],
    *,
    certificate: Path | None = None,
    key: Path | None = None,
) -> None:
    """Serve ``app`` on a bound socket; return when the process is told to end by ``SIGTERM``.

    ``announce`` is called when it serves, and would end as it should.

    With ``certificate``, a chain, and its ``key``, both PEM files, by TLS 1.2 or later.

    Raises:
        OSError: the certificate or the key cannot be read, or they do not belong together.
        KeyboardInterrupt: the process was interrupted; all answers were given.
    """
    config = uvicorn.Config(
        app,
        http=_LimitedHttp,
        ws="none",
        lifespan="off",
        interface="asgi3",
        # Addresses and paths are personal, and every decision has a line of its own.
        access_log=False,
        log_config=None,
        log_level="error",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=END_SECONDS,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    config.load()
    server = _Server(config, announce)

    def end(*_: object) -> None:
        server.should_exit = True

    # When it has ended, uvicorn raises the signal again: then it must not kill the process, which
    # still has its log to close.
    for name in ("SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()


class _LimitedHttp(HttpToolsProtocol):
    """HTTP in which a request's head must arrive soon and be short; uvicorn limits neither."""

    _late: asyncio.TimerHandle | None = None
    _is_in_head = False
    _head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._end_head()
        self._begin_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        was_in_head = self._is_in_head
        super().data_received(data)
        if was_in_head and self._is_in_head and not self.transport.is_closing():
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.send_400_response("The head of the request is too large.")

    def _begin_head(self) -> None:
        self._is_in_head, self._head = True, 0
        self._late = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _end_head(self) -> None:
        self._is_in_head = False
        if self._late is not None:
            self._late.cancel()
            self._late = None
