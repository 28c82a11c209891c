"""Ways to reach a person: what tenants send, and what staff do with it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from contact_world import (
    CONTACT,
    HOSTILE,
    STAFF,
    ask,
    at,
    at_once,
    begin,
    page_of,
    say,
    send,
    text_of,
    token,
    without_directory,
)
from tenant_services.contact.guide import guide
from tenant_services.contact.models import (
    AtChat,
    CallBack,
    Chat,
    ChatLine,
    Enquiry,
    EnquiryAnswer,
)
from tenant_services.models import StaffAccount, TenantAccount
from tenant_world import HOME, STELLA, TARAN, TARANS, TESSA, signed_in

if TYPE_CHECKING:
    from portal_world import PortalWorld

TENANT_PAGES = [
    "",
    "choose/",
    "choose/rent/",
    "choose/rent/pay/",
    "choose/rent/pay/chat/",
    "choose/repairs/danger/",
    "offices/",
    "message/",
    "messages/",
    "messages/B4CK7F2H/",
    "call-back/",
    "chat/",
]
STAFF_PAGES = ["", "B4CK7F2H/", "calls/", "chats/"]


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_every_page_opens(portal: PortalWorld, lang: str) -> None:
    """Each page of the pillar answers in each language."""
    for username, pages, root in [(TESSA, TENANT_PAGES, CONTACT), (STELLA, STAFF_PAGES, STAFF)]:
        client = signed_in(portal, username)
        client.cookies["django_language"] = lang
        for page in pages:
            tree = page_of(client.get(f"{root}{page}"))
            assert tree.get("lang") == lang
            assert len(tree.xpath("//h1")) == 1, page


# --- the selector -------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["cy", pytest.param("en", marks=pytest.mark.exhaustive)])
def test_every_way_through_the_questions_is_walked(portal: PortalWorld, lang: str) -> None:
    """Answer by answer as a tenant would, to an end that says where to go and why."""
    client = signed_in(portal)
    client.cookies["django_language"] = lang
    ends = 0
    for outcome in guide().outcomes():
        answers = [outcome.topic.slug, outcome.kind.slug]
        if outcome.wished:
            answers.append(outcome.wished.slug)
        path = f"{CONTACT}choose/"
        for answer in answers:
            sent = client.post(path, {"answer": answer})
            path = f"{path}{answer}/"
            assert sent.headers["Location"] == path
        page = page_of(client.get(path))
        said = page.xpath("//main")[0].text_content()
        if outcome.way is None:
            for one in outcome.emergencies:
                for telephone in one.telephones:
                    assert page.xpath(f"//main//a[@href='tel:{telephone.digits}']")
            assert not page.xpath("//main//form")
        else:
            wanted = outcome.why.cy if lang == "cy" else outcome.why.en  # type: ignore[union-attr]
            assert wanted in said
            assert page.xpath("//main//a[@href]")
        ends += 1
    assert ends > 80


@pytest.mark.parametrize(
    "path",
    [
        "choose/dragons/",
        "choose/rent/dragons/",
        "choose/rent/danger/",
        "choose/rent/pay/pigeon/",
        "choose/repairs/danger/chat/",
    ],
)
def test_answers_that_are_none_lead_nowhere(portal: PortalWorld, path: str) -> None:
    """What cannot be answered has no page, whoever makes up the address."""
    assert signed_in(portal).get(f"{CONTACT}{path}").status_code == 404


def test_questions_have_titles_of_their_own(portal: PortalWorld) -> None:
    """Whoever has several pages open can tell which topic each is about."""
    client = signed_in(portal)
    found = [
        page_of(client.get(f"{CONTACT}choose/{topic.slug}/")).findtext(".//title")
        for topic in guide().topics
    ]
    assert len(set(found)) == len(found)
    assert f"Which of these fits best? \u2013 {guide().topics[0].en} \u2013 " in found[0]


@pytest.mark.parametrize("page", ["", "rent/", "rent/pay/"])
def test_question_without_an_answer_is_asked_again(portal: PortalWorld, page: str) -> None:
    """Nothing chosen, or something made up, is said to be wrong at the question."""
    client = signed_in(portal)
    for sent in ({}, {"answer": "dragons"}):
        tree = page_of(client.post(f"{CONTACT}choose/{page}", sent))
        assert tree.xpath("//*[contains(@class, 'govuk-error-summary')]//a/@href") == ["#id_answer"]
        assert tree.xpath("//*[@id='id_answer']")


def test_what_cannot_wait_is_not_left_to_a_message(portal: PortalWorld) -> None:
    """Who would write about no heating is told to ring, and why."""
    said = text_of(signed_in(portal).get(f"{CONTACT}choose/repairs/today/message/"))
    assert "You chose 'Send a message here'. For this there is a better way." in said
    assert "A message may not be read today" in said
    assert guide().telephone.number in said
    assert guide().emergency_line.number in said


def test_chat_is_only_led_to_while_somebody_is_there(portal: PortalWorld) -> None:
    """At other times the way ends at a message, and says when the chat opens."""
    client = signed_in(portal)
    path = f"{CONTACT}choose/something-else/quick/chat/"
    assert page_of(client.get(path)).xpath(f"//main//a[@href='{CONTACT}chat/']")
    at(portal, "2027-06-04T17:00:00+01:00")
    page = page_of(client.get(path))
    assert not page.xpath(f"//main//a[@href='{CONTACT}chat/']")
    assert page.xpath(f"//main//a[starts-with(@href, '{CONTACT}message/')]")
    assert "Opens at 9am on Monday 7 June 2027" in page.xpath("//main")[0].text_content()


def test_offices_near_the_tenant_come_first(portal: PortalWorld) -> None:
    """With address, hours, access and whether they are open; also while nobody knows the tenant."""
    for username, first in [(TESSA, "Exampleton office"), (TARAN, "Trefesiampl office")]:
        client = signed_in(portal, username)
        page = page_of(client.get(f"{CONTACT}offices/"))
        assert page.xpath("//h2")[0].text_content().split() == [*first.split(), "Near", "you"]
        assert len(page.xpath("//h2")) == 2
        with without_directory(portal):
            assert "Near you" not in text_of(client.get(f"{CONTACT}offices/"))


# --- messages -----------------------------------------------------------------------------------


def test_message_from_sending_to_answer(portal: PortalWorld) -> None:
    """It gets a reference; staff read and answer it; the tenant reads the answer; it is closed."""
    tessa, stella = signed_in(portal), signed_in(portal, STELLA)
    path = f"{CONTACT}message/?topic=tenancy"
    [chosen] = page_of(tessa.get(path)).xpath("//input[@name='topic'][@checked]/@value")
    assert chosen == "tenancy"
    sent = send(tessa, topic="tenancy", tenancy=HOME, text=HOSTILE, token=token(tessa, path))
    enquiry = Enquiry.objects.get(topic="tenancy")
    yours = f"{CONTACT}messages/{enquiry.reference}/"
    assert sent.headers["Location"] == yours
    assert re.fullmatch("[2-9BCDFGHJKMNPQRSTVWXYZ]{8}", enquiry.reference)
    page = tessa.get(yours)
    assert "We have got your message" in text_of(page)
    assert "Status Received" in text_of(page)
    assert b"<script>alert" not in page.content
    assert "<script>alert(1)</script>" in text_of(page)
    assert "=1+1" in text_of(page)
    assert "ŵŷâ" in text_of(page)
    assert HOME in text_of(page)

    assert enquiry.reference in text_of(stella.get(STAFF))
    staffs = f"{STAFF}{enquiry.reference}/"
    page = stella.get(staffs)
    assert "Tessa Testington" in text_of(page)
    assert "=1+1" in text_of(page)
    assert b"<script>alert" not in page.content
    answer = {"token": "t", "text": "First line\r\nSecond line"}
    assert stella.post(staffs, answer).headers["Location"] == STAFF
    assert "Answered" in text_of(tessa.get(f"{CONTACT}messages/"))
    assert "First line Second line" in text_of(tessa.get(yours))
    assert stella.post(f"{staffs}close/").headers["Location"] == STAFF
    assert enquiry.reference not in text_of(stella.get(STAFF))
    assert stella.get(staffs).status_code == 404
    assert "Status Closed" in text_of(tessa.get(yours))
    assert stella.post(f"{staffs}close/").status_code == 302


def test_answer_can_close_at_once(portal: PortalWorld) -> None:
    """A tick beside the answer does both, clicked twice as well; what is closed has no answer.

    Who was writing one when somebody else closed it does not lose it.
    """
    stella = signed_in(portal, STELLA)
    path = f"{STAFF}B4CK7F2H/"
    stella.post(path, {"token": "t", "text": "Done", "close": "on"})
    assert Enquiry.objects.get(reference="B4CK7F2H").status == "closed"
    again = stella.post(path, {"token": "t", "text": "Done", "close": "on"})
    assert again.headers["Location"] == STAFF
    assert EnquiryAnswer.objects.filter(text="Done").count() == 1
    late = text_of(stella.post(path, {"token": "u", "text": "Again"}))
    assert "Somebody has closed this message meanwhile" in late
    assert "Again" in late
    assert stella.get(path).status_code == 404
    assert EnquiryAnswer.objects.filter(text="Again").count() == 0


def test_unanswered_messages_come_first(portal: PortalWorld) -> None:
    """Staff see what waits before what was answered, the oldest of each first."""
    tessa, stella = signed_in(portal), signed_in(portal, STELLA)
    for text in ("one", "two"):
        send(tessa, text=text)
        portal.clock.move_to(portal.clock.now() + timedelta(minutes=1))
    listed = page_of(stella.get(STAFF)).xpath("//tbody//th//a/text()")
    texts = [Enquiry.objects.get(reference=reference).text for reference in listed]
    assert texts[:2] == ["one", "two"]
    assert len(texts) == 4


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"topic": ""}, "topic", "Select what it is about"),
        ({"topic": "dragons"}, "topic", "Select one of the answers"),
        ({"text": ""}, "text", "Write your message"),
        ({"text": " \r\n "}, "text", "Write your message"),
        ({"text": "x" * 5001}, "text", "must be 5000 characters or fewer"),
        ({"text": "a\x00b"}, "text", "a character that cannot be kept"),
        ({"tenancy": TARANS}, "tenancy", "Select one of the answers"),
    ],
)
def test_message_that_cannot_be_sent(
    portal: PortalWorld, fields: dict[str, str], field: str, said: str
) -> None:
    """The error names the field and the remedy; what was typed is still there; nothing is kept."""
    before = Enquiry.objects.count()
    client = signed_in(portal)
    answer = send(client, **{"text": "Kept words"} | fields)
    assert said in text_of(answer)
    page = page_of(answer)
    assert f"#id_{field}" in page.xpath("//*[contains(@class, 'error-summary')]//a/@href")
    if "text" not in fields:
        assert "Kept words" in text_of(answer)
    assert Enquiry.objects.count() == before
    client.cookies["django_language"] = "cy"
    welsh = send(client, **{"text": "Kept words"} | fields)
    assert said not in text_of(welsh)
    assert page_of(welsh).xpath("//*[contains(@class, 'govuk-error-summary')]")


def test_longest_message_is_kept_whole(portal: PortalWorld) -> None:
    """Line ends count once, so that what the browser says fits, fits."""
    send(signed_in(portal), text="\r\n".join(["x" * 49] * 100) + "y")
    assert len(Enquiry.objects.get(topic="rent").text) == 5000


def test_same_message_twice_is_one(portal: PortalWorld) -> None:
    """A double click, or the same page sent again, leads to the one message; another is another."""
    client = signed_in(portal)
    first, again = send(client), send(client)
    assert first.headers["Location"] == again.headers["Location"]
    assert send(client, text="Hello again").headers["Location"] != first.headers["Location"]
    assert send(client, topic="repairs").headers["Location"] != first.headers["Location"]
    assert Enquiry.objects.filter(topic__in=["rent", "repairs"]).count() == 3


def test_same_message_at_the_same_time_is_one(portal: PortalWorld) -> None:
    """The database counts, however close the two come."""
    clients = [signed_in(portal) for _n in range(4)]
    answers = at_once(*(lambda c=c: send(c) for c in clients))  # type: ignore[misc]
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert Enquiry.objects.filter(topic="rent").count() == 1


def test_same_answer_twice_is_one(portal: PortalWorld) -> None:
    """Staff who click twice answer once."""
    stella = signed_in(portal, STELLA)
    for _n in range(2):
        stella.post(f"{STAFF}B4CK7F2H/", {"token": "t", "text": "Twice"})
    assert EnquiryAnswer.objects.filter(text="Twice").count() == 1


def test_message_can_be_sent_while_nobody_knows_the_tenant(portal: PortalWorld) -> None:
    """The customer directory is down: the form asks less, and the message comes all the same."""
    client = signed_in(portal)
    with without_directory(portal):
        assert not page_of(client.get(f"{CONTACT}message/")).xpath("//*[@name='tenancy']")
        assert send(client, tenancy=HOME).status_code == 302
    assert Enquiry.objects.get(topic="rent").tenancy == ""


# --- whose is what ------------------------------------------------------------------------------


def test_nothing_of_anybody_elses(portal: PortalWorld) -> None:
    """Messages, calls and chats of another tenant are not there, to be seen or changed."""
    tessa, taran, stella = (signed_in(portal, one) for one in (TESSA, TARAN, STELLA))
    ask(tessa)
    call = CallBack.objects.get()
    chat = begin(tessa)
    for client, status in [(taran, 404), (stella, 403)]:
        for path in (
            "messages/B4CK7F2H/",
            f"call-backs/{call.reference}/cancel/",
            f"chats/{chat.reference}/",
            f"chats/{chat.reference}/end/",
            f"message/?chat={chat.reference}",
        ):
            for answer in (
                client.post(f"{CONTACT}{path}", {"text": "x", "topic": "rent", "token": "t"}),
                client.get(f"{CONTACT}{path}"),
            ):
                if answer.status_code != 405:
                    assert answer.status_code == status, path
    assert "B4CK7F2H" not in text_of(taran.get(f"{CONTACT}messages/"))
    assert "01632" not in text_of(taran.get(f"{CONTACT}messages/"))
    call.refresh_from_db()
    chat.refresh_from_db()
    assert call.cancelled_at is None
    assert chat.ended_at is None
    assert chat.lines.count() == 1
    for path in [
        *STAFF_PAGES,
        "chats/here/",
        f"chats/{chat.reference}/",
        f"chats/{chat.reference}/end/",
        f"calls/{call.reference}/done/",
        "B4CK7F2H/close/",
    ]:
        for client in (tessa, taran):
            assert client.get(f"{STAFF}{path}").status_code == 403
            assert client.post(f"{STAFF}{path}", {"text": "x"}).status_code == 403
    for username in ("enid.example", "portal.administrator"):
        other = portal.client(username)
        for path in (CONTACT, f"{CONTACT}messages/B4CK7F2H/", STAFF, f"{STAFF}B4CK7F2H/"):
            assert other.get(path).status_code == 403
    nobody = portal.client()
    assert nobody.get(CONTACT).headers["Location"].startswith("/my-home/sign-in/")


@pytest.mark.parametrize("chat", ["dragons", "a/b", "a%00b", "%F0%9F%90%89", ""])
def test_chat_that_is_none_is_no_chat(portal: PortalWorld, chat: str) -> None:
    """A made-up reference in the address leads nowhere."""
    assert signed_in(portal).get(f"{CONTACT}message/?chat={chat}").status_code == 404


# --- calls --------------------------------------------------------------------------------------


def test_call_from_asking_to_called(portal: PortalWorld) -> None:
    """The tenant chooses when; staff see it in order and ring; then it is off both lists."""
    tessa, taran, stella = (signed_in(portal, one) for one in (TESSA, TARAN, STELLA))
    page = page_of(tessa.get(f"{CONTACT}call-back/"))
    assert page.xpath("//input[@name='number']/@value") == ["+44 7700 900401"]
    offered = page.xpath("//select[@name='when']/option[@value != '']/text()")
    assert offered[0].strip() == "Tuesday 1 June 2027, 11am to 1pm"
    assert len(offered) == 3 + 4 * 4
    assert ask(tessa, when="2027-06-02T08:00:00+00:00").headers["Location"].endswith("messages/")
    ask(taran, number="+44 (0)7700 900-402")
    rows = page_of(stella.get(f"{STAFF}calls/")).xpath("//tbody/tr")
    assert ["Taran" in row.text_content() for row in rows] == [True, False]
    assert "Tuesday 1 June 2027, 11am to 1pm" in rows[0].text_content()
    assert rows[0].xpath(".//a/@href") == ["tel:+447700900-402"]
    [called] = rows[0].xpath(".//form/@action")
    assert stella.post(called).headers["Location"] == f"{STAFF}calls/"
    assert stella.post(called).status_code == 302
    assert "Taran" not in text_of(stella.get(f"{STAFF}calls/"))
    assert "You have asked for no call" in text_of(taran.get(f"{CONTACT}messages/"))
    at(portal, "2027-06-02T11:00:00+01:00")
    assert "Late" in text_of(stella.get(f"{STAFF}calls/"))


def test_call_can_be_cancelled_until_it_is_made(portal: PortalWorld) -> None:
    """Cancelled twice is cancelled once; staff do not see it; what was made cannot be cancelled."""
    tessa, stella = signed_in(portal), signed_in(portal, STELLA)
    ask(tessa)
    call = CallBack.objects.get()
    path = f"{CONTACT}call-backs/{call.reference}/cancel/"
    assert "Tuesday 1 June 2027, 11am to 1pm" in text_of(tessa.get(path))
    for _n in range(2):
        assert tessa.post(path).headers["Location"] == f"{CONTACT}messages/"
    assert "There are no calls" in text_of(stella.get(f"{STAFF}calls/"))
    assert stella.post(f"{STAFF}calls/{call.reference}/done/").status_code == 404
    ask(tessa)
    call = CallBack.objects.get(cancelled_at=None)
    stella.post(f"{STAFF}calls/{call.reference}/done/")
    answer = tessa.post(f"{CONTACT}call-backs/{call.reference}/cancel/")
    assert "We have rung you already" in text_of(answer)
    call.refresh_from_db()
    assert call.cancelled_at is None


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"topic": ""}, "topic", "Select what it is about"),
        ({"number": ""}, "number", "Enter a telephone number"),
        ({"number": "12345"}, "number", "Enter a telephone number, like"),
        ({"number": "0" * 11}, "number", "Enter a telephone number, like"),
        ({"number": "07700 900 982; =1+1"}, "number", "Enter a telephone number, like"),
        ({"number": "07700 90098\u0662"}, "number", "Enter a telephone number, like"),
        ({"when": ""}, "when", "Select when you would like us to ring"),
        ({"when": "2027-06-01T08:00:00+00:00"}, "when", "That time cannot be chosen any more"),
        ({"when": "2027-06-01T10:30:00+00:00"}, "when", "That time cannot be chosen any more"),
        ({"when": "2027-06-05T10:00:00+00:00"}, "when", "That time cannot be chosen any more"),
        ({"when": "tomorrow"}, "when", "That time cannot be chosen any more"),
    ],
)
def test_call_that_cannot_be_asked_for(
    portal: PortalWorld, fields: dict[str, str], field: str, said: str
) -> None:
    """The error names the field and the remedy; nothing is kept."""
    answer = ask(signed_in(portal), **fields)
    assert said in text_of(answer)
    links = page_of(answer).xpath("//*[contains(@class, 'error-summary')]//a/@href")
    assert links == [f"#id_{field}"]
    assert CallBack.objects.count() == 0


def test_same_call_twice_is_one(portal: PortalWorld) -> None:
    """Also at the same time; another number for the same time is asked about."""
    clients = [signed_in(portal) for _n in range(4)]
    answers = at_once(*(lambda c=c: ask(c) for c in clients))  # type: ignore[misc]
    assert {answer.status_code for answer in answers} == {302}
    assert CallBack.objects.count() == 1
    assert "We are to ring you then already" in text_of(ask(clients[0], number="01632 960 002"))
    assert CallBack.objects.get().number == "01632 960 001"


def test_call_can_be_asked_for_while_nobody_knows_the_tenant(portal: PortalWorld) -> None:
    """The customer directory is down: the number is typed."""
    client = signed_in(portal)
    with without_directory(portal):
        page = page_of(client.get(f"{CONTACT}call-back/"))
        assert not any(page.xpath("//input[@name='number']/@value"))
        assert ask(client).status_code == 302


# --- live chat ----------------------------------------------------------------------------------


def test_chat_from_first_line_to_the_end(portal: PortalWorld) -> None:
    """Both write, each sees the other's lines at the next look, and either ends it."""
    tessa, stella = signed_in(portal), signed_in(portal, STELLA)
    chat = begin(tessa, HOSTILE)
    assert tessa.get(f"{CONTACT}chat/").headers["Location"] == f"{CONTACT}chats/{chat.reference}/"
    listed = stella.get(f"{STAFF}chats/")
    assert "Tessa Testington" in text_of(listed)
    assert "Waiting for an answer" in text_of(listed)
    page = stella.get(f"{STAFF}chats/{chat.reference}/")
    assert b"<script>alert" not in page.content
    assert "=1+1" in text_of(page)
    location = say(stella, chat, "How can I help?", STAFF).headers["Location"]
    assert location == f"{STAFF}chats/{chat.reference}/#latest"
    assert "Waits" not in text_of(stella.get(f"{STAFF}chats/"))
    said = text_of(tessa.get(f"{CONTACT}chats/{chat.reference}/"))
    assert "Our adviser" in said
    assert "How can I help?" in said
    assert "Stella" not in said
    say(tessa, chat, "Thank you")
    assert "Thank you" in text_of(stella.get(f"{STAFF}chats/{chat.reference}/"))
    assert stella.post(f"{STAFF}chats/{chat.reference}/end/").status_code == 302
    assert "The chat is over" in text_of(tessa.get(f"{CONTACT}chats/{chat.reference}/"))
    assert "There are no chats" in text_of(stella.get(f"{STAFF}chats/"))
    other = begin(tessa, "And another thing")
    assert other != chat
    assert tessa.post(f"{CONTACT}chats/{other.reference}/end/").status_code == 302
    assert "There are no chats" in text_of(stella.get(f"{STAFF}chats/"))


def test_looking_for_what_is_new_loses_nothing(portal: PortalWorld) -> None:
    """What was typed and not sent is still in the box, for tenant and staff alike."""
    tessa, stella = signed_in(portal), signed_in(portal, STELLA)
    chat = begin(tessa)
    for client, root in [(tessa, CONTACT), (stella, STAFF)]:
        looked = say(client, chat, "half a sent\r\nence", root, look="1")
        assert looked.headers["Location"] == f"{root}chats/{chat.reference}/#latest"
        page = page_of(client.get(f"{root}chats/{chat.reference}/"))
        assert page.xpath("//textarea")[0].text.strip() == "half a sent\nence"
        say(client, chat, "half a sentence", root)
        page = page_of(client.get(f"{root}chats/{chat.reference}/"))
        assert not (page.xpath("//textarea")[0].text or "").strip()
    assert chat.lines.count() == 3


def test_same_line_twice_is_one(portal: PortalWorld) -> None:
    """A first line or a later one, clicked twice or sent at the same time, stands there once."""
    clients = [signed_in(portal) for _n in range(4)]
    chats = at_once(*(lambda c=c: begin(c) for c in clients))  # type: ignore[misc]
    assert len(set(chats)) == 1
    at_once(*(lambda c=c: say(c, chats[0], "x") for c in clients))  # type: ignore[misc]
    assert [line.text for line in chats[0].lines.all()] == ["Good morning", "x"]
    assert Chat.objects.count() == 1
    assert begin(clients[0]) == chats[0]


def test_two_pages_of_a_tenant_share_one_chat(portal: PortalWorld) -> None:
    """Whoever begins in two windows at once gets one chat, with both first lines."""
    clients = [signed_in(portal) for _n in range(3)]
    texts = ["one", "two", "three"]
    at_once(
        *(
            lambda c=c, t=t: begin(c, t)  # type: ignore[misc]
            for c, t in zip(clients, texts, strict=True)
        )
    )
    assert sorted(line.text for line in Chat.objects.get().lines.all()) == sorted(texts)


def test_line_without_words_is_refused(portal: PortalWorld) -> None:
    """With an error at the box, at the beginning and later."""
    tessa, stella = signed_in(portal), signed_in(portal, STELLA)
    assert "Write what you would like to ask" in text_of(tessa.post(f"{CONTACT}chat/"))
    assert Chat.objects.count() == 0
    chat = begin(tessa)
    assert "Write your message" in text_of(say(tessa, chat, ""))
    assert "Write your message" in text_of(say(stella, chat, "", STAFF))
    assert chat.lines.count() == 1


@pytest.mark.parametrize(
    "instant",
    [
        "2027-06-01T08:59:59+01:00",
        "2027-06-01T17:00:00+01:00",
        "2027-06-05T12:00:00+01:00",
        "2027-08-30T12:00:00+01:00",
    ],
)
def test_chat_is_closed_outside_its_hours(portal: PortalWorld, instant: str) -> None:
    """Early, late, at weekends and on bank holidays: what was typed goes to the contact form."""
    client = signed_in(portal)
    AtChat.objects.update(until=datetime.fromisoformat("2028-01-01T00:00:00+00:00"))
    at(portal, instant)
    page = client.get(f"{CONTACT}chat/")
    assert "Closed now" in text_of(page)
    assert not page_of(page).xpath("//textarea")
    answer = client.post(f"{CONTACT}chat/", {"token": "t", "text": "Typed in time"})
    assert answer.headers["Location"] == f"{CONTACT}message/"
    page = client.get(f"{CONTACT}message/")
    assert page_of(page).xpath("//textarea")[0].text.strip() == "Typed in time"
    assert "What you typed is below" in text_of(page)
    assert Chat.objects.count() == 0
    assert send(client, text="Typed in time").status_code == 302
    assert not (page_of(client.get(f"{CONTACT}message/")).xpath("//textarea")[0].text or "").strip()


def test_nobody_is_there_within_the_hours(portal: PortalWorld) -> None:
    """Staff who are away close the chat as well; who comes back opens it, until closing time."""
    tessa, stella = signed_in(portal), signed_in(portal, STELLA)
    stella.post(f"{STAFF}chats/here/", {"away": "1"})
    assert "Nobody is there for a chat" in text_of(tessa.get(f"{CONTACT}chat/"))
    assert "Nobody is there for a chat" in text_of(tessa.get(CONTACT))
    assert tessa.post(f"{CONTACT}chat/", {"text": "x"}).headers["Location"].endswith("message/")
    for _n in range(2):
        stella.post(f"{STAFF}chats/here/")
    assert begin(tessa)
    at(portal, "2027-06-02T10:00:00+01:00")
    assert "Nobody is there for a chat" in text_of(tessa.get(f"{CONTACT}chat/"))
    at(portal, "2027-06-02T18:00:00+01:00")
    AtChat.objects.all().delete()
    stella.post(f"{STAFF}chats/here/")
    assert AtChat.objects.count() == 0


@pytest.mark.parametrize("how", ["closing time", "away", "ended by staff", "ended by tenant"])
def test_chat_that_is_over_goes_on_as_a_message(portal: PortalWorld, how: str) -> None:
    """The line that came too late is in the form, and the conversation comes with it, once."""
    tessa, stella = signed_in(portal), signed_in(portal, STELLA)
    chat = begin(tessa, "First words")
    say(stella, chat, "An answer", STAFF)
    if how == "closing time":
        at(portal, "2027-06-01T17:00:00+01:00")
    elif how == "away":
        stella.post(f"{STAFF}chats/here/", {"away": "1"})
    elif how == "ended by staff":
        stella.post(f"{STAFF}chats/{chat.reference}/end/")
    else:
        tessa.post(f"{CONTACT}chats/{chat.reference}/end/")
    page = page_of(tessa.get(f"{CONTACT}chats/{chat.reference}/"))
    query = f"?chat={chat.reference}"
    assert page.xpath(f"//main//a[@href='{CONTACT}message/{query}']")
    late = say(tessa, chat, "Too late")
    assert late.headers["Location"] == f"{CONTACT}message/{query}"
    assert [line.text for line in chat.lines.all()] == ["First words", "An answer"]
    form = tessa.get(f"{CONTACT}message/{query}")
    assert page_of(form).xpath("//textarea")[0].text.strip() == "Too late"
    assert "An answer" in text_of(form)
    sent = send(tessa, query, topic="tenancy", text="Too late")
    enquiry = Enquiry.objects.get(chat=chat)
    assert enquiry.text == "Too late"
    assert "First words" in text_of(tessa.get(sent.headers["Location"]))
    read = text_of(stella.get(f"{STAFF}{enquiry.reference}/"))
    assert "First words" in read
    assert "An answer" in read
    again = send(tessa, query, topic="tenancy", text="Too late")
    assert again.headers["Location"] == sent.headers["Location"]
    other = send(tessa, query, topic="tenancy", text="Something else")
    assert other.headers["Location"] != sent.headers["Location"]
    assert Enquiry.objects.get(text="Something else").chat is None
    assert tessa.get(f"{CONTACT}message/{query}").headers["Location"] == sent.headers["Location"]
    chat.refresh_from_db()
    assert chat.ended_at is not None
    assert "The chat went on as a message" in text_of(
        tessa.get(f"{CONTACT}chats/{chat.reference}/")
    )


def test_who_waits_for_long_is_offered_another_way(portal: PortalWorld) -> None:
    """After five minutes without an answer, and not after one."""
    tessa, stella = signed_in(portal), signed_in(portal, STELLA)
    chat = begin(tessa)
    path = f"{CONTACT}chats/{chat.reference}/"
    at(portal, "2027-06-01T09:04:59+01:00")
    say(tessa, chat, "Anybody there?")
    assert "Nobody has answered" not in text_of(tessa.get(path))
    at(portal, "2027-06-01T09:05:00+01:00")
    assert "Nobody has answered for 5 minutes" in text_of(tessa.get(path))
    say(stella, chat, "Here I am", STAFF)
    assert "Nobody has answered" not in text_of(tessa.get(path))
    at(portal, "2027-06-01T10:00:00+01:00")
    assert "Nobody has answered" not in text_of(tessa.get(path))


def test_staff_lose_nothing_when_the_tenant_ends_the_chat(portal: PortalWorld) -> None:
    """What they typed stays in the box, with what happened; the next day the chat is gone."""
    tessa, stella = signed_in(portal), signed_in(portal, STELLA)
    chat = begin(tessa)
    tessa.post(f"{CONTACT}chats/{chat.reference}/end/")
    answer = say(stella, chat, "A long answer", STAFF)
    assert "The chat is over, so this was not sent" in text_of(answer)
    assert "A long answer" in text_of(answer)
    assert chat.lines.count() == 1
    at(portal, "2027-06-02T09:00:00+01:00")
    assert stella.get(f"{STAFF}chats/{chat.reference}/").status_code == 404


def test_staff_lose_nothing_when_the_hours_end(portal: PortalWorld) -> None:
    """Who answers a moment too late still has the answer, and is told that nobody got it."""
    tessa, stella = signed_in(portal), signed_in(portal, STELLA)
    chat = begin(tessa)
    at(portal, "2027-06-01T16:59:59+01:00")
    assert say(stella, chat, "In time", STAFF).status_code == 302
    at(portal, "2027-06-01T17:00:00+01:00")
    for text in ("A long answer", ""):
        answer = say(stella, chat, text, STAFF)
        assert "There is a problem" in text_of(answer)
        assert text in text_of(answer)
    assert "The chat is over" in text_of(stella.get(f"{STAFF}chats/{chat.reference}/"))
    assert say(stella, chat, "In time", STAFF).status_code == 302
    assert chat.lines.count() == 2


def test_the_next_day_a_new_chat_begins(portal: PortalWorld) -> None:
    """A chat that nobody ended was over at closing time, and is in nobody's way."""
    tessa, stella = signed_in(portal), signed_in(portal, STELLA)
    old = begin(tessa)
    at(portal, "2027-06-02T09:00:00+01:00")
    stella.post(f"{STAFF}chats/here/")
    assert tessa.get(f"{CONTACT}chat/").status_code == 200
    new = Chat.objects.get(
        reference=tessa.post(f"{CONTACT}chat/", {"token": "2", "text": "Hello"})
        .headers["Location"]
        .split("/")[-2]
    )
    assert new != old
    old.refresh_from_db()
    assert old.ended_at is not None


# --- what is kept of people ---------------------------------------------------------------------


def test_no_record_names_anybody_where_it_may_be_logged(portal: PortalWorld) -> None:
    """What stands for a record in a log is a number."""
    tessa, stella = signed_in(portal), signed_in(portal, STELLA)
    ask(tessa)
    say(stella, begin(tessa), "Hello", STAFF)
    for model in (CallBack, Chat, ChatLine, AtChat, Enquiry, EnquiryAnswer):
        for record in model.objects.all():
            assert re.fullmatch(r"[a-z -]+ [0-9]+", str(record)), record
    assert StaffAccount.objects.count() == 1
    assert TenantAccount.objects.count() >= 2


@pytest.mark.parametrize("path", ["chat/", "message/", "call-back/", "messages/", "choose/rent/"])
def test_pages_cannot_be_asked_for_in_other_ways(portal: PortalWorld, path: str) -> None:
    """No page is changed by what is not a form."""
    client = signed_in(portal)
    for method in (client.put, client.patch, client.delete):
        assert method(f"{CONTACT}{path}").status_code in {403, 405, 200}
    assert Enquiry.objects.count() == 2


@pytest.mark.parametrize(
    "path",
    [
        "contact/chats/XXXXXXXX/end/",
        "staff/messages/B4CK7F2H/close/",
        "staff/messages/calls/XXXXXXXX/done/",
        "staff/messages/chats/here/",
        "staff/messages/chats/XXXXXXXX/end/",
    ],
)
def test_nothing_is_changed_by_looking(portal: PortalWorld, path: str) -> None:
    """What changes something answers no GET."""
    username = STELLA if path.startswith("staff") else TESSA
    assert signed_in(portal, username).get(f"/my-home/{path}").status_code == 405
