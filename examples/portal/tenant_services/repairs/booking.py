"""Booking a visit, seeing it, changing it and cancelling it.

The time that was chosen waits in the session until it is confirmed; only then is the diary told.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from demo_portal import clock
from demo_portal.clock import LONDON
from design.forms import Form, LinesField
from design.views import FormPage
from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.generic import TemplateView

from ..words import by_day, day_text, hours_text, moment_text, window_line, window_text
from . import diary_client as client
from .booking_file import calendar_file
from .diary_calendar import Period, due_on, place_of
from .housing import Appointment, Priority
from .housing_access import OwnJobView
from .views import name_of

if TYPE_CHECKING:
    from datetime import date
    from typing import TypeAlias

    from ..profile.customers import Tenancy
    from .diary import Day, Slot

    Choices: TypeAlias = "list[tuple[str, str]]"

CHOSEN = "visits_chosen"
"""Where the session keeps the times chosen, by job."""
REASON_LENGTH = 500


def written(window: Appointment) -> str:
    """Return a slot as forms send it."""
    ends = (window.starts_at, window.ends_at)
    return "/".join(at.astimezone(LONDON).isoformat(timespec="minutes") for at in ends)


def read(sent: str) -> Appointment | None:
    """Return the slot that was sent; None for what is none."""
    try:
        starts_at, ends_at = (datetime.fromisoformat(part) for part in sent.split("/"))
        if starts_at.tzinfo is None or ends_at.tzinfo is None:
            return None
        return Appointment(starts_at.astimezone(LONDON), ends_at.astimezone(LONDON))
    except (ValueError, OverflowError):
        return None


class VisitView(OwnJobView):
    """A view of the visit for one of the user's jobs."""

    request: Any

    @cached_property
    def tenancy(self) -> Tenancy:
        """The home that is visited."""
        found = self.tenancy_of(self.job)
        if found is None:
            raise Http404
        return found

    @cached_property
    def latest(self) -> Appointment | None:
        """When the diary has somebody come, or come last; the housing system then knows it too."""
        return client.settle(self.job) if client.is_in_diary(self.job) else None

    @property
    def visit(self) -> Appointment | None:
        """The visit ahead."""
        return self.latest if self.latest and client.is_ahead(self.latest) else None

    @property
    def chosen(self) -> Appointment | None:
        """The time chosen, not yet confirmed."""
        return read(self.request.session.get(CHOSEN, {}).get(self.kwargs["number"], ""))

    def choose(self, window: Appointment | None) -> None:
        """Keep the time chosen, or forget it."""
        kept = self.request.session.get(CHOSEN, {})
        kept.pop(self.kwargs["number"], None)
        if window:
            kept[self.kwargs["number"]] = written(window)
        self.request.session[CHOSEN] = kept

    def at(self, name: str) -> str:
        """Return the address of a page about the same job."""
        return reverse(name, kwargs={"number": self.kwargs["number"]})

    def get_back(self) -> str:
        """Return the address of the job."""
        return self.at("repair")

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the job, and how times are written."""
        context: dict[str, Any] = super().get_context_data(**named)  # type: ignore[misc]
        return context | {
            "job": self.job,
            "name": name_of(self.job),
            "address": self.tenancy.address,
            "visit": self.visit,
            "telephone": client.TELEPHONE,
            "window_line": window_line,
            "written": written,
        }

    def say(self, heading: str, text: str, *, call: bool = True) -> HttpResponse:
        """Say why it cannot be done here, and what can."""
        said = {
            "heading": heading,
            "text": text,
            "telephone": client.TELEPHONE if call else None,
            "back": self.at("repair"),
        }
        return render(self.request, "tenant_services/repairs/booking/said.html", said)

    def cannot_book(self) -> HttpResponse | None:
        """Say that nobody can be asked to come, if so."""
        if client.can_book(self.job):
            return None
        return self.say(
            gettext("You cannot book a visit for this repair here"),
            gettext("It is over, on hold, or needs no visit to your home."),
        )

    def too_late(self) -> HttpResponse | None:
        """Say that it is too late to change the visit, if so."""
        if self.visit is None or client.may_change(self.visit):
            return None
        return self.say(
            gettext("It is too late to change or cancel this visit here"),
            gettext("We come %(window)s.") % {"window": window_text(self.visit)},
        )

    def planned_otherwise(self) -> HttpResponse:
        """Say that the visit is not any more what the page showed."""
        now = client.appointment_of(self.job.number)
        self.choose(None)
        heading = gettext("The visit was changed in the meantime")
        if now is None:
            return self.say(heading, gettext("No visit is booked now."), call=False)
        return self.say(heading, gettext("We come %(window)s.") % {"window": window_text(now)})


class SlotForm(Form):
    """Which of the slots that are free."""

    slot = forms.ChoiceField(
        label=_("Day and time"),
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Select a day and time"),
            "invalid_choice": _("That time is no longer free. Select another"),
        },
    )

    def __init__(self, *args: Any, choices: Choices, **named: Any) -> None:
        """Offer these."""
        super().__init__(*args, **named)
        self.fields["slot"].choices = choices  # type: ignore[attr-defined]


class Book(VisitView, FormPage):
    """Choose a day and time."""

    template_name = "tenant_services/repairs/booking/choose.html"
    form_class = SlotForm
    heading = _("When can we come?")

    def elsewhere(self) -> HttpResponse | None:
        """Return where the user should be instead."""
        if self.visit is not None:
            return redirect("repair_appointment", number=self.job.number)
        return self.cannot_book() or self.none_left()

    def none_left(self) -> HttpResponse | None:
        """Say that nothing is free, if so."""
        if self.days:
            return None
        return self.say(
            gettext("There are no times left that can be booked here"),
            gettext("We may still be able to come."),
        )

    @cached_property
    def days(self) -> list[tuple[Day, list[Slot]]]:
        """The days with the slots that can be chosen: what is free but for the visit there is."""
        found = [
            (day, [slot for slot in day.slots if slot.window != self.visit])
            for day in client.free_days(self.job, self.tenancy)
        ]
        return [(day, slots) for day, slots in found if slots]

    def get_form(self, _form_class: Any = None) -> SlotForm:
        """Offer what is free. What was chosen before and has gone meanwhile is an error."""
        choices = [
            (written(slot.window), hours_text(slot.window))
            for _day, slots in self.days
            for slot in slots
        ]
        if self.request.method == "POST":
            return SlotForm(self.request.POST, choices=choices)
        chosen = self.chosen
        if chosen and written(chosen) not in dict(choices):
            self.choose(None)
            if chosen != self.visit:
                return SlotForm({"slot": written(chosen)}, choices=choices)
        initial = {"slot": written(chosen)} if chosen else {}
        return SlotForm(initial=initial, choices=choices)

    def form_valid(self, form: SlotForm) -> HttpResponse:
        """Keep the choice, and have it confirmed."""
        self.choose(read(form.cleaned_data["slot"]))
        return redirect(self.at("check_appointment"))

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the days of as many weeks as were asked for, in words: some, and what is chosen."""
        context = super().get_context_data(**named)
        asked = self.request.GET.get("weeks", "")
        weeks = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 4 else 1
        today = clock.today()
        last = max(today + timedelta(weeks=max(weeks, 1)), self.days[0][0].day)
        if chosen := read(context["form"]["slot"].value() or ""):
            last = max(last, chosen.starts_at.date())
        later = [day.day for day, _slots in self.days if day.day > last]
        more = later and self.job.priority is not Priority.EMERGENCY
        return context | {
            "days": [(day_text(day.day), slots) for day, slots in self.days if day.day <= last],
            "hours_text": hours_text,
            "is_school_run": is_school_run,
            "more": f"?weeks={-(-(later[0] - today).days // 7)}" if more else None,
            "target": self.target(),
        }

    def target(self) -> str:
        """Return by when the job is aimed to be done."""
        if self.job.priority is Priority.EMERGENCY:
            return gettext("This is urgent. We can come within 24 hours.")
        reported_on: date = self.job.reported_at.astimezone(LONDON).date()
        due = due_on(self.job.priority, reported_on)
        if due is None or due < clock.today():
            return ""
        return gettext("We aim to do this repair by %(day)s.") % {"day": by_day(due)}


class Change(Book):
    """Choose another day and time."""

    heading = _("Choose another time")

    def elsewhere(self) -> HttpResponse | None:
        """Return where the user should be instead."""
        if self.visit is None:
            return redirect("book_repair", number=self.job.number)
        return self.too_late() or self.cannot_book() or self.none_left()

    def get_back(self) -> str:
        """Return the address of the visit."""
        return self.at("repair_appointment")


class Check(VisitView, TemplateView):
    """Everything once more, before the diary is told."""

    template_name = "tenant_services/repairs/booking/check.html"

    def get_back(self) -> str:
        """Return the address where the time was chosen."""
        return self.at("change_appointment" if self.visit else "book_repair")

    def get(self, *args: Any, **named: Any) -> HttpResponse:
        """Show what was chosen, if something was."""
        if self.chosen is None:
            return redirect(self.get_back())
        return self.cannot_book() or self.too_late() or super().get(*args, **named)

    def post(self, *_args: Any, **_named: Any) -> HttpResponse:
        """Tell the diary, and show the visit; what has gone meanwhile is said where it is chosen.

        What the page showed is what counts, whatever else was chosen since.
        """
        window = read(self.request.POST.get("slot", ""))
        before = read(self.request.POST.get("before", ""))
        if window is None:
            return redirect(self.get_back())
        if self.latest == window:
            self.choose(None)
            return redirect("repair_appointment", number=self.job.number)
        elsewhere = self.cannot_book() or self.too_late()
        if elsewhere:
            return elsewhere
        changes = self.visit is not None
        outcome = client.book(self.job, self.tenancy, before, window)
        if outcome is client.Outcome.OTHERWISE:
            return self.planned_otherwise()
        if outcome is client.Outcome.GONE:
            self.choose(window)
            return redirect(self.get_back())
        self.choose(None)
        messages.success(
            self.request,
            gettext("Your visit was changed") if changes else gettext("Your visit is booked"),
        )
        return redirect("repair_appointment", number=self.job.number)

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add what was chosen."""
        return super().get_context_data(**named) | {
            "chosen": self.chosen,
            "latest": self.latest,
            "back": self.get_back(),
        }


class YourAppointment(VisitView, TemplateView):
    """When somebody comes."""

    template_name = "tenant_services/repairs/booking/visit.html"

    def get(self, *args: Any, **named: Any) -> HttpResponse:
        """Show it, or lead to where one is booked."""
        if self.visit is None:
            return redirect("book_repair", number=self.job.number)
        return super().get(*args, **named)

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add what can be done about it."""
        assert self.visit is not None
        may_change = client.may_change(self.visit)
        return super().get_context_data(**named) | {
            "may_change": may_change,
            "can_move": may_change and client.can_book(self.job),
            "until": moment_text(client.changes_until(self.visit)),
            "back": self.get_back(),
        }


class CancelForm(Form):
    """Why, if somebody wants to say it."""

    reason = LinesField(
        label=_("Why are you cancelling? (optional)"),
        help_text=_("The contractor sees this. Do not give health or bank details."),
        required=False,
        max_length=REASON_LENGTH,
        error_messages={
            "max_length": _("The reason must be %(limit_value)d characters or fewer"),
            "null_characters_not_allowed": _("The reason has a character that cannot be kept"),
        },
    )


class Cancel(VisitView, FormPage):
    """Have nobody come after all. The repair itself stays reported."""

    template_name = "tenant_services/repairs/booking/cancel.html"
    form_class = CancelForm
    heading = _("Cancel this visit?")

    def elsewhere(self) -> HttpResponse | None:
        """Return where the user should be instead."""
        if self.visit is None:
            return redirect("repair", number=self.job.number)
        return self.too_late()

    def get_back(self) -> str:
        """Return the address of the visit."""
        return self.at("repair_appointment")

    def form_valid(self, form: CancelForm) -> HttpResponse:
        """Cancel what the page showed."""
        before = read(self.request.POST.get("before", ""))
        reason = form.cleaned_data["reason"]
        if before is None or client.cancel(self.job, before, reason) is client.Outcome.OTHERWISE:
            return self.planned_otherwise()
        self.choose(None)
        messages.success(self.request, gettext("The visit was cancelled"))
        return redirect("repair", number=self.job.number)


class File(VisitView, View):
    """The visit for a calendar of one's own."""

    def get(self, _request: Any, **_named: Any) -> HttpResponse:
        """Send the file."""
        if self.visit is None:
            raise Http404
        content = calendar_file(
            self.visit,
            job=self.job.number,
            summary=gettext("Repair: %(name)s") % {"name": name_of(self.job)},
            text=gettext("Repair %(number)s. To change the visit by telephone: %(telephone)s.")
            % {"number": self.job.number, "telephone": client.TELEPHONE},
            address=self.tenancy.address,
        )
        name = f"visit-{self.job.number}.ics"
        return HttpResponse(
            content,
            content_type="text/calendar; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


def is_school_run(window: Appointment) -> bool:
    """Whether a slot lies between the school runs."""
    place = place_of(window)
    return place is not None and place[1] is Period.SCHOOL
