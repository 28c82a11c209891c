"""A witness as c2sp.org/tlog-witness describes it, for the tests: a real server on this machine."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

from automation_rules.checkpoint import Checkpoint
from automation_rules.errors import VerificationError
from automation_rules.merkle import Head, verify_consistency
from automation_rules.signed_note import Algorithm, SignedNote, SignerKey
from automation_rules.tlog_proof import ConsistencyProof

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automation_rules.signed_note import VerifierKey

Answer = tuple[int, str, bytes]


class Witness:
    """What a witness remembers: the logs that it knows, and the last checkpoint of each."""

    def __init__(self, name: str = "witness.example/w1") -> None:
        """Begin with a key and no logs."""
        self.key = SignerKey.generate(name, Algorithm.COSIGNATURE)
        self.logs: dict[str, list[VerifierKey]] = {}
        self.seen: dict[str, Head] = {}
        self.requests: list[bytes] = []
        self.time = 1_780_387_200
        self.url = ""
        self.answers: list[Answer] = []
        """What to answer instead, one after the other, before following the specification."""

    def trust(self, *keys: VerifierKey) -> None:
        """Know a log by its keys."""
        self.logs[keys[0].name] = list(keys)

    def add_checkpoint(self, body: bytes) -> Answer:
        """Follow the specification."""
        self.requests.append(body)
        if self.answers:
            return self.answers.pop(0)
        proof = ConsistencyProof.parse(body)
        note = SignedNote.parse(proof.checkpoint)
        checkpoint = Checkpoint.parse(note.text)
        if checkpoint.origin not in self.logs:
            return 404, "text/plain", b""
        try:
            note.verify(self.logs[checkpoint.origin])
        except VerificationError:
            return 403, "text/plain", b""
        if proof.old > checkpoint.size:
            return 400, "text/plain", b""
        seen = self.seen.get(checkpoint.origin, Head(0, b""))
        if proof.old != seen.size:
            return 409, "text/x.tlog.size", f"{seen.size}\n".encode()
        try:
            if proof.old:
                roots = seen.root, checkpoint.root
                verify_consistency(seen.size, roots[0], checkpoint.size, roots[1], proof.hashes)
            elif proof.hashes:
                return 422, "text/plain", b""
        except VerificationError:
            return 422, "text/plain", b""
        self.seen[checkpoint.origin] = checkpoint.head
        signature = self.key.sign(note.text, time=self.time)
        return 200, "text/plain", f"{signature}\n".encode()


@contextmanager
def serving(witness: Witness) -> Iterator[Witness]:
    """Let a witness answer at ``witness.url``."""

    class Handler(BaseHTTPRequestHandler):
        """Answers each request, and says nothing else."""

        owner: ClassVar[Witness] = witness

        def do_POST(self) -> None:
            """Answer a submission."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/prefix/add-checkpoint":
                status, kind, data = 404, "text/plain", b""
            else:
                status, kind, data = self.owner.add_checkpoint(body)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", data.decode())
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    witness.url = f"http://127.0.0.1:{server.server_port}/prefix"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield witness
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
