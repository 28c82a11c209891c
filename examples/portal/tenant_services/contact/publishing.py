"""Where staff publish notices and planned downtime, and withdraw them."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from demo_portal import clock
from demo_portal.jinja import time_text
from design.forms import DateField, Form
from design.views import WARNING, FormPage, ShowMoreView
from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404
from django.urls import reverse_lazy
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from automation_rules import AutomationRulesError

from ..profile.customers import KINDS
from ..words import moment_text
from . import downtime
from .audience import audience
from .hours import instants
from .models import TenantNotice
from .staff import StaffView
from .writing import SAYS, OnceForm, WrittenField

if TYPE_CHECKING:
    from datetime import date, datetime

    from django.db.models import QuerySet
    from django.http import HttpResponse

LONGEST_DOWNTIME = timedelta(days=14)
EVERY, SOME = "every", "some"


class StaffNotices(StaffView, ShowMoreView):
    """What was published, newest first."""

    template_name = "tenant_services/contact/staff_notices.html"
    extra_context = SAYS

    def get_queryset(self) -> QuerySet[TenantNotice]:
        """Return everything."""
        return TenantNotice.objects.order_by("-published_at", "-pk")

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Say where each stands."""
        context = super().get_context_data(**named)
        return context | {
            "found": [
                (notice, state(notice), may_withdraw(notice)) for notice in context["entries"]
            ]
        }


def state(notice: TenantNotice) -> str:
    """Return where a notice stands, in the language in use."""
    if notice.withdrawn_at is not None:
        return _("Cancelled") if notice.starts_at else _("Withdrawn")
    if is_over(notice):
        return _("Over")
    return _("To come") if notice.shown_from > clock.today() else _("Shown")


def is_over(notice: TenantNotice) -> bool:
    """Whether a notice's time has passed."""
    if notice.ends_at is not None:
        return notice.ends_at <= clock.now()
    return notice.shown_until < clock.today()


def may_withdraw(notice: TenantNotice) -> bool:
    """Whether there is anything left to withdraw."""
    return notice.withdrawn_at is None and not is_over(notice)


class WordsForm(OnceForm):
    """What a notice says, in both languages."""

    title_en = forms.CharField(
        label=gettext_lazy("Title in English"),
        max_length=200,
        error_messages={"required": gettext_lazy("Enter the title in English")},
    )
    title_cy = forms.CharField(
        label=gettext_lazy("Title in Welsh"),
        max_length=200,
        error_messages={"required": gettext_lazy("Enter the title in Welsh")},
    )
    body_en = WrittenField(
        label=gettext_lazy("Text in English"),
        required_message=gettext_lazy("Enter the text in English"),
    )
    body_cy = WrittenField(
        label=gettext_lazy("Text in Welsh"),
        required_message=gettext_lazy("Enter the text in Welsh"),
    )
    says = ("title_en", "title_cy", "body_en", "body_cy")

    def about(self) -> dict[str, Any]:
        """Return what is kept of the notice."""
        return {name: self.cleaned_data[name] for name in self.says}


class NoticeForm(WordsForm):
    """A notice: what it says, to whom, and on which days."""

    whom = forms.ChoiceField(
        label=gettext_lazy("Which tenants is it for?"),
        choices=[
            (EVERY, gettext_lazy("Tenants of every kind")),
            (SOME, gettext_lazy("Tenants of some kinds")),
        ],
        widget=forms.RadioSelect,
        error_messages={"required": gettext_lazy("Select which tenants it is for")},
    )
    kinds = forms.MultipleChoiceField(
        label=gettext_lazy("Kinds of tenancy"),
        choices=list(KINDS.items()),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    where = forms.ChoiceField(
        label=gettext_lazy("Where do they live?"),
        choices=[
            (EVERY, gettext_lazy("In every place")),
            (SOME, gettext_lazy("In some places")),
        ],
        widget=forms.RadioSelect,
        error_messages={"required": gettext_lazy("Select where they live")},
    )
    localities = forms.MultipleChoiceField(
        label=gettext_lazy("Places"), required=False, widget=forms.CheckboxSelectMultiple
    )
    shown_from = DateField(
        label=gettext_lazy("First day on which it shows"),
        required_message=gettext_lazy("Enter the first day on which it shows"),
        invalid_message=gettext_lazy("The first day must be a real date, like 1 4 2027"),
    )
    shown_until = DateField(
        label=gettext_lazy("Last day on which it shows"),
        required_message=gettext_lazy("Enter the last day on which it shows"),
        invalid_message=gettext_lazy("The last day must be a real date, like 1 4 2027"),
    )
    reveals: ClassVar = {"whom": {SOME: ["kinds"]}, "where": {SOME: ["localities"]}}
    says = (*WordsForm.says, "kinds", "localities", "shown_from", "shown_until")

    def __init__(self, *args: Any, **named: Any) -> None:
        """Offer the places where somebody rents something."""
        super().__init__(*args, **named)
        self.fields["localities"].choices = [(one, one) for one in audience().localities()]

    def clean(self) -> dict[str, Any]:
        """Take the choices that count, and refuse days that cannot be."""
        asked: dict[str, Any] = super().clean() or self.cleaned_data
        for choice, several, message in (
            ("whom", "kinds", _("Select at least one kind of tenancy")),
            ("where", "localities", _("Select at least one place")),
        ):
            if asked.get(choice) == EVERY:
                asked[several] = []
                self.errors.pop(several, None)
            elif asked.get(choice) == SOME and several in asked and not asked[several]:
                self.add_error(several, message)
        first, last = asked.get("shown_from"), asked.get("shown_until")
        if last and last < clock.today():
            self.add_error("shown_until", _("The last day must not be in the past"))
        elif first and last and last < first:
            self.add_error("shown_until", _("The last day must not be before the first"))
        return asked


class TimeField(forms.CharField):
    """A time of day by the clock, from 00:00 to 23:59."""

    _written = re.compile(r"([01]?[0-9]|2[0-3])[:.]([0-5][0-9])")

    def __init__(self, *, required_message: Any, invalid_message: Any, **named: Any) -> None:
        """Say what to answer when there is none, and when there is no such time."""
        super().__init__(
            max_length=20,
            widget=forms.TextInput(attrs={"spellcheck": False}),
            help_text=gettext_lazy("By the clock in London, for example 22:30."),
            error_messages={"required": required_message, "invalid": invalid_message},
            **named,
        )

    def clean(self, value: Any) -> Any:
        """Return the time."""
        written = self._written.fullmatch(super().clean(value))
        if written is None:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return time(int(written[1]), int(written[2]))


class DowntimeForm(WordsForm):
    """A planned downtime: what is said, and from when to when."""

    starts_on = DateField(
        label=gettext_lazy("Day on which it starts"),
        required_message=gettext_lazy("Enter the day on which it starts"),
        invalid_message=gettext_lazy(
            "The day on which it starts must be a real date, like 1 4 2027"
        ),
    )
    starts = TimeField(
        label=gettext_lazy("Time at which it starts"),
        required_message=gettext_lazy("Enter the time at which it starts"),
        invalid_message=gettext_lazy(
            "The time at which it starts must be a time from 00:00 to 23:59"
        ),
    )
    ends_on = DateField(
        label=gettext_lazy("Day on which it ends"),
        required_message=gettext_lazy("Enter the day on which it ends"),
        invalid_message=gettext_lazy("The day on which it ends must be a real date, like 1 4 2027"),
    )
    ends = TimeField(
        label=gettext_lazy("Time at which it ends"),
        required_message=gettext_lazy("Enter the time at which it ends"),
        invalid_message=gettext_lazy(
            "The time at which it ends must be a time from 00:00 to 23:59"
        ),
    )
    options: ClassVar = {
        "starts": {"classes": "govuk-input--width-5"},
        "ends": {"classes": "govuk-input--width-5"},
    }
    says = (*WordsForm.says, "starts_on", "starts", "ends_on", "ends")

    def clean(self) -> dict[str, Any]:
        """Find the two instants. Of a time that comes twice the downtime covers both."""
        asked: dict[str, Any] = super().clean() or self.cleaned_data
        self.repeated: list[str] = []
        starts_at = self._instant(asked, "starts", 0)
        ends_at = self._instant(asked, "ends", -1)
        if starts_at is None or ends_at is None:
            return asked
        now = clock.now()
        if asked["starts_on"] < clock.today():
            self.add_error("starts_on", _("The day on which it starts must not be in the past"))
        elif ends_at <= starts_at:
            self.add_error("ends", _("It must end after it starts"))
        elif ends_at <= now:
            self.add_error("ends", _("It must end in the future"))
        elif ends_at - starts_at > LONGEST_DOWNTIME:
            self.add_error(
                "ends_on", _("It must be no longer than 14 days. Check the days, or plan several")
            )
        return asked | {"starts_at": starts_at, "ends_at": ends_at}

    def _instant(self, asked: dict[str, Any], name: str, which: int) -> datetime | None:
        day: date | None = asked.get(f"{name}_on")
        at: time | None = asked.get(name)
        if day is None or at is None:
            return None
        found = instants(day, at)
        if not found:
            self.add_error(
                name,
                _(
                    "The clocks go forward from 01:00 to 02:00 on that day, so there is no such"
                    " time. Enter a time before 01:00 or from 02:00 on"
                ),
            )
            return None
        if len(found) > 1:
            self.repeated.append(time_text(at))
        return found[which]

    def about(self) -> dict[str, Any]:
        """Return its words and instants. It is for everybody, from today to its last day."""
        names = (*WordsForm.says, "starts_at", "ends_at")
        last = self.cleaned_data["ends_at"] - timedelta.resolution
        return {name: self.cleaned_data[name] for name in names} | {
            "shown_from": clock.today(),
            "shown_until": last.astimezone(clock.LONDON).date(),
        }


class PublishNotice(StaffView, FormPage):
    """Write a notice, look at it in both languages, publish it."""

    template_name = "tenant_services/contact/publish_notice.html"
    form_class: Any = NoticeForm
    heading = gettext_lazy("Publish a notice to tenants")
    button = gettext_lazy("Check the notice")
    success = gettext_lazy("The notice is published")
    success_url = reverse_lazy("staff_notices")

    def get_initial(self) -> dict[str, Any]:
        """Begin with today."""
        return {"shown_from": clock.today()}

    def form_valid(self, form: Any) -> HttpResponse:
        """Show what it will look like; publish it when that was looked at."""
        if "change" in self.request.POST:
            return self.render_to_response(self.get_context_data(form=form))
        if "publish" in self.request.POST:
            return self.publish(form)
        sent = {
            name: self.request.POST.getlist(name)
            for name in self.request.POST
            if name != "csrfmiddlewaretoken"
        }
        said = {"sent": sent, "preview": form.about(), "checked": True, **self.preview(form)}
        return self.render_to_response(self.get_context_data(form=form, **said))

    def preview(self, form: Any) -> dict[str, Any]:
        """Return what else is to be looked at: how many tenancies it reaches."""
        asked = form.cleaned_data
        return {
            "reached": audience().reached(asked["kinds"], asked["localities"]),
            "kinds": [str(KINDS[kind]) for kind in asked["kinds"]],
        }

    def publish(self, form: Any) -> HttpResponse:
        """Publish it, once."""
        TenantNotice.objects.get_or_create(
            once=form.once(), withdrawn_at=None, defaults=form.about() | self.published()
        )
        return super().form_valid(form)

    def published(self) -> dict[str, Any]:
        """Return who publishes it, and when."""
        return {"published_at": clock.now(), "published_by": self.staff}


class PlanDowntime(PublishNotice):
    """Plan a downtime, look at it in both languages, publish it."""

    form_class = DowntimeForm
    heading = gettext_lazy("Plan downtime")
    button = gettext_lazy("Check the downtime")
    success = gettext_lazy("The downtime is published, and automation is kept out for as long")

    def get_initial(self) -> dict[str, Any]:
        """Begin with nothing."""
        return {}

    def preview(self, form: Any) -> dict[str, Any]:
        """Return from when to when it lasts, and what is odd about that."""
        asked = form.cleaned_data
        return {
            "starts": moment_text(asked["starts_at"]),
            "ends": moment_text(asked["ends_at"]),
            "repeated": form.repeated,
            "reached": audience().reached([], []),
        }

    def publish(self, form: Any) -> HttpResponse:
        """Publish it, and close the Landlord Portal to automation; or neither."""
        try:
            downtime.plan(form.once(), **form.about(), **self.published())
        except AutomationRulesError:
            form.add_error(
                None, _("Automation could not be kept out, so nothing was published. Try again")
            )
            return self.form_invalid(form)
        return FormPage.form_valid(self, form)


class Withdraw(StaffView, FormPage):
    """Show a notice no longer, or call a downtime off."""

    template_name = "tenant_services/contact/withdraw.html"
    extra_context = SAYS
    form_class = Form
    button_classes = WARNING
    success_url = reverse_lazy("staff_notices")

    @cached_property
    def notice(self) -> TenantNotice:
        """The notice of the address."""
        return get_object_or_404(TenantNotice, pk=self.kwargs["pk"])

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Say which, and what that does."""
        is_downtime = self.notice.starts_at is not None
        heading = _("Cancel the downtime") if is_downtime else _("Withdraw the notice")
        said = {"heading": heading, "button": heading, "notice": self.notice}
        if is_downtime:
            said["starts"] = moment_text(self.notice.starts_at)
            said["ends"] = moment_text(self.notice.ends_at)
        return super().get_context_data(**said | named)

    def form_valid(self, form: Form) -> HttpResponse:
        """Do it, unless it is over; again changes nothing."""
        if self.notice.withdrawn_at is None and is_over(self.notice):
            form.add_error(None, _("It is over already"))
            return self.form_invalid(form)
        if self.notice.starts_at is None:
            downtime.withdraw(self.notice)
            messages.success(self.request, _("The notice is withdrawn"))
            return super().form_valid(form)
        try:
            downtime.cancel(self.notice)
        except AutomationRulesError:
            form.add_error(None, _("Automation could not be let in again. Try again"))
            return self.form_invalid(form)
        messages.success(
            self.request, _("The downtime is cancelled, and no longer keeps automation out")
        )
        return super().form_valid(form)
