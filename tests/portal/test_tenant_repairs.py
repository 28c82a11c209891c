"""Reporting repairs and following them: once each, by whom they concern, as things stand now."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from contact_world import at
from demo_portal import clock
from django.conf import settings
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from repairs_world import (
    DRIPS,
    LIFT,
    REPAIRS,
    START,
    answer,
    be_neighbour,
    change,
    count,
    describe,
    in_thread,
    number_at,
    report,
    send,
    shown,
    stuck,
    text_of,
    walk,
)
from tenant_services.models import TenantAccount
from tenant_services.repairs import diary_client as diary
from tenant_services.repairs import example_data
from tenant_services.repairs.diary import Answer, Status
from tenant_services.repairs.diary_calendar import is_working_day
from tenant_services.repairs.housing import Happening, housing_management
from tenant_services.repairs.housing import Status as JobStatus
from tenant_services.repairs.models import Report
from tenant_services.words import window_text
from tenant_world import FORMER, GARAGE, HOME, TARAN, TARANS, TESSA, change_customers, signed_in

if TYPE_CHECKING:
    from django.test import Client
    from portal_world import PortalWorld

STEPS = ["for", "where", "what", "detail", "describe", "check"]


@pytest.fixture
def tessa(portal: PortalWorld) -> Client:
    """Give a client in which Tessa is signed in."""
    return signed_in(portal)


def here(path: str) -> str:
    """Return the part of an address that names the step."""
    return path.rstrip("/").rsplit("/", 1)[-1]


def job(number: str) -> Any:
    """Return a job as the housing management system has it."""
    found = housing_management().job(number)
    assert found is not None
    return found


# --- reporting ----------------------------------------------------------------------------------


def test_from_the_first_question_to_the_number(portal: PortalWorld) -> None:
    """What was answered is what is raised, for those who do the work, and the number is shown."""
    client = signed_in(portal)
    said = {"words": "Ers dydd Llun: ŵ ŷ", "access": "Ring twice", "telephone": "01632 960 001"}
    number = report(client, HOME, DRIPS, **said)
    found = job(number)
    assert (found.tenancy, found.building, found.reporter) == (HOME, "", "P1001")
    assert (found.sor_code, int(found.priority)) == ("DEMO-PL-101", 4)
    assert found.description == "Kitchen: Tap: It drips"
    assert {name: getattr(found, name) for name in said} == said
    page = text_of(client, f"{REPAIRS}{number}/")
    for words in said.values():
        assert words in page
    assert f'href="{REPAIRS}{number}/visit/book/"' in page
    assert number in text_of(client, REPAIRS)


def test_what_was_written_does_not_stay_behind(portal: PortalWorld) -> None:
    """Once it is raised, the housing management system alone keeps what the tenant wrote."""
    client = signed_in(portal)
    report(client, HOME, DRIPS, words="Something private", telephone="01632 960 001")
    [kept] = Report.objects.all()
    assert (kept.words, kept.access, kept.telephone) == ("", "", "")
    assert kept.job


def test_reports_that_were_left_are_forgotten(portal: PortalWorld) -> None:
    """A day later the next report, whoever's, clears away what was never finished."""
    client = signed_in(portal)
    old = describe(client, HOME, DRIPS, words="Half")
    portal.clock.move_to(portal.clock.now() + timedelta(hours=23, minutes=59))
    signed = signed_in(portal, TARAN)
    answer(signed, START, TARANS)
    assert Report.objects.count() == 2
    portal.clock.move_to(portal.clock.now() + timedelta(minutes=1))
    answer(signed, START, TARANS)
    assert Report.objects.count() == 2
    assert signed_in(portal).get(old).status_code == 404


def test_sending_it_twice_raises_one_job(portal: PortalWorld) -> None:
    """The button again, the page before again, every question again: one job, one number."""
    client = signed_in(portal)
    before = count()
    path = describe(client, HOME, DRIPS)
    sent = {"shown": shown(client, path)}
    first = client.post(path, sent)
    assert client.post(path, sent).headers["Location"] == first.headers["Location"]
    for step in STEPS:
        again = client.get(path.replace("check", step))
        assert again.headers["Location"] == first.headers["Location"]
        assert client.post(path.replace("check", step), {"answer": "x"}).status_code == 302
    assert text_of(client, first.headers["Location"]) == text_of(client, first.headers["Location"])
    assert count() == before + 1


def test_sending_it_many_times_at_once_raises_one_job(portal: PortalWorld) -> None:
    """A double click reaches two threads: one job, and both are shown it."""
    client = signed_in(portal)
    before = count()
    path = describe(client, HOME, DRIPS)
    sent = {"shown": shown(client, path)}
    answers: list[Any] = []
    threads = [
        threading.Thread(target=in_thread, args=(client, path, sent, answers)) for _ in "12345"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.status_code for one in answers] == [302] * 5
    assert len({one.headers["Location"] for one in answers}) == 1
    assert count() == before + 1


def test_nothing_is_lost_or_raised_twice_while_housing_is_down(portal: PortalWorld) -> None:
    """The page says so and keeps the answers; sent again later, it is raised once."""
    client = signed_in(portal)
    before = count()
    path = describe(client, HOME, DRIPS, words="Keep me")
    sent = {"shown": shown(client, path)}
    with stuck():
        failed = client.post(path, sent)
        assert failed.status_code == 503
        assert f'name="shown" value="{sent["shown"]}"' in failed.content.decode()
        assert client.get(REPAIRS).status_code == 503
    assert count() == before
    assert client.post(path, sent).status_code == 302
    assert client.post(path, sent).status_code == 302
    assert count() == before + 1
    assert job(number_at(words="Keep me")).tenancy == HOME


def test_answers_that_changed_elsewhere_are_shown_before_they_count(portal: PortalWorld) -> None:
    """Another window changed an answer: what the first one shows is not what is raised."""
    client = signed_in(portal)
    before = count()
    path = describe(client, HOME, DRIPS, words="One")
    old = shown(client, path)
    client.post(path.replace("check", "describe"), {"words": "Two"})
    refused = client.post(path, {"shown": old})
    assert refused.status_code == 200
    assert "Your answers were changed after this page was shown" in refused.content.decode()
    assert client.post(path, {}).status_code == 200
    assert count() == before
    send(client, path)
    assert job(number_at(words="Two"))


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_answers_are_there_when_going_back_or_changing_language(
    portal: PortalWorld, lang: str
) -> None:
    """Every question shows what was answered, in the other language too."""
    client = signed_in(portal)
    said = {"words": "Words", "access": "Knock", "telephone": "01632 960 001"}
    path = describe(client, HOME, DRIPS, **said)
    client.cookies["django_language"] = lang
    for step, value in zip(STEPS, [HOME, *DRIPS], strict=False):
        page = text_of(client, path.replace("check", step))
        [chosen] = re.findall(r'value="([\w-]+)" checked', page)
        assert chosen == value
    page = text_of(client, path.replace("check", "describe"))
    for words in said.values():
        assert words in page
    assert {"en": "It drips", "cy": "Mae\u2019n diferu"}[lang] in unescape(text_of(client, path))


def test_changing_an_answer_asks_only_what_hangs_on_it(portal: PortalWorld) -> None:
    """The same again leads back to the check; another place asks on, and keeps the words."""
    client = signed_in(portal)
    path = describe(client, HOME, DRIPS, words="Words")
    where = path.replace("check", "where")
    assert here(answer(client, where, "kitchen")) == "check"
    assert here(answer(client, where, "bathroom")) == "what"
    assert here(client.get(path).headers["Location"]) == "what"
    assert here(answer(client, path.replace("check", "what"), "fan")) == "check"
    page = text_of(client, path)
    assert "The extractor fan does not work" in page
    assert "Words" in page
    # There was nothing more to ask about it.
    assert here(client.get(path.replace("check", "detail")).headers["Location"]) == "what"


def test_changing_the_home_keeps_what_can_be_there(portal: PortalWorld) -> None:
    """A garage has no kitchen: where it is is asked again."""
    client = signed_in(portal)
    path = describe(client, HOME, DRIPS)
    assert here(answer(client, path.replace("check", "for"), GARAGE)) == "where"
    page = text_of(client, path.replace("check", "where"))
    assert "Kitchen" not in page
    assert "Garage" in page


def test_no_page_is_reached_without_the_answers_before_it(portal: PortalWorld) -> None:
    """Whoever jumps ahead is led to the first question that is open."""
    client = signed_in(portal)
    path = answer(client, START, HOME)
    answers = list(zip(["where", "what", "detail"], DRIPS, strict=True))
    for place, (step, value) in enumerate(answers):
        for later in [*STEPS[place + 2 :], "reported"]:
            for jumped in (
                client.get(path.replace("where", later)),
                client.post(path.replace("where", later), {"answer": "x", "shown": "x"}),
            ):
                if (jumped.status_code, later) == (405, "reported"):
                    continue
                assert jumped.status_code == 302, later
                assert here(jumped.headers["Location"]) == step
        answer(client, path.replace("where", step), value)
    assert here(client.get(path.replace("where", "check")).headers["Location"]) == "describe"


@pytest.mark.parametrize(
    ("path", "slugs"),
    [
        ("emergency/gas/", ("kitchen", "appliance", "gas")),
        ("self-help/pests/", ("whole-home", "pests", "small")),
    ],
)
def test_what_is_not_for_the_form_cannot_be_raised(
    portal: PortalWorld, path: str, slugs: tuple[str, str, str]
) -> None:
    """Emergencies and self-help lead out of the form, from every page of it, and back into it."""
    client = signed_in(portal)
    before = count()
    out = walk(client, HOME, slugs)
    assert out.startswith(REPAIRS + path)
    detail = re.findall(r'href="([^"]+/detail/)"', text_of(client, out))[0]
    for step in ("describe", "check"):
        for jumped in (client.get, client.post):
            assert jumped(detail.replace("detail", step)).headers["Location"] == out
    assert count() == before
    text_of(client, detail)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"telephone": "none"}, "Enter a telephone number, like 01632 960 001"),
        ({"telephone": "12345"}, "Enter a telephone number, like 01632 960 001"),
        ({"telephone": "(----- 01632)"}, "Enter a telephone number, like 01632 960 001"),
        ({"telephone": "+44 7700 900982 <script>"}, "Enter a telephone number"),
        ({"words": "x" * 1001}, "The answer must be 1000 characters or fewer"),
        ({"access": "x" * 501}, "The answer must be 500 characters or fewer"),
        ({"words": "nul\x00l"}, "The answer has a character that cannot be kept"),
    ],
)
def test_wrong_words_are_said_and_kept_on_the_page(
    portal: PortalWorld, sent: dict[str, str], said: str
) -> None:
    """The field is named with its remedy; nothing of the rest is lost, nothing is kept half."""
    client = signed_in(portal)
    path = walk(client, HOME, DRIPS)
    refused = client.post(path, {"words": "Kept words", "access": "Kept access"} | sent)
    page = unescape(refused.content.decode())
    assert refused.status_code == 200
    assert said in page
    assert ("Kept words" in page) == ("words" not in sent)
    assert not Report.objects.get().is_described


def test_ends_of_lines_count_once(portal: PortalWorld) -> None:
    """As long as may be in a browser, which sends two characters for each, is not too long."""
    client = signed_in(portal)
    path = walk(client, HOME, DRIPS)
    sent = {"words": "a\r\n" * 499 + "bc", "access": "a\r\n" * 249 + "bc"}
    assert client.post(path, {"words": sent["words"] + "d"}).status_code == 200
    assert client.post(path, sent).status_code == 302
    kept = Report.objects.get()
    assert (len(kept.words), len(kept.access)) == (1000, 500)


@pytest.mark.parametrize("value", ["", "nowhere", "tap", "T-200001", "<script>", "\x00"])
def test_answers_that_were_not_offered_are_refused(portal: PortalWorld, value: str) -> None:
    """Nothing but what is offered is taken, and the page says what to do."""
    client = signed_in(portal)
    path = answer(client, START, HOME)
    for asked in (START, path):
        refused = client.post(asked, {"answer": value})
        assert refused.status_code == 200
        assert "govuk-error-summary" in refused.content.decode()
    assert Report.objects.get().location == ""


@how(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=60))
def test_any_words_are_shown_as_they_were_written(tessa: Client, words: str) -> None:
    """Whatever is written comes back as text, and never as part of the page."""
    client = tessa
    number = report(client, HOME, DRIPS, words=words)
    assert job(number).words == words.strip()
    page = text_of(client, f"{REPAIRS}{number}/")
    assert words.strip() in unescape(page)


def test_hostile_words_are_only_words(portal: PortalWorld) -> None:
    """Markup is shown, not obeyed, on each page that shows it."""
    client = signed_in(portal)
    hostile = "<script>alert(1)</script>=1+1\"'"
    path = describe(client, HOME, DRIPS, words=hostile, access=hostile)
    for page in (text_of(client, path), text_of(client, path.replace("check", "describe"))):
        assert "<script>alert" not in page
        assert hostile in unescape(page)
    number = report(client, HOME, DRIPS, words=hostile, access=hostile)
    page = text_of(client, f"{REPAIRS}{number}/")
    assert "<script>alert" not in page
    assert hostile in unescape(page)


def test_nothing_is_reported_for_what_is_rented_no_more(portal: PortalWorld) -> None:
    """A former home is not offered; one whose tenancy ends meanwhile is asked for again."""
    client = signed_in(portal)
    assert FORMER not in text_of(client, START)
    answer(client, START, FORMER, 200)
    path = describe(client, HOME, DRIPS)
    sent = {"shown": shown(client, path)}
    before = count()
    end_tenancies(HOME)
    assert here(client.post(path, sent).headers["Location"]) == "for"
    assert count() == before
    end_tenancies(GARAGE)
    page = text_of(client, START)
    assert "You do not rent anything from us" in page
    assert client.post(START, {"answer": HOME}).status_code == 200


def end_tenancies(*references: str) -> None:
    """Let tenancies have ended, as the customer directory has it."""
    from datetime import date

    from tenant_services.profile import customers_sql

    table = customers_sql.tenancies
    change_customers(
        table.update().where(table.c.reference.in_(references)).values(ended_on=date(2027, 5, 1))
    )


def test_what_may_have_been_reported_already_is_shown(portal: PortalWorld) -> None:
    """An open job of the same kind at the same place is linked before another is raised."""
    client = signed_in(portal)
    known = number_at(sor_code="DEMO-PL-101")
    path = describe(client, HOME, DRIPS)
    assert f'href="{REPAIRS}{known}/"' in text_of(client, path)
    change(known, status="complete")
    assert f'href="{REPAIRS}{known}/"' not in text_of(client, path)


# --- whose they are -----------------------------------------------------------------------------


def test_reports_are_their_own_accounts(portal: PortalWorld) -> None:
    """Somebody else's report is not there, on any of its pages, to read or to answer."""
    path = describe(signed_in(portal), HOME, DRIPS, words="Private")
    other = signed_in(portal, TARAN)
    before = count()
    for step in [*STEPS, "reported"]:
        place = path.replace("check", step)
        assert other.get(place).status_code == 404
        assert other.post(place, {"answer": TARANS}).status_code in {404, 405}
    assert count() == before


@pytest.mark.parametrize("page", ["", "cancel/"])
def test_jobs_of_others_are_not_there(portal: PortalWorld, page: str) -> None:
    """Another's home, another building, and numbers of nothing all answer alike."""
    client = signed_in(portal, TARAN)
    mine = number_at(sor_code="DEMO-HE-105")
    assert client.get(f"{REPAIRS}{mine}/{page}").status_code == 200
    for number in (
        number_at(sor_code="DEMO-PL-101"),
        number_at(sor_code="DEMO-EL-161"),
        "R-999999",
        "1",
        "R-100001'--",
    ):
        assert client.get(f"{REPAIRS}{number}/{page}").status_code == 404
        assert client.post(f"{REPAIRS}{number}/{page}").status_code in {404, 405}
    assert job(number_at(sor_code="DEMO-PL-101")).is_open


def test_former_homes_are_followed_but_their_buildings_are_not(portal: PortalWorld) -> None:
    """Whoever moved out still sees their own repairs, and nothing more of the building."""
    client = signed_in(portal)
    own, shared = number_at(tenancy=HOME), number_at(sor_code="DEMO-EL-161")
    assert client.get(f"{REPAIRS}{shared}/").status_code == 200
    end_tenancies(HOME)
    assert client.get(f"{REPAIRS}{own}/").status_code == 200
    assert client.get(f"{REPAIRS}{shared}/").status_code == 404
    assert "shared parts of your building" not in text_of(client, REPAIRS)


def test_communal_repair_is_the_whole_buildings(portal: PortalWorld) -> None:
    """Neighbours see it and where it stands, but neither who reported it nor their words."""
    tessa = signed_in(portal)
    number = report(tessa, HOME, LIFT, words="Flat 1 is afraid", telephone="01632 960 077")
    assert (job(number).tenancy, job(number).building) == ("", "Sample Court")
    be_neighbour()
    una = signed_in(portal, TARAN)
    assert number in text_of(una, REPAIRS)
    page = text_of(una, f"{REPAIRS}{number}/")
    assert "Lift: It does not work" in page
    for private in ("Flat 1 is afraid", "01632 960 077", "P1001", "Tessa", HOME):
        assert private not in page
    assert "Flat 1 is afraid" in text_of(tessa, f"{REPAIRS}{number}/")


def test_communal_repair_is_cancelled_by_its_reporter_alone(portal: PortalWorld) -> None:
    """A neighbour is offered nothing, and cannot; the reporter can, and neighbours see it."""
    tessa = signed_in(portal)
    number = report(tessa, HOME, LIFT)
    path = f"{REPAIRS}{number}/cancel/"
    be_neighbour()
    una = signed_in(portal, TARAN)
    assert path not in text_of(una, f"{REPAIRS}{number}/")
    assert una.get(path).status_code == una.post(path).status_code == 404
    assert job(number).is_open
    assert path in text_of(tessa, f"{REPAIRS}{number}/")
    assert tessa.post(path).status_code == 302
    assert "Cancelled" in text_of(una, f"{REPAIRS}{number}/")


def test_nobody_else_gets_in(portal: PortalWorld) -> None:
    """Those who are not signed in are asked to; users of other systems are refused."""
    assert portal.client().get(REPAIRS).status_code == 302
    assert portal.client("enid.example").get(REPAIRS).status_code == 403
    TenantAccount.objects.filter(user__username=TESSA).delete()
    stranger = portal.client()
    assert stranger.get(START).status_code == 302


# --- following ----------------------------------------------------------------------------------


def test_what_changes_elsewhere_shows_at_the_next_page(portal: PortalWorld) -> None:
    """Each status that the other system sets is read back at once, in lists and on the page."""
    client = signed_in(portal)
    number = number_at(sor_code="DEMO-PL-101")
    words = {
        JobStatus.IN_PROGRESS: "In progress",
        JobStatus.ON_HOLD: "On hold",
        JobStatus.NO_ACCESS: "No access",
        JobStatus.COMPLETE: "Complete",
    }
    for status, text in words.items():
        change(number, status=status.value)
        assert text in text_of(client, f"{REPAIRS}{number}/")
        overview = text_of(client, REPAIRS if status is not JobStatus.COMPLETE else all_past())
        [row] = re.findall(rf"<tr(?:(?!</tr>).)*{number}/.*?</tr>", overview, re.DOTALL)
        assert text in row


def all_past() -> str:
    """Return the address of all past jobs of one's own."""
    return f"{REPAIRS}all/your-home/past/"


def test_work_of_unknown_codes_is_shown_in_its_own_words(portal: PortalWorld) -> None:
    """A job that was raised elsewhere has its description, and nothing is booked for it here."""
    client = signed_in(portal)
    number = number_at(sor_code="DEMO-PL-101")
    change(number, sor_code="REAL/123", description="Rewire <kitchen>", priority=1)
    page = text_of(client, f"{REPAIRS}{number}/")
    assert "Rewire &lt;kitchen&gt;" in page
    assert "visit/book" not in page
    assert "We come at once." in page


@pytest.mark.parametrize("now", ["2027-06-01T00:30:00+01:00", "2027-03-29T08:00:00+01:00"])
def test_example_history_fits_the_jobs(portal: PortalWorld, now: str) -> None:
    """What is made up happened in working hours, in order, and on the day that the job says."""
    at(portal, now)
    rows = [row | {"id": number} for number, row in enumerate(example_data.jobs())]
    for row in rows:
        happened = [event["at"] for event in example_data.events([row])]
        assert happened[0] == row["reported_at"]
        assert happened == sorted(happened)
        assert happened[-1] < clock.now()
        assert all(is_working_day(one.date()) and 9 <= one.hour < 17 for one in happened)
        assert row["completed_on"] in (None, happened[-1].date())


def test_history_is_told_in_words(portal: PortalWorld) -> None:
    """What happened stands there, latest first: booked, changed, cancelled, with the times."""
    client = signed_in(portal)
    number = number_at(sor_code="DEMO-HE-107")
    page = text_of(client, f"{REPAIRS}{number}/")
    visit = diary.appointment_of(number)
    assert visit is not None
    latest = housing_management().history(number)[0]
    assert (latest.what, latest.appointment) == (Happening.BOOKED, visit)
    assert "Visit booked" in page
    assert page.count(window_text(visit)) == 2
    assert f'href="{REPAIRS}{number}/visit/"' in page


@pytest.mark.parametrize(
    ("lang", "asked", "begins"),
    [
        ("en", "Ask about this repair", "Repair number"),
        ("cy", "Holi am yr atgyweiriad hwn", "Rhif yr atgyweiriad"),
    ],
)
def test_asking_about_a_repair_leads_to_people(
    portal: PortalWorld, lang: str, asked: str, begins: str
) -> None:
    """From a repair to the ways to ask about it; a message begins with its number."""
    client = signed_in(portal)
    client.cookies["django_language"] = lang
    number = number_at(sor_code="DEMO-PL-111")
    page = unescape(text_of(client, f"{REPAIRS}{number}/"))
    [asking] = re.findall(rf'href="([^"]+)">{asked}', page)
    outcome = unescape(text_of(client, answer(client, asking, "message")))
    [message] = re.findall(r'href="(/my-home/contact/message/[^"]+)"', outcome)
    [back] = re.findall(r'href="([^"]+)" class="govuk-back-link"', outcome)
    assert back == asking
    [text] = re.findall(r"<textarea[^>]*>([^<]*)<", text_of(client, message))
    assert text.strip() == f"{begins} {number}"
    assert 'value="repairs" checked' in text_of(client, message)


@pytest.mark.parametrize("number", ["", "<script>", "R-1 ring+44", "R" * 21, "r\n1", "\x00", "ŵ"])
def test_repairs_that_somebody_made_up_begin_no_message(portal: PortalWorld, number: str) -> None:
    """Only what can be a number is taken from an address, on the way and in the form."""
    client = signed_in(portal)
    query = "?" + urlencode({"repair": number})
    way = "/my-home/contact/choose/repairs/reported/"
    assert answer(client, way + query, "message") == f"{way}message/"
    text_of(client, f"{way}message/{query}")
    page = text_of(client, f"/my-home/contact/message/{query}")
    [text] = re.findall(r"<textarea[^>]*>([^<]*)<", page)
    assert text.strip() == ""


def test_lists_go_on_over_many_pages(portal: PortalWorld) -> None:
    """More than fit are counted on the overview and come page by page; odd pages do no harm."""
    client = signed_in(portal)
    for key in range(30):
        raised = housing_management().raise_job(new(key), str(key))
        change(raised.number, status="complete")
    overview = text_of(client, REPAIRS)
    total = re.findall(r"See all ([0-9]+): Past, Your repairs", overview)
    assert total == ["38"]
    pages = [text_of(client, f"{all_past()}?page={page}") for page in (1, 2)]
    numbers = [re.findall(r'repairs/(R-[0-9]+)/"', page) for page in pages]
    assert [len(one) for one in numbers] == [25, 13]
    assert not set(numbers[0]) & set(numbers[1])
    for odd in ("0", "-1", "x", "9" * 30, "²", ""):
        text_of(client, f"{all_past()}?page={odd}")
    for nothing in ("all/mine/past/", "all/your-home/future/"):
        text_of(client, REPAIRS + nothing, 404)


def new(key: int) -> Any:
    """Return a job to be raised."""
    from tenant_services.repairs.housing import NewJob, Priority

    return NewJob(HOME, "", "P1001", "DEMO-PL-103", Priority.URGENT, f"Number {key}")


# --- cancelling ---------------------------------------------------------------------------------


def test_cancelling_is_asked_once_more_and_done_once(portal: PortalWorld) -> None:
    """The page asks; the button cancels; again is harmless, and the page is gone afterwards."""
    client = signed_in(portal)
    number = number_at(sor_code="DEMO-PL-101")
    path = f"{REPAIRS}{number}/cancel/"
    assert "Cancel this repair?" in text_of(client, path)
    assert job(number).is_open
    for _ in range(2):
        assert client.post(path).headers["Location"] == f"{REPAIRS}{number}/"
    assert job(number).status is JobStatus.CANCELLED
    assert len(housing_management().history(number)) == 2
    assert client.get(path).headers["Location"] == f"{REPAIRS}{number}/"
    page = text_of(client, f"{REPAIRS}{number}/")
    assert "The repair was cancelled." in page
    assert path not in page


def test_what_was_done_meanwhile_is_not_cancelled(portal: PortalWorld) -> None:
    """The other system was faster: it stays done, and the page says so."""
    client = signed_in(portal)
    number = number_at(sor_code="DEMO-PL-101")
    change(number, status="complete")
    client.post(f"{REPAIRS}{number}/cancel/")
    assert job(number).status is JobStatus.COMPLETE
    assert "The repair had been done already." in text_of(client, f"{REPAIRS}{number}/")


def test_cancelling_a_repair_frees_its_visit(portal: PortalWorld) -> None:
    """Nobody comes for what is cancelled: the slot is free again in the contractor's diary."""
    client = signed_in(portal)
    number = number_at(sor_code="DEMO-HE-107")
    assert diary.appointment_of(number)
    path = f"{REPAIRS}{number}/cancel/"
    assert "The visit is cancelled as well" in text_of(client, path)
    client.post(path)
    assert diary.appointment_of(number) is None
    assert (job(number).status, job(number).appointment) == (JobStatus.CANCELLED, None)


def test_who_is_on_the_way_is_called_off_by_telephone(portal: PortalWorld) -> None:
    """Too late for the visit is too late for the repair: the page says whom to ring."""
    client = signed_in(portal)
    number = number_at(sor_code="DEMO-HE-107")
    visit = diary.appointment_of(number)
    assert visit is not None
    portal.clock.move_to(visit.starts_at - timedelta(hours=1))
    client = signed_in(portal)
    for answered in (
        client.get(f"{REPAIRS}{number}/cancel/"),
        client.post(f"{REPAIRS}{number}/cancel/"),
    ):
        assert diary.TELEPHONE in answered.content.decode()
    assert job(number).is_open
    assert diary.appointment_of(number) == visit


def test_diary_that_is_down_hides_no_repair(
    portal: PortalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is shown with the visit that was known; cancelling waits, and changes nothing."""
    client = signed_in(portal)
    number = number_at(sor_code="DEMO-HE-107")
    visit = diary.appointment_of(number)
    assert visit is not None
    monkeypatch.setattr(settings, "PORTAL_DIARY", "test_tenant_repairs.BrokenDiary")
    assert window_text(visit) in text_of(client, f"{REPAIRS}{number}/")
    path = f"{REPAIRS}{number}/cancel/"
    assert client.get(path).status_code == client.post(path).status_code == 503
    assert job(number).is_open
    monkeypatch.undo()
    assert client.post(path).status_code == 302
    assert diary.appointment_of(number) is None


class BrokenDiary:
    """A diary that nobody can ask."""

    def open_session(self) -> Answer[str]:
        """Fail."""
        return Answer(Status.ERROR, "down")


# --- the example data ---------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_examples_show_every_status_and_stage(portal: PortalWorld, lang: str) -> None:
    """Both tenants have something new, upcoming and past, their own and communal, in words."""
    tessa, taran = signed_in(portal), signed_in(portal, TARAN)
    for client in (tessa, taran):
        client.cookies["django_language"] = lang
        page = unescape(text_of(client, REPAIRS))
        assert {"en": "Your repairs", "cy": "Eich atgyweiriadau"}[lang] in page
        assert {"en": "No access", "cy": "Dim mynediad"}[lang] in page
    page = unescape(text_of(tessa, REPAIRS))
    for heading in {
        "en": ["Upcoming visits", "New, with no visit ahead", "Past"],
        "cy": ["Ymweliadau i ddod", "Newydd, heb ymweliad i ddod", "Blaenorol"],
    }[lang]:
        assert heading in page
    assert count() >= 15
