"""The to-dos' pages as forms, what they demand of one another, and the forms' fingerprints.

A page's answers may depend on those of earlier pages, so a to-do is always read from its first
page on: `walk` says how far its answers hold.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from demo_portal.jinja import date_text, money_text
from design.forms import DateField, Form, MoneyField
from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from automation_rules import TodoKind

from ..models import Frequency
from .rules import (
    MOST,
    WEEKS_OF_A_YEAR,
    annual_change_year,
    first_monday_in_april,
    is_by_the_week,
    monthly,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from django.utils.functional import _StrPromise

YES, NO = "yes", "no"
REASONS = [
    ("not_our_tenant", _("They have never been our tenant")),
    ("moved_out", _("They have moved out")),
    ("not_liable", _("They live there but are not liable for rent")),
    ("other", _("Another reason")),
]
LIMITS = ("min_value", "max_value", "max_length")
EXTRA_LENGTH = 200
YEAR = timedelta(days=366)


class Amount(MoneyField):
    """Pounds and pence within the forms' limits."""

    def __init__(self, *, least: Decimal = Decimal(0), **named: Any) -> None:
        """Take no less than ``least``."""
        super().__init__(**named)
        # What a fingerprint covers; Django's own stub knows whole numbers only.
        self.min_value, self.max_value = least, MOST  # type: ignore[assignment]
        self.validators += [MinValueValidator(least), MaxValueValidator(MOST)]
        self.error_messages |= {
            "min_value": _("The amount must be £0.01 or more"),
            "max_value": _("The amount must be £99,999.99 or less"),
        }


class OptionalDate(DateField):
    """A date that may be left out, but not in part."""

    def compress(self, data_list: list[Any]) -> Any:
        """Refuse a date of which a box is empty."""
        if None in data_list:
            raise ValidationError(self.error_messages["incomplete"], code="incomplete")
        return super().compress(data_list)


class WholeNumber(forms.IntegerField):
    """A whole number in a narrow box."""

    govuk: ClassVar[Mapping[str, Any]] = {"classes": "govuk-input--width-2"}

    def __init__(self, *, required_message: Any, invalid_message: Any, **named: Any) -> None:
        """Say what to answer when there is none, and when it is no such number."""
        messages = dict.fromkeys(("invalid", "min_value", "max_value"), invalid_message)
        super().__init__(
            widget=forms.TextInput(attrs={"inputmode": "numeric", "spellcheck": False}),
            error_messages={"required": required_message, **messages},
            **named,
        )


def choice(
    label: str | _StrPromise, choices: Any, required_message: Any, *, required: bool = True
) -> forms.ChoiceField:
    """Return a question with answers to pick from."""
    return forms.ChoiceField(
        label=label,
        choices=choices,
        widget=forms.RadioSelect,
        required=required,
        error_messages=dict.fromkeys(("required", "invalid_choice"), required_message),
    )


def yes_no(
    label: str | _StrPromise, required_message: Any, *, required: bool = True
) -> forms.ChoiceField:
    """Return a question to be answered by yes or no."""
    return choice(label, [(YES, _("Yes")), (NO, _("No"))], required_message, required=required)


def reference() -> forms.CharField:
    """Return the question for the landlord's own reference, asked where it is revealed."""
    return forms.CharField(
        label=_("Tenant reference"),
        max_length=50,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": False}),
        error_messages={
            "required": _("Enter the tenant reference"),
            "max_length": _("The tenant reference must be 50 characters or fewer"),
        },
    )


class PageForm(Form):
    """One page of a to-do.

    ``earlier`` are the answers of the pages before it, ``extra`` the questions that a published
    change added to it. A field that shows under a choice is asked only when that is chosen, and
    is otherwise None, whatever was typed into it.
    """

    unlisted: ClassVar[frozenset[str]] = frozenset()
    """The fields that the list of answers leaves out, because another one says the same."""

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        today: date,
        earlier: Mapping[str, Any],
        extra: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Add the extra questions at the end."""
        super().__init__(data)
        self.today, self.earlier, self.extra = today, earlier, list(extra)
        for question in self.extra:
            self.fields[question["name"]] = extra_field(question)

    def clean(self) -> dict[str, Any]:
        """Ask what the choices made call for, and that alone."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for field, by in self.reveals.items():
            for value, names in by.items():
                for name in names:
                    if cleaned.get(field) != value:
                        self.errors.pop(name, None)
                        cleaned[name] = None
                    else:
                        self.require(name)
        return cleaned

    def require(self, name: str) -> None:
        """Add an error if an optional field has no answer."""
        if name not in self.errors and self.cleaned_data.get(name) in (None, ""):
            self.add_error(name, self.fields[name].error_messages["required"])

    def typed(self) -> dict[str, Any]:
        """Return what was typed into the page's own fields, to be shown again."""
        return {name: self.data[name] for name in self.box_names() if name in self.data}

    def box_names(self) -> list[str]:
        """Return the names of the page's boxes; a date has three."""
        names: list[str] = []
        for name, field in self.fields.items():
            parts = getattr(field.widget, "widgets_names", [""])
            names += [f"{name}{part}" for part in parts]
        return names

    def rows(self) -> list[tuple[str, str]]:
        """Return each answer's question and text, in the language in use."""
        return [
            (str(field.label), shown(field, self.cleaned_data[name]))
            for name, field in self.fields.items()
            if name not in self.unlisted and self.cleaned_data.get(name) not in (None, "")
        ]


def shown(field: forms.Field, value: Any) -> str:
    """Return an answer as it is shown to people."""
    if isinstance(field, forms.ChoiceField):
        texts: dict[str, Any] = dict(field.choices)  # type: ignore[arg-type]
        return str(texts[value])
    if isinstance(value, Decimal):
        return money_text(value)
    return date_text(value) if isinstance(value, date) else str(value)


class LiableTenantForm(PageForm):
    """'Provide tenancy details', page 1: is this person a tenant who owes rent here?"""

    is_tenant = yes_no(
        _("Is this person your tenant and liable for rent at this address?"),
        _("Select yes if this person is your tenant and liable for rent at this address"),
    )
    tenant_reference = reference()
    reason = choice(
        _("Why not?"), REASONS, _("Select why this person is not your tenant"), required=False
    )
    use_and_occupation = yes_no(
        _("Do you accept use and occupation charges from them?"),
        _("Select yes if you accept use and occupation charges from them"),
        required=False,
    )
    reveals: ClassVar = {
        "is_tenant": {YES: ["tenant_reference"], NO: ["reason", "use_and_occupation"]}
    }
    options: ClassVar = {"tenant_reference": {"classes": "govuk-input--width-20"}}

    def clean(self) -> dict[str, Any]:
        """Take no charges for living there from whoever does not live there."""
        cleaned = super().clean()
        if cleaned.get("reason") == "moved_out" and cleaned.get("use_and_occupation") == YES:
            self.add_error(
                "use_and_occupation",
                _("Someone who has moved out cannot pay use and occupation charges"),
            )
        return cleaned


class TenancyForm(PageForm):
    """'Provide tenancy details', page 2: the tenancy."""

    temporary_accommodation = yes_no(
        _("Is it temporary accommodation?"), _("Select yes if it is temporary accommodation")
    )
    anyone_else = yes_no(
        _("Is anyone else on the tenancy?"), _("Select yes if anyone else is on the tenancy")
    )
    people_on_tenancy = WholeNumber(
        label=_("How many people are on the tenancy?"),
        help_text=_("Include the claimant."),
        min_value=2,
        max_value=20,
        required=False,
        required_message=_("Enter how many people are on the tenancy"),
        invalid_message=_("The number of people must be a whole number from 2 to 20"),
    )
    bedrooms = WholeNumber(
        label=_("How many bedrooms are there?"),
        help_text=_("Enter 0 for a bedsit or a studio."),
        min_value=0,
        max_value=20,
        required_message=_("Enter how many bedrooms there are"),
        invalid_message=_("The number of bedrooms must be a whole number from 0 to 20"),
    )
    has_rent_free_weeks = yes_no(
        _("Are there rent-free weeks?"), _("Select yes if there are rent-free weeks")
    )
    rent_free_weeks = WholeNumber(
        label=_("How many rent-free weeks are there in a year?"),
        min_value=1,
        max_value=WEEKS_OF_A_YEAR,
        required=False,
        required_message=_("Enter how many rent-free weeks there are in a year"),
        invalid_message=_("The number of rent-free weeks must be a whole number from 1 to 52"),
    )
    reveals: ClassVar = {
        "anyone_else": {YES: ["people_on_tenancy"]},
        "has_rent_free_weeks": {YES: ["rent_free_weeks"]},
    }


class RentForm(PageForm):
    """The rent and the service charge, each with how often it is due."""

    rent = Amount(
        label=_("Rent without service charges"),
        least=Decimal("0.01"),
        required_message=_("Enter the rent without service charges"),
        invalid_message=_("The rent must be an amount in pounds and pence, like 123.45"),
    )
    rent_frequency = choice(
        _("How often is the rent due?"), Frequency.choices, _("Select how often the rent is due")
    )
    service_charge = Amount(
        label=_("Eligible service charge"),
        help_text=_("Enter 0 if there is none."),
        required_message=_("Enter the eligible service charge, or 0 if there is none"),
        invalid_message=_("The service charge must be an amount in pounds and pence, like 12.34"),
    )
    service_charge_frequency = choice(
        _("How often is the service charge due?"),
        Frequency.choices,
        _("Select how often the service charge is due"),
        required=False,
    )

    def clean(self) -> dict[str, Any]:
        """Ask how often only of a charge there is; keep rent-free weeks to weekly rents."""
        cleaned = super().clean()
        if cleaned.get("service_charge"):
            self.require("service_charge_frequency")
        else:
            cleaned["service_charge_frequency"] = None
        frequency = cleaned.get("rent_frequency")
        if frequency and self.earlier.get("rent_free_weeks") and not is_by_the_week(frequency):
            self.add_error(
                "rent_frequency",
                _(
                    "You said that there are rent-free weeks. Select weekly, every 2 weeks or "
                    "every 4 weeks, or go back and change the rent-free weeks"
                ),
            )
        return cleaned


class ChangedTenantForm(PageForm):
    """'Confirm tenant's housing costs', page 1: is this a tenant?"""

    is_tenant = yes_no(
        _("Is this person your tenant?"), _("Select yes if this person is your tenant")
    )
    reason = choice(
        _("Why not?"), REASONS, _("Select why this person is not your tenant"), required=False
    )
    reveals: ClassVar = {"is_tenant": {NO: ["reason"]}}


class ChangedRentForm(RentForm):
    """'Confirm tenant's housing costs', page 2: the rent, the service charge, and from when."""

    effective_date = choice(
        _("When does the rent change?"),
        [("april_first", ""), ("first_monday_in_april", ""), ("another", "")],
        _("Select when the rent changes"),
    )
    effective_on = OptionalDate(
        label=_("Date of the rent change"),
        help_text=_("For example, 27 3 2027."),
        required=False,
        required_message=_("Enter the date of the rent change"),
        invalid_message=_("The date of the rent change must be a real date"),
    )
    reveals: ClassVar = {"effective_date": {"another": ["effective_on"]}}
    unlisted: ClassVar = frozenset({"effective_date"})

    def __init__(self, *args: Any, **named: Any) -> None:
        """Name the days of the nearest annual change."""
        super().__init__(*args, **named)
        year = annual_change_year(self.today)
        self.days = {
            "april_first": date(year, 4, 1),
            "first_monday_in_april": first_monday_in_april(year),
        }
        asked: Any = self.fields["effective_date"]
        first = gettext("%(day)s, for monthly rent") % {"day": date_text(self.days["april_first"])}
        monday = gettext("%(day)s, the first Monday in April, for weekly rent") % {
            "day": date_text(self.days["first_monday_in_april"])
        }
        asked.choices = [
            ("april_first", first),
            ("first_monday_in_april", monday),
            ("another", gettext("Another date")),
        ]

    def clean(self) -> dict[str, Any]:
        """Hold each day of the annual change to the rents that change on it."""
        cleaned = super().clean()
        when, frequency = cleaned.get("effective_date"), cleaned.get("rent_frequency")
        if when in self.days:
            cleaned["effective_on"] = self.days[when]
            if frequency and is_by_the_week(frequency) != (when == "first_monday_in_april"):
                self.add_error("effective_date", _MISMATCHES[when])
        elif (day := cleaned.get("effective_on")) and abs(day - self.today) > YEAR:
            self.add_error(
                "effective_on", _("The date of the rent change must be within a year of today")
            )
        return cleaned


_MISMATCHES = {
    "april_first": _(
        "1 April is for monthly rent. Select the first Monday in April or another date"
    ),
    "first_monday_in_april": _(
        "The first Monday in April is for rent due by the week. Select 1 April or another date"
    ),
}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a to-do: its part of the address, its heading and its questions."""

    slug: str
    heading: str | _StrPromise
    form: type[PageForm]

    def is_asked(self, earlier: Mapping[str, Any]) -> bool:
        """Whether the answers so far lead to it: charges are asked where there are any."""
        return not earlier or YES in (earlier["is_tenant"], earlier.get("use_and_occupation"))


PAGES: dict[TodoKind, tuple[Page, ...]] = {
    TodoKind.PROVIDE_TENANCY_DETAILS: (
        Page("tenant", _("Your tenant"), LiableTenantForm),
        Page("tenancy", _("The tenancy"), TenancyForm),
        Page("rent", _("Rent and service charge"), RentForm),
    ),
    TodoKind.CONFIRM_HOUSING_COSTS: (
        Page("tenant", _("Your tenant"), ChangedTenantForm),
        Page("rent", _("Rent and service charge"), ChangedRentForm),
    ),
}


@dataclass(frozen=True, slots=True)
class Walk:
    """How far a to-do's answers hold: the pages reached, each with its form, and the answers.

    When they are not ``complete``, the last page reached is the first that still needs one.
    """

    reached: tuple[tuple[Page, PageForm], ...]
    answers: dict[str, Any]
    complete: bool

    @property
    def monthly(self) -> dict[str, Decimal]:
        """What the rent and the service charge come to in a month."""
        free = self.answers.get("rent_free_weeks") or 0
        return {
            name: monthly(self.answers[name], self.answers[f"{name}_frequency"], free)
            for name in ("rent", "service_charge")
            if self.answers.get(name)
        }

    def document(self) -> dict[str, Any]:
        """Return the answers as JSON values: money and dates are strings."""
        return {
            name: value if isinstance(value, int) else str(value)
            for name, value in self.answers.items()
            if value not in (None, "")
        }


def walk(
    kind: TodoKind,
    typed: Mapping[str, Mapping[str, Any]],
    today: date,
    extra: Sequence[Mapping[str, Any]] = (),
) -> Walk:
    """Read what was typed, page by page, up to the first that is not answered."""
    reached: list[tuple[Page, PageForm]] = []
    answers: dict[str, Any] = {}
    for page in PAGES[kind]:
        if not page.is_asked(answers):
            continue
        form = page.form(
            typed.get(page.slug),
            today=today,
            earlier=dict(answers),
            extra=[question for question in extra if question["page"] == page.slug],
        )
        reached.append((page, form))
        if not form.is_valid():
            return Walk(tuple(reached), answers, complete=False)
        answers |= form.cleaned_data
    return Walk(tuple(reached), answers, complete=True)


def extra_field(question: Mapping[str, Any]) -> forms.Field:
    """Return the field of a question that a published change added."""
    label = question["label_cy" if get_language() == "cy" else "label_en"]
    required = bool(question["required"])
    message = gettext("Answer the question: %(question)s") % {"question": label}
    if question["type"] == "yes_no":
        return yes_no(label, message, required=required)
    if question["type"] == "money":
        invalid = gettext("Enter an amount in pounds and pence, like 123.45: %(question)s") % {
            "question": label
        }
        return Amount(
            label=label, required=required, required_message=message, invalid_message=invalid
        )
    return forms.CharField(
        label=label,
        required=required,
        max_length=EXTRA_LENGTH,
        error_messages={
            "required": message,
            "null_characters_not_allowed": message,
            "max_length": _("Your answer must be 200 characters or fewer"),
        },
    )


def fingerprint(kind: TodoKind, extra: Iterable[Mapping[str, Any]] = ()) -> str:
    """Return what a form's fields come to, ``sha256:`` and 64 hexadecimal digits.

    It covers what a program that fills the form relies on: pages and fields in their order, with
    names, types, choices and limits. Wording and language do not count.
    """
    extra = list(extra)
    pages = []
    for page in PAGES[kind]:
        fields: dict[str, forms.Field] = dict(page.form.base_fields)
        fields |= {
            question["name"]: extra_field(question)
            for question in extra
            if question["page"] == page.slug
        }
        described = [_describe(name, field) for name, field in fields.items()]
        pages.append([page.slug, described, page.form.reveals])
    text = json.dumps([kind.value, pages], sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _describe(name: str, field: forms.Field) -> dict[str, Any]:
    return {
        "name": name,
        "type": type(field).__name__,
        "widget": type(field.widget).__name__,
        "required": field.required,
        "choices": [value for value, _text in getattr(field, "choices", ())],
        "limits": [str(getattr(field, limit, None)) for limit in LIMITS],
    }
