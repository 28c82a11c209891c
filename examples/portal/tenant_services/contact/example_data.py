"""Made-up content of the pillar 'Contact'."""

from __future__ import annotations

from datetime import timedelta

from demo_portal import clock

from .guide import guide
from .models import AtChat, Enquiry, EnquiryAnswer, TenantNotice


def add() -> None:
    """Add notices, a message with its answer, and somebody who is there for chats."""
    # Looked up late: these models are those of the whole app.
    from ..models import StaffAccount, TenantAccount

    staff = StaffAccount.objects.get()
    now, today = clock.now(), clock.today()
    published = {"published_at": now - timedelta(days=1), "published_by": staff}
    TenantNotice.objects.create(
        title_en="You can now do everything here",
        title_cy="Gallwch wneud popeth yma nawr",
        body_en="See your rent, report repairs and reach us on this site, at any hour.",
        body_cy="Gweld eich rhent, rhoi gwybod am atgyweiriadau a chysylltu â ni ar y wefan hon, "
        "ar unrhyw awr.",
        shown_from=today - timedelta(days=1),
        shown_until=today + timedelta(days=60),
        once="example-1",
        **published,
    )
    TenantNotice.objects.create(
        title_en="Garage doors in Mock Lane",
        title_cy="Drysau garejis yn Mock Lane",
        body_en="We paint the doors in the week after next. Please leave them locked.",
        body_cy="Byddwn yn peintio'r drysau yr wythnos ar ôl nesaf. Gadewch nhw ar glo.",
        kinds=["garage"],
        localities=["Exampleton"],
        shown_from=today,
        shown_until=today + timedelta(days=21),
        once="example-2",
        **published,
    )
    TenantNotice.objects.create(
        title_en="Coffee morning at Llys Enghraifft",
        title_cy="Bore coffi yn Llys Enghraifft",
        body_en="Come to the lounge on Thursday at 10:30am. Everybody is welcome.",
        body_cy="Dewch i'r lolfa ddydd Iau am 10:30am. Mae croeso i bawb.",
        kinds=["sheltered"],
        localities=["Trefesiampl"],
        shown_from=today,
        shown_until=today + timedelta(days=7),
        once="example-3",
        **published,
    )
    for person, reference, text, answer in (
        (
            "P1001",
            "B4CK7F2H",
            "May I put up a shed beside the garage?",
            "Yes, if it is no higher than the wall. Please send us a drawing first.",
        ),
        (
            "P1002",
            "C9DW3M6P",
            "Pryd mae'r lifft yn cael ei wasanaethu nesaf?",
            "Ddydd Mawrth nesaf, rhwng 10am a hanner dydd.",
        ),
    ):
        enquiry = Enquiry.objects.create(
            account=TenantAccount.objects.get(person=person),
            reference=reference,
            topic="something-else",
            tenancy="",
            text=text,
            sent_at=now - timedelta(days=3),
            once="example",
        )
        EnquiryAnswer.objects.create(
            enquiry=enquiry,
            staff=staff,
            text=answer,
            written_at=now - timedelta(days=2),
            once="example",
        )
    window = guide().chat.window
    if window.is_open(now):
        AtChat.objects.create(staff=staff, until=window.next_change(now))
