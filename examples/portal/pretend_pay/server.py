"""Serving the pretend provider on a port of this machine."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from .payments import PretendPay

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 50

    def server_bind(self) -> None:
        """Bind, without asking for this machine's name."""
        super(WSGIServer, self).server_bind()
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of those who gave up waiting."""


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Running:
    """A provider on a port, which can be taken down and brought up again on the same."""

    def __init__(self, pay: PretendPay, host: str, port: int) -> None:
        """Bring it up; port 0 is any free one."""
        self.pay = pay
        self._host = host
        self._port = port
        self.up()
        pay.address = f"http://{host}:{self._port}"

    def up(self) -> None:
        """Listen."""
        self._server = _Server((self._host, self._port), _Handler)
        self._server.set_app(self.pay)
        self._port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def down(self) -> None:
        """Refuse connections."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def running(key: str, host: str = "127.0.0.1", port: int = 0, **how: Any) -> Iterator[Running]:
    """Give a provider that runs."""
    server = Running(PretendPay(key, **how), host, port)
    try:
        yield server
    finally:
        server.pay.released.set()
        server.down()
