"""Real nginx, Caddy, Traefik and Envoy on sockets of their own, between a client and a portal.

They run the files of ``examples/gateway/`` as they stand, but for the addresses in them.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from websockets.server import ServerProtocol

from gateway_shells import Answer, request
from tools import tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLES: Final = Path(__file__).parent.parent / "examples"
NAMES: Final = ("nginx", "caddy", "traefik", "envoy")

_BIN: Final = Path(sys.executable).parent
_STARTS_WITHIN: Final = 30.0
_TRIES: Final = 3


def _nginx(folder: Path) -> list[str]:
    user = " user root;" if getattr(os, "geteuid", lambda: 1)() == 0 else ""
    return [tool("nginx"), "-p", str(folder), "-c", "nginx.conf", "-g", f"daemon off;{user}"]


_COMMANDS: Final[dict[str, Callable[[Path], list[str]]]] = {
    "nginx": _nginx,
    "caddy": lambda _: [str(_BIN / "caddy"), "run"],
    "traefik": lambda _: [str(_BIN / "traefik"), "--configFile=traefik.yaml"],
    "envoy": lambda _: [
        *(str(_BIN / "envoy"), "-c", "envoy.yaml", "--use-dynamic-base-id"),
        *("--concurrency", "1", "--log-level", "error"),
    ],
}


# --- the portal ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Received:
    """A request as it came over the wire to the portal."""

    line: str
    fields: tuple[tuple[str, str], ...]
    length: int
    digest: str

    @property
    def method(self) -> str:
        """Its method."""
        return self.line.split(" ", 1)[0]

    @property
    def target(self) -> str:
        """Its target: path and query, to the letter."""
        return self.line.split(" ", 1)[1].rsplit(" ", 1)[0]

    def all(self, name: str) -> list[str]:
        """Return the values of a field, for whoever reads "_" and "-" alike."""
        wanted = name.lower().replace("_", "-")
        return [value for n, value in self.fields if n.lower().replace("_", "-") == wanted]


@dataclass
class Portal:
    """A portal that remembers what reached it; it talks back over a websocket."""

    port: int = 0
    seen: list[Received] = field(default_factory=list)

    def take(self) -> list[Received]:
        """Return what has been seen since the last time."""
        seen, self.seen = self.seen, []
        return seen


GREETING: Final = b"The portal's own words."
FORBIDDEN: Final = b"The portal's own refusal."


@contextmanager
def serving_portal() -> Iterator[Portal]:
    """Serve a portal."""
    portal = Portal()

    class Handler(socketserver.StreamRequestHandler):
        """Answers one connection's requests, one after the other."""

        def handle(self) -> None:
            """Serve until the other side closes."""
            with suppress(ConnectionError):
                while self._serve_one():
                    pass

        def _serve_one(self) -> bool:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = self.rfile.readline()
                if not line:
                    return False
                head += line
            lines = head.decode("latin-1").split("\r\n")[:-2]
            pairs = [line.split(":", 1) for line in lines[1:]]
            fields = tuple((name, value.strip()) for name, value in pairs)
            length, digest = self._body({n.lower(): value for n, value in fields})
            received = Received(lines[0], fields, length, digest)
            portal.seen.append(received)
            if [value.lower() for value in received.all("upgrade")] == ["websocket"]:
                self._talk(head)
                return False
            if "forbidden" in received.target:
                self._answer("403 Forbidden", FORBIDDEN)
            else:
                self._answer("200 OK", GREETING, with_body=received.method != "HEAD")
            return True

        def _body(self, fields: dict[str, str]) -> tuple[int, str]:
            digest, total = hashlib.sha256(), 0
            chunked = fields.get("transfer-encoding") == "chunked"
            left = (
                int(self.rfile.readline(), 16) if chunked else int(fields.get("content-length", 0))
            )
            while left:
                while left:
                    data = self.rfile.read(min(left, 65_536))
                    left -= len(data)
                    total += len(data)
                    digest.update(data)
                if chunked:
                    self.rfile.readline()
                    left = int(self.rfile.readline(), 16)
            if chunked:
                self.rfile.readline()
            return total, digest.hexdigest()

        def _answer(self, status: str, body: bytes, *, with_body: bool = True) -> None:
            lines = [f"HTTP/1.1 {status}", "Content-Type: text/plain", "X-Portal: yes"]
            head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
            self.wfile.write(head.encode() + (body if with_body else b""))

        def _talk(self, head: bytes) -> None:
            protocol = ServerProtocol()
            protocol.receive_data(head)
            [opening] = protocol.events_received()
            protocol.send_response(protocol.accept(opening))  # type: ignore[arg-type]
            while True:
                for data in protocol.data_to_send():
                    if not data:
                        return
                    self.connection.sendall(data)
                data = self.connection.recv(65_536)
                if not data:
                    return
                protocol.receive_data(data)
                for event in protocol.events_received():
                    if getattr(event, "opcode", None) == 1:
                        protocol.send_text(b"you said " + event.data)  # type: ignore[union-attr]

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 100

    with Server(("127.0.0.1", 0), Handler) as server:
        portal.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield portal
        finally:
            server.shutdown()
            thread.join(20)


# --- the proxies --------------------------------------------------------------------------------


@contextmanager
def running(name: str, folder: Path, portal: int, *services: int) -> Iterator[int]:
    """Run a proxy in ``folder``, between the ports of a portal and services; give its port.

    Only nginx is given more than one service.
    """
    for attempt in range(_TRIES):
        place = folder / f"{name}-{attempt}"
        place.mkdir(parents=True)
        port = _free_port()
        with ExitStack() as stack:
            if stack.enter_context(_running(name, place, port, portal, services)):
                yield port
                return
    raise AssertionError((place / "output.txt").read_text("utf-8", "replace")[-2000:])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextmanager
def _running(
    name: str, place: Path, port: int, portal: int, services: tuple[int, ...]
) -> Iterator[bool]:
    """Run a proxy; give whether it started: another process may have taken its port."""
    service, *more = services
    servers = "".join(f"server 127.0.0.1:{other};" for other in more)
    for file in (EXAMPLES / "gateway").iterdir():
        text = file.read_text("utf-8")
        for written, actual in ((8080, port), (8000, portal), (8181, service)):
            for form in ("127.0.0.1:{}", "port_value: {}", "\n:{}"):
                text = text.replace(form.format(written), form.format(actual))
        line = f"server 127.0.0.1:{service};"
        (place / file.name).write_text(text.replace(line, line + servers), "utf-8")
    with (place / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            _COMMANDS[name](place),
            cwd=place,
            env={**os.environ, "HOME": str(place), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": ""},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _has_started(process, port)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _has_started(process: subprocess.Popen[Any], port: int) -> bool:
    """Wait until it answers, or asks; Traefik answers 404 before it has read its routes."""
    until = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < until and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
                connection.sendall(request("/health"))
                if b" 404 " not in connection.recv(64):
                    return True
        except TimeoutError:
            return True
        except OSError:
            pass
        time.sleep(0.02)
    return False


# --- the client ---------------------------------------------------------------------------------


def exchange(port: int, data: bytes) -> Answer:
    """Send a request, however long, and return the answer.

    Whoever answers may do so before it has read all, and need not close then.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:

        def write() -> None:
            with suppress(OSError):
                connection.sendall(data)

        writer = threading.Thread(target=write)
        writer.start()
        found = bytearray()
        with suppress(ConnectionError):
            while not _is_whole(bytes(found)) and (chunk := connection.recv(65_536)):
                found += chunk
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        writer.join(60)
    return Answer(bytes(found))


def _is_whole(found: bytes) -> bool:
    head, end, body = found.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
    return bool(end) and length is not None and len(body) >= int(length[1])
