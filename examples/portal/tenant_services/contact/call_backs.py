"""Asking to be rung back, at a time when somebody is there to do it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from demo_portal import clock
from demo_portal.records import RecordsUnavailableError
from design.forms import Form
from design.views import WARNING, FormPage
from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.shortcuts import get_object_or_404
from django.urls import reverse, reverse_lazy
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..access import TenantView
from ..profile.customers import customer_directory
from ..words import span_text
from .guide import guide
from .hours import call_spans
from .models import CallBack
from .writing import new_reference

if TYPE_CHECKING:
    from django.http import HttpResponse

    from .hours import Span


def spans_ahead() -> list[Span]:
    """Return when we could ring, as of now."""
    calls = guide().call_backs
    return call_spans(calls.window, clock.now(), calls.length, calls.days)


class TelephoneField(forms.CharField):
    """A British telephone number, however it is written; kept with spaces as they were."""

    _written = re.compile(r"(\+44(0)?|0)[1-9][0-9]{8,9}")

    def __init__(self, **named: Any) -> None:
        """Say what is wrong in our words."""
        super().__init__(
            max_length=30,
            widget=forms.TextInput(attrs={"autocomplete": "tel", "inputmode": "tel"}),
            error_messages={"required": gettext_lazy("Enter a telephone number")},
            **named,
        )

    def clean(self, value: Any) -> str:
        """Return the number, if it is one."""
        number: str = super().clean(value)
        if not self._written.fullmatch(re.sub(r"[ ()-]", "", number)):
            raise ValidationError(
                gettext_lazy("Enter a telephone number, like 01632 960 001 or 07700 900 982")
            )
        return number


class CallBackForm(Form):
    """When, and where."""

    topic = forms.ChoiceField(
        label=gettext_lazy("What is it about?"),
        widget=forms.RadioSelect,
        error_messages={"required": gettext_lazy("Select what it is about")},
    )
    number = TelephoneField(
        label=gettext_lazy("Telephone number"),
        help_text=gettext_lazy("We ring this number. It does not change your details."),
    )
    when = forms.ChoiceField(
        label=gettext_lazy("When would you like us to ring?"),
        error_messages={
            "required": gettext_lazy("Select when you would like us to ring"),
            "invalid_choice": gettext_lazy(
                "That time cannot be chosen any more. Select another one"
            ),
        },
    )
    options: ClassVar = {"number": {"classes": "govuk-input--width-20"}}

    def __init__(self, *args: Any, **named: Any) -> None:
        """Offer what is left to choose."""
        super().__init__(*args, **named)
        self.fields["topic"].choices = [(topic.slug, str(topic)) for topic in guide().topics]
        self.spans = {span.starts_at.isoformat(): span for span in spans_ahead()}
        self.fields["when"].choices = [
            ("", _("Select a time")),
            *((at, span_text(span)) for at, span in self.spans.items()),
        ]


class AskForCall(TenantView, FormPage):
    """The form."""

    form_class = CallBackForm
    heading = gettext_lazy("Ask us to ring you")
    button = gettext_lazy("Ask for the call")
    success = gettext_lazy("We will ring you at the time that you chose")
    success_url = reverse_lazy("your_messages")

    def get_back(self) -> str:
        """Lead to all ways of contact."""
        return reverse("contact")

    def get_initial(self) -> dict[str, Any]:
        """Begin with what is known already."""
        try:
            customer = customer_directory().customer(self.account.person)
        except RecordsUnavailableError:
            customer = None
        return {
            "topic": self.request.GET.get("topic"),
            "number": customer.telephone if customer else "",
        }

    def form_valid(self, form: CallBackForm) -> HttpResponse:
        """Keep it. The same again changes nothing; another number at the same time is refused."""
        span = form.spans[form.cleaned_data["when"]]
        asked = {name: form.cleaned_data[name] for name in ("topic", "number")}
        try:
            with transaction.atomic():
                CallBack.objects.create(
                    account=self.account,
                    reference=new_reference(),
                    starts_at=span.starts_at,
                    ends_at=span.ends_at,
                    asked_at=clock.now(),
                    **asked,
                )
        except IntegrityError:
            known = self.account.call_backs.get(
                starts_at=span.starts_at, cancelled_at=None, called_at=None
            )
            if {name: getattr(known, name) for name in asked} != asked:
                form.add_error(
                    "when",
                    _(
                        "We are to ring you then already. Select another time, or cancel that call"
                        " first"
                    ),
                )
                return self.form_invalid(form)
        return super().form_valid(form)


class CancelCall(TenantView, FormPage):
    """Not to be rung after all."""

    form_class = Form
    heading = gettext_lazy("Cancel the call")
    button = gettext_lazy("Cancel the call")
    button_classes = WARNING
    success_url = reverse_lazy("your_messages")

    @cached_property
    def call(self) -> CallBack:
        """The tenant's own; somebody else's is not there."""
        return get_object_or_404(self.account.call_backs, reference=self.kwargs["reference"])

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Say which."""
        line = span_text(self.call)
        return super().get_context_data(**named) | {"lines": [line, self.call.number]}

    def form_valid(self, form: Form) -> HttpResponse:
        """Cancel it, unless we have rung by now."""
        mine = CallBack.objects.filter(pk=self.call.pk, called_at=None)
        mine.filter(cancelled_at=None).update(cancelled_at=clock.now())
        if not mine.exists():
            form.add_error(None, _("We have rung you already, so the call cannot be cancelled"))
            return self.form_invalid(form)
        messages.success(self.request, _("The call is cancelled"))
        return super().form_valid(form)
