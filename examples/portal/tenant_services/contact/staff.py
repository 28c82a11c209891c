"""What staff do with what tenants send: answer messages and chats, and ring back.

They see what waits for them, with the name of whom it is from; what is closed is gone from here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from demo_portal import clock
from design.views import FormPage, ShowMoreView
from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse, reverse_lazy
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.generic import TemplateView, View

from ..access import StaffView as AnyStaffView
from .chats import ConversationPage, end
from .guide import guide
from .hours import opening
from .models import AtChat, CallBack, Chat, Enquiry, EnquiryAnswer
from .writing import SAYS, OnceForm, WrittenField, opening_text

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

    from ..models import StaffAccount
    from .chats import LineForm


class StaffView(AnyStaffView):
    """A view for one of the staff."""

    request: Any
    kwargs: dict[str, Any]

    @property
    def staff(self) -> StaffAccount:
        """Who it is."""
        account: StaffAccount = self.request.user.tenant_staff_account
        return account


class Messages(StaffView, ShowMoreView):
    """The messages that are not closed, those without an answer first, then the oldest first."""

    template_name = "tenant_services/contact/staff_messages.html"
    extra_context = SAYS

    def get_queryset(self) -> QuerySet[Enquiry]:
        """Return them."""
        answers = Exists(EnquiryAnswer.objects.filter(enquiry=OuterRef("pk")))
        return (
            Enquiry.objects.filter(closed_at=None)
            .select_related("account__user")
            .prefetch_related("answers")
            .alias(is_answered=answers)
            .order_by("is_answered", "sent_at", "pk")
        )


class ReplyForm(OnceForm):
    """An answer."""

    text = WrittenField(
        label=gettext_lazy("Your answer"), required_message=gettext_lazy("Write your answer")
    )
    close = forms.BooleanField(label=gettext_lazy("Close the message as well"), required=False)
    says = ("text",)


class Answer(StaffView, FormPage):
    """One message, and a form to answer it."""

    template_name = "tenant_services/contact/staff_message.html"
    extra_context = SAYS
    form_class = ReplyForm
    heading = gettext_lazy("Message from a tenant")
    button = gettext_lazy("Send the answer")
    success = gettext_lazy("The answer is sent")
    success_url = reverse_lazy("staff_messages")

    @cached_property
    def enquiry(self) -> Enquiry:
        """The message of the address. A closed one is not there, but for what was being written."""
        known = Enquiry.objects.select_related("account__user", "chat")
        if self.request.method != "POST":
            known = known.filter(closed_at=None)
        return get_object_or_404(known, reference=self.kwargs["reference"])

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the message."""
        return super().get_context_data(**named) | {"enquiry": self.enquiry}

    def form_valid(self, form: ReplyForm) -> HttpResponse:
        """Keep the answer, once, unless somebody closed the message meanwhile."""
        now, once = clock.now(), form.once(by=self.staff)
        with transaction.atomic():
            known = Enquiry.objects.select_for_update().get(pk=self.enquiry.pk)
            if known.closed_at is not None and not known.answers.filter(once=once).exists():
                form.add_error(None, _("Somebody has closed this message meanwhile"))
                return self.form_invalid(form)
            EnquiryAnswer.objects.get_or_create(
                enquiry=known,
                once=once,
                defaults={
                    "staff": self.staff,
                    "text": form.cleaned_data["text"],
                    "written_at": now,
                },
            )
            if form.cleaned_data["close"]:
                Enquiry.objects.filter(pk=known.pk, closed_at=None).update(closed_at=now)
        return super().form_valid(form)


class Close(StaffView, View):
    """Nothing more is to be done about a message."""

    def post(self, request: HttpRequest, **_named: Any) -> HttpResponse:
        """Close it, if that was not done before."""
        known = Enquiry.objects.filter(reference=self.kwargs["reference"])
        if not known.exists():
            raise Http404
        known.filter(closed_at=None).update(closed_at=clock.now())
        messages.success(request, _("The message is closed"))
        return redirect("staff_messages")


class Calls(StaffView, ShowMoreView):
    """The calls to be made, in order of their time."""

    template_name = "tenant_services/contact/staff_calls.html"
    extra_context = SAYS

    def get_queryset(self) -> QuerySet[CallBack]:
        """Return them."""
        known = CallBack.objects.filter(cancelled_at=None, called_at=None)
        return known.select_related("account__user")

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the present, by which some are late."""
        return super().get_context_data(**named) | {"now": clock.now()}


class Called(StaffView, View):
    """A call was made."""

    def post(self, request: HttpRequest, **_named: Any) -> HttpResponse:
        """Take it off the list, if the tenant has not cancelled it."""
        call = get_object_or_404(CallBack, reference=self.kwargs["reference"], cancelled_at=None)
        CallBack.objects.filter(pk=call.pk, cancelled_at=None, called_at=None).update(
            called_at=clock.now()
        )
        messages.success(request, _("The call is off the list"))
        return redirect("staff_calls")


class Chats(StaffView, TemplateView):
    """The chats that go on, and whether one is there for them."""

    template_name = "tenant_services/contact/staff_chats.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add them; those that wait for an answer first."""
        now = clock.now()
        going_on = [
            (chat, list(chat.lines.all())[-1:])
            for chat in Chat.objects.filter(ended_at=None, closes_at__gt=now)
            .select_related("account__user")
            .prefetch_related("lines")
        ]
        going_on.sort(key=lambda found: any(line.staff_id is not None for line in found[1]))
        return super().get_context_data(**named) | {
            "chats": going_on,
            "chat_hours": guide().chat,
            "is_open": guide().chat.window.is_open(now),
            "opening": opening_text(opening(guide().chat.window, now)),
            "is_here": AtChat.objects.filter(staff=self.staff, until__gt=now).exists(),
        }


class BeThere(StaffView, View):
    """To be there for chats until they close today, or not any more."""

    def post(self, request: HttpRequest, **_named: Any) -> HttpResponse:
        """Keep it."""
        now, window = clock.now(), guide().chat.window
        if "away" in request.POST:
            AtChat.objects.filter(staff=self.staff).delete()
        elif window.is_open(now):
            AtChat.objects.update_or_create(
                staff=self.staff, defaults={"until": window.next_change(now)}
            )
        return redirect("staff_chats")


class StaffChat(StaffView, ConversationPage):
    """The staff's side of a chat. An hour after closing time it is not there."""

    template_name = "tenant_services/contact/staff_chat.html"

    @cached_property
    def chat(self) -> Chat:
        """The chat of the address."""
        earliest = clock.now() - timedelta(hours=1)
        known = Chat.objects.select_related("account__user").filter(closes_at__gt=earliest)
        return get_object_or_404(known, reference=self.kwargs["reference"])

    def get_back(self) -> str:
        """Lead to the chats."""
        return reverse("staff_chats")

    def too_late(self, form: LineForm) -> HttpResponse:
        """Say so, and keep the words where they were typed."""
        form.add_error(None, _("The chat is over, so this was not sent"))
        return self.form_invalid(form)


class StaffEndChat(StaffView, View):
    """The end of a chat, by the staff."""

    def post(self, request: HttpRequest, **_named: Any) -> HttpResponse:
        """End it, if that was not done before."""
        end(get_object_or_404(Chat, reference=self.kwargs["reference"]))
        messages.success(request, _("The chat is over. The tenant can still send it as a message"))
        return redirect("staff_chats")
