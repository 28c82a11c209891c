"""What people do in the portal beside the to-dos: requests, payments, properties, notices."""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from landlord_portal.library import registry
from landlord_portal.models import (
    FormVersion,
    HousingRequest,
    Notice,
    Payment,
    Property,
    Tenancy,
)
from landlord_portal.todos.forms import fingerprint
from lxml import html  # type: ignore[import-untyped]

from automation_rules import TodoKind

if TYPE_CHECKING:
    from portal_world import PortalWorld

ENID = "enid.example"


# Requests


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("request_apa", {}),
        ("request_arrears_deduction", {"arrears": "£1,234.50"}),
        ("request_more_frequent_payments", {}),
    ],
)
def test_request_is_sent(portal: PortalWorld, kind: str, more: dict[str, str]) -> None:
    """It is kept with who made it and when, and shown with the tenant."""
    client = portal.client(ENID)
    address = portal.fill("/tenants/{tenancy}/")
    answer = client.post(f"{address}requests/{kind}/", {"reason": "A made-up reason"} | more)
    assert answer.headers["Location"] == address
    [made] = HousingRequest.objects.all()
    assert (made.kind, made.made_by.username) == (kind, ENID)
    assert made.made_at == portal.clock.now()
    assert made.arrears == (Decimal("1234.50") if more else None)
    assert "The request was sent" in client.get(address).content.decode()


@pytest.mark.parametrize("arrears", ["", "12.5", "1,23", "-5.00", "12.345", "ten", "1e3", "１.00"])  # noqa: RUF001
def test_no_amount_is_no_request(portal: PortalWorld, arrears: str) -> None:
    """Money is pounds, or pounds and pence; anything else is asked again."""
    address = portal.fill("/tenants/{tenancy}/requests/request_arrears_deduction/")
    answer = portal.client(ENID).post(address, {"reason": "R", "arrears": arrears})
    assert b"Error: " in answer.content
    assert not HousingRequest.objects.exists()


def test_unknown_request_is_not_there(portal: PortalWorld) -> None:
    """Only the three kinds have a page."""
    address = portal.fill("/tenants/{tenancy}/requests/request_a_pony/")
    assert portal.client(ENID).get(address).status_code == 404


def test_tenant_reference_is_changed(portal: PortalWorld) -> None:
    """The form begins with the present one."""
    client = portal.client(ENID)
    tenancy = Tenancy.objects.exclude(reference="").filter(landlord_id="acme")[0]
    address = f"/tenants/{tenancy.pk}/reference/"
    assert tenancy.reference in client.get(address).content.decode()
    client.post(address, {"reference": "NEW-1"})
    tenancy.refresh_from_db()
    assert tenancy.reference == "NEW-1"


def test_claimant_panel_shows_the_claim(portal: PortalWorld) -> None:
    """Names and dates of birth of a couple, address with postcode, date of claim."""
    tenancy = Tenancy.objects.filter(landlord_id="acme").exclude(second_claimant=None)[0]
    page = portal.client(ENID).get(f"/tenants/{tenancy.pk}/").content.decode()
    for shown in (tenancy.claimant, tenancy.second_claimant):
        assert shown.name.replace("'", "&#39;") in page
        assert f"{shown.born_on.day} {shown.born_on:%B %Y}" in page
    assert tenancy.home.postcode in page
    assert f"{tenancy.claimed_on.day} {tenancy.claimed_on:%B %Y}" in page


# Payments


def payments(portal: PortalWorld, more: dict[str, str], username: str = ENID) -> Any:
    """Search, or export."""
    return portal.client(username).post("/payments/", more)


def test_payments_are_searched_by_name_and_reference(portal: PortalWorld) -> None:
    """Every word counts, in either."""
    one = Payment.objects.filter(tenancy__landlord_id="acme")[0].tenancy
    word = one.claimant.name.split()[0]
    both = payments(portal, {"words": f"{word} {one.reference}"}).content.decode()
    assert one.reference in both
    assert len(html.fromstring(both).xpath("//tbody/tr")) == 3
    assert "Showing" not in both
    assert "There are none." in payments(portal, {"words": "nobody at all"}).content.decode()


def test_long_list_of_payments_shows_more(portal: PortalWorld) -> None:
    """Twenty at first, twenty more with the button."""
    assert "Showing 20 of 36" in portal.client(ENID).get("/payments/").content.decode()
    everything = payments(portal, {"words": "", "shown": "40"}).content
    assert len(html.fromstring(everything).xpath("//tbody/tr")) == 36


def rows(answer: Any) -> list[list[str]]:
    """Read the CSV file."""
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_payments_are_exported(portal: PortalWorld) -> None:
    """All that were searched for, not just those shown, in a file of one's own landlord."""
    answer = payments(portal, {"words": "", "export": "csv"})
    assert answer.headers["Content-Type"].startswith("text/csv")
    [heads, *found] = rows(answer)
    assert heads[0] == "paid_on"
    assert len(found) == 36
    assert all(row[1].startswith("ACME-") for row in found)
    assert all(date.fromisoformat(row[0]) and Decimal(row[4]) for row in found)


@pytest.mark.parametrize("lead", ["=", "+", "-", "@", "\t=", "\r=", "  ="])
def test_exported_text_is_no_formula(portal: PortalWorld, lead: str) -> None:
    """No spreadsheet works out what somebody put into a name."""
    payment = Payment.objects.filter(tenancy__landlord_id="acme")[0]
    payment.tenancy.claimant.name = f"{lead}cmd|' /C calc'!A0"
    payment.tenancy.claimant.save()
    found = rows(payments(portal, {"words": "", "export": "csv"}))
    [cells] = {row[2] for row in found if "calc" in row[2]}
    assert cells.startswith("'")


def test_export_is_for_those_who_may(portal: PortalWorld) -> None:
    """Whoever may only view payments sees no button, and gets no file without it."""
    assert b"Export as CSV" not in payments(portal, {"words": ""}, "sam.sampleson").content
    answer = payments(portal, {"words": "", "export": "csv"}, "sam.sampleson")
    assert answer.status_code == 403


# Properties


def test_property_is_added_and_removed(portal: PortalWorld) -> None:
    """Its address is checked; nobody's home can be removed."""
    client = portal.client(ENID)
    home = {"address": "99 Mock Lane", "town": "Exampleton", "postcode": "EX99 9ZZ"}
    assert b"full postcode" in client.post("/properties/add/", home | {"postcode": "EX99"}).content
    client.post("/properties/add/", home)
    made = Property.objects.get(address="99 Mock Lane")
    assert made.landlord_id == "acme"
    assert client.post(f"/properties/{made.pk}/remove/").status_code == 302
    assert not Property.objects.filter(pk=made.pk).exists()
    let = Tenancy.objects.filter(landlord_id="acme")[0].home
    assert client.post(f"/properties/{let.pk}/remove/").status_code == 404
    assert Property.objects.filter(pk=let.pk).exists()


# Notices

NOTICE = {
    "release": "R200",
    "title_en": "A new question",
    "title_cy": "Cwestiwn newydd",
    "body_en": "We will ask about garages.",
    "body_cy": "Byddwn yn gofyn am garejys.",
    "effective_on_day": "15",
    "effective_on_month": "6",
    "effective_on_year": "2027",
    "affects_automation": "on",
}


def publish(portal: PortalWorld, notice: dict[str, str]) -> Any:
    """Send the form."""
    return portal.client("portal.administrator").post("/notices/publish/", notice)


def test_notice_reaches_users_and_rules(portal: PortalWorld) -> None:
    """It is shown under Updates in both languages, and the rules warn of it."""
    assert publish(portal, NOTICE).status_code == 302
    [known] = [one for one in registry().notices() if one.id == "R200"]
    assert (known.effective_on, known.affects_automation) == (date(2027, 6, 15), True)
    client = portal.client(ENID)
    page = client.get("/updates/").content.decode()
    assert "A new question (R200)" in page
    assert "Takes effect on 15 June 2027." in page
    assert "This affects automation." in page
    client.cookies["django_language"] = "cy"
    page = client.get("/updates/").content.decode()
    assert "Cwestiwn newydd (R200)" in page
    assert "15 Mehefin 2027" in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"release": "R164"}, "release number already"),
        ({"effective_on_day": "31"}, "must be a real date"),
        ({"effective_on_day": "x"}, "must be a real date"),
        ({"effective_on_day": "", "effective_on_month": ""}, "must be a real date"),
        ({"title_cy": ""}, "Enter the title in Welsh"),
    ],
)
def test_notice_with_errors_is_not_published(
    portal: PortalWorld, change: dict[str, str], said: str
) -> None:
    """Each says what to do; nothing is kept."""
    assert said in publish(portal, NOTICE | change).content.decode()
    assert not Notice.objects.filter(release="R200").exists()


def test_notice_that_the_rules_refuse_is_not_published(portal: PortalWorld) -> None:
    """What one of them does not take, neither keeps."""
    assert (
        "did not take the notice"
        in publish(portal, NOTICE | {"title_en": "T\x07T"}).content.decode()
    )
    assert not Notice.objects.filter(release="R200").exists()


# Changes of forms

CHANGE = NOTICE | {
    "where": "confirm_housing_costs/rent",
    "label_en": "Is there a garage?",
    "label_cy": "A oes garej?",
    "type": "yes_no",
    "required": "on",
}


def change_form(portal: PortalWorld, change: dict[str, str]) -> Any:
    """Send the form."""
    return portal.client("portal.administrator").post("/notices/form/", change)


def test_change_of_a_form_takes_effect_from_today_at_the_earliest(portal: PortalWorld) -> None:
    """What bots already did cannot have been done by another form."""
    yesterday = CHANGE | {"effective_on_day": "31", "effective_on_month": "5"}
    assert "must not take effect in the past" in change_form(portal, yesterday).content.decode()
    today = CHANGE | {"effective_on_day": "1"}
    assert change_form(portal, today).status_code == 302


def test_form_change_has_a_notice_and_another_fingerprint(portal: PortalWorld) -> None:
    """It holds from its day on; the notice, for users and rules, affects automation."""
    assert change_form(portal, CHANGE).status_code == 302
    kind = TodoKind.CONFIRM_HOUSING_COSTS
    assert FormVersion.in_force(kind, date(2027, 6, 14)) is None
    version = FormVersion.in_force(kind, date(2027, 6, 15))
    assert version is not None
    assert version.fingerprint != fingerprint(kind)
    assert FormVersion.in_force(TodoKind.PROVIDE_TENANCY_DETAILS, date(2027, 6, 15)) is None
    assert version.notice.affects_automation
    assert [one.affects_automation for one in registry().notices()] == [True]


def test_form_changes_add_up(portal: PortalWorld) -> None:
    """The second asks what the first asks as well; one that would come before it is refused."""
    change_form(portal, CHANGE)
    later = {"release": "R201", "effective_on_day": "16", "type": "money"}
    assert change_form(portal, CHANGE | later).status_code == 302
    earlier = {"release": "R202", "effective_on_day": "14"}
    assert b"must not take effect before" in change_form(portal, CHANGE | earlier).content
    version = FormVersion.in_force(TodoKind.CONFIRM_HOUSING_COSTS, date(2027, 7, 1))
    assert version is not None
    assert [question["name"] for question in version.fields] == ["extra_1", "extra_2"]


def test_form_can_change_without_notice(portal: PortalWorld) -> None:
    """Two weeks are an aim, not a promise: a change may hold from today."""
    change_form(portal, CHANGE | {"effective_on_day": "1"})
    assert FormVersion.in_force(TodoKind.CONFIRM_HOUSING_COSTS, date(2027, 6, 1)) is not None


def test_landlords_tested_the_forms_as_they_were_made(portal: PortalWorld) -> None:
    """The rules know the fingerprints of the forms that the example bots were tested with."""
    known = registry().known_forms("acme")
    assert {(form.todo_kind, form.fingerprint) for form in known} == {
        (kind.value, fingerprint(kind))
        for kind in (TodoKind.PROVIDE_TENANCY_DETAILS, TodoKind.CONFIRM_HOUSING_COSTS)
    }
