"""All ways to reach a person, and the questions that lead to the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from demo_portal import clock
from demo_portal.records import RecordsUnavailableError
from design.forms import Form
from design.views import FormPage
from django import forms
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy
from django.views.generic import TemplateView

from ..access import TenantView
from .chats import is_staffed
from .guide import guide
from .hours import opening
from .writing import SAYS, repair_asked

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse, HttpResponseBase

    from .guide import Kind, Outcome, Topic


def channels() -> dict[str, Any]:
    """Return what is said of every channel, as of now."""
    known, now = guide(), clock.now()
    return {
        "guide": known,
        "telephone_opening": opening(known.telephone.window, now),
        "chat_opening": opening(known.chat.window, now),
        "chat_is_staffed": is_staffed(now),
    }


class Contact(TenantView, TemplateView):
    """Every channel."""

    template_name = "tenant_services/contact/contact.html"
    extra_context = SAYS

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add what is known of them."""
        return super().get_context_data(**named) | channels()


class Offices(TenantView, TemplateView):
    """Where to meet us, the places of the tenant's own homes first."""

    template_name = "tenant_services/contact/offices.html"
    extra_context = SAYS

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the offices, and whether each is open."""
        try:
            own = {one.locality for one in self.tenancies if one.ended_on is None}
        except RecordsUnavailableError:
            own = set()
        offices = sorted(guide().offices, key=lambda office: office.locality not in own)
        now = clock.now()
        found = [
            (office, opening(office.window, now), office.locality in own) for office in offices
        ]
        return super().get_context_data(**named) | {
            "offices": found,
            "back": reverse("contact"),
        }


class AnswerForm(Form):
    """One question."""

    answer = forms.ChoiceField(
        label="",
        widget=forms.RadioSelect,
        error_messages={"required": gettext_lazy("Select one of the answers")},
    )

    options: ClassVar = {"answer": {"legend": "govuk-fieldset__legend--m"}}

    def __init__(self, *args: Any, answers: Any, legend: Any, **named: Any) -> None:
        """Offer the answers."""
        super().__init__(*args, **named)
        self.fields["answer"].choices = [(one.slug, str(one)) for one in answers]
        self.fields["answer"].label = legend


class Choose(TenantView, FormPage):
    """What is it about?"""

    form_class = AnswerForm
    template_name = "tenant_services/contact/choose.html"
    heading = gettext_lazy("Find the best way to reach us")
    question = gettext_lazy("What is it about?")
    leads_to = "choose_kind"
    kwargs: dict[str, str]

    @cached_property
    def topic(self) -> Topic:
        """What the address says that it is about."""
        topic = guide().topic(self.kwargs["topic"])
        if topic is None:
            raise Http404
        return topic

    @cached_property
    def kind(self) -> Kind:
        """What kind of thing the address says that it is."""
        kind = self.topic.kind(self.kwargs["kind"])
        if kind is None:
            raise Http404
        return kind

    def answers(self) -> Any:
        """Return what can be answered."""
        return guide().topics

    def said(self) -> list[str]:
        """Return what was answered so far."""
        return []

    def get_back(self) -> str:
        """Lead to the question before this one."""
        return reverse("contact")

    def get_form_kwargs(self) -> dict[str, Any]:
        """Offer the answers."""
        asked = {"answers": self.answers(), "legend": self.question}
        return super().get_form_kwargs() | asked

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Repeat what was answered."""
        return super().get_context_data(**named) | {
            "lines": self.said(),
            "question": self.question,
        }

    def form_valid(self, form: AnswerForm) -> HttpResponse:
        """Go on to the next question."""
        answers = [*self.kwargs.values(), form.cleaned_data["answer"]]
        return redirect(reverse(self.leads_to, args=answers) + self.query())

    def query(self, **named: str) -> str:
        """Return what an address carries on: the repair that it is about, if one led here."""
        if repair := repair_asked(self.request):
            named["repair"] = repair
        return "?" + urlencode(named) if named else ""


class ChooseKind(Choose):
    """What kind of thing is it?"""

    question = gettext_lazy("Which of these fits best?")
    leads_to = "choose_way"

    def answers(self) -> Any:
        """Return the kinds."""
        return self.topic.kinds

    def said(self) -> list[str]:
        """Return the topic."""
        return [str(self.topic)]

    def get_back(self) -> str:
        """Lead to the first question."""
        return reverse("choose_channel")


class ChooseWay(Choose):
    """How would you like to reach us? In an emergency nobody is asked."""

    question = gettext_lazy("How would you like to reach us?")
    leads_to = "channel_chosen"

    def get(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        """Ask, or say what to do at once."""
        if self.kind.is_emergency:
            return show(self, guide().outcome(self.topic, self.kind, None))
        return super().get(request, *args, **named)

    def post(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        """Take the answer; in an emergency there is nothing to be answered."""
        if self.kind.is_emergency:
            return redirect(request.path)
        return super().post(request, *args, **named)

    def answers(self) -> Any:
        """Return the ways."""
        return guide().ways

    def said(self) -> list[str]:
        """Return topic and kind."""
        return [str(self.topic), str(self.kind)]

    def get_back(self) -> str:
        """Lead to the second question."""
        return reverse("choose_kind", args=[self.topic.slug])


class Chosen(Choose):
    """Where the answers lead, and why."""

    http_method_names = ("get", "head", "options")

    def get(self, _request: HttpRequest, *_args: Any, **_named: Any) -> HttpResponseBase:
        """Show it."""
        wished = guide().way(self.kwargs["way"])
        if wished is None or self.kind.is_emergency:
            raise Http404
        return show(self, guide().outcome(self.topic, self.kind, wished))


def show(view: Choose, outcome: Outcome) -> HttpResponse:
    """Show where the answers lead."""
    if outcome.way is None:
        template, page = "emergency.html", "choose_kind"
    else:
        template, page = "outcome.html", "choose_way"
    back = reverse(page, args=list(view.kwargs.values())[:-1]) + view.query()
    message = reverse("write_message") + view.query(topic=outcome.topic.slug)
    said = SAYS | {"outcome": outcome, "back": back, "message": message} | channels()
    view.template_name = f"tenant_services/contact/{template}"
    return view.render_to_response(said)
