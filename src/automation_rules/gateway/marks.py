"""Marks: how a portal tells, on every request, whose session it is.

Only the portal knows its sessions, and a proxy cannot ask it. So the portal signs, once for each
session, who it belongs to, and sets that as a cookie beside its own: a JSON Web Token (RFC 7519)
that is worth nothing beside any other session.

Claims, all of them required: ``kind`` is ``person``, ``visitor`` (nobody is signed in) or
``automation``, which also has ``account``, the account's id in the registry; ``session`` is the
SHA-256 of the value of the portal's own session cookie, in base64url without padding; ``iat`` and
``exp`` are when it was signed and when it ends, in seconds since 1970.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from ..clock import SystemClock
from ..errors import FieldError, InvalidInputError
from .callers import Automation, Person, Visitor

if TYPE_CHECKING:
    from ..clock import Clock
    from .callers import Caller

__all__ = ["COOKIE", "Marks"]

COOKIE: Final = "automation_rules_mark"
"""The name of the cookie that a mark is set as."""

LASTS: Final = timedelta(hours=12)

AHEAD: Final = timedelta(seconds=60)
"""How far the portal's clock may be ahead of the one that marks are read by."""

_REQUIRED: Final = ("kind", "session", "iat", "exp")
_MOST_ID: Final = 200
_MOST_KEY: Final = 16_384
# No key that is no secret looks like this: neither PEM, SSH nor JSON does.
_SECRET: Final = re.compile(rb"[A-Za-z0-9+/_=-]{32,}")
# RFC 6265, section 4.1.1, without what some programs read as quotes or escapes.
_VALUE: Final = re.compile(r"[!#$&'()*+\-./0-9:<=>?@A-Z\[\]^_`a-z{|}~%]+")
_UNUSUAL: Final = re.compile(r"[^a-z0-9]")


class Marks:
    """Signs a portal's marks, and reads them.

    ``key`` is a key pair of the portal's, Ed25519 in PEM, of which the public key is enough to
    read marks; or a secret that portal and service share, of at least 32 characters, each of
    ``A-Z a-z 0-9 + / _ - =``. A pair signs with EdDSA (RFC 8037), a secret with HS256: which one
    it is hangs on the key alone, never on what a mark says of itself.
    """

    def __init__(self, key: str | bytes, *, clock: Clock | None = None) -> None:
        """Use ``key``, and the machine's clock unless given another.

        Raises:
            InvalidInputError: the key is neither; never says what it holds.
        """
        self._clock = clock or SystemClock()
        self._signs, self._reads, self._algorithm = _keys(
            key.encode() if isinstance(key, str) else key
        )

    @classmethod
    def from_file(cls, path: Path | str, *, clock: Clock | None = None) -> Marks:
        """Use the key in a file; a secret may be followed by an end of line.

        Raises:
            InvalidInputError: the file cannot be read, or holds no such key.
        """
        try:
            with Path(path).open("rb") as file:
                key = file.read(_MOST_KEY)
        except OSError as error:
            problem = f"{path} cannot be read: {error.strerror or type(error).__name__}"
            raise _wrong(problem) from None
        return cls(key, clock=clock)

    def sign(self, caller: Caller, session: str, *, lasts: timedelta = LASTS) -> str:
        """Return the mark of a session, the value for the cookie `COOKIE`.

        ``session`` is the value of the portal's own session cookie, as it will be sent.

        Raises:
            InvalidInputError: the key is a public one, nobody can be told by such a session or
                account, or the mark would not last.
            ClockError: the time cannot be read.
        """
        if self._signs is None:
            raise _wrong("is a public key, which only reads marks: sign with the private one")
        if not _VALUE.fullmatch(session):
            problem = 'must be what a cookie holds without quotes: visible ASCII, without , ; " \\'
            raise InvalidInputError([FieldError("/session", problem)])
        if lasts < timedelta(seconds=1):
            raise InvalidInputError([FieldError("/lasts", "must be a second or longer")])
        claims: dict[str, Any] = {"session": _digest(session)}
        match caller:
            case Person():
                claims["kind"] = "person"
            case Visitor():
                claims["kind"] = "visitor"
            case Automation(account_id):
                if not _is_id(account_id):
                    problem = f"must be text of 1 to {_MOST_ID} characters"
                    raise InvalidInputError([FieldError("/account_id", problem)])
                claims |= {"kind": "automation", "account": account_id}
        now = self._clock.now()
        claims |= {"iat": int(now.timestamp()), "exp": int((now + lasts).timestamp())}
        return jwt.encode(claims, self._signs, self._algorithm)

    def read(self, mark: str, session: str) -> Caller | None:
        """Return whose session a mark says ``session`` is, or None when it says nothing.

        It says nothing unless it was signed with the key, for this session, and has not ended.

        Raises:
            ClockError: the time cannot be read.
        """
        try:
            claims = jwt.decode(
                mark,
                self._reads,
                [self._algorithm],
                # Times are compared below, by the clock that everything goes by.
                {"require": list(_REQUIRED), "verify_exp": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, ValueError):
            return None
        now = self._clock.now().timestamp()
        signed, ends = claims["iat"], claims["exp"]
        if not (_is_time(signed) and _is_time(ends)):
            return None
        if not signed - AHEAD.total_seconds() <= now < ends or claims["session"] != _digest(
            session
        ):
            return None
        account = claims.get("account")
        match claims["kind"], account:
            case "person", None:
                return Person()
            case "visitor", None:
                return Visitor()
            case "automation", str() if _is_id(account):
                return Automation(account)
        return None

    def read_cookies(self, cookies: str, session_cookie: str) -> Caller | None:
        """Return who a request is from by its ``Cookie`` field, or None when that is in doubt.

        It is, unless the mark and the portal's own ``session_cookie`` are there once each, under
        every spelling that some program might take for theirs.

        Raises:
            ClockError: the time cannot be read.
        """
        mark, session = _only(cookies, COOKIE), _only(cookies, session_cookie)
        return None if mark is None or session is None else self.read(mark, session)


def _keys(
    key: bytes,
) -> tuple[Ed25519PrivateKey | bytes | None, Ed25519PublicKey | bytes, str]:
    """Return what signs, what reads, and the algorithm of both."""
    if b"-----BEGIN" not in key:
        secret = key.strip()
        if not _SECRET.fullmatch(secret):
            raise _wrong(
                "must be an Ed25519 key in PEM, or a secret of at least 32 characters, each of "
                "A-Z a-z 0-9 + / _ - ="
            )
        return secret, secret, "HS256"
    try:
        if b"PRIVATE KEY" in key:
            private = load_pem_private_key(key, None)
            if isinstance(private, Ed25519PrivateKey):
                return private, private.public_key(), "EdDSA"
        else:
            public = load_pem_public_key(key)
            if isinstance(public, Ed25519PublicKey):
                return None, public, "EdDSA"
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise _wrong("cannot be read: it must be PEM, without a password") from None
    raise _wrong("must be an Ed25519 key, not one of another kind")


def _wrong(problem: str) -> InvalidInputError:
    return InvalidInputError([FieldError("/mark_key", problem)])


def _digest(session: str) -> str:
    return urlsafe_b64encode(sha256(session.encode()).digest()).rstrip(b"=").decode()


def _is_time(claim: object) -> bool:
    return isinstance(claim, int) and not isinstance(claim, bool)


def _is_id(account: object) -> bool:
    return isinstance(account, str) and 1 <= len(account) <= _MOST_ID


def _only(cookies: str, name: str) -> str | None:
    """Return the value of the cookie ``name``, unless another program might see it otherwise."""
    wanted = _plainly(name)
    found = [
        (spelled, value)
        for spelled, _, value in (pair.partition("=") for pair in re.split("[;,]", cookies))
        if _plainly(spelled) == wanted
    ]
    if len(found) != 1:
        return None
    [(spelled, value)] = found
    value = value.rstrip(" \t")
    return value if spelled.lstrip(" \t") == name and _VALUE.fullmatch(value) else None


def _plainly(name: str) -> str:
    """Return a name as the most lenient reader would have it."""
    return _UNUSUAL.sub("_", unquote(name).strip(" \t\r\n\v\f\"'").lower())
