"""Asking a witness to sign a checkpoint (c2sp.org/tlog-witness).

A witness is somebody else's service that remembers the last checkpoint of a log that it saw, and
signs a new one only when that extends it. With its signature below a checkpoint, nobody can show
one log to one person and another to the next.

It is one request over HTTP, for which the standard library does: no dependency is needed.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from .checkpoint import NUMBER, Checkpoint
from .errors import LogError, StoreError, VerificationError
from .signed_note import Algorithm, SignedNote
from .tlog_proof import ConsistencyProof

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from email.message import Message

    from .signed_note import Signature, VerifierKey

    Prove = Callable[[int, int], Sequence[bytes]]

__all__ = ["SplitViewError", "add_checkpoint"]

_MOST_BYTES: Final = 65_536
_MOST_TRIES: Final = 4
_SECONDS: Final = 30
_SIZE_TYPE: Final = "text/x.tlog.size"


class SplitViewError(VerificationError):
    """A witness saw another log under the same name: somebody is shown something else.

    ``size`` is how many entries the witness has signed, when it said so.
    """

    def __init__(self, message: str, *, size: int | None) -> None:
        """Say what the witness answered, and to which size."""
        super().__init__(message)
        self.size = size


def add_checkpoint(
    url: str, note: bytes, old: int, prove: Prove, keys: Collection[VerifierKey]
) -> dict[VerifierKey, Signature]:
    """Submit a checkpoint to the witness at ``url``; return its cosignatures, verified.

    ``note`` is the checkpoint, signed by the log; ``old`` is the size that the witness signed
    last as far as is known, else 0; ``prove(old, new)`` gives a consistency proof; ``keys`` are
    the witness's verifier keys. When the witness names another size, it is asked again from there.

    Raises:
        SplitViewError: it saw another log under this name. Do not go on: keep both checkpoints.
        VerificationError: it signed for more entries than there are, or did not sign.
        StoreError: the URL or a key is no witness's, or the witness does not know the log.
        LogError: it cannot be reached, or answers something else.
    """
    target = _target(url)
    for key in keys:
        if key.algorithm is Algorithm.ED25519:
            raise StoreError(
                f"the key of {key.name} is a log's: a witness has a verifier key of its own type"
            )
    signed = SignedNote.parse(note)
    size = Checkpoint.parse(signed.text).size
    for _ in range(_MOST_TRIES):
        hashes = tuple(prove(old, size)) if 0 < old < size else ()
        status, kind, body = _post(target, ConsistencyProof(old, hashes, note).to_bytes())
        if status == 409 and kind == _SIZE_TYPE:
            named = body.decode("ascii", "replace").removesuffix("\n")
            if not NUMBER.fullmatch(named):
                raise LogError(f"the witness at {url} names a size that is no number")
            if int(named) == old == size:
                raise _split_view(url, old)
            old = int(named)
            if old > size:
                raise VerificationError(
                    f"the witness has signed for {old} entries, and this log has {size}: it went "
                    "back, as after restoring a backup",
                    index=size,
                )
            continue
        if status == 200:
            return _cosignatures(url, signed, body, keys)
        raise _refused(url, status, old)
    raise LogError(f"the witness at {url} names another size each time: try again later")


def _cosignatures(
    url: str, note: SignedNote, body: bytes, keys: Collection[VerifierKey]
) -> dict[VerifierKey, Signature]:
    """Return the signatures in a witness's answer that are by the keys given."""
    try:
        return SignedNote.parse(note.text.encode() + b"\n" + body).verify(keys)
    except VerificationError as error:
        raise VerificationError(f"the witness at {url} answered, but {error}") from error


def _refused(url: str, status: int, old: int) -> Exception:
    """Return what to raise for an answer that is neither a signature nor a size."""
    if status in (409, 422):
        return _split_view(url, old)
    if status == 404:
        return StoreError(
            f"the witness at {url} does not know this log (or is not there): give its operator "
            "the origin and the verifier key that `automation-rules audit init` printed"
        )
    if status == 403:
        return StoreError(
            f"the witness at {url} knows other keys for this log: give its operator the verifier "
            "keys that `automation-rules audit keys` prints"
        )
    return LogError(f"the witness at {url} answered with HTTP status {status}: try again later")


def _split_view(url: str, size: int) -> SplitViewError:
    return SplitViewError(
        f"the witness at {url} has signed another log of this name: its first {size} entries are "
        "not the ones here. Stop, keep this state and its checkpoints as they are, and ask the "
        "witness for the checkpoint that it signed",
        size=size,
    )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects become errors: a checkpoint that is sent elsewhere would lose its body."""

    def redirect_request(self, *_: object) -> None:
        return None


def _target(url: str) -> str:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("https", "http") and bool(parts.hostname)
    except ValueError:
        known = False
    if not known or set(url) & {"?", "#"} or not url.isascii() or not url.isprintable():
        raise StoreError("a witness's URL has the form https://witness.example/prefix")
    return f"{url.rstrip('/')}/add-checkpoint"


def _post(target: str, body: bytes) -> tuple[int, str, bytes]:
    """Send a request; return the status, the content type and the body of the answer."""
    request = urllib.request.Request(  # noqa: S310 - the scheme was looked at
        target, data=body, headers={"Content-Type": "text/plain; charset=utf-8"}, method="POST"
    )
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        try:
            with opener.open(request, timeout=_SECONDS) as answer:
                return answer.status, _kind(answer.headers), _body(answer.read(_MOST_BYTES + 1))
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, _kind(answer.headers), _body(answer.read(_MOST_BYTES + 1))
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise LogError(f"the witness cannot be reached: {type(error).__name__}") from error


def _kind(headers: Message) -> str:
    return headers.get_content_type()


def _body(data: bytes) -> bytes:
    if len(data) > _MOST_BYTES:
        raise LogError(f"the witness answered with more than {_MOST_BYTES} bytes")
    return data
