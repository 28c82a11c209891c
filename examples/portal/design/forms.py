"""Forms that the macros of ``design/forms.html`` draw as GOV.UK's components.

A form says in ``reveals`` which fields show under which choice of a radio field. What else a
component is given (``prefix``, ``classes``, ...) stands in the form's ``options``, or in a
field's ``govuk``.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


MESSAGES = {
    "required": _("Answer this question"),
    "invalid_list": _("Select one of the answers"),
    "invalid_choice": _("Select one of the answers"),
    "max_length": _("The answer must be %(limit_value)d characters or fewer"),
    "null_characters_not_allowed": _("The answer has a character that cannot be kept"),
}
"""What is wrong with an answer, where a field has no words of its own for it."""

_DJANGOS_OWN = [
    *forms.Field.default_error_messages.values(),
    *forms.MultipleChoiceField.default_error_messages.values(),
]


class Form(forms.Form):
    """A form whose errors say what to do and are found by the browser's script or without."""

    use_required_attribute = False
    reveals: ClassVar[Mapping[str, Mapping[str, Sequence[str]]]] = {}
    options: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __init__(self, *args: Any, **named: Any) -> None:
        """Say in our words, in both languages, what Django would say in its own."""
        super().__init__(*args, **named)
        for field in self.fields.values():
            for code, message in MESSAGES.items():
                if field.error_messages.get(code) in (None, *_DJANGOS_OWN):
                    field.error_messages[code] = message

    @property
    def revealed(self) -> frozenset[str]:
        """The fields that show under a choice."""
        return frozenset(
            name for by in self.reveals.values() for names in by.values() for name in names
        )

    def under(self, field: str, value: str) -> list[str]:
        """Return the fields that show when ``field`` is ``value``."""
        return list(self.reveals.get(field, {}).get(value, []))


class LinesField(forms.CharField):
    """Text of some lines. They end alike, whatever the browser: an end counts as one character."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> str:
        """Return the text as it is kept."""
        text: str = super().to_python(value)
        return text.replace("\r\n", "\n").replace("\r", "\n")


class MoneyField(forms.DecimalField):
    """Pounds and pence: digits with two decimals or none, with or without £ and commas.

    Of ``max_digits`` two are pence.
    """

    govuk: ClassVar[Mapping[str, Any]] = {
        "prefix": {"text": "£"},
        "classes": "govuk-input--width-5",
    }
    _written = re.compile(r"£?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)(\.[0-9]{2})?")

    def __init__(
        self, *, required_message: Any, invalid_message: Any, max_digits: int = 9, **named: Any
    ) -> None:
        """Say what to answer when there is none, and when it is no such amount."""
        messages = dict.fromkeys(
            ("invalid", "max_digits", "max_decimal_places", "max_whole_digits", "min_value"),
            invalid_message,
        )
        super().__init__(
            min_value=0,
            max_digits=max_digits,
            decimal_places=2,
            widget=forms.TextInput(attrs={"inputmode": "decimal", "spellcheck": False}),
            error_messages={"required": required_message, **messages},
            **named,
        )

    def to_python(self, value: Any) -> Any:
        """Read the amount; what is written otherwise is no amount."""
        if not isinstance(value, str):
            return super().to_python(value)
        written = value.strip()
        if written and not self._written.fullmatch(written):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(written.lstrip("£").replace(",", ""))


class DateWidget(forms.MultiWidget):
    """Three boxes for day, month and year."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        """Name the boxes."""
        boxes = {"day": forms.TextInput, "month": forms.TextInput, "year": forms.TextInput}
        super().__init__(boxes, attrs)

    def decompress(self, value: Any) -> list[Any]:
        """Take a date apart."""
        return [None, None, None] if value is None else [value.day, value.month, value.year]


class DateField(forms.MultiValueField):
    """A date, typed as three numbers."""

    widget = DateWidget

    def __init__(
        self, *, required_message: Any, invalid_message: Any, autocomplete: str = "", **named: Any
    ) -> None:
        """Say what to answer when there is none, and when there is no such day.

        ``autocomplete`` is ``bday`` for the user's own birthday (WCAG 2.1, 1.3.5).
        """
        messages = {"required": required_message, "incomplete": invalid_message}
        parts = [
            forms.IntegerField(
                min_value=least,
                max_value=most,
                error_messages=dict.fromkeys(
                    ("invalid", "min_value", "max_value"), invalid_message
                ),
            )
            for least, most in ((1, 31), (1, 12), (1900, 2100))
        ]
        self._invalid = invalid_message
        for part in parts:
            part.error_messages["incomplete"] = invalid_message
        super().__init__(parts, error_messages=messages, require_all_fields=False, **named)
        if autocomplete:
            self.widget.attrs["autocomplete"] = autocomplete

    def compress(self, data_list: list[Any]) -> Any:
        """Put the date together."""
        if not data_list:
            return None
        day, month, year = data_list
        try:
            return date(year, month, day)
        except ValueError as error:
            raise ValidationError(self._invalid) from error


DATE_PARTS = {"day": _("Day"), "month": _("Month"), "year": _("Year")}
