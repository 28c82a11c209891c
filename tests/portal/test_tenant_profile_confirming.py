"""What confirms a contact: numbers as they are written, codes, e-mails over a real connection."""

from __future__ import annotations

import io
import logging
import socketserver
import subprocess
import threading
from contextlib import contextmanager
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.core.mail import EmailMessage
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from tenant_services.profile import confirming
from tenant_services.profile.confirming import mobile
from tenant_services.profile.messages import NotSentError, send_email, send_sms, tell
from tenant_services.profile.models import Registration
from tenant_world import STELLA, begin, confirm_telephone, outbox, signed_in, stuck_customers
from test_security import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from portal_world import PortalWorld
    from tenant_world import Outbox

__all__ = ["outbox"]

digits = st.text("0123456789", min_size=9, max_size=9)
SECRET = "sam.sampleson@people.example"


@given(digits, st.sampled_from(["0", "+44", "+44 ", "0044", "+44 (0)", "+44(0)"]), st.data())
def test_mobile_numbers_are_kept_in_one_way(nine: str, before: str, data: Any) -> None:
    """However a number is written, it is the same number; what is kept reads as itself."""
    spaced = "".join(
        digit + data.draw(st.sampled_from(["", "", " ", "-", "."])) for digit in f"7{nine}"
    )
    kept = f"+44 7{nine[:3]} {nine[3:]}"
    assert mobile(before + spaced) == mobile(f" {before}{spaced} ") == mobile(kept) == kept


@given(st.text(max_size=20))
def test_nothing_else_is_a_mobile_number(typed: str) -> None:
    """What is taken for a number has exactly its ten digits, in the digits that phones have."""
    kept = mobile(typed)
    if kept is not None:
        assert kept.isascii()
        assert sum(letter.isdigit() for letter in typed) in (11, 12, 13, 14)
        assert "7" in typed


@pytest.mark.parametrize(
    "typed", ["", "07700 90040", "07700 9004033", "01632 960001", "+1 7700 900403", "7700900403"]
)
def test_other_numbers_get_no_message(typed: str) -> None:
    """Too short, too long, a landline, another country's, or without its beginning."""
    assert mobile(typed) is None


# --- one code, many who try it at once ------------------------------------------------------------


def a_registration(portal: PortalWorld, number: str) -> Registration:
    """Return a registration whose code was sent."""
    made = Registration.objects.create(
        person="P1",
        email="x@y.example",
        telephone=number,
        begun_at=portal.clock.now(),
    )
    assert confirming.send_code(made, number) is None
    return made


def test_code_is_accepted_once_however_many_try_at_once(portal: PortalWorld) -> None:
    """Of threads that all have the right code, one is let through."""
    made = a_registration(portal, "+44 7700 900555")
    code, results = portal.code, []

    def use() -> None:
        from django.db import connections

        try:
            results.append(confirming.try_code(made, made.telephone, code))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=use) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(None) == 1


def test_wrong_tries_at_once_are_all_counted(portal: PortalWorld) -> None:
    """Guesses made at the same moment are no way to more of them."""
    made = a_registration(portal, "+44 7700 900556")
    wrong = f"{(int(portal.code) + 1) % 1_000_000:06d}"
    results: list[str] = []

    def use() -> None:
        from django.db import connections

        try:
            results.append(str(confirming.try_code(made, made.telephone, wrong)))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=use) for _ in range(confirming.TRIES_AT_CODE + 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum("not the one" in result for result in results) == confirming.TRIES_AT_CODE


@pytest.mark.parametrize(
    ("sent", "problem"),
    [(1, confirming.NOT_SENT), (confirming.SENT_A_DAY, confirming.TOO_MANY)],
)
def test_what_cannot_be_sent_takes_nothing_away(
    portal: PortalWorld, monkeypatch: pytest.MonkeyPatch, sent: int, problem: Any
) -> None:
    """A code that is here already counts, though another cannot be sent or was one too many."""
    made = a_registration(portal, "+44 7700 900557")
    for _ in range(sent - 1):
        portal.clock.move_to(portal.clock.now() + confirming.PAUSE)
        assert confirming.send_code(made, made.telephone) is None
    code = portal.code
    portal.clock.move_to(portal.clock.now() + confirming.PAUSE)
    with monkeypatch.context() as patched:
        patched.setattr("portal_world.Drawer.send", refuse)
        assert confirming.send_code(made, made.telephone) == problem
    assert confirming.try_code(made, made.telephone, code) is None


def test_tries_at_a_code_that_is_locked_do_not_lock_the_number(portal: PortalWorld) -> None:
    """Who goes on typing after the fifth wrong code can still have another one sent."""
    made = a_registration(portal, "+44 7700 900558")
    wrong = f"{(int(portal.code) + 1) % 1_000_000:06d}"
    for _ in range(confirming.TRIES_AT_NUMBER + 1):
        assert confirming.try_code(made, made.telephone, wrong)
    portal.clock.move_to(portal.clock.now() + confirming.PAUSE)
    assert confirming.send_code(made, made.telephone) is None
    assert confirming.try_code(made, made.telephone, portal.code) is None


# --- what is written down of a link ---------------------------------------------------------------


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Give what the portal writes to its log, at every level."""
    logger, stream = logging.getLogger("django"), io.StringIO()
    handler: Any = logger.handlers[0]
    usual, level = handler.setStream(stream), logger.level
    logger.setLevel(logging.DEBUG)
    yield stream
    logger.setLevel(level)
    handler.setStream(usual)


def test_log_has_no_links_token(
    portal: PortalWorld, outbox: Outbox, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong at a link's address, the log names the page and not the token."""
    tessa, staff = signed_in(portal), signed_in(portal, STELLA)
    stranger = Client(raise_request_exception=False, HTTP_HOST="localhost")
    begin(stranger)
    confirm_telephone(portal, stranger)
    link = outbox.link()
    with stuck_customers():
        assert stranger.post(link, {"password": "a horse that nobody rides"}).status_code == 503
    token = link.split("/")[-2]
    confirm, change, forgotten = (
        f"/my-home/{page}/{token}/"
        for page in ("register/confirm", "your-details/email/confirm", "forgotten-password/MQ")
    )
    assert tessa.get(change).status_code == stranger.get(forgotten).status_code == 404
    assert stranger.get(f"{confirm}more/").status_code == 404
    assert staff.get(change).status_code == 403
    assert stranger.delete(confirm).status_code == 405
    monkeypatch.setattr(confirming, "link_hash", refuse)
    assert stranger.get(confirm).status_code == 500
    monkeypatch.setattr("demo_portal.middleware.IdleMiddleware.__call__", refuse)
    for path in (confirm, change, forgotten, f"{confirm}ŵ/"):
        assert stranger.get(path).status_code == 500
    said = written.getvalue()
    assert token not in said
    for status, page in (
        ("Service Unavailable", "register/confirm/<str:token>/"),
        ("Method Not Allowed (DELETE)", "register/confirm/<str:token>/"),
        ("Not Found", "forgotten-password/<str:uidb64>/<str:token>/"),
        ("Forbidden (Permission denied)", "your-details/email/confirm/<str:token>/"),
        ("Internal Server Error", "your-details/email/confirm/<str:token>/"),
    ):
        assert f"{status}: /my-home/{page}\n" in said, said
    assert "Not Found: no such page\n" in said


# --- e-mails over a real connection ---------------------------------------------------------------


class _Talk(socketserver.StreamRequestHandler):
    """One conversation of SMTP."""

    def handle(self) -> None:
        """Take a message."""
        server: Any = self.server
        self.wfile.write(b"220 mail.example\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                body = b""
                while (line := self.rfile.readline()) != b".\r\n":
                    body += line[1:] if line.startswith(b"..") else line
                server.taken.append(body)
            elif word == b"RCPT" and server.refuses:
                self.wfile.write(b"550 sam.sampleson@people.example is unknown here\r\n")
                continue
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 well\r\n")
            if word == b"QUIT":
                return


@contextmanager
def mail_server(monkeypatch: pytest.MonkeyPatch, *, refuses: bool = False) -> Iterator[list[bytes]]:
    """Serve SMTP on a free port, as the settings then say; give what is taken."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Talk) as server:
        taken: list[bytes] = []
        server.taken, server.refuses = taken, refuses  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        backend = "django.core.mail.backends.smtp.EmailBackend"
        monkeypatch.setattr(settings, "EMAIL_BACKEND", backend)
        monkeypatch.setattr(settings, "EMAIL_HOST", "127.0.0.1")
        monkeypatch.setattr(settings, "EMAIL_PORT", server.server_address[1])
        try:
            yield taken
        finally:
            server.shutdown()
            thread.join()


def test_e_mails_go_over_a_real_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain text, in UTF-8, with its Welsh letters, a long link in one piece, and no more."""
    link = f"https://portal.example/{'x' * 200}/"
    with mail_server(monkeypatch) as taken:
        send_email("sam@people.example", "Tŷ â gŵyl", "Ŵ ŷ £5", link, ".", "diwedd")
    [raw] = taken
    message = message_from_bytes(raw, policy=policy.default)
    assert (message["To"], message["Subject"]) == ("sam@people.example", "Tŷ â gŵyl")
    assert message["From"] == settings.DEFAULT_FROM_EMAIL
    assert message.get_content_type() == "text/plain"
    text = message.get_content().replace("\r\n", "\n")
    assert text == f"Ŵ ŷ £5\n\n{link}\n\n.\n\ndiwedd\n"


@pytest.mark.parametrize("case", ["refused", "nobody there"])
def test_e_mail_that_is_not_taken_is_said_without_a_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    """Whoever sends learns of it; the log has the kind of failure and nobody's address."""
    with (
        caplog.at_level(logging.DEBUG, "tenant_services"),
        mail_server(monkeypatch, refuses=case == "refused"),
    ):
        if case != "refused":
            monkeypatch.setattr(settings, "EMAIL_PORT", 1)
        with pytest.raises(NotSentError) as caught:
            send_email(SECRET, "subject", "text")
        tell(SECRET, lambda: ("subject", "text"))
    assert caught.value.args == ()
    assert caught.value.__cause__ is None
    assert len(caplog.records) == 2
    assert "could not be sent" in caplog.text
    assert "sam" not in caplog.text


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "console localhost 25 False  "),
        ("smtp://mail.example", "smtp mail.example 25 False  "),
        ("smtps://me%40x:p%2Fw@mail.example", "smtp mail.example 465 True me@x p/w"),
        ("smtp://mail.example:2525", "smtp mail.example 2525 False  "),
    ],
)
def test_setting_says_where_e_mails_are_handed_over(tmp_path: Path, url: str, told: str) -> None:
    """PORTAL_MAIL is one URL; without it e-mails are written to the console."""
    program = """
from demo_portal import settings as s
backend = s.EMAIL_BACKEND.split(".")[-2]
print(backend, s.EMAIL_HOST, s.EMAIL_PORT, s.EMAIL_USE_SSL, end=" ")
print(s.EMAIL_HOST_USER, s.EMAIL_HOST_PASSWORD)
"""
    settings_of = run(tmp_path, "-c", program, PORTAL_MAIL=url)
    done = subprocess.run(**settings_of, capture_output=True, check=True)
    assert done.stdout == f"{told}\n"


def test_header_of_somebody_elses_making_is_refused() -> None:
    """No line break gets into a header."""
    for address, subject in (("a@b.example\nBcc: c@d.example", "x"), ("a@b.example", "x\ny")):
        with pytest.raises(ValueError, match="newlines"):
            EmailMessage(subject, "x", to=[address]).message()


def refuse(*_args: object) -> None:
    """Send nothing, and say to whom."""
    raise RuntimeError("+44 7700 900401 is barred")


def test_text_message_that_is_not_taken_is_said_without_a_number(
    portal: PortalWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong with whoever sends text messages, the log does not name the number."""
    monkeypatch.setattr("portal_world.Drawer.send", refuse)
    with pytest.raises(NotSentError):
        send_sms("+44 7700 900401", "text")
    assert "RuntimeError" in caplog.text
    assert "900401" not in caplog.text
