"""The tab 'Updates', and what administrators publish there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from demo_portal import clock
from design.forms import DateField, Form
from design.views import FormPage
from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse_lazy
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.views.generic import ListView

from automation_rules import AutomationRulesError, TodoKind
from automation_rules.store import AnnouncedChange

from .library import registry
from .models import TODO_NAMES, FormVersion, Notice, NoticeRead
from .roles import AdministratorView, GuardedView
from .todos.forms import PAGES, fingerprint

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpResponse


class Updates(GuardedView, ListView):  # type: ignore[type-arg]
    """The notices, newest first. Whoever has seen the page has read them."""

    template_name = "landlord_portal/updates.html"

    def get_queryset(self) -> QuerySet[Notice]:
        """Return what is published."""
        return Notice.objects.all()

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Tell what is new, and take it as read."""
        user = self.request.user
        unread = list(Notice.objects.exclude(read_by=user))
        NoticeRead.objects.bulk_create(
            (NoticeRead(notice=notice, user=user) for notice in unread), ignore_conflicts=True
        )
        return super().get_context_data(**named) | {"unread": unread}


class NoticeForm(Form):
    """A notice in both languages."""

    release = forms.CharField(
        label=_("Release number"),
        max_length=20,
        help_text=_("For example, R164."),
        error_messages={"required": _("Enter the release number")},
    )
    title_en = forms.CharField(
        label=_("Title in English"),
        max_length=200,
        error_messages={"required": _("Enter the title in English")},
    )
    title_cy = forms.CharField(
        label=_("Title in Welsh"),
        max_length=200,
        error_messages={"required": _("Enter the title in Welsh")},
    )
    body_en = forms.CharField(
        label=_("Text in English"),
        widget=forms.Textarea,
        error_messages={"required": _("Enter the text in English")},
    )
    body_cy = forms.CharField(
        label=_("Text in Welsh"),
        widget=forms.Textarea,
        error_messages={"required": _("Enter the text in Welsh")},
    )
    effective_on = DateField(
        label=_("When it takes effect"),
        help_text=_("We aim to give at least 2 weeks' notice of what affects automation."),
        required_message=_("Enter the date when it takes effect"),
        invalid_message=_("The date when it takes effect must be a real date"),
    )
    affects_automation = forms.BooleanField(label=_("It affects automation"), required=False)
    options: ClassVar = {"release": {"classes": "govuk-input--width-5"}}

    def clean_release(self) -> str:
        """Refuse a number that is taken."""
        release: str = self.cleaned_data["release"]
        if Notice.objects.filter(release=release).exists():
            raise ValidationError(str(_("There is a notice with this release number already")))
        return release


class Notices(AdministratorView, ListView):  # type: ignore[type-arg]
    """What administrators have published."""

    template_name = "landlord_portal/notices.html"
    model = Notice

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the changes of forms."""
        return super().get_context_data(**named) | {"versions": FormVersion.objects.all()}


class FormChangeForm(NoticeForm):
    """A notice of one more question in a to-do's form."""

    where = forms.ChoiceField(
        label=_("Page of the new question"),
        choices=[
            (f"{kind.value}/{page.slug}", format_lazy("{}: {}", TODO_NAMES[kind], page.heading))
            for kind, pages in PAGES.items()
            for page in pages
        ],
        error_messages={"required": _("Select the page of the new question")},
    )
    label_en = forms.CharField(
        label=_("Question in English"),
        max_length=200,
        error_messages={"required": _("Enter the question in English")},
    )
    label_cy = forms.CharField(
        label=_("Question in Welsh"),
        max_length=200,
        error_messages={"required": _("Enter the question in Welsh")},
    )
    type = forms.ChoiceField(
        label=_("Answer"),
        choices=[("text", _("Text")), ("money", _("Amount of money")), ("yes_no", _("Yes or no"))],
        widget=forms.RadioSelect,
        error_messages={"required": _("Select the kind of answer")},
    )
    required = forms.BooleanField(label=_("It must be answered"), required=False)
    affects_automation = None

    def clean(self) -> dict[str, Any]:
        """Keep changes in the order in which they are published."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        kind = cleaned.get("where", "").partition("/")[0]
        last = FormVersion.objects.filter(kind=kind).last()
        effective_on = cleaned.get("effective_on")
        if effective_on and effective_on < clock.today():
            self.add_error("effective_on", _("The change must not take effect in the past"))
        if last and effective_on and effective_on < last.effective_on:
            self.add_error(
                "effective_on",
                _("The change must not take effect before the one that was published last"),
            )
        return cleaned


class PublishNotice(AdministratorView, FormPage):
    """Publish a notice, to users and to the rules."""

    form_class: Any = NoticeForm
    heading = _("Publish a notice")
    button = _("Publish")
    success = _("The notice is published")
    success_url = reverse_lazy("notices")

    def form_valid(self, form: Any) -> HttpResponse:
        """Publish it in the portal and in the registry, or in neither."""
        try:
            with transaction.atomic():
                self.publish(form)
        except AutomationRulesError:
            form.add_error(None, _("The registry did not take the notice. Change it and try again"))
            return self.form_invalid(form)
        return super().form_valid(form)

    def publish(self, form: Any) -> Notice:
        """Keep the notice."""
        fields = {
            name: form.cleaned_data.get(name, True)  # every change of a form affects automation
            for name in NoticeForm.base_fields
        }
        notice = Notice.objects.create(published_at=clock.now(), **fields)
        registry().add_notice(
            AnnouncedChange(
                notice.release, notice.effective_on, notice.affects_automation, notice.title_en
            )
        )
        return notice


class ChangeForm(PublishNotice):
    """Publish a change of a to-do's form, with its notice."""

    form_class = FormChangeForm
    heading = _("Publish a change of a form")

    def publish(self, form: Any) -> Notice:
        """Keep the form's next version, which asks what the one before it asks and this."""
        notice = super().publish(form)
        asked = form.cleaned_data
        name, _slash, page = asked["where"].partition("/")
        kind = TodoKind(name)
        last = FormVersion.objects.filter(kind=name).last()
        questions = last.fields if last else []
        question = {key: asked[key] for key in ("type", "label_en", "label_cy", "required")}
        questions = [*questions, question | {"page": page, "name": f"extra_{len(questions) + 1}"}]
        FormVersion.objects.create(
            kind=name,
            fields=questions,
            fingerprint=fingerprint(kind, questions),
            effective_on=notice.effective_on,
            notice=notice,
        )
        return notice
