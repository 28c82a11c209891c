"""Ways to reach a person in a real browser: accessible, narrow, by keyboard, without script."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from browser_world import NARROW, assert_accessible, assert_fits, tab_to
from contact_world import CONTACT, HOSTILE, STAFF, ask, at, begin, say, send
from playwright.sync_api import expect
from tenant_services.contact.guide import guide
from tenant_services.contact.models import Chat, TenantNotice
from tenant_world import STELLA, signed_in, visit_as
from test_tenant_contact_downtime import PLAN, asked
from test_tenant_notices import PUBLISH, make

if TYPE_CHECKING:
    from browser_world import Visits
    from django.test import Client
    from playwright.sync_api import Page
    from portal_world import PortalWorld

LANGUAGES = ["en", "cy"]
exhaustive = pytest.mark.exhaustive
JOURNEYS = [
    pytest.param("en", False),
    pytest.param("cy", True),
    pytest.param("en", True, marks=exhaustive),
    pytest.param("cy", False, marks=exhaustive),
]
NOTICES, STAFF_NOTICES = "/my-home/notices/", "/my-home/staff/notices/"


def look_at(page: Page, *, javascript: bool = True) -> None:
    """Find nothing wrong with the page for those who cannot see it all at once."""
    page.wait_for_load_state()
    expect(page.locator("h1")).to_have_count(1)
    if javascript:
        assert_accessible(page)
    assert_fits(page)


def press(page: Page, number: int = 0) -> None:
    """Press one of the buttons of the page's forms."""
    page.locator("main form button").nth(number).click()


@pytest.mark.parametrize(("lang", "javascript"), JOURNEYS)
def test_from_the_questions_to_the_answer(
    visit: Visits, portal: PortalWorld, lang: str, javascript: bool
) -> None:
    """A tenant is led to the form, sends a message, and reads what staff answer."""
    how = {"lang": lang, "javascript": javascript, "width": NARROW}
    page, _client = visit_as(visit, portal, **how)
    staff, _client = visit_as(visit, portal, STELLA, **how)
    page.goto(CONTACT)
    look_at(page, javascript=javascript)
    page.locator("main .govuk-button--start").click()
    for answer in ("complaints", "complaint", "message"):
        look_at(page, javascript=javascript)
        press(page)
        expect(page).to_have_title(re.compile("^(Error|Gwall): "))
        expect(page.locator(".govuk-error-summary")).to_be_focused()
        look_at(page, javascript=javascript)
        page.locator(f"[value={answer}]").check()
        press(page)
    look_at(page, javascript=javascript)
    page.locator("main a.govuk-button").click()
    expect(page.locator("[value=complaints]")).to_be_checked()
    look_at(page, javascript=javascript)
    press(page)
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    look_at(page, javascript=javascript)
    page.locator("[name=text]").fill("Nobody came.\nTwice.")
    page.locator("[name=tenancy]").select_option("T-100001")
    press(page)
    expect(page.locator(".govuk-notification-banner--success")).to_be_visible()
    look_at(page, javascript=javascript)
    address = page.url
    staff.goto(STAFF)
    look_at(staff, javascript=javascript)
    staff.locator("tbody a").first.click()
    expect(staff.locator("main")).to_contain_text("Nobody came.")
    look_at(staff, javascript=javascript)
    press(staff)
    expect(staff.locator(".govuk-error-summary")).to_be_focused()
    look_at(staff, javascript=javascript)
    staff.locator("[name=text]").fill("We are sorry.")
    staff.locator("[name=close]").check()
    press(staff)
    expect(staff.locator(".govuk-notification-banner--success")).to_be_visible()
    page.goto(address)
    expect(page.locator("main")).to_contain_text("We are sorry.")
    look_at(page, javascript=javascript)


@pytest.mark.parametrize("javascript", [True, pytest.param(False, marks=exhaustive)])
def test_chat_of_two(visit: Visits, portal: PortalWorld, javascript: bool) -> None:
    """Both look for what is new by a button; what they were typing stays; the rest is a message."""
    how = {"javascript": javascript, "width": NARROW}
    page, _client = visit_as(visit, portal, **how)
    staff, _client = visit_as(visit, portal, STELLA, lang="cy", **how)
    page.goto(f"{CONTACT}chat/")
    look_at(page, javascript=javascript)
    page.locator("[name=text]").fill("Is the office open?")
    press(page)
    expect(page).to_have_url(re.compile("/contact/chats/"))
    look_at(page, javascript=javascript)
    staff.goto(f"{STAFF}chats/")
    look_at(staff, javascript=javascript)
    staff.locator("tbody a").click()
    look_at(staff, javascript=javascript)
    staff.locator("[name=text]").fill("Ydy, tan 17:00.")
    press(staff)
    page.locator("[name=text]").fill("Or shall I")
    page.locator("[name=look]").click()
    expect(page.locator("#latest")).to_contain_text("Ydy, tan 17:00.")
    expect(page.locator("[name=text]")).to_have_value("Or shall I")
    look_at(page, javascript=javascript)
    staff.goto(f"{STAFF}chats/")
    press(staff)
    look_at(staff, javascript=javascript)
    page.locator("[name=text]").fill("Or shall I ring?")
    press(page)
    expect(page).to_have_url(re.compile(r"/contact/message/\?chat="))
    expect(page.locator("[name=text]")).to_have_value("Or shall I ring?")
    page.locator("summary").click()
    expect(page.locator("details")).to_contain_text("Ydy, tan 17:00.")
    look_at(page, javascript=javascript)
    page.locator("[value='something-else']").check()
    press(page)
    expect(page.locator(".govuk-notification-banner--success")).to_be_visible()
    look_at(page, javascript=javascript)


@pytest.mark.parametrize(
    ("lang", "javascript"),
    [pytest.param("en", False, marks=exhaustive), *JOURNEYS[1:]],
)
def test_calls_and_notices(visit: Visits, portal: PortalWorld, lang: str, javascript: bool) -> None:
    """A call is asked for, seen and made; a notice and a downtime are published and read."""
    how = {"lang": lang, "javascript": javascript, "width": NARROW}
    page, _client = visit_as(visit, portal, **how)
    staff, _client = visit_as(visit, portal, STELLA, **how)
    page.goto(f"{CONTACT}call-back/")
    look_at(page, javascript=javascript)
    page.locator("[name=number]").fill("1")
    press(page)
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    look_at(page, javascript=javascript)
    page.locator("[value=rent]").check()
    page.locator("[name=number]").fill("01632 960 001")
    page.locator("[name=when]").select_option(index=2)
    press(page)
    expect(page.locator(".govuk-notification-banner--success")).to_be_visible()
    look_at(page, javascript=javascript)
    page.locator("main td a").click()
    look_at(page, javascript=javascript)
    staff.goto(f"{STAFF}calls/")
    look_at(staff, javascript=javascript)
    press(staff)
    expect(staff.locator("tbody")).to_have_count(0)
    press(page)
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    look_at(page, javascript=javascript)

    staff.goto(PUBLISH)
    look_at(staff, javascript=javascript)
    press(staff)
    expect(staff.locator(".govuk-error-summary")).to_be_focused()
    staff.locator("[name=whom][value=some]").check()
    staff.locator("[name=where][value=every]").check()
    expect(staff.locator("[name=kinds]").first).to_be_visible()
    look_at(staff, javascript=javascript)
    staff.locator("[value=garage]").check()
    for name in ("title_en", "title_cy", "body_en", "body_cy"):
        staff.locator(f"[name={name}]").fill(f"About the garages ({name})")
    staff.locator("[name=shown_until_day]").fill("9")
    staff.locator("[name=shown_until_month]").fill("6")
    staff.locator("[name=shown_until_year]").fill("2027")
    press(staff)
    expect(staff.locator("[name=publish]")).to_be_visible()
    look_at(staff, javascript=javascript)
    staff.locator("[name=change]").click()
    expect(staff.locator("[name=title_en]")).to_have_value("About the garages (title_en)")
    press(staff)
    staff.locator("[name=publish]").click()
    expect(staff.locator(".govuk-notification-banner--success")).to_be_visible()
    look_at(staff, javascript=javascript)
    page.goto(NOTICES)
    look_at(page, javascript=javascript)
    page.locator("main li a").first.click()
    expect(page.locator("h1")).to_contain_text(f"(title_{lang})")
    look_at(page, javascript=javascript)

    staff.goto(PLAN)
    look_at(staff, javascript=javascript)
    press(staff)
    expect(staff.locator(".govuk-error-summary")).to_be_focused()
    look_at(staff, javascript=javascript)
    for name, text in asked().items():
        if name != "token":
            staff.locator(f"[name={name}]").fill(text)
    press(staff)
    expect(staff.locator("[name=publish]")).to_be_visible()
    look_at(staff, javascript=javascript)
    staff.locator("[name=publish]").click()
    expect(staff.locator("[aria-labelledby=downtime-title]")).to_be_visible()
    look_at(staff, javascript=javascript)
    page.goto(NOTICES)
    expect(page.locator("[aria-labelledby=downtime-title]")).to_be_visible()
    look_at(page, javascript=javascript)
    staff.locator("tbody a").first.click()
    look_at(staff, javascript=javascript)
    press(staff)
    expect(staff.locator("[aria-labelledby=downtime-title]")).to_have_count(0)


def fill(portal: PortalWorld, client: Client, stella: Client) -> tuple[Chat, TenantNotice]:
    """Send hostile words by every way, and let hours pass."""
    send(client, text=HOSTILE, tenancy="T-100002")
    ask(client)
    chat = begin(client, HOSTILE)
    say(stella, chat, HOSTILE, STAFF)
    say(client, chat, "And now?")
    notice = make(title_en="Long" * 45, title_cy="Hir" * 60, body_en=HOSTILE, body_cy=HOSTILE)
    at(portal, "2027-06-01T13:00:00+01:00")
    return chat, notice


def test_fullest_pages(visit: Visits, portal: PortalWorld) -> None:
    """A long wait, a late call, a long notice, a closed chat that becomes a message: all sound."""
    page, client = visit_as(visit, portal, lang="cy", width=NARROW)
    staff, stella = visit_as(visit, portal, STELLA, lang="cy", width=NARROW)
    chat, notice = fill(portal, client, stella)
    for path in (f"{CONTACT}chats/{chat.reference}/", f"{NOTICES}{notice.pk}/"):
        page.goto(path)
        look_at(page)
    staff.goto(f"{STAFF}calls/")
    look_at(staff)
    at(portal, "2027-06-05T12:00:00+01:00")
    page.goto(f"{CONTACT}message/?chat={chat.reference}")
    page.locator("summary").click()
    look_at(page)


@exhaustive
@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("width", [NARROW, 1280])
def test_every_page_at_its_fullest(
    visit: Visits, portal: PortalWorld, lang: str, width: int
) -> None:
    """Hostile words, late calls, long waits, nobody there: each page is sound."""
    page, client = visit_as(visit, portal, lang=lang, width=width)
    staff, stella = visit_as(visit, portal, STELLA, lang=lang, width=width)
    chat, notice = fill(portal, client, stella)
    for path in (
        "",
        "offices/",
        "messages/",
        f"chats/{chat.reference}/",
        "choose/repairs/danger/",
        "choose/rent/pay/chat/",
    ):
        page.goto(f"{CONTACT}{path}")
        look_at(page)
    page.goto(f"{NOTICES}{notice.pk}/")
    look_at(page)
    for path in ("", "calls/", "chats/", f"chats/{chat.reference}/"):
        staff.goto(f"{STAFF}{path}")
        look_at(staff)
    for path in ("", f"{notice.pk}/withdraw/"):
        staff.goto(f"{STAFF_NOTICES}{path}")
        look_at(staff)
    at(portal, "2027-06-05T12:00:00+01:00")
    TenantNotice.objects.all().delete()
    for path in (
        "",
        "chat/",
        "choose/something-else/quick/chat/",
        f"chats/{chat.reference}/",
        f"message/?chat={chat.reference}",
    ):
        page.goto(f"{CONTACT}{path}")
        look_at(page)
    page.goto(NOTICES)
    look_at(page)
    staff.goto(f"{STAFF}chats/")
    look_at(staff)
    staff.goto(STAFF_NOTICES)
    look_at(staff)


@exhaustive
@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_outcome_is_sound(visit: Visits, portal: PortalWorld, lang: str) -> None:
    """Wherever the questions lead, the page is accessible and narrow."""
    page, _client = visit_as(visit, portal, lang=lang, width=NARROW)
    for outcome in guide().outcomes():
        path = f"{CONTACT}choose/{outcome.topic.slug}/{outcome.kind.slug}/"
        page.goto(path + (f"{outcome.wished.slug}/" if outcome.wished else ""))
        look_at(page)


def test_by_keyboard_alone(visit: Visits, portal: PortalWorld) -> None:
    """Nothing needs a mouse: from the questions through a chat to its end."""
    page, _client = visit_as(visit, portal)
    stella = signed_in(portal, STELLA)
    stella.post(f"{STAFF}chats/here/")
    page.goto(CONTACT)
    keys = page.keyboard

    tab_to(page, ".govuk-button--start")
    keys.press("Enter")
    for question, downs in enumerate((5, 0, 4)):
        expect(page).to_have_url(re.compile("/choose/" + "[^/]+/" * question + "$"))
        tab_to(page, "[name=answer]")
        keys.press("Space")
        for _down in range(downs):
            keys.press("ArrowDown")
        tab_to(page, "main form button")
        keys.press("Enter")
    expect(page).to_have_url(re.compile("/choose/something-else/quick/chat/$"))
    tab_to(page, "main a.govuk-button")
    keys.press("Enter")
    expect(page).to_have_url(re.compile("/contact/chat/$"))
    tab_to(page, "[name=text]")
    keys.type("Hello")
    tab_to(page, "main form button")
    keys.press("Enter")
    expect(page.locator("#latest")).to_contain_text("Hello")
    tab_to(page, "[name=look]")
    keys.press("Enter")
    expect(page).to_have_url(re.compile("#latest$"))
    expect(page.locator("#latest")).to_contain_text("Hello")
    tab_to(page, "main form[action$='/end/'] button")
    keys.press("Enter")
    expect(page.locator("main a.govuk-button")).to_be_visible()
