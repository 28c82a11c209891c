"""The gateway in front of the portal: bots are held to the terms on every page, people are not."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from demo_portal.systems import system_at
from demo_portal.wsgi import application
from django.urls import get_resolver
from landlord_portal import navigation
from landlord_portal.automation import ROUTES
from landlord_portal.library import registry, store
from landlord_portal.management.commands.seed_demo import PASSWORD
from landlord_portal.models import FormVersion, ToDo
from landlord_portal.todos.forms import PAGES, fingerprint
from landlord_portal.todos.views import form_fingerprint
from lxml import html  # type: ignore[import-untyped]
from test_pages import patterns
from test_todos import QUESTION
from todo_answers import ANSWERS, CONFIRM, PROVIDE, a_todo

from automation_rules.audit import DecisionLog
from automation_rules.gateway import load_routes
from automation_rules.store import AnnouncedChange, KnownForm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portal_world import PortalWorld

    from automation_rules import TodoKind

ENID, SAM = "enid.example", "sam.sampleson"
BOT, SECOND_BOT = "Acme Homes Automation 1", "Acme Homes Automation 2"
WELSH_BOT = "Cartrefi Enghraifft Automation 1"
TOKEN = "a" * 32
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@contextmanager
def visitor(
    session: str | None = None, lang: str | None = None, accept: str = "*/*"
) -> Iterator[httpx.Client]:
    """Give a client that goes through the gateway, with a session of the portal's if given."""
    cookies = {"csrftoken": TOKEN}
    if session is not None:
        cookies["sessionid"] = session
    if lang is not None:
        cookies["django_language"] = lang
    with httpx.Client(
        transport=httpx.WSGITransport(application),
        base_url="http://localhost",
        cookies=cookies,
        headers={"Accept": accept},
    ) as client:
        yield client


@contextmanager
def as_user(portal: PortalWorld, username: str, **options: Any) -> Iterator[httpx.Client]:
    """Give a client of a user who has signed in."""
    session = portal.client(username).cookies["sessionid"].value
    with visitor(session, **options) as client:
        yield client


def send(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Send a form."""
    return client.post(path, data={"csrfmiddlewaretoken": TOKEN} | fields)


def step(client: httpx.Client, name: str, **fields: str) -> httpx.Response:
    """Take a step of signing in."""
    fields = {f"{name}-{field}": value for field, value in fields.items()}
    return send(client, "/sign-in/", **{"sign_in-current_step": name}, **fields)


def give_password(client: httpx.Client, username: str) -> httpx.Response:
    """Take the first step."""
    return step(client, "auth", username=username, password=PASSWORD)


def recorded() -> list[dict[str, Any]]:
    """Return what the log says, oldest first."""
    with DecisionLog(store()) as log:
        log.verify()
        return [entry.document for entry in log.entries()]


def said(answer: httpx.Response) -> str | None:
    """Return the type of the problem that the gateway answered with; None if it let through."""
    if answer.headers.get("Content-Type") != "application/problem+json":
        assert "X-Decision-Id" not in answer.headers
        return None
    assert answer.status_code == 403
    if not answer.content:
        return "nothing"  # to HEAD
    problem = answer.json()
    assert problem["status"] == 403
    return str(problem["type"]).rpartition(":")[2]


def addresses(todo: Any) -> list[str]:
    """Return every address of the portal, that of a to-do for each of its pages."""
    found = []
    for path, pattern in patterns(get_resolver()):
        slugs = {page.slug for pages in PAGES.values() for page in pages}
        if pattern.name == "todo_page":
            found += [f"/to-dos/{todo.pk}/{slug}/" for slug in sorted(slugs)]
        else:
            path = path.replace("/to-dos/1/", f"/to-dos/{todo.pk}/")  # noqa: PLW2901
            found.append(path.replace("/language/1", "/language/cy"))
    return found


def allowed_to_bots(todo: Any) -> set[tuple[str, str]]:
    """Return what the terms leave to a bot, apart from HEAD."""
    pages = [f"/to-dos/{todo.pk}/{page}/" for page in ("tenant", "tenancy", "rent", "check")]
    read = {
        *("/", "/welcome-back/", "/updates/", "/language/cy", "/sign-in/", "/sign-out/"),
        *("/to-dos/", f"/to-dos/{todo.pk}/", f"/to-dos/{todo.pk}/done/", *pages),
    }
    return {("GET", path) for path in read} | {
        ("POST", path) for path in ["/sign-in/", "/sign-out/", *pages]
    }


def test_bots_get_exactly_the_allowed_steps(portal: PortalWorld) -> None:
    """Over the whole map of addresses and every method, all but the allowed steps is denied."""
    todo = a_todo(PROVIDE)
    allowed = allowed_to_bots(todo)
    allowed |= {("HEAD", path) for method, path in allowed if method == "GET"}
    passed = set()
    with as_user(portal, BOT) as bot:
        session = dict(bot.cookies)
        for path in addresses(todo):
            for method in METHODS:
                bot.cookies = httpx.Cookies(session)
                # Denials in quick succession would have the monitor pause the account.
                portal.clock.move_to(portal.clock.now() + timedelta(seconds=25))
                if (method, path) == ("POST", "/sign-out/"):
                    continue  # It would end the walk; see below.
                answer = bot.request(method, path, headers={"X-CSRFToken": TOKEN})
                problem = said(answer)
                if problem is None:
                    passed.add((method, path))
                else:
                    elsewhere = system_at(path) is not navigation
                    expected = "people-only" if elsewhere else "unknown-action"
                    expected = "nothing" if method == "HEAD" else expected
                    assert problem == expected, (method, path)
        assert send(bot, "/sign-out/").headers["Location"] == "/sign-in/"
    assert passed | {("POST", "/sign-out/")} == allowed
    assert len(addresses(todo)) > 25
    assert {entry["account"] for entry in recorded()} == {"acme-1"}


def test_bot_that_hammers_is_paused(portal: PortalWorld) -> None:
    """More denials than a lost bot would have: the monitor pauses the account."""
    with as_user(portal, BOT) as bot:
        for _ in range(31):
            assert said(bot.get("/payments/")) == "unknown-action"
        time.sleep(0.6)  # The monitor counts together every quarter of a second.
        wait_for_facts(portal)
        assert said(bot.get("/to-dos/")) == "account-paused"
    with as_user(portal, ENID) as person:
        assert person.get("/payments/").status_code == 200


def test_nothing_of_a_denied_page_is_done(portal: PortalWorld) -> None:
    """A bot that was given every role by mistake still changes nothing beyond its to-dos."""
    user = portal.user(BOT)
    user.roles = ["complete_todos", "provide_tenancy_details", "manage_users"]
    user.save()
    path = portal.fill("/tenants/{tenancy}/requests/request_apa/")
    with as_user(portal, BOT) as bot:
        assert said(send(bot, path, reason="made up")) == "unknown-action"
    assert recorded()[-1]["action"] == "unknown"


def test_people_are_untouched_and_unlogged(portal: PortalWorld) -> None:
    """Whatever a person opens or tries, the gateway says and keeps nothing."""
    todo = a_todo(PROVIDE)
    with as_user(portal, ENID) as person:
        for path in addresses(todo):
            if path != "/sign-out/":
                for method in ("GET", "POST"):
                    assert said(person.request(method, path)) is None
    portal.clock.move_to(datetime.fromisoformat("2027-06-05T23:00:00+01:00"))
    with as_user(portal, SAM) as person:
        assert person.get("/to-dos/").status_code == 200
    assert recorded() == []


def test_strangers_are_left_to_the_portals_guards(portal: PortalWorld) -> None:
    """Nobody is signed in: the portal asks for that, and the gateway keeps out of it."""
    with visitor() as client:
        assert client.get("/to-dos/").headers["Location"].startswith("/sign-in/")
        assert client.get("/sign-in/").status_code == 200
        assert client.get("/static/portal.css").status_code == 200
    with visitor("made-up-session") as client:
        assert client.get("/to-dos/").headers["Location"].startswith("/sign-in/")
    assert recorded() == []


def test_route_table_names_every_page_of_the_forms() -> None:
    """A page that a form gains must be written down before a bot may open it."""
    routes = load_routes(ROUTES)
    for pages in PAGES.values():
        for page in pages:
            for method, action in (("GET", "open_todo"), ("POST", "save_answers")):
                found: Any = routes.match(method, f"/to-dos/7/{page.slug}/")
                assert (found.action.value, found.todo) == (action, "7")


# --- signing in -----------------------------------------------------------------------------


def test_bot_signs_in_and_both_steps_are_on_record(portal: PortalWorld) -> None:
    """The gateway is asked after the password and after the code, then about every page."""
    with visitor() as bot:
        assert give_password(bot, BOT).status_code == 200
        assert step(bot, "token", otp_token=portal.code).headers["Location"] == "/"
        assert bot.get("/to-dos/").status_code == 200
    entries = recorded()
    assert [(one["action"], one["decision"]) for one in entries] == [
        ("sign_in", True),
        ("enter_access_code", True),
        ("list_todos", True),
    ]
    assert {one["todo_kind"] for one in entries} == {"provide_tenancy_details"}


def test_bot_that_may_not_sign_in_is_sent_no_code(portal: PortalWorld) -> None:
    """On a Saturday a right password gets the reason and when to try again, and nothing else."""
    portal.clock.move_to(datetime.fromisoformat("2027-06-05T09:00:00+01:00"))
    with visitor() as bot:
        answer = give_password(bot, BOT)
        assert said(answer) == "weekend"
        assert answer.headers["Retry-After"] == str(47 * 3600)
        assert portal.messages == []
        phone = portal.user(BOT).phone_set.get().persistent_id  # type: ignore[attr-defined]
        again = send(
            bot, "/sign-in/", **{"sign_in-current_step": "token", "challenge_device": phone}
        )
        assert b"Enter your access code" not in again.content
        assert portal.messages == []
        assert bot.get("/to-dos/").headers["Location"].startswith("/sign-in/")


def test_wrong_password_asks_nobody(portal: PortalWorld) -> None:
    """Whoever guesses at a bot's password learns nothing of it, and leaves nothing on the log."""
    portal.clock.move_to(datetime.fromisoformat("2027-06-05T09:00:00+01:00"))
    with visitor() as bot:
        answer = step(bot, "auth", username=BOT, password="wrong")  # noqa: S106
    assert b"The user name or the password is wrong" in answer.content
    assert recorded() == []


def test_bot_that_was_paused_meanwhile_gets_no_session(portal: PortalWorld) -> None:
    """Between password and code the account is paused: the right code lets it in no more."""
    with visitor() as bot:
        give_password(bot, BOT)
        registry().pause_account("acme-1", "made up")
        assert said(step(bot, "token", otp_token=portal.code)) == "account-paused"
        assert bot.get("/to-dos/").headers["Location"].startswith("/sign-in/")
    assert [one["decision"] for one in recorded()] == [True, False]


def test_unregistered_bot_cannot_sign_in(portal: PortalWorld) -> None:
    """A bot that the portal marks and the registry does not know is denied, not let through."""
    user = portal.user(BOT)
    user.registry_id = None
    user.save()
    with visitor() as bot:
        assert said(give_password(bot, BOT)) == "missing-fact"


# --- what a denied bot is told --------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "words"), [("en", "Outside the hours for automation"), ("cy", "Y tu allan i")]
)
def test_denied_bot_reads_why_in_its_language(portal: PortalWorld, lang: str, words: str) -> None:
    """A page with clause, remedy and time, in the language that was chosen in the portal."""
    session = portal.client(BOT).cookies["sessionid"].value
    portal.clock.move_to(datetime.fromisoformat("2027-06-01T18:00:00+01:00"))
    with visitor(session, lang, accept="text/html,*/*;q=0.8") as bot:
        other = "en" if lang == "cy" else "cy"
        answer = bot.get("/to-dos/", headers={"Accept-Language": other})
    assert answer.status_code == 403
    assert answer.headers["Content-Language"] == lang
    assert answer.headers["Retry-After"] == str(14 * 3600)
    page = html.fromstring(answer.content)
    assert page.get("lang") == lang
    text = " ".join(page.text_content().split())
    assert words in text
    assert "when.core-hours" in text
    assert ("2 June 2027" if lang == "en" else "2 Mehefin 2027") in text


def test_browsers_language_counts_where_none_was_chosen(portal: PortalWorld) -> None:
    """As on the portal's own pages."""
    session = portal.client(BOT).cookies["sessionid"].value
    with visitor(session, accept="text/html") as bot:
        answer = bot.get("/payments/", headers={"Accept-Language": "cy"})
        assert answer.headers["Content-Language"] == "cy"


def test_sign_in_is_refused_in_the_portals_language(portal: PortalWorld) -> None:
    """The view that signs in answers as the gateway does."""
    portal.clock.move_to(datetime.fromisoformat("2027-06-05T09:00:00+01:00"))
    with visitor(lang="cy", accept="text/html") as bot:
        answer = give_password(bot, BOT)
    assert (answer.status_code, answer.headers["Content-Language"]) == (403, "cy")
    assert "style-src 'sha256-" in answer.headers["Content-Security-Policy"]
    assert "ar benwythnosau" in answer.text


# --- to-dos ---------------------------------------------------------------------------------


def open_todo(client: httpx.Client, todo: Any) -> httpx.Response:
    """Open a to-do."""
    return client.get(f"/to-dos/{todo.pk}/")


@pytest.mark.parametrize("kind", [PROVIDE, CONFIRM])
def test_bot_does_a_to_do(portal: PortalWorld, kind: TodoKind) -> None:
    """From the list to the submission; each request is a decision with the to-do's own kind."""
    todo = a_todo(kind)
    with as_user(portal, BOT) as bot:
        assert open_todo(bot, todo).status_code == 200
        for page, fields in ANSWERS[kind].items():
            assert send(bot, f"/to-dos/{todo.pk}/{page}/", **fields).status_code == 302
        [digest] = re.findall(
            r'name="digest" value="([0-9a-f]{64})"', bot.get(f"/to-dos/{todo.pk}/check/").text
        )
        assert send(bot, f"/to-dos/{todo.pk}/check/", digest=digest).status_code == 302
        assert "Answers submitted" in bot.get(f"/to-dos/{todo.pk}/done/").text
    todo.refresh_from_db()
    assert (todo.state, todo.done_by.username) == (ToDo.State.DONE, BOT)
    about = [one for one in recorded() if one["action"] not in ("sign_in", "enter_access_code")]
    assert {one["todo_kind"] for one in about} == {kind.value}
    assert [one["action"] for one in about] == [
        "open_todo",
        *["save_answers"] * len(ANSWERS[kind]),
        "open_todo",
        "submit_todo",
        "open_todo",
    ]
    checks = {one["check"]: one["outcome"] for one in about[-1]["checks"]}
    assert (checks["form"], checks["manual_code"]) == ("pass", "pass")


@pytest.mark.parametrize("todo", ["99999999999999999999999", "999999", "x", "-1"])
def test_to_do_that_is_none_is_denied(portal: PortalWorld, todo: str) -> None:
    """What has no kind is no housing costs."""
    with as_user(portal, BOT) as bot:
        assert said(bot.get(f"/to-dos/{todo}/")) in ("missing-fact", "not-housing-costs")


def test_other_landlords_to_do_looks_like_none(portal: PortalWorld) -> None:
    """A bot does not learn from the denial that there is such a to-do."""
    with as_user(portal, WELSH_BOT) as bot:
        told = [open_todo(bot, a_todo(PROVIDE)).json(), bot.get("/to-dos/999999/").json()]
    for problem in told:
        del problem["decision_id"], problem["instance"]
    assert told[0] == told[1]


def test_changed_form_stops_the_bot_until_it_is_tested(portal: PortalWorld) -> None:
    """From the day of the change; a test that the landlord records opens the way again."""
    today = portal.clock.now().date()
    todo = a_todo(CONFIRM)
    with as_user(portal, BOT) as bot:
        assert open_todo(bot, todo).status_code == 200
        FormVersion.objects.create(
            kind=CONFIRM.value,
            fields=[QUESTION],
            fingerprint=fingerprint(CONFIRM, [QUESTION]),
            effective_on=today,
        )
        assert said(open_todo(bot, todo)) == "form-changed"
        assert open_todo(bot, a_todo(PROVIDE)).status_code == 200
        registry().record_tested_form(
            KnownForm("acme", CONFIRM.value, form_fingerprint(CONFIRM), today)
        )
        wait_for_facts(portal)
        assert open_todo(bot, todo).status_code == 200


def wait_for_facts(portal: PortalWorld) -> None:
    """Let the second pass in which the gateway may still go by what it has read."""
    portal.clock.move_to(portal.clock.now() + timedelta(seconds=1))


def test_change_that_is_announced_stops_the_bot_when_it_takes_effect(portal: PortalWorld) -> None:
    """A notice of a change that affects automation asks for another test from its day on."""
    now = portal.clock.now()
    registry().add_notice(AnnouncedChange("R201", now.date() + timedelta(days=1)))
    todo = a_todo(PROVIDE)
    with as_user(portal, BOT) as bot:
        assert open_todo(bot, todo).status_code == 200
    portal.clock.move_to(now + timedelta(days=1))
    with as_user(portal, BOT) as bot:
        assert said(open_todo(bot, todo)) == "retest-needed"


def test_annual_change_is_confirmed_at_night(portal: PortalWorld) -> None:
    """In April the account for annual rent changes works on a Sunday; the other one may not."""
    portal.clock.move_to(datetime.fromisoformat("2027-04-11T03:00:00+01:00"))
    registry().update_landlord("acme", declared_on=datetime(2027, 1, 1).date())  # noqa: DTZ001
    for kind in (CONFIRM, PROVIDE):
        known = next(f for f in registry().known_forms("acme") if f.todo_kind == kind.value)
        registry().record_tested_form(
            replace(known, tested_on=datetime(2027, 4, 1).date())  # noqa: DTZ001
        )
    with as_user(portal, SECOND_BOT) as bot:
        assert bot.get("/to-dos/").status_code == 200
        assert open_todo(bot, a_todo(CONFIRM)).status_code == 200
        assert said(open_todo(bot, a_todo(PROVIDE))) == "annual-window-wrong-todo"
    with visitor() as bot:
        assert said(give_password(bot, BOT)) == "annual-window-wrong-todo"


def test_leaving_is_always_let_through(portal: PortalWorld) -> None:
    """At closing time a bot cannot work on, but sign out."""
    with as_user(portal, BOT) as bot:
        portal.clock.move_to(datetime.fromisoformat("2027-06-01T18:00:00+01:00"))
        assert said(bot.get("/to-dos/")) == "outside-hours"
        assert bot.get("/sign-out/").status_code == 200
        assert send(bot, "/sign-out/").status_code == 302
        assert bot.get("/to-dos/").headers["Location"].startswith("/sign-in/")


# --- when something is broken ---------------------------------------------------------------


def test_log_that_cannot_be_written_denies(portal: PortalWorld) -> None:
    """What could not be recorded is not done; people work on."""
    with as_user(portal, BOT) as bot, as_user(portal, ENID) as person:
        assert bot.get("/to-dos/").status_code == 200
        with store().transaction() as connection:
            connection.exec_driver_sql("ALTER TABLE log_head RENAME TO hidden")
        assert said(bot.get("/to-dos/")) == "not-recorded"
        assert person.get("/to-dos/").status_code == 200


def test_session_that_cannot_be_read_is_a_bots(
    portal: PortalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever the portal cannot place is denied."""

    def broken(_request: object) -> None:
        raise RuntimeError

    with as_user(portal, BOT) as bot:
        monkeypatch.setattr("landlord_portal.automation.get_user", broken)
        assert said(bot.get("/to-dos/")) == "request-unreadable"
