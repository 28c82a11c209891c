"""The to-dos in a real browser: with and without script, in both languages, by keyboard, narrow."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

import pytest
from browser_world import NARROW, assert_accessible, assert_fits, focused, tab_to
from django.conf import settings
from landlord_portal.management.commands.seed_demo import PASSWORD
from landlord_portal.models import FormVersion, ToDo
from landlord_portal.todos.forms import fingerprint
from playwright.sync_api import expect
from todo_answers import CONFIRM, PROVIDE, SUBMITTED, a_todo

if TYPE_CHECKING:
    from browser_world import Visits
    from playwright.sync_api import Page
    from portal_world import PortalWorld

    from automation_rules import TodoKind

LANGUAGES = ["en", "cy"]


def pick(page: Page, name: str, value: str) -> None:
    """Pick an answer as people do, by what stands beside its button."""
    button = page.locator(f"input[name={name}][value={value}]")
    page.locator(f"label[for={button.get_attribute('id')}]").click()


def go_on(page: Page) -> None:
    """Press the page's button."""
    page.locator("main button[type=submit]").click()


def arrive(page: Page, address: str | re.Pattern[str]) -> None:
    """Wait until the page is there, whole."""
    expect(page).to_have_url(address)
    page.wait_for_load_state()


def fill_tenant(page: Page, kind: TodoKind) -> None:
    """Answer the first page."""
    pick(page, "is_tenant", "yes")
    if kind is PROVIDE:
        page.locator("[name=tenant_reference]").fill("ACME-1")


def fill_tenancy(page: Page) -> None:
    """Answer the page about the tenancy."""
    pick(page, "temporary_accommodation", "no")
    pick(page, "anyone_else", "yes")
    page.locator("[name=people_on_tenancy]").fill("3")
    page.locator("[name=bedrooms]").fill("2")
    pick(page, "has_rent_free_weeks", "yes")
    page.locator("[name=rent_free_weeks]").fill("4")


def fill_rent(page: Page, kind: TodoKind) -> None:
    """Answer the page about the rent."""
    page.locator("[name=rent]").fill("104.50")
    pick(page, "rent_frequency", "weekly")
    page.locator("[name=service_charge]").fill("7.25")
    pick(page, "service_charge_frequency", "monthly")
    if kind is CONFIRM:
        pick(page, "effective_date", "first_monday_in_april")


def look_at(page: Page) -> None:
    """Find nothing wrong with the page for those who cannot see it all at once."""
    assert_accessible(page)
    assert_fits(page)


@pytest.mark.parametrize("kind", [PROVIDE, CONFIRM])
@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("javascript", [True, False])
def test_to_do_from_list_to_end(
    visit: Visits, portal: PortalWorld, kind: TodoKind, lang: str, javascript: bool
) -> None:
    """From the list, page by page, to what is submitted; each page sound, with errors too."""
    todo = a_todo(kind)
    page = visit("enid.example", lang=lang, javascript=javascript, width=NARROW)
    # Without script axe cannot look; the pages are the same.
    look = look_at if javascript else assert_fits
    page.goto(f"/to-dos/?kind={kind.value}")
    look(page)
    page.locator(f"main a[href='/to-dos/{todo.pk}/']").click()
    expect(page.locator("h1")).to_have_attribute("lang", "en")
    assert page.locator("meta[name=form-fingerprint]").get_attribute("content") == fingerprint(kind)
    look(page)
    page.locator("main a.govuk-button--start").click()
    for slug in ["tenant", "tenancy", "rent"] if kind is PROVIDE else ["tenant", "rent"]:
        arrive(page, f"{visit.site}/to-dos/{todo.pk}/{slug}/")
        look(page)
        go_on(page)
        expect(page.locator(".govuk-error-summary")).to_be_focused()
        expect(page).to_have_title(re.compile("^(Error|Gwall): "))
        look(page)
        if slug == "tenant":
            fill_tenant(page, kind)
        elif slug == "tenancy":
            fill_tenancy(page)
        else:
            fill_rent(page, kind)
        assert_fits(page)
        go_on(page)
    arrive(page, f"{visit.site}/to-dos/{todo.pk}/check/")
    expect(page.locator("main")).to_contain_text("£104.50")
    look(page)
    go_on(page)
    arrive(page, f"{visit.site}/to-dos/{todo.pk}/done/")
    expect(page.locator(".govuk-panel--confirmation")).to_be_visible()
    look(page)
    todo.refresh_from_db()
    assert todo.submission["answers"] == SUBMITTED[kind]


def test_not_a_tenant_any_more(visit: Visits, portal: PortalWorld) -> None:
    """A 'no' asks why, and what is paid; the charges are then asked for."""
    todo = a_todo(PROVIDE)
    page = visit("enid.example")
    page.goto(f"/to-dos/{todo.pk}/tenant/")
    expect(page.locator("[name=tenant_reference]")).to_be_hidden()
    pick(page, "is_tenant", "no")
    expect(page.locator("[name=tenant_reference]")).to_be_hidden()
    pick(page, "reason", "moved_out")
    pick(page, "use_and_occupation", "yes")
    go_on(page)
    page.locator(".govuk-error-summary a").click()
    assert focused(page).startswith("input#id_use_and_occupation")
    pick(page, "reason", "not_liable")
    go_on(page)
    # The link to the field may have left its name at the end of the address.
    arrive(page, re.compile(f"/to-dos/{todo.pk}/tenancy/(#|$)"))


@pytest.mark.parametrize("javascript", [True, False])
def test_answers_stay_when_going_back_and_are_changed(
    visit: Visits, portal: PortalWorld, javascript: bool
) -> None:
    """The back link shows what was typed; the link beside an answer changes that one alone."""
    todo = a_todo(CONFIRM)
    page = visit("enid.example", javascript=javascript)
    page.goto(f"/to-dos/{todo.pk}/tenant/")
    fill_tenant(page, CONFIRM)
    go_on(page)
    page.locator(".govuk-back-link").click()
    expect(page.locator("input[name=is_tenant][value=yes]")).to_be_checked()
    go_on(page)
    fill_rent(page, CONFIRM)
    go_on(page)
    page.locator("main a[href$='/rent/?change=1']").first.click()
    expect(page.locator("[name=rent]")).to_have_value("104.50")
    page.locator("[name=rent]").fill("105.00")
    pick(page, "effective_date", "another")
    for part, value in (("day", "12"), ("month", "4"), ("year", "2027")):
        page.locator(f"[name=effective_on_{part}]").fill(value)
    go_on(page)
    arrive(page, f"{visit.site}/to-dos/{todo.pk}/check/")
    expect(page.locator("main")).to_contain_text("12 April 2027")
    expect(page.locator("main")).to_contain_text("£105.00")


def test_by_keyboard_alone(visit: Visits, portal: PortalWorld) -> None:
    """Nothing needs a mouse: tabs, arrows, space and enter confirm a tenant's housing costs."""
    todo = a_todo(CONFIRM)
    page = visit("enid.example")
    page.goto(f"/to-dos/{todo.pk}/")
    keys = page.keyboard

    tab_to(page, "a.govuk-button--start")
    keys.press("Enter")
    arrive(page, re.compile("/tenant/$"))
    tab_to(page, "[name=is_tenant]")
    keys.press("Space")
    tab_to(page, "main button")
    keys.press("Enter")
    arrive(page, re.compile("/rent/$"))
    tab_to(page, "[name=rent]")
    keys.type("104.50")
    tab_to(page, "[name=rent_frequency]")
    keys.press("Space")
    tab_to(page, "[name=service_charge]")
    keys.type("0")
    tab_to(page, "[name=effective_date]")
    keys.press("ArrowDown")
    keys.press("Enter")
    arrive(page, re.compile("/check/$"))
    tab_to(page, "main button")
    keys.press("Enter")
    expect(page.locator(".govuk-panel--confirmation")).to_be_visible()
    todo.refresh_from_db()
    assert todo.submission["answers"]["effective_date"] == "first_monday_in_april"


@pytest.mark.parametrize("javascript", [True, False])
def test_show_more(visit: Visits, portal: PortalWorld, javascript: bool) -> None:
    """A long list begins short and shows the rest on a link, with or without script."""
    page = visit("enid.example", javascript=javascript)
    page.goto("/to-dos/")
    expect(page.locator("tbody tr")).to_have_count(20)
    page.get_by_text("Show more").click()
    expect(page.locator("tbody tr")).to_have_count(24)
    expect(page.get_by_text("Show more")).to_have_count(0)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_is_done_and_what_changed(visit: Visits, portal: PortalWorld, lang: str) -> None:
    """Answers that changed unseen, a question that is new, and a to-do that another has done."""
    todo = a_todo(CONFIRM)
    page = visit("enid.example", lang=lang, width=NARROW)
    page.goto(f"/to-dos/{todo.pk}/tenant/")
    fill_tenant(page, CONFIRM)
    go_on(page)
    fill_rent(page, CONFIRM)
    go_on(page)
    arrive(page, f"{visit.site}/to-dos/{todo.pk}/check/")
    page.locator("[name=digest]").evaluate("box => { box.value = 'other' }")
    go_on(page)
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    look_at(page)
    question = {
        "page": "rent",
        "name": "extra_1",
        "type": "yes_no",
        "label_en": "Is there a heat meter?",
        "label_cy": "A oes mesurydd gwres?",
        "required": True,
    }
    FormVersion.objects.create(
        kind=CONFIRM.value,
        fields=[question],
        fingerprint=fingerprint(CONFIRM, [question]),
        effective_on=date(2027, 6, 1),
    )
    go_on(page)
    arrive(page, f"{visit.site}/to-dos/{todo.pk}/rent/")
    expect(page.locator(".govuk-error-summary")).to_contain_text(str(question[f"label_{lang}"]))
    look_at(page)
    ToDo.objects.filter(pk=todo.pk).update(state="done", done_by=portal.user("sam.sampleson"))
    go_on(page)
    arrive(page, f"{visit.site}/to-dos/{todo.pk}/done/")
    expect(page.locator(".govuk-panel--confirmation")).to_have_count(0)
    look_at(page)


def test_back_to_where_one_was(
    visit: Visits, portal: PortalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who did nothing for too long signs in again, and goes on at the page that comes next."""
    todo = a_todo(PROVIDE)
    page = visit("enid.example")
    page.goto(f"/to-dos/{todo.pk}/tenant/")
    fill_tenant(page, PROVIDE)
    go_on(page)
    arrive(page, f"{visit.site}/to-dos/{todo.pk}/tenancy/")
    fill_tenancy(page)
    with monkeypatch.context() as patch:
        patch.setattr(settings, "PORTAL_IDLE_SECONDS", -1)
        go_on(page)
        arrive(page, re.compile("/sign-in/"))
    page.locator("[name=auth-username]").fill("enid.example")
    page.locator("[name=auth-password]").fill(PASSWORD)
    page.locator("main button[type=submit]").first.click()
    page.locator("[name=token-otp_token]").fill(portal.code)
    page.locator("main button[type=submit]").first.click()
    page.locator("main a.govuk-button").click()
    arrive(page, f"{visit.site}/to-dos/{todo.pk}/tenancy/")
    page.locator(".govuk-back-link").click()
    expect(page.locator("[name=tenant_reference]")).to_have_value("ACME-1")


def test_questions_show_under_their_choice_without_script(visit: Visits) -> None:
    """What a choice calls for shows when it is made, and goes when another is."""
    page = visit("enid.example", javascript=False)
    page.goto(f"/to-dos/{a_todo(PROVIDE).pk}/tenant/")
    expect(page.locator("[name=tenant_reference]")).to_be_hidden()
    pick(page, "is_tenant", "yes")
    expect(page.locator("[name=tenant_reference]")).to_be_visible()
    pick(page, "is_tenant", "no")
    expect(page.locator("[name=tenant_reference]")).to_be_hidden()
