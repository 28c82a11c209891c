"""The contact form, and what became of each message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo_portal import clock
from demo_portal.records import RecordsUnavailableError
from design.views import FormPage, ShowMoreView
from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.generic import TemplateView

from ..access import TenantView
from .guide import guide
from .models import Chat, Enquiry
from .writing import SAYS, OnceForm, WrittenField, draft, keep_draft, new_reference, repair_asked

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse, HttpResponseBase

    from ..models import TenantAccount
    from ..profile.customers import Tenancy

DRAFT = "message"


def chat_draft(chat: Chat) -> str:
    """Return under which name what was typed in a chat is kept."""
    return f"chat {chat.reference}"


class EnquiryForm(OnceForm):
    """A message."""

    topic = forms.ChoiceField(
        label=gettext_lazy("What is it about?"),
        widget=forms.RadioSelect,
        error_messages={"required": gettext_lazy("Select what it is about")},
    )
    tenancy = forms.ChoiceField(
        label=gettext_lazy("Which of your homes or garages is it about?"),
        required=False,
    )
    text = WrittenField(
        label=gettext_lazy("Your message"),
        help_text=gettext_lazy("Do not write card or bank details."),
        required_message=gettext_lazy("Write your message"),
    )
    says = ("topic", "tenancy", "text")

    def __init__(self, *args: Any, tenancies: list[Tenancy], **named: Any) -> None:
        """Offer the tenant's own tenancies, if they are known."""
        super().__init__(*args, **named)
        self.fields["topic"].choices = [(topic.slug, str(topic)) for topic in guide().topics]
        if tenancies:
            nothing = ("", _("It is not about one of them"))
            rented = [(one.reference, one.address) for one in tenancies]
            self.fields["tenancy"].choices = [nothing, *rented]
        else:
            del self.fields["tenancy"]


class WriteMessage(TenantView, FormPage):
    """The form. It can go on from a chat, whose words then come with it."""

    template_name = "tenant_services/contact/write_message.html"
    form_class = EnquiryForm
    heading = gettext_lazy("Send us a message")
    button = gettext_lazy("Send the message")

    @cached_property
    def chat(self) -> Chat | None:
        """The chat that the address names, the tenant's own."""
        reference = self.request.GET.get("chat")
        if reference is None:
            return None
        if not reference.isalnum():
            raise Http404
        return get_object_or_404(self.account.chats, reference=reference)

    @property
    def draft(self) -> str:
        """Under which name what was typed elsewhere is kept."""
        return chat_draft(self.chat) if self.chat else DRAFT

    def get(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        """Show the form, or what a chat has become already."""
        if self.chat and (known := Enquiry.objects.filter(chat=self.chat).first()):
            return redirect("your_message", reference=known.reference)
        return super().get(request, *args, **named)

    def get_back(self) -> str:
        """Lead to all ways of contact."""
        return reverse("contact")

    def get_form_kwargs(self) -> dict[str, Any]:
        """Offer the tenancies; a message can be sent even when nobody knows them."""
        try:
            rented = self.tenancies
        except RecordsUnavailableError:
            rented = []
        return super().get_form_kwargs() | {"tenancies": rented}

    def get_initial(self) -> dict[str, Any]:
        """Begin with what the tenant said on the way here."""
        repair = repair_asked(self.request)
        about = _("Repair number %(number)s") % {"number": repair} + "\n\n" if repair else ""
        return {
            "topic": self.request.GET.get("topic"),
            "text": draft(self.request, self.draft) or about,
        }

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Say why the tenant is here."""
        return super().get_context_data(**named) | {
            "chat": self.chat,
            "carried": bool(draft(self.request, self.draft)),
            "emergency_line": guide().emergency_line,
        }

    def form_valid(self, form: EnquiryForm) -> HttpResponse:
        """Keep the message, once, and end the chat that it goes on from."""
        enquiry = send(self.account, form, self.chat)
        keep_draft(self.request, self.draft, "")
        messages.success(self.request, _("We have got your message"))
        return redirect("your_message", reference=enquiry.reference)


def send(account: TenantAccount, form: EnquiryForm, chat: Chat | None) -> Enquiry:
    """Keep a message; the same one again is the one that is kept already."""
    now = clock.now()
    with transaction.atomic():
        if chat is not None:
            chat = Chat.objects.select_for_update().get(pk=chat.pk)
            Chat.objects.filter(pk=chat.pk, ended_at=None).update(ended_at=now)
            if Enquiry.objects.filter(chat=chat).exists():
                chat = None  # It has gone with another message.
        enquiry, _is_new = Enquiry.objects.get_or_create(
            account=account,
            once=form.once(),
            defaults={
                "reference": new_reference(),
                "topic": form.cleaned_data["topic"],
                "tenancy": form.cleaned_data.get("tenancy", ""),
                "text": form.cleaned_data["text"],
                "chat": chat,
                "sent_at": now,
            },
        )
    return enquiry


class YourMessages(TenantView, ShowMoreView):
    """Everything that the tenant sent, newest first, and the calls that we are to make."""

    template_name = "tenant_services/contact/your_messages.html"
    extra_context = SAYS

    def get_queryset(self) -> QuerySet[Enquiry]:
        """Return the tenant's own."""
        return self.account.enquiries.prefetch_related("answers")

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the calls."""
        calls = self.account.call_backs.filter(cancelled_at=None, called_at=None)
        return super().get_context_data(**named) | {"calls": calls}


class YourMessage(TenantView, TemplateView):
    """One message with its answers. Somebody else's is not there."""

    template_name = "tenant_services/contact/your_message.html"
    extra_context = SAYS

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Find it."""
        enquiry = self.account.enquiries.filter(reference=self.kwargs["reference"]).first()
        if enquiry is None:
            raise Http404
        return super().get_context_data(**named) | {"enquiry": enquiry}
