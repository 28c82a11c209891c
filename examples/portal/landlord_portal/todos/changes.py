"""Administrators change a to-do's form: with a notice, usually two weeks ahead, sometimes not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from demo_portal import clock
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from automation_rules import TodoKind

from ..models import TODO_NAMES, FormVersion
from ..updates import NoticeForm, PublishNotice
from .forms import PAGES, choice, fingerprint

if TYPE_CHECKING:
    from ..models import Notice

PLACES = [
    (f"{kind.value}/{page.slug}", f"{TODO_NAMES[kind]}: {page.slug}")
    for kind, pages in PAGES.items()
    for page in pages
]


class FormChangeForm(NoticeForm):
    """A notice, and the question that it announces."""

    place = choice(_("Page that the question is added to"), PLACES, _("Select a page"))
    name = forms.RegexField(
        r"\A[a-z][a-z0-9_]{0,39}\Z",
        label=_("Name of the field"),
        help_text=_("Lower-case letters, digits and underscores, like heating_charge."),
        error_messages={
            "required": _("Enter the name of the field"),
            "invalid": _("The name must be lower-case letters, digits and underscores"),
        },
    )
    type = choice(
        _("Kind of answer"),
        [("text", _("Text")), ("money", _("Pounds and pence")), ("yes_no", _("Yes or no"))],
        _("Select the kind of answer"),
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
    required = forms.BooleanField(label=_("The question must be answered"), required=False)
    affects_automation = None
    options: ClassVar = NoticeForm.options | {"place": {"english": True}}

    def clean(self) -> dict[str, Any]:
        """Hold the change to the forms as they are, and to the changes already announced."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        # A program that fills the form has to be looked at again, whatever the question is.
        cleaned["affects_automation"] = True
        effective_on = cleaned.get("effective_on")
        if effective_on and effective_on < clock.today():
            self.add_error("effective_on", _("The date must be today or later"))
        if "place" in cleaned:
            kind, _slug = cleaned["place"].split("/")
            self.hold_to_form(TodoKind(kind))
        return cleaned

    def hold_to_form(self, kind: TodoKind) -> None:
        """Refuse a name that the form has, and a day before a change that comes after."""
        last = FormVersion.objects.filter(kind=kind.value).last()
        self.already: list[dict[str, Any]] = last.fields if last else []
        taken = {name for page in PAGES[kind] for name in page.form.base_fields}
        taken |= {question["name"] for question in self.already}
        if self.cleaned_data.get("name") in taken:
            self.add_error("name", ValidationError(_("The form has a field with this name")))
        day = self.cleaned_data.get("effective_on")
        if last and day and day < last.effective_on:
            self.add_error(
                "effective_on",
                ValidationError(_("The date must not be before that of a change already made")),
            )


class PublishFormChange(PublishNotice):
    """Publish a change of a form: the notice, the rules' record of it, and the form's version."""

    form_class = FormChangeForm
    heading = _("Add a question to a form")

    def publish(self, form: Any) -> Notice:
        """Keep the notice, and the form as it will be."""
        values = form.cleaned_data
        kind, page = values["place"].split("/")
        question = {
            "page": page,
            **{name: values[name] for name in ("name", "type", "label_en", "label_cy", "required")},
        }
        fields = [*form.already, question]
        version = FormVersion.objects.create(
            kind=kind,
            fields=fields,
            fingerprint=fingerprint(TodoKind(kind), fields),
            effective_on=values["effective_on"],
        )
        version.notice = super().publish(form)
        version.save(update_fields=["notice"])
        return version.notice
