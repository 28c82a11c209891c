"""Marks: a proxy learns whose session it is from the portal alone, and from nothing forged."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from automation_rules import ClockError, FrozenClock, InvalidInputError
from automation_rules.gateway import Automation, Person, Visitor
from automation_rules.gateway.marks import COOKIE, Marks
from gateway_world import WORKDAY

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from automation_rules.gateway import Caller

SESSION = "s3ss10n.of-a_person"
SECRET = "made-up-secret-for-tests-only-0123456789"
BOT = Automation("acme-1")
HOUR = timedelta(hours=1)

_PAIR = Ed25519PrivateKey.generate()
PRIVATE = _PAIR.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PUBLIC = _PAIR.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def marks(key: str | bytes = SECRET, at: datetime = WORKDAY) -> Marks:
    """Return marks of a key, at an instant."""
    return Marks(key, clock=FrozenClock(at))


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of the bot's mark, with some changed; None leaves one out."""
    digest = hashlib.sha256(SESSION.encode()).digest()
    whole = {
        "kind": "automation",
        "account": "acme-1",
        "session": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "iat": int(WORKDAY.timestamp()),
        "exp": int((WORKDAY + HOUR).timestamp()),
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def signed(document: dict[str, Any]) -> str:
    """Sign claims as another language's library does, with the secret."""
    return jwt.encode(document, SECRET, "HS256")


@pytest.mark.parametrize("caller", [Person(), Visitor(), BOT, Automation("Gwesty'r Ddôl 1")])
@pytest.mark.parametrize(
    ("signs", "reads"), [(SECRET, SECRET), (PRIVATE, PUBLIC), (PRIVATE, PRIVATE)]
)
def test_a_mark_says_whose_session_it_is(
    caller: Caller, signs: str | bytes, reads: str | bytes
) -> None:
    """What the portal signed with its key is what is read with it, or with its public half."""
    mark = marks(signs).sign(caller, SESSION)
    assert marks(reads).read(mark, SESSION) == caller
    assert (
        marks(reads).read_cookies(f"a=b; session={SESSION}; {COOKIE}={mark}", "session") == caller
    )


def test_the_claims_are_those_that_are_documented() -> None:
    """A mark made by hand from the documented claims is read, so that any language can make it."""

    def part(document: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=")

    text = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims())
    signature = hmac.digest(SECRET.encode(), text, "sha256")
    mark = (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()
    assert marks().read(mark, SESSION) == BOT
    assert jwt.decode(marks().sign(BOT, SESSION, lasts=HOUR), options=_UNVERIFIED) == claims()
    assert jwt.get_unverified_header(marks(PRIVATE).sign(BOT, SESSION))["alg"] == "EdDSA"


_UNVERIFIED: Any = {"verify_signature": False}


def test_a_mark_is_worth_nothing_beside_another_session() -> None:
    """A person's mark cannot be used with a bot's session."""
    mark = marks().sign(Person(), SESSION)
    assert marks().read(mark, "s3ss10n.of-a_bot") is None
    assert marks().read(mark, "") is None
    assert marks().read_cookies(f"session=bot; {COOKIE}={mark}", "session") is None
    assert marks().read_cookies(f"{COOKIE}={mark}", "session") is None


@pytest.mark.parametrize(
    ("after", "is_read"),
    [
        (timedelta(0), True),
        (HOUR - timedelta(microseconds=1), True),
        (HOUR, False),
        (HOUR + timedelta(days=1), False),
        (timedelta(seconds=-60), True),
        (timedelta(seconds=-61), False),
    ],
)
def test_a_mark_ends(after: timedelta, *, is_read: bool) -> None:
    """A mark holds until it ends, and for clocks that differ a minute before it was signed."""
    mark = marks().sign(Person(), SESSION, lasts=HOUR)
    assert (marks(at=WORKDAY + after).read(mark, SESSION) is not None) is is_read


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"kind": "person"}, id="a person with an account"),
        pytest.param({"kind": "visitor"}, id="a visitor with an account"),
        pytest.param({"account": None}, id="a bot without an account"),
        pytest.param({"account": ""}, id="an empty account"),
        pytest.param({"account": 1}, id="an account that is no text"),
        pytest.param({"account": "a" * 201}, id="an endless account"),
        pytest.param({"kind": "Person", "account": None}, id="another spelling"),
        pytest.param({"kind": "admin", "account": None}, id="an unknown kind"),
        pytest.param({"kind": ["person"], "account": None}, id="a kind that is no text"),
        pytest.param({"kind": None}, id="no kind"),
        pytest.param({"session": None}, id="no session"),
        pytest.param({"session": SESSION}, id="the session itself"),
        pytest.param({"session": True}, id="a session that is no text"),
        pytest.param({"iat": None}, id="not said when signed"),
        pytest.param({"exp": None}, id="without an end"),
        pytest.param({"exp": "2030"}, id="an end that is no number"),
        pytest.param({"exp": True}, id="an end that is a boolean"),
        pytest.param({"exp": 1e400}, id="an endless end"),
        pytest.param({"iat": "2020"}, id="a beginning that is no number"),
        pytest.param({"aud": "another"}, id="for somebody else"),
    ],
)
def test_a_mark_with_other_claims_says_nothing(changes: dict[str, Any]) -> None:
    """Claims that are missing, wrong or contradict each other mark nobody."""
    assert marks().read(signed(claims()), SESSION) == BOT
    assert marks().read(signed(claims(**changes)), SESSION) is None


def test_the_key_decides_how_a_mark_is_verified() -> None:
    """What a mark's own header says about algorithms and keys changes nothing."""
    document = claims()
    other = Ed25519PrivateKey.generate()
    forged = [
        jwt.encode(document, "", "none"),
        jwt.encode(document, "x" * 40, "HS256"),
        jwt.encode(document, SECRET * 2, "HS512"),
        jwt.encode(document, other, "EdDSA"),
        jwt.encode(document, other, "EdDSA", headers={"jwk": {"kty": "OKP"}, "kid": "../../key"}),
        # The public key taken for a secret, as by whoever lets the header choose.
        _hs256(document, PUBLIC),
        _hs256(document, PUBLIC.strip()),
        "", ".", "..", "a.b.c", "\x00", "é", "\udcff",
    ]  # fmt: skip
    for mark in forged:
        assert marks().read(mark, SESSION) is None
        assert marks(PUBLIC).read(mark, SESSION) is None
    assert marks(PUBLIC).read(signed(document), SESSION) is None
    assert marks().read(marks(PRIVATE).sign(BOT, SESSION), SESSION) is None


def _hs256(document: dict[str, Any], secret: bytes) -> str:
    head, body, _ = jwt.encode(document, "x" * 40, "HS256").split(".")
    signature = hmac.digest(secret, f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@given(st.data())
def test_a_changed_mark_says_nothing(data: st.DataObject) -> None:
    """No character of a mark can be another."""
    mark = marks(PRIVATE).sign(Person(), SESSION)
    at = data.draw(st.integers(0, len(mark) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != mark[at]))
    read = marks(PUBLIC).read(mark[:at] + other + mark[at + 1 :], SESSION)
    # The last character of a base64 text has bits that mean nothing.
    assert read is None or (mark[at + 1 : at + 2] in ("", ".") and read == Person())


@pytest.mark.parametrize(
    "cookies",
    [
        "session={s}; automation_rules_mark={m}; session={s}",
        "session={s}; automation_rules_mark={m}; automation_rules_mark={m}",
        "session={s}; automation_rules_mark={m}; session=other",
        "session={s}; automation_rules_mark={m}; automation_rules_mark=",
        "session={s}; automation_rules_mark={m}; SESSION=other",
        "session={s}; automation_rules_mark={m}; session =other",
        "session={s}; automation_rules_mark={m}; s%65ssion=other",
        "session={s}; automation_rules_mark={m}; automation.rules.mark=other",
        "session={s}; automation_rules_mark={m}; session",
        "session={s}; automation_rules_mark={m}, session=other",
        'session={s}; automation_rules_mark={m}; a="x; session=other; y"',
        'session={s}; automation_rules_mark={m}; "session"=other',
        "session={s}; automation_rules_mark={m};\tsession=other",
        "session={s}; automation_rules_mark={m};\x0bsession=other",
        'session="{s}"; automation_rules_mark={m}',
        'session={s}; automation_rules_mark="{m}"',
        "session={s} ; automation_rules_mark= {m}",
        "Session={s}; automation_rules_mark={m}",
        "session={s}; automation-rules-mark={m}",
        "session={s}",
        "automation_rules_mark={m}",
        "",
    ],
)
def test_doubtful_cookies_say_nothing(cookies: str) -> None:
    """A mark or session that is there twice, or written as only some would read it, is neither."""
    mark = marks().sign(Person(), SESSION)
    told = cookies.replace("{s}", SESSION).replace("{m}", mark)
    assert marks().read_cookies(told, "session") is None


def _pem(key: Any, password: bytes | None = None) -> bytes:
    locked = BestAvailableEncryption(password) if password else NoEncryption()
    found: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
    return found


def _ssh() -> bytes:
    return _PAIR.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: b"", id="nothing"),
        pytest.param(lambda: b"x" * 31, id="a short secret"),
        pytest.param(lambda: b"correct horse battery staple, and so on", id="a sentence"),
        pytest.param(lambda: "é" * 40, id="other letters"),
        pytest.param(_ssh, id="an SSH public key"),
        pytest.param(lambda: b'{"kty":"oct","k":"' + b"A" * 43 + b'"}', id="a JWK"),
        pytest.param(lambda: _pem(generate_private_key(65537, 2048)), id="RSA"),
        pytest.param(lambda: _pem(_PAIR, b"password"), id="a locked key"),
        pytest.param(lambda: PUBLIC[:60], id="half a key"),
        pytest.param(
            lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            id="a certificate",
        ),
    ],
)
def test_a_key_that_cannot_be_meant_is_refused(make: Callable[[], str | bytes]) -> None:
    """Only an Ed25519 key, or a secret that can be nothing else, is a key; none is repeated."""
    key = make()
    with pytest.raises(InvalidInputError) as caught:
        Marks(key)
    assert [error.pointer for error in caught.value.errors] == ["/mark_key"]
    text = key if isinstance(key, str) else key.decode()
    assert not text or text[-20:].strip() not in str(caught.value)


def test_a_key_is_read_from_a_file(tmp_path: Path) -> None:
    """A file holds a key in PEM, or a secret with or without an end of line."""
    file = tmp_path / "mark.key"
    mark = marks(PRIVATE).sign(BOT, SESSION)
    file.write_bytes(PUBLIC)
    assert Marks.from_file(file, clock=FrozenClock(WORKDAY)).read(mark, SESSION) == BOT
    for end in ("", "\n", "\r\n"):
        file.write_text(SECRET + end, newline="")
        reader = Marks.from_file(file, clock=FrozenClock(WORKDAY))
        assert reader.read(marks().sign(BOT, SESSION), SESSION) == BOT
    with pytest.raises(InvalidInputError, match="cannot be read"):
        Marks.from_file(tmp_path / "none")


@pytest.mark.parametrize(
    ("sign", "field"),
    [
        (lambda: marks(PUBLIC).sign(Person(), SESSION), "/mark_key"),
        (lambda: marks().sign(Person(), ""), "/session"),
        (lambda: marks().sign(Person(), '"quoted"'), "/session"),
        (lambda: marks().sign(Person(), "a b"), "/session"),
        (lambda: marks().sign(Person(), "é"), "/session"),
        (lambda: marks().sign(Person(), SESSION, lasts=timedelta(0)), "/lasts"),
        (lambda: marks().sign(Automation(None), SESSION), "/account_id"),
        (lambda: marks().sign(Automation(""), SESSION), "/account_id"),
    ],
)
def test_what_could_not_be_read_is_not_signed(sign: Callable[[], str], field: str) -> None:
    """A mark that nobody could use is an error of the portal's, which names the field."""
    with pytest.raises(InvalidInputError) as caught:
        sign()
    assert [error.pointer for error in caught.value.errors] == [field]


def test_without_the_time_nothing_is_read() -> None:
    """Whether a mark has ended cannot be told by a clock that cannot be read."""

    class Stopped:
        def now(self) -> datetime:
            raise ClockError("no time")

    mark = marks().sign(Person(), SESSION)
    with pytest.raises(ClockError):
        Marks(SECRET, clock=Stopped()).read(mark, SESSION)
