"""The compliance officer's pages: the landlord's own log, its proof, pauses and tests."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from landlord_portal import automation
from landlord_portal.library import registry
from landlord_portal.models import FormVersion, User
from landlord_portal.todos.forms import fingerprint
from landlord_portal.todos.views import form_fingerprint
from lxml import html  # type: ignore[import-untyped]
from test_automation import BOT, ENID, SECOND_BOT, WELSH_BOT, as_user, open_todo, said
from test_languages import data, words_of
from test_todos import QUESTION
from todo_answers import CONFIRM, PROVIDE, a_todo

from automation_rules.accounts import AccountStatus

if TYPE_CHECKING:
    from django.test import Client
    from portal_world import PortalWorld

    from automation_rules.store import KnownForm

OLIVE = "olive.madeup"
PAGES = [
    "/compliance/",
    "/compliance/verification/",
    "/compliance/reports/30/html/",
    "/compliance/reports/365/csv/",
    "/compliance/automation/",
    "/compliance/automation/pause/",
    "/compliance/automation/pause/acme-1/",
    "/compliance/automation/resume/",
    "/compliance/automation/resume/acme-1/",
    "/compliance/forms/confirm_housing_costs/",
]


@pytest.fixture
def worked(portal: PortalWorld) -> PortalWorld:
    """Give a portal in which bots of two landlords did something."""
    with as_user(portal, BOT) as bot:
        open_todo(bot, a_todo(PROVIDE))
        assert said(bot.get("/payments/")) == "unknown-action"
    with as_user(portal, WELSH_BOT) as bot:
        bot.get("/to-dos/")
    with as_user(portal, SECOND_BOT) as bot:
        portal.clock.move_to(datetime.fromisoformat("2027-06-01T18:30:00+01:00"))
        assert said(bot.get("/to-dos/")) == "outside-hours"
    return portal


def rows_of(answer: Any) -> list[list[str]]:
    """Return the cells of a page's first table."""
    page = html.fromstring(answer.content)
    return [
        [" ".join(cell.text_content().split()) for cell in row.xpath("./th|./td")]
        for row in page.xpath("(//main//table)[1]/tbody/tr")
    ]


def text_of(answer: Any) -> str:
    """Return what the page says."""
    [main] = html.fromstring(answer.content).xpath("//main")
    return " ".join(main.text_content().split())


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_for_the_officer_alone(portal: PortalWorld, path: str) -> None:
    """Neither every role, nor running the portal, nor being a bot opens them."""
    assert portal.client(OLIVE).get(path).status_code == 200
    for username in (ENID, "portal.administrator"):
        assert portal.client(username).get(path).status_code == 403
    User.objects.filter(username=BOT).update(is_compliance_officer=True)
    assert portal.client(BOT).get(path).status_code == 403


def test_tab_is_the_officers(portal: PortalWorld) -> None:
    """Others are not shown what they may not open."""
    assert b'href="/compliance/"' in portal.client(OLIVE).get("/updates/").content
    assert b'href="/compliance/"' not in portal.client(ENID).get("/updates/").content


def test_log_shows_the_landlords_own_newest_first(worked: PortalWorld) -> None:
    """Who did what when, and why not; nothing of another landlord's."""
    rows = rows_of(worked.client(OLIVE).get("/compliance/"))
    assert [row[1:5] for row in rows] == [
        ["acme-2", "List the to-dos", "Confirm tenant's housing costs", "Denied"],
        ["acme-2", "Enter the access code", "Confirm tenant's housing costs", "Allowed"],
        ["acme-2", "Sign in", "Confirm tenant's housing costs", "Allowed"],
        ["acme-1", "Another page", "", "Denied"],
        ["acme-1", "Open a to-do", "Provide tenancy details", "Allowed"],
        ["acme-1", "Enter the access code", "Provide tenancy details", "Allowed"],
        ["acme-1", "Sign in", "Provide tenancy details", "Allowed"],
    ]
    assert rows[0][0] == "1 June 2027, 6:30pm, entry 9"
    assert rows[0][5] == "Outside the hours for automation"


@pytest.mark.parametrize(
    ("asked", "entries"),
    [
        ({"account": "acme-1"}, [3, 2, 1, 0]),
        ({"answer": "denied"}, [9, 3]),
        ({"answer": "allowed", "account": "acme-2"}, [8, 7]),
        ({"step": "sign_in"}, [7, 0]),
        ({"step": "unknown"}, [3]),
        ({"account": "enghraifft-1"}, [9, 8, 7, 3, 2, 1, 0]),
        ({"before": "8"}, [7, 3, 2, 1, 0]),
        ({"before": "nonsense"}, [9, 8, 7, 3, 2, 1, 0]),
        ({"before": "0"}, []),
    ],
)
def test_log_is_filtered(worked: PortalWorld, asked: dict[str, str], entries: list[int]) -> None:
    """By account, answer and step; what makes no sense filters nothing."""
    rows = rows_of(worked.client(OLIVE).get("/compliance/", asked))
    assert [int(row[0].rpartition(" ")[2]) for row in rows] == entries


def test_log_is_read_page_by_page(portal: PortalWorld) -> None:
    """Following 'Older decisions' to the end shows every entry once, filters kept."""
    with as_user(portal, BOT) as bot:
        for _ in range(50):
            bot.get("/to-dos/")
            portal.clock.move_to(portal.clock.now() + timedelta(seconds=5))
    client, addresses, found = portal.client(OLIVE), ["?account=acme-1"], []
    for address in addresses:
        answer = client.get(f"/compliance/{address}")
        found += [int(row[0].rpartition(" ")[2]) for row in rows_of(answer)]
        links = html.fromstring(answer.content).xpath("//main//a/@href")
        addresses += [link for link in links if "before=" in link]
    assert all("account=acme-1" in address for address in addresses)
    assert len(addresses) == 3
    assert found == list(range(51, -1, -1))


def test_one_decision_shows_every_finding(worked: PortalWorld) -> None:
    """What each check found, clauses, when it would be allowed, and the proof."""
    answer = worked.client(OLIVE).get("/compliance/9/")
    text = text_of(answer)
    assert "Outside the hours for automation" in text
    assert "when.core-hours" in text
    assert "Allowed again from 2 June 2027, 8am" in text
    assert "which has 10 entries" in text
    assert len(rows_of(answer)) == 14
    allowed = text_of(worked.client(OLIVE).get("/compliance/0/"))
    assert "Allowed again from" not in allowed


@pytest.mark.parametrize("index", ["4", "10", "99999999999999999999"])
def test_other_landlords_decision_is_not_there(worked: PortalWorld, index: str) -> None:
    """Another landlord's entry looks like one that does not exist."""
    assert worked.client(OLIVE).get(f"/compliance/{index}/").status_code == 404


def test_log_is_verified(worked: PortalWorld) -> None:
    """An untouched log holds; after one byte was changed, the page names the entry."""
    client = worked.client(OLIVE)
    assert "The log holds: nothing was altered. Entries checked: 10." in text_of(
        client.post("/compliance/verification/")
    )
    with closing(sqlite3.connect(worked.home / "state.sqlite3")) as database, database:
        [leaf] = database.execute("SELECT leaf FROM log_entries WHERE idx = 3").fetchone()
        changed = leaf.replace(b'"decision":false', b'"decision":true', 1)
        assert changed != leaf
        database.execute("UPDATE log_entries SET leaf = ? WHERE idx = 3", (changed,))
    answer = client.post("/compliance/verification/")
    assert "The first entry that is wrong: 3." in text_of(answer)
    assert "The log holds" not in text_of(answer)


def test_log_that_went_back_does_not_hold(worked: PortalWorld) -> None:
    """A log that lost its end verifies by itself; this computer remembers more."""
    client = worked.client(OLIVE)
    with closing(sqlite3.connect(worked.home / "heads.sqlite3")) as database, database:
        database.execute("UPDATE heads SET size = size + 1")
    assert "The log does not hold" in text_of(client.post("/compliance/verification/"))


def test_log_that_cannot_be_verified_says_so(worked: PortalWorld) -> None:
    """Without its key nothing is said to hold."""
    (worked.home / "state.sqlite3.key").unlink()
    text = text_of(worked.client(OLIVE).post("/compliance/verification/"))
    assert "cannot be verified at the moment" in text
    assert "holds" not in text


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_report_counts_the_landlords_own(worked: PortalWorld, lang: str) -> None:
    """It is the library's page, in the officer's language, and no browser blocks its style."""
    client = worked.client(OLIVE)
    client.cookies["django_language"] = lang
    answer = client.get("/compliance/reports/30/html/")
    page = answer.content.decode()
    assert f'lang="{lang}"' in page
    assert "acme-2" in page
    assert "enghraifft" not in page
    assert "style-src 'sha256-" in answer.headers["Content-Security-Policy"]
    table = client.get("/compliance/reports/365/csv/")
    assert table.headers["Content-Disposition"] == 'attachment; filename="decisions.csv"'
    lines = table.content.decode("utf-8-sig").splitlines()
    assert "2027-06-01,acme,acme-1,live,denied,,1" in lines
    assert not [line for line in lines if "enghraifft" in line]


@pytest.mark.parametrize("path", ["31/html", "30/xml"])
def test_there_are_no_other_reports(portal: PortalWorld, path: str) -> None:
    """An address that was made up is no page."""
    assert portal.client(OLIVE).get(f"/compliance/reports/{path}/").status_code == 404


# --- automation -----------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["", "acme-1/"])
def test_officer_pauses_and_resumes(portal: PortalWorld, target: str) -> None:
    """The bot stops, with the reason on record; on the officer's word it may go on."""
    officer = portal.client(OLIVE)
    with as_user(portal, BOT) as bot, as_user(portal, SECOND_BOT) as other:
        officer.post(f"/compliance/automation/pause/{target}", {"reason": "made up"})
        portal.clock.move_to(portal.clock.now() + timedelta(seconds=1))
        paused = "account-paused" if target else "landlord-paused"
        assert said(bot.get("/to-dos/")) == paused
        assert said(other.get("/to-dos/")) == (None if target else paused)
        assert "made up" in text_of(officer.get("/compliance/automation/"))
        answer = officer.post(f"/compliance/automation/resume/{target}")
        assert answer.headers["Location"] == "/compliance/automation/"
        portal.clock.move_to(portal.clock.now() + timedelta(seconds=1))
        assert said(bot.get("/to-dos/")) is None
    [pause, resumption] = registry().status_changes("acme")
    assert (pause.change, pause.reason) == ("paused", "made up")
    assert (resumption.change, resumption.person_id) == ("resumed", "officer-9")


def test_pause_needs_a_reason(portal: PortalWorld) -> None:
    """Without one nothing is paused."""
    answer = portal.client(OLIVE).post("/compliance/automation/pause/acme-1/", {"reason": " "})
    assert "Say why" in text_of(answer)
    assert registry().account("acme-1").status is AccountStatus.ACTIVE


@pytest.mark.parametrize("path", ["resume/", "resume/acme-1/"])
def test_what_works_is_not_resumed(portal: PortalWorld, path: str) -> None:
    """A page that is out of date says so."""
    answer = portal.client(OLIVE).post(f"/compliance/automation/{path}")
    assert "It has changed meanwhile" in text_of(answer)


@pytest.mark.parametrize("change", ["pause", "resume"])
@pytest.mark.parametrize("account", ["enghraifft-1", "nobody"])
def test_other_landlords_accounts_are_out_of_reach(
    portal: PortalWorld, change: str, account: str
) -> None:
    """Another landlord's bot cannot be stopped or started."""
    path = f"/compliance/automation/{change}/{account}/"
    answer = portal.client(OLIVE).post(path, {"reason": "made up"})
    assert answer.status_code == 404
    assert registry().status_changes("enghraifft") == ()


def test_portals_own_pause_is_not_the_officers_to_end(portal: PortalWorld) -> None:
    """When all automation is paused, the page says so and offers no button."""
    registry().pause_all("made up")
    page = portal.client(OLIVE).get("/compliance/automation/")
    assert "The automation of every landlord is paused." in text_of(page)
    assert b"/resume/" not in page.content


def test_what_the_monitor_saw_is_shown(portal: PortalWorld) -> None:
    """A bot that goes too fast is noted, then paused; the officer reads both."""
    with as_user(portal, BOT) as bot:
        for _ in range(31):
            bot.get("/payments/")
    automation.close()
    text = text_of(portal.client(OLIVE).get("/compliance/automation/"))
    assert "Errors and denials in 10 minutes: 31 (at most 30 expected)" in text
    assert "Account paused" in text
    assert rows_of(portal.client(OLIVE).get("/compliance/automation/"))[0][2] == "Paused"


def change_form(portal: PortalWorld) -> None:
    """Add a question to a form, from today on."""
    FormVersion.objects.create(
        kind=CONFIRM.value,
        fields=[QUESTION],
        fingerprint=fingerprint(CONFIRM, [QUESTION]),
        effective_on=portal.clock.now().date(),
    )


def last_test(kind: str) -> KnownForm:
    """Return what the landlord's automation was last tested with."""
    [known] = [form for form in registry().known_forms("acme") if form.todo_kind == kind]
    return known


def record_test(client: Client, seen: str) -> Any:
    """Press the button, having seen a form's fingerprint."""
    return client.post("/compliance/forms/confirm_housing_costs/", {"fingerprint": seen})


def test_officer_records_a_test_of_a_changed_form(portal: PortalWorld) -> None:
    """The bot is stopped by the change, and goes on after the test is on record."""
    officer = portal.client(OLIVE)
    with as_user(portal, BOT) as bot:
        assert "Changed: test it again" not in text_of(officer.get("/compliance/automation/"))
        change_form(portal)
        assert said(open_todo(bot, a_todo(CONFIRM))) == "form-changed"
        assert "Changed: test it again" in text_of(officer.get("/compliance/automation/"))
        page = officer.get("/compliance/forms/confirm_housing_costs/").content.decode()
        [seen] = re.findall(r'name="fingerprint" value="([^"]*)"', page)
        assert record_test(officer, seen).status_code == 302
        portal.clock.move_to(portal.clock.now() + timedelta(seconds=1))
        assert said(open_todo(bot, a_todo(CONFIRM))) is None
    known = last_test("confirm_housing_costs")
    assert known.fingerprint == form_fingerprint(CONFIRM)
    assert known.tested_on == portal.clock.now().date()


def test_test_of_the_form_before_is_not_recorded(portal: PortalWorld) -> None:
    """When the form changed while the page was open, another form was tested."""
    officer, before = portal.client(OLIVE), last_test("confirm_housing_costs")
    seen = form_fingerprint(CONFIRM)
    change_form(portal)
    assert "The form has changed meanwhile" in text_of(record_test(officer, seen))
    assert last_test("confirm_housing_costs") == before


def test_there_is_no_other_form(portal: PortalWorld) -> None:
    """An address that was made up is no page."""
    assert portal.client(OLIVE).get("/compliance/forms/other/").status_code == 404


# --- language -------------------------------------------------------------------------------


def test_no_english_is_left_on_welsh_pages(worked: PortalWorld) -> None:
    """What both languages' pages show alike is data, or is marked as English."""
    officer = worked.client(OLIVE)
    officer.post("/compliance/automation/pause/acme-1/", {"reason": "rheswm"})
    paths = [path for path in PAGES if "report" not in path]
    paths += ["/compliance/?answer=denied&before=8", "/compliance/9/", "/compliance/3/"]
    known = data() | {"English", "Cymraeg", "acme-1", "acme-2", "rheswm", "officer-9", "Person"}
    known |= {form_fingerprint(CONFIRM)}
    for path in paths:
        for send_empty in (False, True):
            if send_empty and "resume/" in path:
                continue
            seen = {}
            for lang in ("en", "cy"):
                officer.cookies["django_language"] = lang
                answer = officer.post(path) if send_empty else officer.get(path)
                if answer.status_code == 200:
                    seen[lang] = words_of(html.fromstring(answer.content))
            if len(seen) == 2:
                left = {
                    text
                    for text in seen["en"] & seen["cy"] - known
                    if re.search(r"[a-z]{3}", text) and not re.search(r"[0-9a-f]{8}", text)
                }
                assert left <= {"landlord-portal 1"}, path
