"""Live chat: a conversation with whoever of the staff is there, while somebody is.

It goes on until one side ends it or the hours are over. When nobody is there, what was typed goes
to the contact form, and the whole conversation with it. Pages are not renewed by themselves: a
button looks for what is new.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from demo_portal import clock
from design.views import FormPage
from django.db import IntegrityError, transaction
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy
from django.views.generic import View

from ..access import TenantView
from .enquiries import DRAFT, chat_draft
from .guide import guide
from .hours import opening
from .models import AtChat, Chat, ChatLine, Enquiry
from .writing import OnceForm, WrittenField, draft, keep_draft, new_reference, opening_text

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse, HttpResponseBase

    from ..models import StaffAccount, TenantAccount

PATIENCE = timedelta(minutes=5)
"""How long nobody may answer before the tenant is offered another way."""


def is_staffed(at: datetime) -> bool:
    """Whether it is within the hours, and one of the staff is there."""
    return guide().chat.window.is_open(at) and AtChat.objects.filter(until__gt=at).exists()


def current(account: TenantAccount, at: datetime) -> Chat | None:
    """Return the chat that the account has at present."""
    return account.chats.filter(ended_at=None, closes_at__gt=at).first()


def is_waited_for(chat: Chat, at: datetime) -> bool:
    """Whether the tenant wrote last, and nobody has answered for long."""
    lines = list(chat.lines.all())
    answered = [number for number, line in enumerate(lines) if line.staff_id is not None]
    waiting = lines[answered[-1] + 1 :] if answered else lines
    return bool(waiting) and at - waiting[0].written_at >= PATIENCE


def begin(account: TenantAccount, text: str, once: str, now: datetime) -> Chat:
    """Begin a chat with its first line, or add it to the one that goes on already."""
    known = ChatLine.objects.filter(chat__account=account, once=once).first()
    if known is not None:
        return known.chat
    closes_at = guide().chat.window.next_change(now)
    Chat.objects.filter(account=account, ended_at=None, closes_at__lte=now).update(ended_at=now)
    try:
        with transaction.atomic():
            chat = Chat.objects.create(
                account=account, reference=new_reference(), began_at=now, closes_at=closes_at
            )
    except IntegrityError:
        chat = account.chats.get(ended_at=None)
    write(chat, text, once)
    return chat


def write(chat: Chat, text: str, once: str, staff: StaffAccount | None = None) -> None:
    """Add a line; the same one again is the one that is there already."""
    ChatLine.objects.get_or_create(
        chat=chat, once=once, defaults={"staff": staff, "text": text, "written_at": clock.now()}
    )


def end(chat: Chat) -> None:
    """End a chat, if that was not done before."""
    Chat.objects.filter(pk=chat.pk, ended_at=None).update(ended_at=clock.now())


class FirstLineForm(OnceForm):
    """What a chat begins with."""

    text = WrittenField(
        label=gettext_lazy("What would you like to ask?"),
        help_text=gettext_lazy("Do not write card or bank details."),
        required_message=gettext_lazy("Write what you would like to ask"),
    )
    says = ("text",)


class LineForm(OnceForm):
    """What a chat goes on with."""

    text = WrittenField(
        label=gettext_lazy("Your message"), required_message=gettext_lazy("Write your message")
    )
    says = ("text",)


class BeginChat(TenantView, FormPage):
    """Where a chat begins, within its hours."""

    template_name = "tenant_services/contact/begin_chat.html"
    form_class = FirstLineForm
    heading = gettext_lazy("Live chat")
    button = gettext_lazy("Start the chat")

    def get(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        """Lead to the chat that goes on already."""
        chat = current(self.account, clock.now())
        if chat is not None:
            return redirect("chat", reference=chat.reference)
        return super().get(request, *args, **named)

    def get_back(self) -> str:
        """Lead to all ways of contact."""
        return reverse("contact")

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Say when somebody is there."""
        now = clock.now()
        return super().get_context_data(**named) | {
            "chat_hours": guide().chat,
            "is_open": guide().chat.window.is_open(now),
            "opening": opening_text(opening(guide().chat.window, now)),
            "is_staffed": is_staffed(now),
        }

    def form_valid(self, form: FirstLineForm) -> HttpResponse:
        """Begin, or hand over to the contact form with what was typed."""
        text, now = form.cleaned_data["text"], clock.now()
        if not is_staffed(now):
            keep_draft(self.request, DRAFT, text)
            return redirect("write_message")
        chat = begin(self.account, text, form.once(), now)
        return redirect("chat", reference=chat.reference)


class ChatView(TenantView):
    """A view of one of the tenant's chats; somebody else's is not there."""

    kwargs: dict[str, Any]

    @cached_property
    def chat(self) -> Chat:
        """The chat of the address."""
        chat = self.account.chats.filter(reference=self.kwargs["reference"]).first()
        if chat is None:
            raise Http404
        return chat


class ConversationPage(FormPage):
    """What was written in a chat, and a form to write more while it goes on, for either side.

    What is typed when the chat is over already is ``too_late``.
    """

    form_class = LineForm
    heading = gettext_lazy("Live chat")
    chat: Any
    staff: StaffAccount | None = None

    def get_success_url(self) -> str:
        """Show the conversation from its last line."""
        return f"{self.request.path}#latest"

    def get_initial(self) -> dict[str, Any]:
        """Keep what was typed when one looked for what is new."""
        return {"text": draft(self.request, chat_draft(self.chat))}

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the chat, and whether it is over."""
        said = {"chat": self.chat, "is_over": not self.chat.goes_on(clock.now())}
        return super().get_context_data(**said | named)

    def post(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        """Look for what is new, if that is what was asked; keep what was typed meanwhile."""
        if "look" in request.POST:
            typed = LineForm.base_fields["text"].to_python(request.POST.get("text", ""))
            keep_draft(request, chat_draft(self.chat), typed)
            return redirect(self.get_success_url())
        return super().post(request, *args, **named)

    def may_write(self) -> bool:
        """Whether the chat goes on."""
        return bool(self.chat.goes_on(clock.now()))

    def form_valid(self, form: LineForm) -> HttpResponse:
        """Add the line, unless it is there already, or the chat is over."""
        once = form.once(by=self.staff or "")
        if not self.chat.lines.filter(once=once).exists():
            if not self.may_write():
                return self.too_late(form)
            write(self.chat, form.cleaned_data["text"], once, self.staff)
        keep_draft(self.request, chat_draft(self.chat), "")
        return super().form_valid(form)

    def too_late(self, form: LineForm) -> HttpResponse:
        """Say what becomes of the line."""
        raise NotImplementedError


class ChatPage(ChatView, ConversationPage):
    """The tenant's side of a chat."""

    template_name = "tenant_services/contact/chat.html"

    def get_back(self) -> str:
        """Lead to all ways of contact."""
        return reverse("contact")

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Say whether anybody answers."""
        now = clock.now()
        return super().get_context_data(**named) | {
            "is_staffed": is_staffed(now),
            "is_waited_for": is_waited_for(self.chat, now),
            "enquiry": Enquiry.objects.filter(chat=self.chat).first(),
        }

    def may_write(self) -> bool:
        """Whether the chat goes on, with somebody there to answer."""
        return super().may_write() and is_staffed(clock.now())

    def too_late(self, form: LineForm) -> HttpResponse:
        """Hand over to the contact form with everything."""
        keep_draft(self.request, chat_draft(self.chat), form.cleaned_data["text"])
        return redirect(f"{reverse('write_message')}?chat={self.chat.reference}")


class EndChat(ChatView, View):
    """The end of a chat, by the tenant."""

    def post(self, _request: HttpRequest, **_named: Any) -> HttpResponse:
        """End it."""
        end(self.chat)
        return redirect("chat", reference=self.chat.reference)
