"""The rent pages in a real browser: accessible, narrow, by keyboard, without script."""

from __future__ import annotations

import re
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest
from browser_world import NARROW, focused, look_at, tab_to
from playwright.sync_api import expect
from tenant_ledger_world import RENT, fill
from tenant_services.payments.models import Entry
from tenant_services.payments.statements import MOST_IN_PDF
from tenant_world import FORMER, GARAGE, HOME, TARAN, TARANS, visit_as

from tools import pdf_libraries

if TYPE_CHECKING:
    from pathlib import Path

    from browser_world import Visits
    from playwright.sync_api import Page
    from portal_world import PortalWorld

LANGUAGES = ["en", "cy"]


def type_day(page: Page, name: str, day: str) -> None:
    """Fill in the three boxes of a day, as in 1 4 2027."""
    for part, number in zip(("day", "month", "year"), day.split(), strict=True):
        page.locator(f"[name={name}_{part}]").fill(number)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("javascript", [True, False])
def test_from_the_balance_to_a_statement(
    visit: Visits, portal: PortalWorld, lang: str, javascript: bool
) -> None:
    """Look at the account, search, open a charge, make a statement, take it away; all is sound."""
    pdf_libraries()
    page, _client = visit_as(visit, portal, lang=lang, javascript=javascript, width=NARROW)
    look = partial(look_at, javascript=javascript)
    page.goto(f"{RENT}/")
    look(page)
    page.locator(f"main a[href='{RENT}/{HOME}/']").click()
    expect(page.locator("tbody tr")).to_have_count(25)
    look(page)
    page.locator(".govuk-pagination__next a").click()
    expect(page).to_have_url(re.compile(r"page=2$"))
    expect(page.locator(".govuk-pagination__prev a")).to_be_visible()
    type_day(page, "since", "99 1 2027")
    page.locator("main form button").click()
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    expect(page).to_have_title(re.compile("^(Error|Gwall): "))
    expect(page.locator("[name=since_day]")).to_have_value("99")
    look(page)
    type_day(page, "since", "1 4 2027")
    page.locator("[name=kind]").select_option("charge")
    page.locator("main form button").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    page.locator(".demo-languages a").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    page.locator(".demo-languages a").click()
    page.locator("tbody a").first.click()
    expect(page.locator("tbody tr")).to_have_count(6)
    look(page)
    page.locator(".govuk-back-link").click()
    page.locator("main a[href$='/statement/']").click()
    look(page)
    type_day(page, "last", "2 6 2027")
    page.locator("main form button").click()
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    expect(page.locator("[name=last_day]")).to_have_value("2")
    look(page)
    type_day(page, "first", "1 4 2027")
    type_day(page, "last", "31 5 2027")
    page.locator("main form button").click()
    expect(page).to_have_url(re.compile("/statement/2027-04-01/2027-05-31/$"))
    expect(page.locator("tbody tr")).to_have_count(8)
    look(page)
    for kind, begins in (("pdf", b"%PDF-1.7"), ("csv", b"\xef\xbb\xbftenancy,date,kind,")):
        with page.expect_download() as download:
            page.locator(f"main a[href$='/{kind}/']").click()
        name = f"statement-{HOME}-2027-04-01-2027-05-31.{kind}"
        assert download.value.suggested_filename == name
        assert download.value.path().read_bytes().startswith(begins)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_choosing_no_paper(visit: Visits, portal: PortalWorld, lang: str) -> None:
    """Nothing chosen is an error; what is chosen is said, and can be changed."""
    page, _client = visit_as(visit, portal, lang=lang, width=NARROW)
    page.goto(f"{RENT}/")
    page.locator("main a[href$='/how-we-send-statements/']").click()
    look_at(page)
    page.locator("main form button").click()
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    look_at(page)
    page.locator("[value=digital]").check()
    page.locator("main form button").click()
    expect(page.locator(".govuk-notification-banner--success")).to_be_visible()
    expect(page.locator("main")).to_contain_text(
        {"en": "You chose this on 1 June 2027, 9am.", "cy": "ar 1 Mehefin 2027, 9am."}[lang]
    )
    look_at(page)
    page.locator("main a[href$='/how-we-send-statements/']").click()
    expect(page.locator("[value=digital]")).to_be_checked()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_other_state_is_accessible_and_narrow(
    visit: Visits,
    portal: PortalWorld,
    lang: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Behind, closed, nothing found, paged, too long for a PDF, no PDFs at all: all are sound."""
    page, _client = visit_as(visit, portal, lang=lang, width=NARROW)
    fill(FORMER, MOST_IN_PDF + 1)
    whole = f"{RENT}/{FORMER}/statement/2020-01-01/2027-06-01/"
    for path in (
        f"{RENT}/{GARAGE}/",
        f"{RENT}/{GARAGE}/?kind=refund",
        whole,
        f"{whole}pdf/",
    ):
        page.goto(path)
        look_at(page)
    (tmp_path / "weasyprint.py").write_text("raise OSError\n", "ascii")
    for name in [name for name in sys.modules if name.split(".")[0] == "weasyprint"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    page.goto(f"{RENT}/{HOME}/statement/2027-01-01/2027-06-01/pdf/")
    expect(page.locator("main a[href$='/csv/']")).to_be_visible()
    look_at(page)


def test_in_welsh_the_account_is_welsh(visit: Visits, portal: PortalWorld) -> None:
    """Taran reads every charge and payment in Welsh."""
    page, _client = visit_as(visit, portal, TARAN, lang="cy")
    page.goto(f"{RENT}/{TARANS}/")
    said = page.locator("main")
    expect(said).to_contain_text("Rydych £")
    expect(said).to_contain_text("Tâl am 31 Mai 2027 hyd at 6 Mehefin 2027")
    for english in ("Charge", "Payment", "behind", "ahead", "Benefit", "May"):
        expect(said).not_to_contain_text(re.compile(rf"\b{english}\b"))


def test_the_rent_by_keyboard_alone(visit: Visits, portal: PortalWorld) -> None:
    """Tabs, letters and enter lead from the list to a charge and to a statement."""
    page, _client = visit_as(visit, portal)
    page.goto(f"{RENT}/")
    keys = page.keyboard
    keys.press("Tab")
    assert "govuk-skip-link" in focused(page)

    tab_to(page, f"main a[href='{RENT}/{HOME}/']")
    keys.press("Enter")
    expect(page).to_have_url(re.compile(f"{HOME}/$"))
    tab_to(page, "[name=kind]")
    keys.type("Ch")
    keys.press("Tab")
    keys.type("1")
    keys.press("Tab")
    keys.type("4")
    keys.press("Tab")
    keys.type("2027")
    keys.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(3)
    tab_to(page, ".demo-scroll")
    tab_to(page, "tbody a")
    keys.press("Enter")
    charge = Entry.objects.filter(tenancy=HOME, kind="charge").last().pk
    expect(page).to_have_url(re.compile(f"/charge/{charge}/$"))
    page.goto(f"{RENT}/{HOME}/statement/")
    tab_to(page, "main a[href*='2027-03-01']")
    keys.press("Enter")
    expect(page).to_have_url(re.compile("/statement/2027-03-01/2027-06-01/$"))
    tab_to(page, "main a[href$='/pdf/']")
