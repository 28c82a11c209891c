"""Reporting a repair: a question to a page, then everything once more, then it is raised once."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from demo_portal import clock
from design.forms import Form, LinesField
from design.views import FormPage
from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.generic import TemplateView

from ..access import TenantView
from ..profile.customers import customer_directory
from .diagnosis import HOMES, diagnosis
from .diary_client import can_book
from .housing import NewJob, Priority, Stage, housing_management
from .models import Report

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpResponse

    from ..profile.customers import Tenancy
    from .diagnosis import Answer, Finding, Location, Repair
    from .housing import Job

Offered = TypeVar("Offered", "Location", "Answer")

REPORTS_LAST = timedelta(hours=24)
STEPS = [
    "report_home",
    "report_location",
    "report_problem",
    "report_detail",
    "report_description",
    "report_check",
]
TARGETS = {
    Priority.IMMEDIATE: _("We come at once."),
    Priority.EMERGENCY: _("We aim to come within 24 hours."),
    Priority.URGENT: _("We aim to do this within 5 working days."),
    Priority.NORMAL: _("We aim to do this within 20 working days."),
    Priority.INSPECTION: _("We aim to come and look at this within 20 working days."),
}
"""How soon, by priority. The times are this demonstration's own."""


class Progress:
    """How far a report has come."""

    def __init__(self, report: Report, tenancy: Tenancy | None) -> None:
        """See what the answers are, as the tree has them now."""
        self.report = report
        self.tenancy = tenancy
        tree = diagnosis()
        locations = tree.locations_of(tenancy) if tenancy else []
        self.location = _named(locations, report.location)
        problems = self.location.problems if self.location else []
        self.problem = _named(problems, report.problem)
        details = self.problem.details if self.problem else ()
        self.offered = {"location": locations, "problem": problems, "detail": details}
        self.finding: Finding | None = None
        if self.problem:
            self.finding = tree.find(report.location, report.problem, report.detail)

    @property
    def reached(self) -> str:
        """The first step that is not answered, or the last of all."""
        answers = [
            self.tenancy,
            self.location,
            self.problem,
            self.finding and self.finding.repair,
            self.report.is_described,
        ]
        return next(
            (step for step, answer in zip(STEPS, answers, strict=False) if not answer), STEPS[-1]
        )

    @property
    def address(self) -> str:
        """Where it goes on."""
        query = f"?report={self.report.pk}"
        if self.finding and (emergency := self.finding.last.emergency):
            return reverse("repair_emergency", kwargs={"slug": emergency}) + query
        if self.finding and (self_help := self.finding.last.self_help):
            return reverse("repair_self_help", kwargs={"slug": self_help}) + query
        return self.at(self.reached)

    def at(self, step: str) -> str:
        """Return the address of a step."""
        if step == "report_detail" and self.problem and not self.problem.details:
            step = "report_problem"
        return reverse(step, kwargs={"report": self.report.pk})

    @property
    def digest(self) -> str:
        """A fingerprint of the answers."""
        report = self.report
        answers = [
            getattr(report, name)
            for name in ("tenancy", "location", "problem", "detail", "words", "access", "telephone")
        ]
        return hashlib.sha256(json.dumps(answers).encode()).hexdigest()


def _named(answers: Iterable[Offered], slug: str) -> Offered | None:
    return next((answer for answer in answers if answer.slug == slug), None)


class ReportingView(TenantView):
    """A view of one of the user's reports. Somebody else's is not there."""

    kwargs: dict[str, Any]

    @cached_property
    def homes(self) -> list[Tenancy]:
        """What the user rents now."""
        return [tenancy for tenancy in self.tenancies if tenancy.ended_on is None]

    @cached_property
    def report(self) -> Report:
        """The report of the address."""
        try:
            return Report.objects.get(pk=self.kwargs["report"], account=self.account)
        except Report.DoesNotExist:
            raise Http404 from None

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        found = (home for home in self.homes if home.reference == self.report.tenancy)
        return Progress(self.report, next(found, None))


class StepForm(Form):
    """One question with a few answers."""

    answer = forms.ChoiceField(widget=forms.RadioSelect)

    def __init__(self, *args: Any, question: Any, answers: list[tuple[str, Any]], **named: Any):
        """Ask."""
        super().__init__(*args, **named)
        self.fields["answer"].label = question
        self.fields["answer"].choices = answers  # type: ignore[attr-defined]

    options: ClassVar = {"answer": {"legend": "govuk-visually-hidden"}}


class Step(ReportingView, FormPage):
    """A page of the report. Whoever has not come so far is led to where they are."""

    step: ClassVar[str]

    def elsewhere(self) -> HttpResponse | None:
        """Return where the user should be instead."""
        if self.report.job:
            return redirect("reported", report=self.report.pk)
        progress = self.progress
        if STEPS.index(self.step) > STEPS.index(progress.reached):
            return redirect(progress.address)
        if progress.at(self.step) != self.request.path:
            return redirect(progress.at(self.step))
        return None

    def get_back(self) -> str:
        """Return the address of the step before."""
        return self.progress.at(STEPS[STEPS.index(self.step) - 1])

    def get_success_url(self) -> str:
        """Return where it goes on."""
        return self.progress.address

    def keep(self, **answers: Any) -> None:
        """Keep answers, unless it has been raised meanwhile."""
        for name, value in answers.items():
            setattr(self.report, name, value)
        Report.objects.filter(pk=self.report.pk, job="").update(**answers)


class Question(Step):
    """A page with one question, under it the answers that there are."""

    template_name = "tenant_services/repairs/question.html"
    form_class = StepForm
    field: ClassVar[str]

    def get_form_kwargs(self) -> dict[str, Any]:
        """Ask, and offer the answers that hang on those before."""
        offered = self.progress.offered[self.field]
        return super().get_form_kwargs() | {
            "question": self.heading,
            "answers": [(answer.slug, self.said(answer)) for answer in offered],
        }

    def said(self, answer: Any) -> str:
        """Return how an answer is offered."""
        return str(answer)

    def get_initial(self) -> dict[str, Any]:
        """Return the answer that was given before."""
        return {"answer": getattr(self.report, self.field)}

    def form_valid(self, form: StepForm) -> HttpResponse:
        """Keep the answer. What was answered after another one is forgotten."""
        given = form.cleaned_data["answer"]
        if given != getattr(self.report, self.field):
            fields = ["location", "problem", "detail"]
            later = fields[fields.index(self.field) + 1 :]
            self.keep(**{self.field: given}, **dict.fromkeys(later, ""))
        return super().form_valid(form)


class HomeQuestion(ReportingView, FormPage):
    """Asks for which of the user's homes it is."""

    template_name = "tenant_services/repairs/start.html"
    form_class = StepForm
    heading = _("What do you want to report a repair for?")

    def get_form_kwargs(self) -> dict[str, Any]:
        """Offer what the user rents now."""
        return super().get_form_kwargs() | {
            "question": self.heading,
            "answers": [(home.reference, home.address) for home in self.homes],
        }

    def get_back(self) -> str:
        """Return the address of the repairs."""
        return reverse("repairs")

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add whether there is anything to report for."""
        return super().get_context_data(**named) | {"homes": self.homes}


class StartReport(HomeQuestion):
    """The beginning."""

    def get_initial(self) -> dict[str, Any]:
        """Choose what there is no other choice to."""
        return {"answer": self.homes[0].reference} if len(self.homes) == 1 else {}

    def form_valid(self, form: StepForm) -> HttpResponse:
        """Begin a report; forget those that were never finished."""
        now = clock.now()
        Report.objects.filter(made_at__lte=now - REPORTS_LAST).delete()
        report = Report.objects.create(
            account=self.account, made_at=now, tenancy=form.cleaned_data["answer"]
        )
        return redirect("report_location", report=report.pk)


class ReportHome(HomeQuestion, Step):
    """The first question again."""

    step = "report_home"

    def get_initial(self) -> dict[str, Any]:
        """Return the answer that was given before."""
        return {"answer": self.report.tenancy}

    def form_valid(self, form: StepForm) -> HttpResponse:
        """Keep the answer; later ones count as far as they can be given there."""
        self.keep(tenancy=form.cleaned_data["answer"])
        return super().form_valid(form)


class ReportLocation(Question):
    """Where."""

    step = "report_location"
    field = "location"
    heading = _("Where is the problem?")

    def said(self, answer: Location) -> str:
        """Return a place with what helps to find it."""
        return f"{answer} ({answer.such_as})" if answer.such_as else str(answer)

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add whether the inside is the tenant's own to mend."""
        tenancy = self.progress.tenancy
        is_owned = tenancy is not None and tenancy.kind not in {*HOMES, "garage"}
        return super().get_context_data(**named) | {"is_owned": is_owned}


class ReportProblem(Question):
    """What."""

    step = "report_problem"
    field = "problem"
    heading = _("What is the problem with?")


class ReportDetail(Question):
    """What about it."""

    step = "report_detail"
    field = "detail"
    heading = _("What is wrong?")


class DescriptionForm(Form):
    """What whoever comes should know."""

    words = LinesField(
        label=_("Describe the problem (optional)"),
        help_text=_("For example when it began. Do not give health or bank details."),
        required=False,
        max_length=1000,
    )
    access = LinesField(
        label=_("What should whoever comes know to get in or to help you? (optional)"),
        help_text=_("For example that you need time to get to the door, or an interpreter."),
        required=False,
        max_length=500,
    )
    telephone = forms.CharField(
        label=_("Best telephone number to reach you (optional)"),
        required=False,
        max_length=30,
        widget=forms.TextInput(attrs={"autocomplete": "tel", "inputmode": "tel"}),
        validators=[
            RegexValidator(
                r"^\+?([ ()-]*[0-9]){7,}[ ()-]*\Z",
                _("Enter a telephone number, like 01632 960 001 or +44 7700 900 982"),
            )
        ],
    )
    options: ClassVar = {"telephone": {"classes": "govuk-input--width-20"}}


class ReportDescription(Step):
    """In the user's own words."""

    step = "report_description"
    form_class = DescriptionForm
    heading = _("Tell us more")

    def get_initial(self) -> dict[str, Any]:
        """Return what was written before; at first, the telephone number that is known."""
        report = self.report
        if report.is_described:
            return {name: getattr(report, name) for name in DescriptionForm.base_fields}
        customer = customer_directory().customer(self.account.person)
        return {"telephone": customer.telephone if customer else ""}

    def form_valid(self, form: DescriptionForm) -> HttpResponse:
        """Keep it."""
        self.keep(is_described=True, **form.cleaned_data)
        return super().form_valid(form)


class CheckForm(Form):
    """That what is shown is what is meant."""

    shown = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, digest: str, **named: Any) -> None:
        """Know the answers as they are now."""
        super().__init__(*args, **named)
        self.digest = digest

    def clean(self) -> dict[str, Any]:
        """Refuse answers that were changed in another window since they were shown."""
        if self.cleaned_data.get("shown") != self.digest:
            raise ValidationError(
                gettext("Your answers were changed after this page was shown. Check them again.")
            )
        return self.cleaned_data


class ReportCheck(Step):
    """Everything once more, before it is raised."""

    step = "report_check"
    template_name = "tenant_services/repairs/check.html"
    form_class = CheckForm
    heading = _("Check your answers")
    button = _("Report this repair")

    def get_form_kwargs(self) -> dict[str, Any]:
        """Know the answers as they are now."""
        return super().get_form_kwargs() | {"digest": self.progress.digest}

    def rows(self) -> list[tuple[Any, str, str]]:
        """Return each question with its answer and where to change it."""
        progress, report = self.progress, self.report
        finding = self.finding
        asked = [
            (
                _("Home or garage"),
                self.tenancy.address,
                "report_home",
            ),
            (_("Where"), str(finding.location), "report_location"),
            (_("Problem"), str(finding.problem), "report_problem"),
        ]
        if finding.detail:
            asked.append((_("What is wrong"), str(finding.detail), "report_detail"))
        asked += [
            (_("Description"), report.words, "report_description"),
            (_("To get in or to help you"), report.access, "report_description"),
            (_("Telephone"), report.telephone, "report_description"),
        ]
        return [
            (text, answer or gettext("None"), progress.at(step)) for text, answer, step in asked
        ]

    @cached_property
    def finding(self) -> Finding:
        """What is being reported; whoever comes so far has answered all."""
        finding = self.progress.finding
        assert finding is not None
        return finding

    @cached_property
    def repair(self) -> Repair:
        """The repair that it needs."""
        repair = self.finding.repair
        assert repair is not None
        return repair

    @cached_property
    def tenancy(self) -> Tenancy:
        """What the user rents there."""
        tenancy = self.progress.tenancy
        assert tenancy is not None
        return tenancy

    def place(self) -> tuple[str, str]:
        """Return the tenancy that the job is of, or the building if it is communal."""
        if self.finding.is_communal:
            return "", self.tenancy.building
        return self.tenancy.reference, ""

    def already(self) -> list[Job]:
        """Return open jobs of the same kind there: it may have been reported."""
        tenancy, building = self.place()
        return [
            job
            for stage in (Stage.NEW, Stage.UPCOMING)
            for job in housing_management()
            .jobs(stage, tenancies=[tenancy], buildings=[building])
            .rows
            if job.sor_code == self.repair.code
        ]

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the answers, and what will happen."""
        return super().get_context_data(**named) | {
            "rows": self.rows(),
            "digest": self.progress.digest,
            "target": TARGETS[self.repair.priority],
            "repair": self.repair,
            "is_communal": self.finding.is_communal,
            "already": self.already(),
        }

    def form_valid(self, form: CheckForm) -> HttpResponse:  # noqa: ARG002
        """Raise it. The report's key makes it one job, however often it is sent."""
        tenancy, building = self.place()
        new = NewJob(
            tenancy,
            building,
            reporter=self.account.person,
            sor_code=self.repair.code,
            priority=self.repair.priority,
            description=self.finding.english,
            words=self.report.words,
            access=self.report.access,
            telephone=self.report.telephone,
        )
        job = housing_management().raise_job(new, str(self.report.pk))
        # The housing management system keeps what was written; here nothing of it is needed more.
        self.keep(job=job.number, words="", access="", telephone="")
        return redirect("reported", report=self.report.pk)


class Reported(ReportingView, TemplateView):
    """The number of the job, and what comes next."""

    template_name = "tenant_services/repairs/reported.html"

    def get(self, *args: Any, **named: Any) -> HttpResponse:
        """Show it, or lead to where the report is."""
        if not self.report.job:
            return redirect(self.progress.address)
        return super().get(*args, **named)

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the job as it is now."""
        job = housing_management().job(self.report.job)
        if job is None:
            raise Http404
        return super().get_context_data(**named) | {
            "job": job,
            "target": TARGETS[job.priority],
            "can_book": can_book(job) and not job.appointment,
        }
