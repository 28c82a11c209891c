"""The pages of the pillar 'Repairs': what is being mended, and what to do by oneself."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any

from demo_portal.records import RecordsUnavailableError
from design.forms import Form
from design.views import WARNING, FormPage
from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.generic import TemplateView

from ..access import TenantView
from ..words import window_text
from . import diary_client as diary
from .diagnosis import diagnosis
from .diagnosis_films import Film
from .housing import Happening, Stage, Status, housing_management
from .housing_access import JobView, OwnJobView
from .report import TARGETS

if TYPE_CHECKING:
    from datetime import datetime

    from demo_portal.records import Page
    from django.http import HttpResponse

    from .housing import Appointment, Job

SHOWN = 5
"""How many jobs of a kind are shown with the others."""
STATUSES = {
    Status.REPORTED: (_("Reported"), "blue", _("We have the report.")),
    Status.IN_PROGRESS: (_("In progress"), "teal", _("Somebody is working on it.")),
    Status.ON_HOLD: (_("On hold"), "yellow", _("We are waiting for something, such as a part.")),
    Status.NO_ACCESS: (_("No access"), "orange", _("Somebody came, and could not get in.")),
    Status.COMPLETE: (_("Complete"), "green", _("The work is done.")),
    Status.CANCELLED: (_("Cancelled"), "grey", _("Nothing more will be done.")),
}
"""What each is called, the colour of its tag, and what it means."""
HAPPENINGS = {
    Happening.BOOKED: _("Visit booked"),
    Happening.MOVED: _("Visit changed"),
    Happening.UNBOOKED: _("Visit cancelled"),
}
STAGES = {
    Stage.UPCOMING: _("Upcoming visits"),
    Stage.NEW: _("New, with no visit ahead"),
    Stage.PAST: _("Past"),
}
ASKING = {"topic": "repairs", "kind": "reported"}
"""What the selector of the pillar 'Contact' calls a question about a repair."""
OWN, SHARED = "your-home", "your-building"
TITLES = {OWN: _("Your repairs"), SHARED: _("Repairs in shared parts of your building")}


class JobsView(TenantView):
    """A view that lists jobs: the user's own, and those of what they share with neighbours."""

    def buildings(self) -> set[str]:
        """Return the buildings in which the user rents something now."""
        return {
            tenancy.building
            for tenancy in self.tenancies
            if tenancy.building and tenancy.ended_on is None
        }

    def jobs(self, whose: str, stage: Stage, page: int = 1) -> Page[Job]:
        """Return a page of the jobs of one kind."""
        tenancies = [tenancy.reference for tenancy in self.tenancies] if whose == OWN else []
        buildings = self.buildings() if whose == SHARED else set()
        return housing_management().jobs(
            stage, tenancies=tenancies, buildings=sorted(buildings), page=page
        )

    def where(self, job: Job) -> str:
        """Return the address or building that a job is of."""
        homes = {tenancy.reference: tenancy.address for tenancy in self.tenancies}
        return job.building or homes[job.tenancy]

    def name(self, job: Job) -> str:
        """Return what a job is about, in the user's language if the code is known."""
        return name_of(job)

    def coming(self, job: Job) -> str:
        """Return when somebody comes, in words."""
        if job.appointment and job.is_open and diary.is_ahead(job.appointment):
            return window_text(job.appointment)
        return ""

    def status(self, job: Job) -> dict[str, Any]:
        """Return the tag that shows a job's status."""
        text, colour, _meaning = STATUSES[job.status]
        return {"text": text, "classes": f"govuk-tag--{colour}"}


class Repairs(JobsView, TemplateView):
    """Everything at a glance."""

    template_name = "tenant_services/repairs/repairs.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Ask for the first jobs of every kind."""
        kinds = [OWN, SHARED] if self.buildings() else [OWN]
        return super().get_context_data(**named) | {
            "kinds": [
                (
                    whose,
                    TITLES[whose],
                    [(stage, STAGES[stage], self.jobs(whose, stage)) for stage in STAGES],
                )
                for whose in kinds
            ],
            "shown": SHOWN,
        }


class AllJobs(JobsView, TemplateView):
    """Every job of one kind, page by page."""

    template_name = "tenant_services/repairs/jobs.html"
    kwargs: dict[str, str]

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Ask for the page."""
        whose, stage = self.kwargs["whose"], self.kwargs["stage"]
        if whose not in TITLES or stage not in set(Stage):
            raise Http404
        asked = self.request.GET.get("page", "")
        number = int(asked) if asked.isdecimal() and asked.isascii() and len(asked) < 7 else 1
        return super().get_context_data(**named) | {
            "title": TITLES[whose],
            "stage": STAGES[Stage(stage)],
            "is_past": stage == Stage.PAST,
            "page": self.jobs(whose, Stage(stage), number),
            "back": reverse("repairs"),
        }


class OneJob(JobView, JobsView, TemplateView):
    """One job: where it stands, what happened to it, and what can be done about it."""

    template_name = "tenant_services/repairs/job.html"

    @cached_property
    def visit(self) -> Appointment | None:
        """When somebody comes, or came last: as the diary has it, if it does and answers."""
        job = self.job
        if not job.is_open:
            return job.appointment
        try:
            return diary.settle(job)
        except RecordsUnavailableError:
            return job.appointment

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Ask for what happened to it."""
        job = self.job
        return super().get_context_data(**named) | {
            "job": job,
            "visit": self.visit,
            "visit_text": window_text(self.visit) if self.visit else "",
            "meaning": STATUSES[job.status][2],
            "target": TARGETS[job.priority],
            "options": self.what_can_be_done(),
            "history": self.history(),
            # What a neighbour wrote, and their number, are theirs.
            "is_reporter": job.reporter == self.account.person,
            "back": reverse("repairs"),
        }

    def what_can_be_done(self) -> list[tuple[str, Any]]:
        """Return what can be done about it: addresses, and what they are called."""
        job = self.job
        offered = []
        if self.is_own(job) and job.is_open:
            if diary.is_in_diary(job) and self.visit and diary.is_ahead(self.visit):
                offered.append(("repair_appointment", _("See, change or cancel the visit")))
            elif diary.can_book(job):
                offered.append(("book_repair", _("Choose when we come")))
            offered.append(("cancel_repair", _("Cancel this repair")))
        return [
            *((reverse(name, kwargs={"number": job.number}), text) for name, text in offered),
            (
                f"{reverse('choose_way', kwargs=ASKING)}?repair={job.number}",
                _("Ask about this repair"),
            ),
        ]

    def history(self) -> list[tuple[datetime, str, str]]:
        """Return what happened to it, in words: when, what, and more about it."""
        return [
            (
                event.at,
                HAPPENINGS[event.what]
                if isinstance(event.what, Happening)
                else STATUSES[event.what][0],
                window_text(event.appointment) if event.appointment else event.note,
            )
            for event in housing_management().history(self.job.number)
        ]


class CancelJob(OwnJobView, JobsView, FormPage):
    """Cancels a job, once it is sure, and the visit for it."""

    template_name = "tenant_services/repairs/cancel.html"
    form_class = Form
    heading = _("Cancel this repair?")
    button = _("Yes, cancel this repair")
    button_classes = WARNING

    @cached_property
    def visit(self) -> Appointment | None:
        """The visit ahead."""
        found = diary.settle(self.job)
        return found if found and diary.is_ahead(found) else None

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Say which."""
        return super().get_context_data(**named) | {
            "job": self.job,
            "visit": self.visit,
            "visit_text": window_text(self.visit) if self.visit else "",
        }

    def get_success_url(self) -> str:
        """Return the address of the job."""
        return reverse("repair", kwargs={"number": self.kwargs["number"]})

    def elsewhere(self) -> HttpResponse | None:
        """Show the job if it is over, and say that somebody is on the way, if so."""
        if not self.job.is_open:
            # What was sent is answered with what became of the job.
            return None if self.request.method == "POST" else redirect(self.get_success_url())
        if self.visit is None or diary.may_change(self.visit):
            return None
        said = {
            "heading": _("It is too late to cancel this repair here"),
            "text": gettext("We come %(window)s.") % {"window": window_text(self.visit)},
            "telephone": diary.TELEPHONE,
            "back": self.get_success_url(),
        }
        return render(self.request, "tenant_services/repairs/booking/said.html", said)

    def form_valid(self, form: Form) -> HttpResponse:
        """Cancel it, unless it was done meanwhile.

        The visit goes first, for nobody must come for what is cancelled; and once more, for one
        may have been booked in between.
        """
        self.release()
        done = housing_management().cancel_job(self.job.number)
        self.release()
        if done:
            messages.success(self.request, gettext("The repair was cancelled."))
        else:
            messages.info(self.request, gettext("The repair had been done already."))
        return super().form_valid(form)

    def release(self) -> None:
        """Take it out of the contractor's diary."""
        if not self.job.is_communal:
            diary.release(self.job.number)


class AdviceView(TenantView, TemplateView):
    """Something to read, from a report or without one."""

    kwargs: dict[str, str]

    def get_back(self) -> str:
        """Return the address of the question in the report that led here, if one did."""
        try:
            report = uuid.UUID(self.request.GET.get("report", ""))
        except ValueError:
            return reverse("repairs")
        return reverse("report_detail", kwargs={"report": report})


class Emergencies(AdviceView):
    """Everything that is for the telephone."""

    template_name = "tenant_services/repairs/emergencies.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Give all."""
        return super().get_context_data(**named) | {
            "emergencies": diagnosis().emergencies,
            "back": reverse("repairs"),
        }


class OneEmergency(AdviceView):
    """What to do at once."""

    template_name = "tenant_services/repairs/emergency.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Give it."""
        emergency = diagnosis().emergency(self.kwargs["slug"])
        if emergency is None:
            raise Http404
        return super().get_context_data(**named) | {
            "emergency": emergency,
            "back": self.get_back(),
        }


class SelfHelps(AdviceView):
    """Everything that tenants see to by themselves."""

    template_name = "tenant_services/repairs/self_helps.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Give all."""
        return super().get_context_data(**named) | {
            "self_helps": diagnosis().self_helps,
            "back": reverse("repairs"),
        }


class OneSelfHelp(AdviceView):
    """How to do it."""

    template_name = "tenant_services/repairs/self_help.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Give it, with its film."""
        self_help = diagnosis().self_help(self.kwargs["slug"])
        if self_help is None:
            raise Http404
        return super().get_context_data(**named) | {
            "self_help": self_help,
            "film": Film(self_help.video) if self_help.video else None,
            "back": self.get_back(),
        }


def name_of(job: Job) -> str:
    """Return what a job is about, in the user's language if its code is known."""
    finding = diagnosis().finding_of(job.sor_code)
    return str(finding) if finding else job.description
