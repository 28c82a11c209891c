"""Signing in by password and access code, and what guards it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from demo_portal.middleware import LAST_SEEN
from django.conf import settings
from landlord_portal.library import registry
from landlord_portal.models import Notice, Phone, User

if TYPE_CHECKING:
    from typing import Any

    from portal_world import PortalWorld

ENID = "enid.example"
BOT = "Acme Homes Automation 1"


def is_signed_in(client: Any) -> bool:
    """Whether the client gets a page that is not for strangers."""
    return bool(client.get("/updates/").status_code == 200)


def test_password_and_code_let_in(portal: PortalWorld) -> None:
    """The code that was sent to the phone finishes signing in."""
    client = portal.client()
    assert b"Enter your access code" in portal.give_password(client, ENID).content
    answer = portal.give_code(client)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert is_signed_in(client)


def test_password_alone_lets_nobody_in(portal: PortalWorld) -> None:
    """Between the two steps every page still asks to sign in."""
    client = portal.client()
    portal.give_password(client, ENID)
    assert not is_signed_in(client)


def test_session_without_a_code_is_nobodys(portal: PortalWorld) -> None:
    """A session that Django takes for signed in, but that gave no code, is ended."""
    client = portal.client()
    client.force_login(portal.user(ENID), "django.contrib.auth.backends.ModelBackend")
    assert not is_signed_in(client)


def test_user_without_a_phone_stays_out(portal: PortalWorld) -> None:
    """Nobody comes in by a password alone because there is no phone to send a code to."""
    Phone.objects.filter(user=portal.user(ENID)).delete()
    client = portal.client()
    assert b"The user name or the password is wrong" in portal.give_password(client, ENID).content
    assert not is_signed_in(client)


@pytest.mark.parametrize("who", ["nobody.here", ENID, "gone.away"])
def test_wrong_name_and_wrong_password_look_the_same(portal: PortalWorld, who: str) -> None:
    """What is answered does not tell which users there are, or which were deactivated."""
    sam = portal.user("sam.sampleson")
    sam.username, sam.is_active = "gone.away", False
    sam.save()
    answer = portal.give_password(portal.client(), who, "wrong password")
    assert answer.status_code == 200
    assert b"The user name or the password is wrong" in answer.content
    assert portal.messages == []


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("12345", "must be 6 digits"),
        ("１２３４５６", "must be 6 digits"),  # noqa: RUF001
        ("", "Enter the access code"),
    ],
)
def test_what_is_no_code_is_said(portal: PortalWorld, typed: str, said: str) -> None:
    """Anything but six ASCII digits is refused with what to do."""
    client = portal.client()
    portal.give_password(client, ENID)
    answer = client.post("/sign-in/", {"sign_in-current_step": "token", "token-otp_token": typed})
    assert said in answer.content.decode()
    assert not is_signed_in(client)


def wrong(code: str) -> str:
    """Return another code."""
    return f"{(int(code) + 1) % 1_000_000:06d}"


def test_code_is_not_guessed(portal: PortalWorld) -> None:
    """After five wrong codes the right one is refused as well; a new one works."""
    client = portal.client()
    portal.give_password(client, ENID)
    for _ in range(5):
        portal.give_code(client, wrong(portal.code))
    assert b"too many wrong access codes" in portal.give_code(client).content
    assert not is_signed_in(client)
    client.post(
        "/sign-in/",
        {
            "sign_in-current_step": "token",
            "challenge_device": Phone.objects.get(user=portal.user(ENID)).persistent_id,
        },
    )
    portal.give_code(client)
    assert is_signed_in(client)


def test_new_codes_do_not_buy_guesses_without_end(portal: PortalWorld) -> None:
    """Fifteen wrong codes in a day lock the account until tomorrow, whatever new ones were sent."""
    for _ in range(3):
        client = portal.client()
        portal.give_password(client, ENID)
        for _ in range(5):
            portal.give_code(client, wrong(portal.code))
    sent = len(portal.messages)
    client = portal.client()
    portal.give_password(client, ENID)
    assert len(portal.messages) == sent
    assert b"too many wrong access codes" in portal.give_code(client).content
    portal.clock.move_to(portal.clock.now() + timedelta(days=1))
    portal.client(ENID)


def test_code_works_once(portal: PortalWorld) -> None:
    """Whoever read the code over a shoulder cannot use it again."""
    portal.client(ENID)
    code = portal.code
    other = portal.client()
    portal.give_password(other, ENID)
    assert b"not the one that we sent" in portal.give_code(other, code).content
    assert not is_signed_in(other)


def test_code_expires(portal: PortalWorld) -> None:
    """After ten minutes another code must be asked for."""
    client = portal.client()
    portal.give_password(client, ENID)
    portal.clock.move_to(portal.clock.now() + timedelta(minutes=10))
    assert b"has expired" in portal.give_code(client).content


def test_password_is_not_guessed(portal: PortalWorld) -> None:
    """After five wrong passwords the right one is refused as well, and no code is sent."""
    for _ in range(5):
        answer = portal.give_password(portal.client(), ENID, "wrong password")
    assert answer.status_code == 429
    answer = portal.give_password(portal.client(), ENID)
    assert answer.status_code == 429
    assert b"Wait 15 minutes" in answer.content
    assert portal.messages == []


def test_session_is_another_after_signing_in(portal: PortalWorld) -> None:
    """A session that somebody planted is not the one that is signed in."""
    client = portal.client()
    portal.give_password(client, ENID)
    planted = client.cookies["sessionid"].value
    portal.give_code(client)
    assert is_signed_in(client)
    other = portal.client()
    other.cookies["sessionid"] = planted
    assert not is_signed_in(other)


def test_signing_out_ends_the_session(portal: PortalWorld) -> None:
    """The page asks; the session is gone afterwards, not only its cookie."""
    client = portal.client(ENID)
    session = client.cookies["sessionid"].value
    assert b"Do you want to sign out?" in client.get("/sign-out/").content
    assert is_signed_in(client)
    client.post("/sign-out/")
    client.cookies["sessionid"] = session
    assert not is_signed_in(client)


def go_idle(client: Any, seconds: int) -> None:
    """Make the session's last page that long ago."""
    session = client.session
    session[LAST_SEEN] -= seconds
    session.save()


def test_idle_user_is_welcomed_back(portal: PortalWorld) -> None:
    """After a time-out, signing in leads back to where the user was."""
    client = portal.client(ENID)
    client.get("/payments/")
    go_idle(client, settings.PORTAL_IDLE_SECONDS - 60)
    assert is_signed_in(client)
    go_idle(client, settings.PORTAL_IDLE_SECONDS + 1)
    answer = client.get("/payments/")
    address = answer.headers["Location"]
    assert address == "/sign-in/?next=%2Fpayments%2F&idle=1"
    assert b"You were signed out" in client.get(address).content
    portal.give_password(client, ENID)
    answer = portal.give_code(client, query="?next=%2Fpayments%2F&idle=1")
    assert answer.headers["Location"] == "/welcome-back/?next=%2Fpayments%2F"
    page = client.get(answer.headers["Location"]).content
    assert b"We will take you back to where you were." in page
    assert b'href="/payments/"' in page


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_nobody_is_led_to_another_site(portal: PortalWorld, target: str) -> None:
    """Neither signing in, nor coming back, nor choosing a language leaves the portal."""
    client = portal.client()
    portal.give_password(client, ENID)
    answer = client.post(
        "/sign-in/",
        {"sign_in-current_step": "token", "token-otp_token": portal.code},
        query_params={"next": target},
    )
    assert answer.headers["Location"] == "/"
    page = client.get("/welcome-back/", {"next": target}).content.decode()
    assert "evil" not in page.replace(f"/welcome-back/?next={target}", "").split("<main")[1]
    assert client.get("/language/cy", {"next": target}).headers["Location"] == "/"


def test_lands_on_updates_only_when_a_notice_is_unread(portal: PortalWorld) -> None:
    """A notice that the user has not seen comes first; then the to-dos do."""
    client = portal.client(ENID)
    assert client.get("/").headers["Location"] == "/updates/"
    page = client.get("/updates/").content
    assert b"R164" in page
    assert b"New" in page
    assert client.get("/").headers["Location"] == "/to-dos/"
    Notice.objects.create(
        release="R165",
        title_en="T",
        title_cy="T",
        body_en="B",
        body_cy="B",
        published_at=portal.clock.now(),
        effective_on=portal.clock.now().date(),
    )
    assert client.get("/").headers["Location"] == "/updates/"


def test_persons_code_for_a_bot_is_on_record(portal: PortalWorld) -> None:
    """The rules then know who supplied the account's code, and when; never the code."""
    assert registry().facts("acme-1", portal.clock.now()).code_entry is None
    portal.client(BOT)
    entry = registry().facts("acme-1", portal.clock.now()).code_entry
    assert entry is not None
    assert entry.provided_by == "officer-7"
    assert entry.provided_at == portal.clock.now()
    assert portal.code.encode() not in b"".join(
        file.read_bytes() for file in portal.home.glob("state.sqlite3*")
    )


def test_wrong_code_for_a_bot_is_not_on_record(portal: PortalWorld) -> None:
    """What did not let the bot in was not supplied."""
    client = portal.client()
    portal.give_password(client, BOT)
    portal.give_code(client, wrong(portal.code))
    assert registry().facts("acme-1", portal.clock.now()).code_entry is None


def test_language_change_sends_no_new_code(portal: PortalWorld) -> None:
    """The second step stays where it is, in the other language; the code still works."""
    client = portal.client()
    portal.give_password(client, ENID)
    client.get("/language/cy?next=/sign-in/")
    page = client.get("/sign-in/").content.decode()
    assert "Rhowch eich cod mynediad" in page
    assert len(portal.messages) == 1
    portal.give_code(client)
    assert is_signed_in(client)


def test_message_is_in_the_users_language(portal: PortalWorld) -> None:
    """A user who reads Welsh gets a Welsh text message."""
    client = portal.client()
    client.get("/language/cy")
    portal.give_password(client, ENID)
    assert "munud" in portal.messages[-1][1]


def test_second_step_waits_ten_minutes(portal: PortalWorld) -> None:
    """A password given long ago must be given again."""
    client = portal.client()
    portal.give_password(client, ENID)
    with patch("two_factor.views.core.time.time", lambda: 4_000_000_000.0):
        portal.give_code(client)
    assert not is_signed_in(client)


def test_deactivated_user_is_out_at_once(portal: PortalWorld) -> None:
    """A session that was open ends with the account."""
    client = portal.client("sam.sampleson")
    User.objects.filter(username="sam.sampleson").update(is_active=False)
    assert not is_signed_in(client)
