"""The to-dos over the portal's HTTP: answers kept, changed, checked and submitted once."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connections
from django.test import Client
from landlord_portal.models import FormVersion, ToDo
from landlord_portal.todos import views
from landlord_portal.todos.forms import fingerprint
from landlord_portal.todos.views import form_fingerprint
from todo_answers import (
    ANSWERS,
    CONFIRM,
    PROVIDE,
    SUBMITTED,
    a_todo,
    answer,
    answer_all,
    digest,
    problems,
    submit,
)

if TYPE_CHECKING:
    from portal_world import PortalWorld

    from automation_rules import TodoKind

KINDS = [PROVIDE, CONFIRM]
ENID, SAM = "enid.example", "sam.sampleson"
QUESTION = {
    "page": "rent",
    "name": "extra_1",
    "type": "yes_no",
    "label_en": "Is there a meter?",
    "label_cy": "A oes mesurydd?",
    "required": True,
}


def change_form(kind: TodoKind, day: date) -> None:
    """Add a question to a form from a day on."""
    FormVersion.objects.create(
        kind=kind.value,
        fields=[QUESTION],
        fingerprint=fingerprint(kind, [QUESTION]),
        effective_on=day,
    )


def text_of(answered: Any) -> str:
    """Return a page's text as people read it, without its tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", answered.content.decode()).split())


@pytest.mark.parametrize("kind", KINDS)
def test_to_do_is_done_page_by_page(portal: PortalWorld, kind: TodoKind) -> None:
    """Every page leads to the next; what is submitted is what was answered, and nothing else."""
    client, todo = portal.client(ENID), a_todo(kind)
    start = client.get(f"/to-dos/{todo.pk}/")
    assert f'href="/to-dos/{todo.pk}/tenant/"' in start.content.decode()
    pages = [*ANSWERS[kind], "check"]
    for page, following in pairwise(pages):
        assert answer(client, todo, page).headers["Location"] == f"/to-dos/{todo.pk}/{following}/"
    assert submit(client, todo).headers["Location"] == f"/to-dos/{todo.pk}/done/"
    assert "Answers submitted" in text_of(client.get(f"/to-dos/{todo.pk}/done/"))
    todo.refresh_from_db()
    assert todo.submission == {
        "answers": SUBMITTED[kind],
        "form_fingerprint": form_fingerprint(kind),
    }
    assert (todo.state, todo.done_by.username, todo.answers) == ("done", ENID, {})
    assert todo.done_at == portal.clock.now()
    assert todo.tenancy.rent == Decimal("104.50")
    assert todo.tenancy.service_charge_frequency == "monthly"


def test_nobody_becomes_a_tenant_by_a_no(portal: PortalWorld) -> None:
    """A 'no' goes straight to the answers, and leaves the tenancy as it was."""
    client, todo = portal.client(ENID), a_todo(CONFIRM)
    rent = todo.tenancy.rent
    moved = answer(client, todo, "tenant", is_tenant="no", reason="moved_out")
    assert moved.headers["Location"] == f"/to-dos/{todo.pk}/check/"
    submit(client, todo)
    todo.refresh_from_db()
    assert todo.submission["answers"] == {"is_tenant": "no", "reason": "moved_out"}
    assert todo.tenancy.rent == rent


def test_charges_for_living_there_are_no_rent(portal: PortalWorld) -> None:
    """Charges that are accepted are submitted; the tenancy is not confirmed by them."""
    client, todo = portal.client(ENID), a_todo(PROVIDE)
    answer(client, todo, "tenant", is_tenant="no", reason="not_liable", use_and_occupation="yes")
    answer(client, todo, "tenancy")
    answer(client, todo, "rent")
    submit(client, todo)
    todo.refresh_from_db()
    assert todo.submission["answers"]["rent"] == "104.50"
    assert todo.tenancy.rent is None


def test_wrong_page_comes_again_with_what_was_typed(portal: PortalWorld) -> None:
    """An answer that is refused stands in its box again, under an error; nothing is kept."""
    client, todo = portal.client(ENID), a_todo(CONFIRM)
    answer(client, todo, "tenant")
    again = answer(client, todo, "rent", rent="104.5", rent_frequency="")
    assert again.status_code == 200
    assert problems(again) == [
        "The rent must be an amount in pounds and pence, like 123.45",
        "Select how often the rent is due",
    ]
    page = again.content.decode()
    assert "<title>Error: Rent and service charge" in page
    summary = page[page.index("govuk-error-summary__list") : page.index("<h1")]
    links = re.findall(r'<a href="(#[a-z_]+)">\s*([^<]*?)\s*</a>', summary)
    assert links == list(zip(["#id_rent", "#id_rent_frequency"], problems(again), strict=True))
    assert 'value="104.5"' in page
    todo.refresh_from_db()
    assert list(todo.answers[str(portal.user(ENID).pk)]) == ["tenant"]


@pytest.mark.parametrize("page", ["tenancy", "rent", "check"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_no_page_is_skipped(portal: PortalWorld, page: str, method: str) -> None:
    """Whoever jumps ahead is led to the first page that has no answer yet."""
    client, todo = portal.client(ENID), a_todo(PROVIDE)
    led = getattr(client, method)(f"/to-dos/{todo.pk}/{page}/")
    assert led.headers["Location"] == f"/to-dos/{todo.pk}/tenant/"
    todo.refresh_from_db()
    assert (todo.state, todo.answers) == ("open", {})


def test_unknown_page_is_none(portal: PortalWorld) -> None:
    """A page that the kind of to-do does not have is not found."""
    client = portal.client(ENID)
    assert client.get(f"/to-dos/{a_todo(CONFIRM).pk}/tenancy/").status_code == 404


def test_answers_are_kept_over_signing_out(portal: PortalWorld) -> None:
    """Who goes back, or comes back, finds what they typed."""
    client, todo = portal.client(ENID), a_todo(PROVIDE)
    answer(client, todo, "tenant", tenant_reference="ACME-77")
    client.post("/sign-out/")
    portal.clock.move_to(portal.clock.now() + timedelta(minutes=1))
    client = portal.client(ENID)
    page = client.get(f"/to-dos/{todo.pk}/tenant/")
    assert 'value="ACME-77"' in page.content.decode()
    assert "Error:" not in page.content.decode()


def test_two_users_do_not_mix_their_answers(portal: PortalWorld) -> None:
    """Each user in the same to-do has their own answers."""
    todo, enid, sam = a_todo(CONFIRM), portal.client(ENID), portal.client(SAM)
    answer_all(enid, todo, rent="111.11")
    answer_all(sam, todo, rent="222.22")
    assert "£111.11" in text_of(enid.get(f"/to-dos/{todo.pk}/check/"))
    assert "£222.22" in text_of(sam.get(f"/to-dos/{todo.pk}/check/"))


def test_changing_an_answer_leads_back_to_the_list(portal: PortalWorld) -> None:
    """The link beside an answer leads to its page, and that back to the list."""
    client, todo = portal.client(ENID), a_todo(PROVIDE)
    answer_all(client, todo)
    address = f"/to-dos/{todo.pk}/tenant/?change=1"
    assert f'href="{address}"' in client.get(f"/to-dos/{todo.pk}/check/").content.decode()
    changed = client.post(address, {"is_tenant": "yes", "tenant_reference": "ACME-2"})
    assert changed.headers["Location"] == f"/to-dos/{todo.pk}/check/"
    assert "ACME-2" in text_of(client.get(f"/to-dos/{todo.pk}/check/"))


def test_changed_answer_that_upsets_a_later_page_leads_there(portal: PortalWorld) -> None:
    """A rule across pages holds whichever of them was answered last."""
    client, todo = portal.client(ENID), a_todo(PROVIDE)
    answer(client, todo, "tenant")
    answer(client, todo, "tenancy", has_rent_free_weeks="no")
    answer(client, todo, "rent", rent_frequency="monthly")
    seen = digest(client, todo)
    answer(client, todo, "tenancy")
    led = submit(client, todo, seen)
    assert led.headers["Location"] == f"/to-dos/{todo.pk}/rent/"
    assert "rent-free weeks" in problems(client.get(f"/to-dos/{todo.pk}/rent/"))[0]


def test_what_it_comes_to_in_a_month_is_shown(portal: PortalWorld) -> None:
    """104.50 a week with four rent-free weeks is 418.00 a month; a monthly charge is itself."""
    client, todo = portal.client(ENID), a_todo(PROVIDE)
    answer_all(client, todo)
    page = text_of(client.get(f"/to-dos/{todo.pk}/check/"))
    assert "What this comes to in a month Rent £418.00 Service charge £7.25" in page


def test_nothing_unseen_is_submitted(portal: PortalWorld) -> None:
    """When the answers changed after they were shown, they are shown again."""
    client, todo = portal.client(ENID), a_todo(CONFIRM)
    answer_all(client, todo)
    seen = digest(client, todo)
    answer(client, todo, "rent", rent="999.00")
    for stale in (seen, "", "nonsense"):
        again = submit(client, todo, stale)
        assert "have changed" in problems(again)[0]
    todo.refresh_from_db()
    assert todo.state == "open"
    assert submit(client, todo).status_code == 302


def test_form_that_changed_is_answered_first(portal: PortalWorld) -> None:
    """A question that is published while somebody answers is asked before they can submit."""
    client, todo = portal.client(ENID), a_todo(CONFIRM)
    answer_all(client, todo)
    seen = digest(client, todo)
    change_form(CONFIRM, date(2027, 6, 1))
    led = submit(client, todo, seen)
    assert led.headers["Location"] == f"/to-dos/{todo.pk}/rent/"
    asked = client.get(f"/to-dos/{todo.pk}/rent/")
    assert problems(asked) == ["Answer the question: Is there a meter?"]
    answer(client, todo, "rent", extra_1="no")
    submit(client, todo)
    todo.refresh_from_db()
    assert todo.submission["answers"]["extra_1"] == "no"
    assert todo.submission["form_fingerprint"] == fingerprint(CONFIRM, [QUESTION])


def test_pages_tell_their_forms_fingerprint(portal: PortalWorld) -> None:
    """Every page of a to-do says it, and it changes on the day of the change, not before."""
    client, todo = portal.client(ENID), a_todo(CONFIRM)
    change_form(CONFIRM, date(2027, 6, 2))
    found: list[str] = []
    for _day in range(2):
        answer_all(client, todo, **({"extra_1": "no"} if found else {}))
        for page in ("", "tenant/", "rent/"):
            html = client.get(f"/to-dos/{todo.pk}/{page}").content.decode()
            found += re.findall(r'<meta name="form-fingerprint" content="([^"]*)">', html)
        portal.clock.move_to(portal.clock.now() + timedelta(days=1))
        client = portal.client(ENID)
    assert found == [fingerprint(CONFIRM)] * 3 + [fingerprint(CONFIRM, [QUESTION])] * 3
    assert form_fingerprint(PROVIDE) == fingerprint(PROVIDE)


def test_submitting_twice_does_it_once(portal: PortalWorld) -> None:
    """Who submits again is told what they have done; another, that it was done, and by nobody."""
    todo, enid, sam = a_todo(CONFIRM), portal.client(ENID), portal.client(SAM)
    answer_all(enid, todo, rent="111.11")
    answer_all(sam, todo, rent="222.22")
    seen, other = digest(enid, todo), digest(sam, todo)
    for client, shown in ((enid, seen), (enid, seen), (sam, other)):
        assert submit(client, todo, shown).headers["Location"] == f"/to-dos/{todo.pk}/done/"
    assert "Answers submitted" in text_of(enid.get(f"/to-dos/{todo.pk}/done/"))
    told = text_of(sam.get(f"/to-dos/{todo.pk}/done/"))
    assert "already been done" in told
    assert "Enid" not in told
    for page in ("", "tenant/", "check/"):
        assert sam.get(f"/to-dos/{todo.pk}/{page}").headers["Location"].endswith("/done/")
    todo.refresh_from_db()
    assert todo.submission["answers"]["rent"] == "111.11"


def test_submitting_at_once_does_it_once(
    portal: PortalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two users and four browsers that submit at the same moment, one is taken, whole."""
    todo, rents = a_todo(CONFIRM), {ENID: "111.11", SAM: "222.22"}
    clients = [portal.client(name) for name in (ENID, ENID, SAM, SAM)]
    answer_all(clients[0], todo, rent=rents[ENID])
    answer_all(clients[2], todo, rent=rents[SAM])
    shown = [digest(client, todo) for client in clients]
    taken: list[Decimal] = []
    answered: list[str] = []
    together = threading.Barrier(4)

    def meet(kind: TodoKind) -> str:
        # Whoever gets here waits for the others to have read the to-do as well, if they can.
        with suppress(threading.BrokenBarrierError):
            together.wait(timeout=0.5)
        told: str = form_fingerprint(kind)
        return told

    def confirm(tenancy: Any, answers: dict[str, Any]) -> None:
        taken.append(answers["rent"])
        real_confirm(tenancy, answers)

    def send(client: Client, seen: str) -> None:
        answered.append(submit(client, todo, seen).headers["Location"])
        connections.close_all()

    real_confirm = views.confirm
    monkeypatch.setattr(views, "form_fingerprint", meet)
    monkeypatch.setattr(views, "confirm", confirm)
    threads = [
        threading.Thread(target=send, args=pair) for pair in zip(clients, shown, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answered == [f"/to-dos/{todo.pk}/done/"] * 4
    todo.refresh_from_db()
    rent = Decimal(rents[todo.done_by.username])
    assert taken == [todo.tenancy.rent] == [rent]
    assert todo.submission["answers"]["rent"] == str(rent)
    told = [text_of(client.get(f"/to-dos/{todo.pk}/done/")) for client in clients]
    assert sum("Answers submitted" in text for text in told) == 2


def test_answers_sent_at_once_are_all_kept(portal: PortalWorld) -> None:
    """Two users who answer the same to-do at the same moment do not overwrite each other."""
    todo, clients = a_todo(CONFIRM), [portal.client(ENID), portal.client(SAM)]
    for _round in range(4):
        together = threading.Barrier(2)

        def send(client: Client) -> None:
            together.wait()  # noqa: B023
            answer_all(client, todo)
            connections.close_all()

        threads = [threading.Thread(target=send, args=[client]) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        todo.refresh_from_db()
        assert [sorted(pages) for pages in todo.answers.values()] == [["rent", "tenant"]] * 2
        ToDo.objects.filter(pk=todo.pk).update(answers={})


@pytest.mark.parametrize("page", ["", "tenant/", "tenancy/", "rent/", "check/", "done/"])
def test_other_landlords_to_dos_are_not_found(portal: PortalWorld, page: str) -> None:
    """A to-do of another landlord is none, whatever is asked of it."""
    client, todo = portal.client(ENID), a_todo(PROVIDE, "enghraifft")
    address = f"/to-dos/{todo.pk}/{page}"
    assert client.get(address).status_code == 404
    assert client.post(address, {"is_tenant": "yes"}).status_code in (404, 405)
    todo.refresh_from_db()
    assert (todo.state, todo.answers) == ("open", {})


@pytest.mark.parametrize("page", ["", "{}/", "{}/tenant/", "{}/check/", "{}/done/"])
def test_to_dos_are_for_those_who_complete_them(portal: PortalWorld, page: str) -> None:
    """Without the role no page opens, be there a to-do or not; nor without signing in."""
    address = "/to-dos/" + page.format(a_todo(PROVIDE).pk)
    other = portal.client("olive.madeup")
    assert other.get(address).status_code == 403
    assert other.post(address).status_code in (403, 405)
    assert other.get("/to-dos/999999/").status_code == 403
    assert portal.client().get(address).headers["Location"].startswith("/sign-in/")


def test_no_other_site_can_answer(portal: PortalWorld) -> None:
    """What does not carry the portal's own token is refused."""
    todo, client = a_todo(CONFIRM), portal.client(ENID)
    strict = Client(enforce_csrf_checks=True, HTTP_HOST="localhost")
    strict.cookies = client.cookies
    assert answer(strict, todo, "tenant").status_code == 403
    assert submit(strict, todo, "").status_code == 403
    assert answer(client, todo, "tenant").status_code == 302


def test_list_shows_what_waits(portal: PortalWorld) -> None:
    """The landlord's open to-dos, those due first first, of every kind or of one."""
    client = portal.client(ENID)

    def listed(query: str = "") -> Any:
        answered: Any = client.get(f"/to-dos/{query}")
        return answered.context_data

    every = listed()
    assert every["total"] == 24
    assert len(every["entries"]) == 20
    days = [todo.due_on for todo in every["entries"]]
    assert days == sorted(days)
    assert {todo.tenancy.landlord_id for todo in every["entries"]} == {"acme"}
    one = f"?kind={CONFIRM.value}"
    assert {todo.kind for todo in listed(one)["entries"]} == {CONFIRM.value}
    page = client.get(f"/to-dos/{one}").content.decode()
    chosen = re.findall(r'<strong aria-current="true">([^<]*)</strong>', page)
    assert chosen == ["Confirm tenant&#39;s housing costs"]
    assert listed("?kind=nonsense&shown=9")["total"] == 24
    ToDo.objects.filter(kind=CONFIRM.value).update(state="done")
    assert listed()["total"] == 12
    ToDo.objects.update(state="done")
    assert "There is nothing to do." in text_of(client.get("/to-dos/"))


def test_show_more_keeps_the_kind(portal: PortalWorld) -> None:
    """The link shows more of what is listed, until there is no more."""
    for todo in list(ToDo.objects.filter(tenancy__landlord_id="acme", kind=CONFIRM.value)):
        for _copy in range(2):
            todo.pk = None
            todo.save()
    client = portal.client(ENID)
    page = client.get(f"/to-dos/?kind={CONFIRM.value}").content.decode()
    [more] = re.findall(r'href="(\?kind=[^"]*)">Show more', page)
    all_of_them: Any = client.get("/to-dos/" + more.replace("&amp;", "&"))
    assert len(all_of_them.context_data["entries"]) == 36
    assert "Show more" not in text_of(all_of_them)


def test_pages_are_in_welsh(portal: PortalWorld) -> None:
    """Questions, errors, dates and money are Welsh; the to-do's name stays English."""
    client, todo = portal.client(ENID), a_todo(CONFIRM)
    client.cookies["django_language"] = "cy"
    wrong = answer(client, todo, "tenant", is_tenant="")
    assert "Gwall" in text_of(wrong)
    answer_all(client, todo)
    page = text_of(client.get(f"/to-dos/{todo.pk}/check/"))
    assert "Gwiriwch eich atebion" in page
    assert "Dyddiad newid y rhent 5 Ebrill 2027" in page
    assert "£104.50" in page
    html = client.get(f"/to-dos/{todo.pk}/").content.decode()
    assert '<h1 class="govuk-heading-l" lang="en">Confirm tenant&#39;s housing costs</h1>' in html
